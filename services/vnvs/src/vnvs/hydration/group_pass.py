"""The group pass (VNML T2): one task document for each valuation that a group asks for.

Reads the hydrated document with the results of earlier groups in place; gives tasks in document
order. What is alike for all tasks of a valuation is hydrated and written once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from vncore import xml
from vncore.errors import HydrationFailed, Place
from vnvs.hydration.budget import deeper_than
from vnvs.hydration.directives import USE, elements_with_href, has_directive
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.faults import Faults
from vnvs.hydration.hrefs import prefetch
from vnvs.hydration.library import Library
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.nodes import Element, attributes_of, copy_of, namespaces_of, new_element
from vnvs.hydration.outline import groups_of, parse_stored, project_of, valuations_of
from vnvs.hydration.scope import Facts, Places, Scope
from vnvs.hydration.sent import SentLines
from vnvs.hydration.shapes import Context, Fetch, TaskDocument
from vnvs.hydration.shell import Shell, escaped, own_vndb
from vnvs.hydration.trace import Entry, compact
from vnvs.hydration.tree import NotYetKnown, Tree
from vnvs.hydration.use import contexts
from vnvs.hydration.variables import declared

_ABOVE = 4  # levels above a child of a valuation: vnml, project, group, valuation


@room_for_nesting()
def hydrate_group(
    document: bytes, group_index: int, fetch: Fetch, context: Context
) -> tuple[TaskDocument, ...]:
    """Make the task documents of a group; `document` has the results of earlier groups in place.

    Raises HydrationFailed with rule, group, valuation and, where one is concerned, task.
    """
    return tuple(GroupPass(parse_stored(document, context.limits), group_index, fetch, context))


class GroupPass:
    """One group's pass over a parsed document; iterate to get its tasks."""

    def __init__(
        self,
        root: Element,
        group_index: int,
        fetch: Fetch,
        context: Context,
        *,
        faults: Faults | None = None,
    ) -> None:
        groups = groups_of(project_of(root))
        if not 0 <= group_index < len(groups):
            raise HydrationFailed(
                "RESULTS_MISPLACED", f"the document has no group {group_index}", rule="T2"
            )
        self._context, self._limits = context, context.limits
        self._group, self._index = groups[group_index], group_index
        tree = Tree(root, groups, group_index, self._limits, results_are_known=faults is None)
        library = Library(fetch, declared(root, self._limits), self._limits)
        self._facts = Facts(group=self._group.get("name"), group_index=group_index)
        lines = SentLines(context, groups)
        self._hydrator = Hydrator(
            Places(tree, library, lines.line_of, self._facts), context, faults=faults
        )
        prefetch(elements_with_href(self._group), library, context)
        self._shell = Shell(root, self._group)
        self._scope = _NamespaceScope(self._group)
        self._written = 0

    def __iter__(self) -> Iterator[TaskDocument]:
        task_id = 0
        for position, valuation in enumerate(valuations_of(self._group)):
            self._facts.valuation = valuation.get("name")
            template = _Template(valuation, self._hydrator, self._scope)
            frame = self._shell.around(position)
            for linked in self._contexts(valuation):
                task_id += 1
                self._refuse_too_many(task_id)
                self._facts.task = task_id
                yield self._task(task_id, template, linked, frame)
                self._facts.task = None

    def _contexts(self, valuation: Element) -> tuple[Element, ...] | tuple[None, ...]:
        try:
            return contexts(valuation, self._hydrator)
        except (HydrationFailed, NotYetKnown) as err:
            if self._hydrator.faults is None:
                raise
            if isinstance(err, HydrationFailed):
                self._hydrator.faults.add(err)
            return ()

    def _task(
        self,
        task_id: int,
        template: "_Template",
        linked: Element | None,
        frame: tuple[bytes, bytes],
    ) -> TaskDocument:
        hydrator = self._hydrator
        hydrator.renew()
        made = template.task(linked, own_vndb(task_id))
        if len(made.name) > self._limits.max_name:
            raise self._fault(
                "HYDRATION_NAME_TOO_LONG",
                f"the valuation's name has more than {self._limits.max_name} characters",
            )
        before, after = frame
        document = b"".join((before, made.xml, after))
        self._written += len(document)
        if self._written > self._limits.max_bytes:
            raise self._fault(
                "HYDRATION_TOO_LARGE",
                f"the tasks of the group have more than {self._limits.max_bytes} bytes",
            )
        trace = {
            "pass": "group",
            "group": self._index,
            "task": task_id,
            "context": None if linked is None else hydrator.places.path(linked),
            "values": made.entries,
        }
        return TaskDocument(task_id, made.name, document, compact(trace))

    def _refuse_too_many(self, task_id: int) -> None:
        if task_id > self._limits.max_tasks:
            raise self._fault(
                "HYDRATION_TOO_MANY_TASKS",
                f"the group has more than {self._limits.max_tasks} tasks",
            )

    def _fault(self, code: str, message: str) -> HydrationFailed:
        facts = self._facts
        place = Place(
            group=facts.group,
            group_index=facts.group_index,
            valuation=facts.valuation,
            task=facts.task,
            element=self._hydrator.places.path(self._group),
        )
        return HydrationFailed(code, message, rule="T4", place=place)


@dataclass(frozen=True, slots=True)
class _Made:
    """A hydrated valuation, written."""

    name: str
    xml: bytes
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class _Constant:
    """A child of a valuation that is alike in all its tasks."""

    xml: bytes
    entries: list[Entry] = field(default_factory=list)


class _Template:
    """A valuation as it stands in the document, ready to make one task after another.

    Whether a child is alike for all tasks is seen the first time it is hydrated: if no relative
    path was looked at, it cannot come out differently.
    """

    def __init__(self, valuation: Element, hydrator: Hydrator, scope: "_NamespaceScope") -> None:
        self._valuation, self._hydrator = valuation, hydrator
        self._scope = scope
        self._parts: list[Element | _Constant] = []
        self._whole = any(name in valuation.attrib for name in ("href", "select"))
        for child in valuation.iterchildren():
            clean = not isinstance(child.tag, str) or hydrator.tree.is_clean(child)
            self._parts.append(_Constant(self._written(copy_of(child))) if clean else child)
        self._tails = [escaped(child.tail) for child in valuation.iterchildren()]

    def task(self, linked: Element | None, vndb: bytes) -> _Made:
        """Hydrate the valuation for one context and write it with ``vndb`` as its last child."""
        scope = Scope(context=linked)
        self._hydrator.trace.entries.clear()
        if self._whole:
            return self._made_whole(scope, vndb)
        self._hydrator.stack.append(self._valuation)
        try:
            return self._made_by_parts(scope, vndb)
        finally:
            self._hydrator.stack.pop()

    def _made_whole(self, scope: Scope, vndb: bytes) -> _Made:
        """For a valuation that is itself fetched or selected."""
        made = self._hydrator.hydrate(self._valuation, scope, is_task=True)
        entries = self._hydrator.trace.since(0)
        inside = self._written(made, _ABOVE - 1)
        name = made.get("name") or ""
        return _Made(name, _with_last_child(inside, vndb), entries)

    def _made_by_parts(self, scope: Scope, vndb: bytes) -> _Made:
        entries: list[Entry] = []
        opening, name = self._opening(scope, entries)
        pieces = [opening, escaped(self._valuation.text)]
        for position, tail in enumerate(self._tails):
            pieces += [self._part(position, scope, entries), tail]
        return _Made(name, b"".join((*pieces, vndb, b"</valuation>")), entries)

    def _opening(self, scope: Scope, entries: list[Entry]) -> tuple[bytes, str]:
        attributes = attributes_of(self._valuation)
        if has_directive(self._valuation):
            attributes = self._attributes(scope)
            entries += self._hydrator.trace.since(0)
        empty = new_element("valuation", attributes, self._valuation)
        written = self._scope.written(empty)
        return written.removesuffix(b"/>") + b">", empty.get("name") or ""

    def _attributes(self, scope: Scope) -> dict[str, str]:
        try:
            attributes = self._hydrator.expanded_attributes(self._valuation, scope, but=USE)
        except (HydrationFailed, NotYetKnown) as err:
            if self._hydrator.faults is None:
                raise
            if isinstance(err, HydrationFailed):
                self._hydrator.faults.add(err)
            attributes = {}
        attributes.pop(USE, None)
        return attributes

    def _part(self, position: int, scope: Scope, entries: list[Entry]) -> bytes:
        part = self._parts[position]
        if not isinstance(part, _Constant):
            hydrator = self._hydrator
            hydrator.context_used = False
            written = self._written(hydrator.hydrate(part, scope))
            made = _Constant(written, hydrator.trace.since(0))
            if not hydrator.context_used:
                self._parts[position] = made
            part = made
        entries += part.entries
        return part.xml

    def _written(self, element: Element, above: int = _ABOVE) -> bytes:
        limits = self._hydrator.context.limits
        if deeper_than(limits.max_depth - above, element):
            raise self._hydrator.places.placed(
                HydrationFailed(
                    "HYDRATION_TOO_DEEP",
                    f"the task would have more than {limits.max_depth} levels",
                    rule="T4",
                ),
                self._valuation,
                Scope(),
            )
        return self._scope.written(element)


class _NamespaceScope:
    """Writes elements for a place where some namespaces are declared already, once for all."""

    def __init__(self, place: Element) -> None:
        self._holder = new_element("x", {}, place) if namespaces_of(place) else None
        if self._holder is not None:
            self._before = len(xml.serialise(self._holder, declaration=False)) - len("/")
            self._after = len("</x>")

    def written(self, element: Element) -> bytes:
        """Write an element of our own, without what is declared around its place."""
        if self._holder is None:
            return xml.serialise(element, declaration=False)
        self._holder.append(element)
        written = xml.serialise(self._holder, declaration=False)
        self._holder.remove(element)
        return written[self._before : -self._after]


def _with_last_child(valuation: bytes, child: bytes) -> bytes:
    """Put an element, written, behind the last child of a written element."""
    if valuation.endswith(b"/>"):
        tag = valuation[1:].split(maxsplit=1)[0].rstrip(b"/>")
        return b"".join((valuation[:-2], b">", child, b"</", tag, b">"))
    end = valuation.rindex(b"</")
    return b"".join((valuation[:end], child, valuation[end:]))
