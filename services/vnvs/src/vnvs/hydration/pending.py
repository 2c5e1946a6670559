"""The document while it is being hydrated (VNML T1, T3, T4): paths wait for what they lead to.

A *unit* is an outermost element outside groups that has a directive in it. A path that leads to
or through a unit has it hydrated first; a chain C <- B <- A resolves in whatever order it is
written, and a circle is an error. A path that does not give exactly one node looks again once the
other units that could still bring it one are hydrated.
"""

from collections.abc import Callable, Iterable, Sequence

from lxml import etree

from vncore.errors import HydrationFailed
from vnvs.hydration import xpath
from vnvs.hydration.directives import Directives, Role, elements_with_directives, role_below
from vnvs.hydration.nodes import Element, Node, attributes_of, namespaces_of, root_of
from vnvs.hydration.outline import groups_of, project_of
from vnvs.hydration.paths import Equals, SimplePath, simple_path, simple_start
from vnvs.hydration.shapes import HydrationLimits
from vnvs.hydration.tree import Tree

_TRIES = 3


class Blocked(Exception):
    """Raised when a unit that is tried ahead of its turn would have to guess."""


class PendingTree(Tree):
    """A tree of our own that changes unit by unit; `hydrate` and `cycle` are set by its pass."""

    hydrate: Callable[[Element], Element]
    """Hydrates a unit and puts it in place; gives what stands there now."""
    cycle: Callable[[Element], HydrationFailed]
    attempt: Callable[[Callable[[], None]], bool]
    """Does something whose failure leaves no trace; tells whether it succeeded."""

    def __init__(self, root: Element, limits: HydrationLimits) -> None:
        super().__init__(root, (), 0, limits)
        self.pending = Directives(etree.Element("nothing"))
        self._active: list[Element] = []
        self._ahead = 0  # how many units deep we are ahead of their turn
        self._version = 0
        self._rivals = self.pending  # those of them that are still tried ahead of their turn
        self._tries: dict[Element, int] = {}
        self._failed_at: dict[Element, int] = {}
        self.settled: set[Element] = set()  # what they hold is data (P3)
        self.frames_done: set[Element] = set()  # root, project, groups: their attributes are data

    def look_again(self, holding: Iterable[Element]) -> None:
        """Find groups and units anew; what is settled is data, `holding` wait for theirs."""
        groups = groups_of(project_of(self.root))
        self.groups = {group: index for index, group in enumerate(groups)}
        self._directives.clear()
        self._forget_everything()
        self.pending = Directives(etree.Element("nothing"))
        self._rivals = Directives(etree.Element("nothing"))
        found = elements_with_directives(self.root)
        found += [element for element in holding if root_of(element) is self.root]
        for element in found:
            if role_below(element, self.root, Role.ROOT) is not Role.OUTSIDE:
                continue
            if not any(above in self.settled for above in (element, *element.iterancestors())):
                self.pending.add(element)
                self._rivals.add(element)

    def units(self) -> list[Element]:
        """Give the units, in document order."""
        return list(dict.fromkeys(self._unit_of(element) for element in self.pending.own))

    def is_pending(self, unit: Element) -> bool:
        """Tell whether a unit still has its turn to come."""
        return self.pending.within.get(unit, 0) > 0

    def _unit_of(self, element: Element) -> Element:
        unit = element
        for above in element.iterancestors():
            if above in self.pending.own:
                unit = above
        return unit

    # --- what paths see --------------------------------------------------------------------------

    def is_clean(self, element: Element) -> bool:
        """Tell whether nothing in an element is left to hydrate."""
        if self.pending.within.get(element, 0):
            return False
        group = self.group_of(element)
        if group is not None:
            return self.directives_of(group).within.get(element, 0) == 0
        return not any(
            self.directives_of(group).own
            for group in self.groups
            if element is self.root or element is group.getparent()
        )

    def nodes(self, expression: str, limit: int) -> list[Node]:
        """Give the first `limit` nodes of an absolute path, with all on its way hydrated."""
        found = self._settled(expression, limit)
        rivals = self._looked_into(expression) if len(found) == 1 else self._rivals_of(expression)
        if not rivals:
            return found
        self._try_all(rivals)
        found = self._settled(expression, limit)
        if len(found) != 1 and self._ahead and any(e in self._rivals.own for e in rivals):
            raise Blocked
        return found

    def _settled(self, expression: str, limit: int) -> list[Node]:
        xpath.check_expression(expression, self.limits, rule="S6")
        path = simple_path(expression)
        if path is None:
            self._try_below(expression)
        while True:
            if path is None:
                found: list[Node] | None = xpath.evaluate(expression, self.root, limit, self.limits)
            else:
                found = self._index.nodes(path, self._hydrate_all)
            if found is None:
                continue  # what the path leads through was hydrated: from the start
            elements = [node for node in found[:limit] if isinstance(node, Element)]
            if not self._hydrate_in(elements):
                return found[:limit]

    def _try_below(self, expression: str) -> None:
        """Hydrate what a path may lead through that only libxml2 understands to its end."""
        if not self.pending.own:
            return
        start = simple_start(expression)
        while True:
            found = [self.root] if start is None else self._index.nodes(start, self._hydrate_all)
            if found is not None:
                break
        below = [node for node in found if isinstance(node, Element)]
        if start is not None and self._hydrate_all(below):
            self._try_below(expression)
            return
        for top in below:
            if top is self.root:
                self._try_all(list(self._rivals.own))
            elif self._rivals.within.get(top, 0):
                self._try_all([e for e in top.iter("*") if e in self._rivals.own])

    def is_waiting_frame(self, element: Element) -> bool:
        """Tell whether root, project or a group has attributes still to be hydrated."""
        if element in self.frames_done:
            return False
        return element in self.groups or element in {self.root, project_of(self.root)}

    def settle(self, element: Element) -> None:
        """Hydrate what is in `element`, which the caller is about to look into."""
        self._hydrate_in([element])

    def _hydrate_all(self, elements: Sequence[Element]) -> bool:
        """Hydrate those elements that are to be; tell whether the tree changed."""
        if not self.pending.own:
            return False
        changed = [self._hydrate_unit(e) for e in elements if e in self.pending.own]
        return any(changed)

    def _hydrate_in(self, elements: Sequence[Element]) -> bool:
        """Hydrate what is in, or around, what a path gave; tell whether the tree changed."""
        if not self.pending.own:
            return False
        changed = False
        for element in elements:
            around = [above for above in element.iterancestors() if above in self.pending.own]
            inside: list[Element] = []
            if self.pending.within.get(element, 0):
                inside = [below for below in element.iter("*") if below in self.pending.own]
            changed |= self._hydrate_all([*around, *inside])
        return changed

    def _hydrate_unit(self, element: Element) -> bool:
        if element not in self.pending.own:
            return False  # hydrated meanwhile
        unit = self._unit_of(element)
        if self._active and unit is self._active[-1]:
            return False  # a path through the very unit that it stands in sees it as it is now
        if any(unit is busy for busy in self._active):
            raise self.cycle(unit)
        self.hydrate_unit(unit)
        return True

    def hydrate_unit(self, unit: Element) -> None:
        """Hydrate a unit now. Raises HydrationFailed."""
        if len(self._active) >= self.limits.max_passes:
            raise HydrationFailed(
                "HYDRATION_PASSES",
                f"more than {self.limits.max_passes} elements wait for each other",
                rule="T4",
            )
        self._active.append(unit)
        try:
            made = self.hydrate(unit)
        finally:
            self._active.pop()
        for element in [e for e in unit.iter("*") if e in self.pending.own]:
            self.pending.remove(element)
            self._rivals.remove(element)
        self.settled.add(self.put_in_place(unit, made))
        self._version += 1
        self._order = None

    # --- paths that do not give exactly one node -------------------------------------------------

    def _try_all(self, elements: Iterable[Element]) -> None:
        """Hydrate the units of these elements ahead of their turn.

        One that fails now, for instance because it waits for us, has its turn later.
        """
        busy = set(self._active)
        self._ahead += 1
        try:
            for unit in dict.fromkeys(self._unit_of(element) for element in elements):
                if self.is_pending(unit) and unit not in busy:
                    self._try(unit)
        finally:
            self._ahead -= 1

    def _try(self, unit: Element) -> None:
        if self._failed_at.get(unit) != self._version:
            if self.attempt(lambda: self.hydrate_unit(unit)):
                return
            self._failed_at[unit] = self._version
        # Bounded, or a thousand units that all fail would try each other a million times.
        self._tries[unit] = self._tries.get(unit, 0) + 1
        if self._tries[unit] >= _TRIES:
            for element in [e for e in unit.iter("*") if e in self.pending.own]:
                self._rivals.remove(element)

    def _rivals_of(self, expression: str) -> list[Element]:
        """Give the elements, to be hydrated, that could bring a path another node.

        Those where a step looks for children, since hydrating may change even a tag; and those in
        what a condition looks into.
        """
        path = simple_path(expression) or simple_start(expression)
        if path is None or not self._rivals.own:
            return []
        found: dict[Element, None] = {}
        for length, step in enumerate(path.steps[1:], start=1):
            above = self._index.nodes(SimplePath(path.steps[:length])) or []
            looks_inside = any(isinstance(c, Equals) and c.probe.is_deep for c in step.conditions)
            for parent in above:
                if isinstance(parent, Element) and self._rivals.within.get(parent, 0):
                    inside = parent.iter("*") if looks_inside else parent.iterchildren("*")
                    found.update((e, None) for e in inside if e in self._rivals.own)
        return list(found)

    def _looked_into(self, expression: str) -> list[Element]:
        """Give the elements, to be hydrated, whose text a condition took for what it will be."""
        path = simple_path(expression)
        if path is None or not self._rivals.own:
            return []
        found: dict[Element, None] = {}
        for length, step in enumerate(path.steps, start=1):
            if not any(isinstance(c, Equals) and c.probe.is_deep for c in step.conditions):
                continue
            for node in self._index.nodes(SimplePath(path.steps[:length])) or []:
                if isinstance(node, Element) and self._rivals.within.get(node, 0):
                    found.update((e, None) for e in node.iter("*") if e in self._rivals.own)
        return list(found)

    # --- changing it -----------------------------------------------------------------------------

    def put_in_place(self, element: Element, made: Element) -> Element:
        """Put `made` where `element` is; the element itself stays where it can."""
        tag, attributes = element.tag, attributes_of(element)
        parent = element.getparent()
        known = namespaces_of(element)
        if parent is not None and any(
            known.get(p) != uri for p, uri in namespaces_of(made).items()
        ):
            made.tail = element.tail
            parent.replace(element, made)
            self._index.forget(parent)
            self.paths.replaced(element, made)
            return made
        tail = element.tail
        element.clear()
        element.tail = tail
        element.tag = made.tag
        for name, value in attributes_of(made).items():
            element.set(name, value)
        element.text = made.text
        element.extend(list(made))
        self._index.changed(element, tag, attributes)
        self.paths.forget(element)
        return element
