"""The paths of one element, seen from its scope (VNML S1): absolute ones, relative ones, unions.

What `links.Evaluation` promises to the rules; made by the hydrator for each element.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from vncore.errors import HydrationFailed
from vnvs.hydration import xpath
from vnvs.hydration.failed import FailedValuations
from vnvs.hydration.lexical import split_outside
from vnvs.hydration.nodes import Element, Node
from vnvs.hydration.scope import Scope
from vnvs.hydration.shapes import Context
from vnvs.hydration.tree import Tree, is_absolute


@dataclass(frozen=True, slots=True)
class ScopedEvaluation:
    """Evaluates against a tree and, for relative paths, the scope's linked element."""

    tree: Tree
    failed: FailedValuations
    context: Context
    scope: Scope
    looked_at_context: Callable[[], None]

    @property
    def received(self) -> date:
        """The day on which the request was received."""
        return self.context.received

    def nodes(self, expression: str, limit: int, *, complete: bool = False) -> list[Node]:
        """Give the first `limit` nodes of a path, or of a union of paths, in document order."""
        found = [self._nodes(part, limit, complete=complete) for part in _parts(expression)]
        return self._united(found, limit)

    def nodes_below(
        self, source: Element, expression: str, limit: int, *, complete: bool = False
    ) -> list[Node]:
        """Give the nodes of a path that starts at `source`; an absolute one is refused.

        ``vn:link(/vnml/project/portfolio[@name='swaps'], //trade)`` would link every trade of the
        document, those of other portfolios too.
        """
        self.tree.settle(source)
        parts = _parts(expression)
        if any(is_absolute(part) for part in parts):
            raise HydrationFailed(
                "LINK_ARGUMENTS",
                f"the child {expression} is an absolute path; it is looked for below the source,"
                " as in .//trade",
                rule="U1",
            )
        found: list[list[Node]] = []
        for part in parts:
            self.tree.refuse_results_from(source, part)
            found.append(xpath.evaluate(part, source, limit, self.context.limits, rule="U1"))
            self.failed.refuse_missed(part, source, found[-1], complete=complete)
        return self._united(found, limit)

    def _nodes(self, expression: str, limit: int, *, complete: bool) -> list[Node]:
        linked = None if is_absolute(expression) else self._linked(expression)
        if linked is None:
            found = self.tree.nodes(expression, limit)
        else:
            found = xpath.evaluate(expression, linked, limit, self.context.limits)
        self.failed.refuse_missed(expression, linked, found, complete=complete)
        return found

    def _linked(self, expression: str) -> Element:
        """Give the element that a relative path starts from."""
        xpath.check_expression(expression, self.context.limits, rule="S6")
        self.looked_at_context()
        linked = self.scope.context
        if linked is None:
            raise HydrationFailed(
                "SELECT_NO_CONTEXT",
                f"{expression} is relative, and there is no linked element (use) to start from",
                rule="S1",
            )
        self.tree.refuse_results_from(linked, expression)
        return linked

    def _united(self, found: Sequence[list[Node]], limit: int) -> list[Node]:
        if len(found) == 1:
            return found[0]
        return self.tree.in_order([node for part in found for node in part])[:limit]


def _parts(expression: str) -> list[str]:
    return [part.strip() for part in split_outside(expression, "|")]
