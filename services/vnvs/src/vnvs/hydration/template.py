"""One valuation of a group, ready to make one task after another (VNML K1, F4).

In comes the valuation as it stands in the document; out goes, for each context, the hydrated one,
written, in parts. What is alike for all its tasks is hydrated and written once, what it shares with
other valuations once for all. Made by the group pass.
"""

from dataclasses import dataclass

from vncore.errors import HydrationFailed
from vnvs.hydration.directives import HREF, SELECT, USE, has_directive
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.failed import FAILED_REFERENCE
from vnvs.hydration.leaf import Leaf, Selections
from vnvs.hydration.nodes import Element, attributes_of
from vnvs.hydration.scope import Scope
from vnvs.hydration.shell import escaped
from vnvs.hydration.trace import Entry, compact
from vnvs.hydration.tree import NotYetKnown
from vnvs.hydration.writing import Part, Writer, part_of

_ABOVE = 4  # levels above a child of a valuation: vnml, project, group, valuation
_DIRECTIVES = (HREF, SELECT, USE)
_END = b"</valuation>"


@dataclass(slots=True)
class Made:
    """A hydrated valuation, written."""

    name: str
    parts: list[Part]
    entries: list[str]  # of the trace, written, without those that are empty
    failure: HydrationFailed | None = None  # in a tolerant pass: why something of it is missing
    declares_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class _Constant:
    """A child of a valuation that is alike in all its tasks."""

    part: Part
    entries: str = ""


@dataclass(frozen=True, slots=True)
class _Opening:
    """The start tag of the valuation, and the text behind it."""

    written: bytes
    name: str
    entries: str = ""


class Template:
    """A valuation as it stands in the document, ready to make one task after another.

    Whether a child is alike for all tasks is seen the first time it is hydrated: if no relative
    path was looked at, it cannot come out differently. A child that fails is tried in each task.
    """

    def __init__(
        self,
        valuation: Element,
        hydrator: Hydrator,
        writer: Writer,
        selections: Selections,
        *,
        tolerant: bool = False,
    ) -> None:
        self._valuation, self._hydrator = valuation, hydrator
        self._writer, self._tolerant = writer, tolerant
        self._levels = hydrator.context.limits.max_depth - _ABOVE
        self._failure: HydrationFailed | None = None  # of the task at hand, the first
        self._selections = selections
        group = valuation.getparent()
        assert group is not None
        self._to_do = hydrator.tree.directives_of(group).within
        self._whole = HREF in valuation.attrib or SELECT in valuation.attrib
        self._opening: _Opening | None = None  # where it is alike for all tasks
        self._children: list[Element] = []
        self._tails: list[bytes] = []
        self._parts: list[_Constant | Leaf | Element] = []  # one for each child
        if not self._whole:
            self._look_at_children()

    def _look_at_children(self) -> None:
        self._children += self._valuation.iterchildren()
        self._tails += [escaped(child.tail) for child in self._children]
        self._parts += [self._first_look(child) for child in self._children]

    def _first_look(self, child: Element) -> _Constant | Leaf | Element:
        hydrator = self._hydrator
        if not isinstance(child.tag, str) or child not in self._to_do:
            return _Constant(part_of(self._written(child, self._writer.standing(child))))
        return Leaf.of(child, hydrator, self._writer, self._selections, self._levels) or child

    def task(self, linked: Element | None, vndb: bytes) -> Made:
        """Hydrate the valuation for one context and write it with ``vndb`` as its last child.

        In a tolerant pass the attributes and children that lead to a failed valuation are left
        out, and the first such failure is given; of a valuation that is itself fetched or selected
        its own attributes and children are left.
        """
        self._failure = None
        self._hydrator.trace.entries.clear()
        if self._whole:
            try:
                return self._made_whole(Scope(context=linked), vndb)
            except HydrationFailed as err:
                self._tolerate(err)
                if not self._children:
                    self._look_at_children()
        self._hydrator.stack.append(self._valuation)
        try:
            return self._made_by_parts(linked, vndb)
        finally:
            self._hydrator.stack.pop()

    def _tolerate(self, err: HydrationFailed) -> None:
        """Keep a reference to a failed valuation in a tolerant pass; raise any other error."""
        if not self._tolerant or err.code != FAILED_REFERENCE:
            raise err
        self._failure = self._failure or err
        self._hydrator.trace.entries.clear()

    def _made_whole(self, scope: Scope, vndb: bytes) -> Made:
        """For a valuation that is itself fetched or selected."""
        made = self._hydrator.hydrate(self._valuation, scope, is_task=True)
        entries = _written_entries(self._hydrator.trace.since(0))
        inside = self._written(made, self._writer.own(made), above=_ABOVE - 1)
        name = made.get("name") or ""
        return Made(name, [_with_last_child(inside, vndb)], [entries] if entries else [])

    def _made_by_parts(self, linked: Element | None, vndb: bytes) -> Made:
        opening = self._opening or self._opened(Scope(context=linked))
        entries = [opening.entries] if opening.entries else []
        parts: list[Part] = [opening.written]
        for position, tail in enumerate(self._tails):
            part = self._parts[position]
            if isinstance(part, _Constant):
                written, told = part.part, part.entries
            else:
                written, told = self._made(position, part, linked)
            parts.append(written)
            if tail:
                parts.append(tail)
            if told:
                entries.append(told)
        parts.append(vndb)
        parts.append(_END)
        return Made(opening.name, parts, entries, self._failure, b"xmlns" in opening.written)

    def _opened(self, scope: Scope) -> _Opening:
        hydrator = self._hydrator
        attributes = attributes_of(self._valuation)
        entries = ""
        hydrator.context_used = False
        if has_directive(self._valuation):
            attributes = self._attributes(scope)
            entries = _written_entries(hydrator.trace.since(0))
        written = self._writer.start_tag("valuation", attributes, self._valuation)
        opening = _Opening(
            written + escaped(self._valuation.text), attributes.get("name", ""), entries
        )
        if not (hydrator.context_used or self._failure) and hydrator.faults is None:
            self._opening = opening
        return opening

    def _attributes(self, scope: Scope) -> dict[str, str]:
        attributes: dict[str, str] = {}
        try:
            attributes = self._hydrator.expanded_attributes(self._valuation, scope, but=USE)
        except NotYetKnown:
            pass  # raised in a check alone, which goes on
        except HydrationFailed as err:
            if self._hydrator.faults is not None:
                self._hydrator.faults.add(err)
            else:
                self._tolerate(err)
                attributes = self._attributes_one_by_one(scope)
        for name in _DIRECTIVES:
            attributes.pop(name, None)
        return attributes

    def _attributes_one_by_one(self, scope: Scope) -> dict[str, str]:
        """Give the attributes that can be had after one could not."""
        attributes: dict[str, str] = {}
        for name in attributes_of(self._valuation):
            if name in _DIRECTIVES:
                continue
            try:
                made = self._hydrator.expanded_attributes(self._valuation, scope, only=name)
            except HydrationFailed as err:
                self._tolerate(err)
            else:
                attributes[name] = made[name]
        return attributes

    def _made(
        self, position: int, part: Leaf | Element, linked: Element | None
    ) -> tuple[Part, str]:
        """Hydrate and write a child, and keep it if it is alike for all tasks."""
        if isinstance(part, Leaf):
            made = part.made(linked)
            if made is not None:
                if not part.needs_context:
                    self._parts[position] = _Constant(*made)
                return made
        hydrator = self._hydrator
        hydrator.context_used = False
        child = self._children[position]
        try:
            element = hydrator.hydrate(child, Scope(context=linked))
            written = self._written(element, self._writer.own(element))
        except HydrationFailed as err:
            self._tolerate(err)
            return b"", ""
        entries = _written_entries(hydrator.trace.since(0))
        if hydrator.context_used:
            return written, entries
        constant = self._parts[position] = _Constant(part_of(written), entries)
        return constant.part, constant.entries

    def _written(self, element: Element, written: bytes, above: int = _ABOVE) -> bytes:
        """Give what was written of an element unless that has too many levels."""
        limits = self._hydrator.context.limits
        levels = limits.max_depth - above
        # A level takes a tag, so that most need not be looked at.
        if written.count(b"<") > levels and self._writer.is_deeper(levels, element):
            raise self._hydrator.places.placed(
                HydrationFailed(
                    "HYDRATION_TOO_DEEP",
                    f"the task would have more than {limits.max_depth} levels",
                    rule="T4",
                ),
                self._valuation,
                Scope(),
            )
        return written


def _written_entries(entries: list[Entry]) -> str:
    return ",".join(compact(entry).decode() for entry in entries)


def _with_last_child(valuation: bytes, child: bytes) -> bytes:
    """Put an element, written, behind the last child of a written element."""
    if valuation.endswith(b"/>"):
        tag = valuation[1:].split(maxsplit=1)[0].rstrip(b"/>")
        return b"".join((valuation[:-2], b">", child, b"</", tag, b">"))
    end = valuation.rindex(b"</")
    return b"".join((valuation[:end], child, valuation[end:]))
