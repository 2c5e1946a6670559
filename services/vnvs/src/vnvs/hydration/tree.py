"""The document as paths see it (VNML S1, T2): absolute paths, document order, results.

`Tree` is read-only and remembers what each path gave. The document pass, whose tree changes while
it is hydrated, has its own kind (`pending.PendingTree`).
"""

from collections.abc import Iterator, Sequence

from lxml import etree

from vnvs.hydration import xpath
from vnvs.hydration.directives import Directives, elements_with_directives
from vnvs.hydration.nodes import Element, Node
from vnvs.hydration.outline import valuations_of
from vnvs.hydration.paths import Index, Paths, SimplePath, simple_path
from vnvs.hydration.shapes import HydrationLimits

_REMEMBERED = 100_000  # paths; placeholders make one per task


class NotYetKnown(Exception):
    """Raised in a check alone: what a path gives depends on results that are not there."""


def is_absolute(expression: str) -> bool:
    """Tell whether a path starts at the document (S1), as ``/a`` and ``(/a)[1]`` do."""
    return expression.lstrip("( \t\r\n").startswith("/")


class Tree:
    """A document whose groups before `current_group` have their results in place."""

    def __init__(
        self,
        root: Element,
        groups: Sequence[Element],
        current_group: int,
        limits: HydrationLimits,
        *,
        results_are_known: bool = True,
    ) -> None:
        self.root = root
        self.groups = {group: index for index, group in enumerate(groups)}
        self.paths = Paths()
        self.limits = limits
        self._current = current_group
        self._results_are_known = results_are_known
        self._index = Index(root)
        self._remembered: dict[tuple[str, int], list[Node]] = {}
        self._directives: dict[Element, Directives] = {}
        self._order: dict[Element, int] | None = None

    def nodes(self, expression: str, limit: int) -> list[Node]:
        """Give the first `limit` nodes of an absolute path, in document order."""
        key = (expression, limit)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = self._evaluate(expression, limit)
        return found

    def _evaluate(self, expression: str, limit: int) -> list[Node]:
        path = simple_path(expression)
        if not self._results_are_known:
            self._refuse_unknown(path)
        if path is None:
            return xpath.evaluate(expression, self.root, limit, self.limits)
        xpath.check_expression(expression, self.limits, rule="S6")
        return (self._index.nodes(path) or [])[:limit]

    def _refuse_unknown(self, path: SimplePath | None) -> None:
        """In a check, give up on paths that may lead through results."""
        if self._current == 0:
            return
        if path is None:
            raise NotYetKnown
        for length in range(1, len(path.steps) + 1):
            above = self._index.nodes(SimplePath(path.steps[:length])) or []
            if any(self.is_result(node) for node in above if isinstance(node, Element)):
                raise NotYetKnown

    def is_result(self, element: Element) -> bool:
        """Tell whether an element is, or stands in, a group that has run."""
        group = self.group_of(element)
        return group is not None and self.groups[group] < self._current

    def results(self) -> Iterator[Element]:
        """Give the valuations of the groups that have run; in a check there are none."""
        if self._results_are_known:
            for group, index in self.groups.items():
                if index < self._current:
                    yield from valuations_of(group)

    def refuse_unknown_context(self, context: Element) -> None:
        """In a check, give up on what is relative to a result."""
        if not self._results_are_known and self.is_result(context):
            raise NotYetKnown

    def group_of(self, element: Element) -> Element | None:
        """Give the group of the project that an element is or stands in."""
        node: Element | None = element
        while node is not None:
            if node in self.groups:
                return node
            node = node.getparent()
        return None

    def is_clean(self, element: Element) -> bool:
        """Tell whether nothing in an element is left to hydrate; results never are (D5)."""
        group = self.group_of(element)
        if group is None or self.groups[group] < self._current:
            # What holds the groups holds what is to be hydrated; no rule ever copies it, since
            # that would be a cycle.
            return True
        return self.directives_of(group).within.get(element, 0) == 0

    def is_waiting_frame(self, element: Element) -> bool:  # noqa: ARG002 (the pending tree's)
        """Tell whether root, project or a group has attributes still to be hydrated."""
        return False

    def directives_of(self, group: Element) -> Directives:
        """Give what is left to do in the valuations of a group that has not run.

        Its other children are hydrated in the document pass; what they hold then is data (P3).
        """
        if group not in self._directives:
            self._directives[group] = directives = Directives(etree.Element("nothing"))
            for valuation in valuations_of(group):
                for element in elements_with_directives(valuation):
                    directives.add(element)
        return self._directives[group]

    def settle(self, element: Element) -> None:
        """Make sure that what is in `element` is hydrated before it is looked at."""

    def put_in_place(self, element: Element, made: Element) -> Element:
        """Put one element where another is; only for a tree that may change."""
        raise NotImplementedError(f"{element.tag} and {made.tag} stand in a document to be read")

    def _forget_everything(self) -> None:
        self.paths = Paths()
        self._index = Index(self.root)
        self._remembered.clear()
        self._order = None

    def in_order(self, nodes: Sequence[Node]) -> list[Node]:
        """Give nodes in document order, each once; texts, which have no place, stay as they are."""
        elements: list[Element] = [n for n in _unique(nodes) if isinstance(n, Element)]
        if len(elements) < 2 or any(isinstance(node, str) for node in nodes):
            return _unique(nodes)
        if self._order is None:
            self._order = {node: number for number, node in enumerate(self.root.iter())}
        order = self._order
        ordered: list[Element] = sorted(elements, key=lambda found: order.get(found, len(order)))
        return list(ordered)


def _unique(nodes: Sequence[Node]) -> list[Node]:
    """Keep each element once, and every text: two attributes may have the same value."""
    seen: set[Element] = set()
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Element):
            if node in seen:
                continue
            seen.add(node)
        kept.append(node)
    return kept
