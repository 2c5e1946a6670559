"""A hydrated document as a tree, which one group pass after another reads (VNML T2, K3, K4).

Results are put in place only when a pass meets a path that may lead to them; until then the tree
has the valuations that they take the place of. Made of bytes, or left over by the document pass;
kept between passes by `kept`.
"""

from collections.abc import Callable
from typing import Self

from vncore.errors import HydrationFailed
from vncore.pieces import Piece
from vnvs.hydration.group_pass import GroupPass
from vnvs.hydration.leaf import Selections
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.nodes import Element
from vnvs.hydration.outline import groups_of, misplaced, parse_stored, project_of, valuations_of
from vnvs.hydration.paths import Index
from vnvs.hydration.results import Run, counts_of, parsed_results, place, response
from vnvs.hydration.shapes import (
    CompleteGroup,
    Context,
    EarlierResults,
    Fetch,
    GroupResults,
    HydratedGroup,
    HydrationLimits,
    TaskDocument,
)
from vnvs.hydration.tree import ResultsNeeded
from vnvs.hydration.undisturbed import undisturbed
from vnvs.hydration.writing import written_size


@room_for_nesting()
def hydrate_group(
    document: bytes,
    group_index: int,
    fetch: Fetch,
    context: Context,
    *,
    tolerant: bool = False,
) -> tuple[TaskDocument, ...]:
    """Make the task documents of a group of a document that has the results of those before it.

    See `ParsedDocument.hydrate_group`.
    """
    parsed = ParsedDocument.parse(document, context.limits)
    return parsed.hydrate_group(group_index, fetch, context, tolerant=tolerant).tasks


class ParsedDocument:
    """A document after its own pass, with the results of its first `placed` groups in place.

    After an error it may be half changed: throw it away.
    """

    def __init__(
        self, root: Element, size: int, limits: HydrationLimits, *, has_namespaces: bool
    ) -> None:
        """Take a tree of our own, which takes `size` bytes when written."""
        self.root = root
        self.groups = groups_of(project_of(root))
        self.placed = 0
        self.size = size
        self._limits = limits
        self._has_namespaces = has_namespaces
        self._index = Index(root)
        self._selections = Selections()
        self._runs: dict[int, list[Run]] = {}

    @classmethod
    def parse(cls, document: bytes, limits: HydrationLimits) -> Self:
        """Parse a document that hydration wrote. Raises MalformedDocument."""
        root = parse_stored(document, limits)
        return cls(root, len(document), limits, has_namespaces=b"xmlns" in document)

    @room_for_nesting()
    @undisturbed()
    def hydrate_group(
        self,
        group_index: int,
        fetch: Fetch,
        context: Context,
        *,
        results: EarlierResults | None = None,
        sent: Callable[[], bytes | None] | None = None,
        tolerant: bool = False,
    ) -> HydratedGroup:
        """Make the task documents of a group.

        `results` is asked for what the groups before it came to, if a path may lead there; without
        it the document has them. It may raise `ResultsNeeded`, which leaves the document as it was:
        they are not there yet. `sent` gives the request as it was sent, for the lines of faults.

        With `tolerant` a task that refers to a failed valuation has `TaskDocument.failure`, and
        lacks what it would have taken; the others are what they are without it (F4). A valuation
        whose ``use`` cannot tell how many tasks there are raises all the same, see `use.contexts`.

        Raises HydrationFailed with rule, group, valuation and, where one is concerned, task;
        RESULTS_MISPLACED and HYDRATION_TOO_LARGE where results do not fit.
        """

        def run(without_results: type[ResultsNeeded] | None) -> HydratedGroup:
            return GroupPass(
                self.root,
                group_index,
                fetch,
                context,
                index=self._index,
                # What is declared around a group is left out of what is written for it.
                selections=None if self._has_namespaces else self._selections,
                without_results=without_results,
                has_namespaces=self._has_namespaces,
                sent=sent,
                tolerant=tolerant,
            ).run()

        if results is None or self.placed >= group_index:
            return run(None)
        try:
            return run(ResultsNeeded)
        except ResultsNeeded:
            self._selections = Selections()
            for earlier in range(self.placed, min(group_index, len(self.groups))):
                self.place(earlier, results(earlier))
            return run(None)

    def place(self, group_index: int, results: GroupResults) -> None:
        """Put what a group came to where its valuations are (K3); the next one after `placed`.

        Raises HydrationFailed: RESULTS_MISPLACED if it does not fit, HYDRATION_TOO_LARGE if the
        document would be too large for what follows. MalformedDocument: no worker stores that.
        """
        if group_index >= len(self.groups):
            raise misplaced(f"the document has no group {group_index}")
        group = self.groups[group_index]
        counts = counts_of(group, len(results.valuations), results.counts)
        size = self.size + sum(map(len, results.valuations))
        size -= sum(written_size(valuation) for valuation in valuations_of(group))
        if size > self._limits.max_bytes:
            raise HydrationFailed(
                "HYDRATION_TOO_LARGE",
                f"with the results of group {group_index} the document has more than"
                f" {self._limits.max_bytes} bytes",
                rule="T4",
            )
        found = parsed_results(group, results, self._limits)
        self._runs[group_index] = place(group, found, counts)
        self._has_namespaces |= any(b"xmlns" in written for written in results.valuations)
        for changed in (self.root, project_of(self.root), group):
            self._index.forget(changed)
        self.placed, self.size = group_index + 1, size

    @undisturbed()
    def assemble(self, complete: list[CompleteGroup], *, expected: int, failed: int) -> list[Piece]:
        """Make the response, with results named and not written (K4).

        `complete` tells what each group came to. The document is of no use any more. Raises
        HydrationFailed (RESULTS_MISPLACED).
        """
        # An element that we hold, and of a part that was taken out, makes lxml look through that
        # part when we let go of it: with ten thousand it takes longer than all else.
        self._index, self._selections = Index(self.root), Selections()
        return response(
            self.root, self.groups, self._runs, complete, expected=expected, failed=failed
        )
