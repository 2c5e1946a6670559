"""How long tasks take, by kind: what tells how many may share a dispatch entry.

`collect` tells how long attempts took, `dispatch` asks. A kind is what valuations of one name are.
One for a whole vnvs: a kind whose tasks were short in one request is taken to be so in the next,
and a new kind to be like the longest of those seen lately. A worker that finds it otherwise moves
tasks out of their entry again.
"""

import math
from collections import OrderedDict
from collections.abc import Collection
from itertools import islice

SLICE_SECONDS = 0.1
"""How much work one entry may carry by default: as much as a worker takes ahead."""

_WORTH_SECONDS = 0.002
"""Less work than this is not worth an entry of its own, whoever idles."""

_ENTRIES_A_WORKER = 2
"""Into so many entries a group is cut at least, where that is worth it."""

_MOST_TASKS = 64
_SHORTEST_SECONDS = 0.00025  # durations come in whole milliseconds, and most of these as none
_MEMORY = 0.9  # from one task to the next; longer ones count at once
_MOST_KINDS = 10_000
_LATELY = 64  # kinds


class Durations:
    """Learns and forgets."""

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice_seconds = slice_seconds
        self._typical: OrderedDict[str, float] = OrderedDict()  # seconds, the latest last

    def learn(self, kind: str, seconds: float) -> None:
        """Take note of how long a task took."""
        before = self._typical.pop(kind, 0.0)
        self._typical[kind] = max(seconds, _MEMORY * before + (1 - _MEMORY) * seconds)
        if len(self._typical) > _MOST_KINDS:
            self._typical.popitem(last=False)

    def slice_tasks(self, kinds: Collection[str], tasks: int, workers: int) -> int:
        """Tell how many tasks of a group of these kinds, so many in all, may share an entry.

        One, as long as nothing is known, and where one of them is not short.
        """
        if not self._typical:
            return 1
        seconds = max([_SHORTEST_SECONDS, *map(self._seconds, kinds)])
        shared = max(
            math.ceil(tasks / (_ENTRIES_A_WORKER * workers)), int(_WORTH_SECONDS / seconds)
        )
        return max(1, min(shared, int(self._slice_seconds / seconds), _MOST_TASKS))

    def _seconds(self, kind: str) -> float:
        known = self._typical.get(kind)
        if known is not None:
            return known
        return max(islice(reversed(self._typical.values()), _LATELY))
