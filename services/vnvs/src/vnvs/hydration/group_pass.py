"""The group pass (VNML T2): one task document for each valuation that a group asks for.

Reads the hydrated document with the results of earlier groups in place; gives tasks in document
order.
"""

from collections.abc import Iterator

from vncore.errors import HydrationFailed, Place
from vnvs.hydration.directives import elements_with_href
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.faults import Faults
from vnvs.hydration.hrefs import prefetch
from vnvs.hydration.library import Library
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.nodes import Element
from vnvs.hydration.outline import groups_of, parse_stored, project_of, valuations_of
from vnvs.hydration.scope import Facts, Places
from vnvs.hydration.sent import SentLines
from vnvs.hydration.shapes import Context, Fetch, TaskDocument
from vnvs.hydration.shell import Shell, own_vndb
from vnvs.hydration.template import NamespaceScope, Template
from vnvs.hydration.trace import compact
from vnvs.hydration.tree import NotYetKnown, Tree
from vnvs.hydration.use import contexts
from vnvs.hydration.variables import declared


@room_for_nesting()
def hydrate_group(
    document: bytes,
    group_index: int,
    fetch: Fetch,
    context: Context,
    *,
    tolerant: bool = False,
) -> tuple[TaskDocument, ...]:
    """Make the task documents of a group; `document` has the results of earlier groups in place.

    With `tolerant` a task that refers to a failed valuation has `TaskDocument.failure`, and lacks
    what it would have taken; the others are what they are without it (F4). A valuation whose
    ``use`` cannot tell how many tasks there are raises all the same, see `use.contexts`.

    Raises HydrationFailed with rule, group, valuation and, where one is concerned, task.
    """
    root = parse_stored(document, context.limits)
    return tuple(GroupPass(root, group_index, fetch, context, tolerant=tolerant))


class GroupPass:
    """One group's pass over a parsed document; iterate to get its tasks."""

    def __init__(
        self,
        root: Element,
        group_index: int,
        fetch: Fetch,
        context: Context,
        *,
        tolerant: bool = False,
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
        self._scope = NamespaceScope(self._group)
        self._tolerant = tolerant
        self._written = 0

    def __iter__(self) -> Iterator[TaskDocument]:
        task_id = 0
        for position, valuation in enumerate(valuations_of(self._group)):
            self._facts.valuation = valuation.get("name")
            template = Template(valuation, self._hydrator, self._scope, tolerant=self._tolerant)
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
        template: Template,
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
        return TaskDocument(task_id, made.name, document, compact(trace), made.failure)

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
