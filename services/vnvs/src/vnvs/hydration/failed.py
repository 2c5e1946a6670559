"""Failed valuations, and the paths that lead to them (VNML F2, F3).

    <valuation><failure code="SCRIPT_FAILED" attempts="3">…</failure><instrument …/></valuation>

What such a valuation did not give must not pass for something that was never there: a path that
leads through it and finds nothing of it is refused by name. Asked by `evaluation`, of each path,
and by the hydrator, of what was chosen in the end.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vncore.errors import HydrationFailed
from vnvs.hydration import xpath
from vnvs.hydration.lexical import closing_parenthesis, split_outside
from vnvs.hydration.nodes import Element, Node, Value
from vnvs.hydration.tree import Tree, is_absolute

FAILED_REFERENCE = "REFERENCE_FAILED_VALUATION"
FAILURE, CODE = "failure", "code"

_ALL = 1_000_000  # nodes on the way of one path


class FailedValuations:
    """The failed valuations of the groups that have run."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[Element, None] | None = None  # in document order

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._all())

    def around(self, element: Element) -> Element | None:
        """Give the failed valuation that an element is or stands in."""
        known = self._all()
        node: Element | None = element if known else None
        while node is not None and node not in known:
            node = node.getparent()
        return node

    def refusal(self, valuation: Element) -> HydrationFailed:
        """Make the error for a reference that leads to a failed valuation."""
        failure = valuation.find(f"{FAILURE}[@{CODE}]")
        code = failure.get(CODE) if failure is not None else None
        instrument = valuation.find("instrument")
        name = instrument.get("name") if instrument is not None else None
        told = f" of instrument {name!r}" if name else ""
        return HydrationFailed(
            FAILED_REFERENCE,
            f"the valuation {valuation.get('name', '')!r}{told} at"
            f" {self._tree.paths.path(valuation)} failed ({code})",
            rule="F3",
        )

    def refuse_missed(
        self, path: str, at: Element | None, found: Sequence[Node], *, complete: bool
    ) -> None:
        """Refuse a path from `at` (None: absolute) if what it found lacks what failed.

        It does if it found nothing at all, having led through a failed valuation; where all nodes
        count (`complete`) or their places do (``(…)[1]``), if it found nothing of one of those that
        it led through. The one node that another path found is the right one: had the valuation
        not failed, there would be the same one, or several.

        Raises HydrationFailed (REFERENCE_FAILED_VALUATION).
        """
        if not self._all():
            return
        missed = None
        if complete or not found or _counts_places(path):
            missed = self._missed_inside(path, at)
        if missed is None and (complete or not found):
            missed = self._missed(path, at, found, below=True)
        if missed is not None:
            raise self.refusal(missed)

    def _all(self) -> dict[Element, None]:
        if self._known is None:
            failed = (result for result in self._tree.results() if _has_failed(result))
            self._known = dict.fromkeys(failed)
        return self._known

    def _missed_inside(self, path: str, at: Element | None) -> Element | None:
        """Look at the paths that a path in parentheses starts with."""
        inside = _in_parentheses(path)
        while inside:
            inner = inside.pop()
            found = self._nodes(inner, at)
            missed = self._missed(inner, at, found, below=not found)
            if missed is not None:
                return missed
            inside += _in_parentheses(inner)
        return None

    def _missed(
        self, path: str, at: Element | None, found: Sequence[Node], *, below: bool
    ) -> Element | None:
        """Give a failed valuation on the way of a path of which it found nothing.

        With `below` what ``//`` may have led through counts too; if it found something elsewhere,
        in the groups where it did.
        """
        passed = self._passed(path, at, below=below)
        if not found:
            return next((valuation for valuation, _ in passed), None)
        owners = {owner for owner in map(_owner, found) if owner is not None}
        whole = {self.around(owner) for owner in owners}
        groups = {self._tree.group_of(owner) for owner in owners}
        for valuation, is_certain in passed:
            around = set(valuation.iterancestors())
            if valuation in whole or owners & around:
                continue
            if is_certain or groups & around:
                return valuation
        return None

    def _passed(
        self, path: str, at: Element | None, *, below: bool
    ) -> Iterator[tuple[Element, bool]]:
        """Give the failed valuations that a path leads through, and whether it surely does."""
        start = self._tree.root if at is None or is_absolute(path) else at
        for way in _ways(path):
            nodes = self._nodes(way.path, at) if way.path else [start]
            reached = [node for node in nodes if isinstance(node, Element)]
            for valuation in map(self.around, reached):
                if valuation is not None:
                    yield valuation, True
            if way.goes_below and below:
                tops = set(reached)
                for valuation in self._all():
                    if valuation in tops or any(a in tops for a in valuation.iterancestors()):
                        yield valuation, False

    def _nodes(self, path: str, at: Element | None) -> list[Node]:
        if at is None or is_absolute(path):
            return self._tree.nodes(path, _ALL)
        return xpath.evaluate(path, at, _ALL, self._tree.limits)


@dataclass(frozen=True, slots=True)
class _Way:
    """A path that another one leads through."""

    path: str  # empty: where the other one starts
    goes_below: bool  # ``//`` follows


def _ways(path: str) -> Iterator[_Way]:
    """Give the paths that a path leads through, shortest first.

    ``/a//b/c`` leads through the document, ``/a``, anything below that, and ``/a//b``.
    """
    steps = [step.strip() for step in split_outside(path, "/")]
    if steps[0]:
        yield _Way("", goes_below=False)
    for length in range(1, len(steps)):
        step, following = steps[length - 1], steps[length:]
        if step or length == 1:
            goes_below = len(following) > 1 and not following[0]
            yield _Way("/".join(steps[:length]), goes_below)


def _in_parentheses(path: str) -> list[str]:
    """Give the paths in the parentheses that a path starts with."""
    path = path.strip()
    if not path.startswith("("):
        return []
    inner = path[1 : closing_parenthesis(path, 1)]
    return [part.strip() for part in split_outside(inner, "|")]


_PLACE = re.compile(r"\s*\[\s*(\d|last\s*\(|position\s*\()")


def _counts_places(path: str) -> bool:
    """Tell whether a path starts like ``(…)[1]``: what is missing moves the others up."""
    path = path.strip()
    return path.startswith("(") and bool(_PLACE.match(path, closing_parenthesis(path, 1) + 1))


def _owner(node: Node) -> Element | None:
    if isinstance(node, Element):
        return node
    return node.owner if isinstance(node, Value) else None


def _has_failed(valuation: Element) -> bool:
    return valuation.find(f"{FAILURE}[@{CODE}]") is not None
