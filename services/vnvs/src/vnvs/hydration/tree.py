"""The document as paths see it (VNML S1, T2): absolute paths, document order, results.

`Tree` is read-only and remembers what each path gave. Where the results of groups that have run are
not in it, a path that may lead to them is refused: in a check they are not known, in a pass they
have to be put in place first. The document pass, whose tree changes while it is hydrated, has its
own kind (`pending.PendingTree`).
"""

import re
from collections.abc import Iterator, Sequence

from lxml import etree

from vnvs.hydration import xpath
from vnvs.hydration.directives import Directives, elements_with_directives
from vnvs.hydration.nodes import Element, Node
from vnvs.hydration.outline import valuations_of
from vnvs.hydration.paths import (
    Equals,
    Index,
    Paths,
    SimplePath,
    Step,
    simple_path,
    simple_start,
    stays_below,
)
from vnvs.hydration.shapes import HydrationLimits

_REMEMBERED = 100_000  # paths; placeholders make one per task


class NotYetKnown(Exception):
    """Raised in a check alone: what a path gives depends on results that are not there."""


class ResultsNeeded(Exception):
    """Raised where a path may lead to results that are not in place; the pass starts again."""


_PROJECT_STEPS = 2  # of a path: root and project
_BESIDE_GROUPS = re.compile(r"/(?!group\b)[^\W\d][\w.-]*(?=[/\[])")  # a step to its other children


def is_absolute(expression: str) -> bool:
    """Tell whether a path starts at the document (S1), as ``/a`` and ``(/a)[1]`` do."""
    return expression.lstrip("( \t\r\n").startswith("/")


class Tree:
    """A document in the turn of one of its groups.

    The results of the groups before it are in place, or `without_results` is raised where they
    would be looked at.
    """

    def __init__(
        self,
        root: Element,
        groups: Sequence[Element],
        current_group: int,
        limits: HydrationLimits,
        *,
        index: Index | None = None,
        without_results: type[NotYetKnown | ResultsNeeded] | None = None,
    ) -> None:
        self.root = root
        self.groups = {group: index for index, group in enumerate(groups)}
        self.paths = Paths()
        self.limits = limits
        self._current = current_group
        self._without_results = without_results if current_group else None
        self._index = index or Index(root)
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
        if self._without_results is not None and self._may_lead_to_results(expression, path):
            raise self._without_results
        if path is None:
            return xpath.evaluate(expression, self.root, limit, self.limits)
        xpath.check_expression(expression, self.limits, rule="S6")
        return (self._index.nodes(path) or [])[:limit]

    def elements(self, path: SimplePath) -> list[Element]:
        """Give the elements that a simple path leads to, without attribute or text at its end."""
        if self._without_results is not None and self._passes_results(path.steps):
            raise self._without_results
        found = self._index.nodes(path) or []
        return [node for node in found if isinstance(node, Element)]

    def nodes_below(
        self, start: list[Element], steps: Sequence[Step], attribute: str | None, *, is_text: bool
    ) -> list[Node]:
        """Give the nodes of further steps from elements of the document, not remembering them."""
        return self._index.nodes_below(start, steps, attribute, is_text=is_text)

    def _may_lead_to_results(self, expression: str, path: SimplePath | None) -> bool:
        """Tell whether a path could give, or look at, anything of a group that has run.

        Only what surely cannot is let through: ``/vnml/project/market//curve[@name='SOFR']``.
        """
        if path is not None:
            return self._passes_results(path.steps)
        start = simple_start(expression)
        if start is None or self._without_results is NotYetKnown:
            return True
        rest = expression[start.length :]
        if len(start.steps) < _PROJECT_STEPS or not stays_below(rest):
            return True
        if len(start.steps) == _PROJECT_STEPS and not _BESIDE_GROUPS.match(rest):
            return True
        return self._passes_results(start.steps)

    def _passes_results(self, steps: Sequence[Step]) -> bool:
        way = [*steps[:_PROJECT_STEPS]]
        if len(steps) > _PROJECT_STEPS and steps[_PROJECT_STEPS].tag in {"*", "group"}:
            way.append(steps[_PROJECT_STEPS])
        if any(isinstance(c, Equals) and c.probe.is_deep for step in way for c in step.conditions):
            return True
        if len(way) <= _PROJECT_STEPS:
            return False
        groups = self._index.nodes(SimplePath(tuple(way))) or []
        return any(self.is_result(node) for node in groups if isinstance(node, Element))

    @property
    def has_results(self) -> bool:
        """Whether the results of the groups that have run are in place."""
        return self._without_results is None

    def is_result(self, element: Element) -> bool:
        """Tell whether an element is, or stands in, a group that has run."""
        group = self.group_of(element)
        return group is not None and self.groups[group] < self._current

    def results(self) -> Iterator[Element]:
        """Give the valuations of the groups that have run, where they are in place."""
        if self._without_results is None:
            for group, index in self.groups.items():
                if index < self._current:
                    yield from valuations_of(group)

    def refuse_results_from(self, context: Element, expression: str) -> None:
        """Refuse a relative path that may lead to results which are not in place.

        From a result each does; from what holds the groups, and upwards, one may. In a check only
        the first is refused.
        """
        if self._without_results is None:
            return
        if self.is_result(context) or (
            self._without_results is ResultsNeeded
            and (self._holds_groups(context) or not stays_below(expression))
        ):
            raise self._without_results

    def _holds_groups(self, element: Element) -> bool:
        return element is self.root or any(element is group.getparent() for group in self.groups)

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
            valuations = set(valuations_of(group))
            for element in elements_with_directives(group):
                above = element
                while above is not group and above not in valuations:
                    above = _above(above)
                if above is not group:
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


def _above(element: Element) -> Element:
    above = element.getparent()
    assert above is not None, "the element is not in the group"
    return above


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
