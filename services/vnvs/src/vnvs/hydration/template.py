"""One valuation of a group, ready to make one task after another (VNML K1, F4).

In comes the valuation as it stands in the document; out goes, for each context, the hydrated one,
written. What is alike for all its tasks is hydrated and written once. Made by the group pass.
"""

from dataclasses import dataclass, field

from vncore import xml
from vncore.errors import HydrationFailed
from vnvs.hydration.budget import deeper_than
from vnvs.hydration.directives import HREF, SELECT, USE, has_directive
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.failed import FAILED_REFERENCE
from vnvs.hydration.nodes import Element, attributes_of, copy_of, namespaces_of, new_element
from vnvs.hydration.scope import Scope
from vnvs.hydration.shell import escaped
from vnvs.hydration.trace import Entry
from vnvs.hydration.tree import NotYetKnown

_ABOVE = 4  # levels above a child of a valuation: vnml, project, group, valuation
_DIRECTIVES = (HREF, SELECT, USE)


@dataclass(frozen=True, slots=True)
class Made:
    """A hydrated valuation, written."""

    name: str
    xml: bytes
    entries: list[Entry]
    failure: HydrationFailed | None = None  # in a tolerant pass: why something of it is missing


@dataclass(frozen=True, slots=True)
class _Constant:
    """A child of a valuation that is alike in all its tasks."""

    xml: bytes
    entries: list[Entry] = field(default_factory=list)


class Template:
    """A valuation as it stands in the document, ready to make one task after another.

    Whether a child is alike for all tasks is seen the first time it is hydrated: if no relative
    path was looked at, it cannot come out differently. A child that fails is tried in each task.
    """

    def __init__(
        self,
        valuation: Element,
        hydrator: Hydrator,
        scope: "NamespaceScope",
        *,
        tolerant: bool = False,
    ) -> None:
        self._valuation, self._hydrator = valuation, hydrator
        self._scope, self._tolerant = scope, tolerant
        self._failure: HydrationFailed | None = None  # of the task at hand, the first
        self._parts: list[Element | _Constant] = []
        self._whole = any(name in valuation.attrib for name in (HREF, SELECT))
        for child in valuation.iterchildren():
            clean = not isinstance(child.tag, str) or hydrator.tree.is_clean(child)
            self._parts.append(_Constant(self._written(copy_of(child))) if clean else child)
        self._tails = [escaped(child.tail) for child in valuation.iterchildren()]

    def task(self, linked: Element | None, vndb: bytes) -> Made:
        """Hydrate the valuation for one context and write it with ``vndb`` as its last child.

        In a tolerant pass the attributes and children that lead to a failed valuation are left
        out, and the first such failure is given; of a valuation that is itself fetched or selected
        its own attributes and children are left.
        """
        scope = Scope(context=linked)
        self._failure = None
        self._hydrator.trace.entries.clear()
        if self._whole:
            try:
                return self._made_whole(scope, vndb)
            except HydrationFailed as err:
                self._tolerate(err)
        self._hydrator.stack.append(self._valuation)
        try:
            return self._made_by_parts(scope, vndb)
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
        entries = self._hydrator.trace.since(0)
        inside = self._written(made, _ABOVE - 1)
        name = made.get("name") or ""
        return Made(name, _with_last_child(inside, vndb), entries)

    def _made_by_parts(self, scope: Scope, vndb: bytes) -> Made:
        entries: list[Entry] = []
        opening, name = self._opening(scope, entries)
        pieces = [opening, escaped(self._valuation.text)]
        for position, tail in enumerate(self._tails):
            pieces += [self._part(position, scope, entries), tail]
        written = b"".join((*pieces, vndb, b"</valuation>"))
        return Made(name, written, entries, self._failure)

    def _opening(self, scope: Scope, entries: list[Entry]) -> tuple[bytes, str]:
        attributes = attributes_of(self._valuation)
        if has_directive(self._valuation):
            attributes = self._attributes(scope)
            entries += self._hydrator.trace.since(0)
        empty = new_element("valuation", attributes, self._valuation)
        written = self._scope.written(empty)
        return written.removesuffix(b"/>") + b">", empty.get("name") or ""

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

    def _part(self, position: int, scope: Scope, entries: list[Entry]) -> bytes:
        part = self._parts[position]
        if not isinstance(part, _Constant):
            made = self._hydrated(part, scope)
            if made is None:
                return b""
            if not self._hydrator.context_used:
                self._parts[position] = made
            part = made
        entries += part.entries
        return part.xml

    def _hydrated(self, child: Element, scope: Scope) -> _Constant | None:
        hydrator = self._hydrator
        hydrator.context_used = False
        try:
            written = self._written(hydrator.hydrate(child, scope))
        except HydrationFailed as err:
            self._tolerate(err)
            return None
        return _Constant(written, hydrator.trace.since(0))

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


class NamespaceScope:
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
