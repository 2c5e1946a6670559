"""How many tasks a worker holds beyond those that run, and whose turn it is.

To be read and to have its document fetched costs a task of 2 ms as much as to run. While tasks are
short a worker therefore takes some ahead, in one read and one fetch, and settles what has ended
together: no more than are done in `AHEAD_SECONDS`, none while tasks are longer. One whose turn does
not come all the same is handed back, so that another worker may do it. Made in `main`; asked by
`vncore.serving` and `vncore.tasks`, used by `work`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from vncore.holding import NotNow

AHEAD_SECONDS = 0.1
"""How long what is taken ahead may take, as far as one can tell."""

LONGEST_SETTLE_SECONDS = 0.03
"""How long an ended task waits for others while more are ahead, at most."""

PATIENCE_SECONDS = 1.0
"""How long a task waits for its turn before it is handed back."""

_MOST_AHEAD = 32  # more would save nothing worth having
_SHORTEST_SECONDS = 0.001
_MEMORY = 0.9  # of the typical duration, from one task to the next; longer ones count at once


class Ahead:
    """Gives turns to as many tasks as there are slots, and tells how many more may be taken."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._turns = asyncio.Semaphore(slots)
        self._waiting = 0  # tasks whose turn has not come
        self._settling = 0  # tasks that have had it and are being settled
        self._typical_seconds: float | None = None

    @property
    def most(self) -> int:
        """How many tasks may be held beyond those that run."""
        if self._typical_seconds is None:
            return 0
        seconds = max(self._typical_seconds, _SHORTEST_SECONDS)
        return min(_MOST_AHEAD, int(AHEAD_SECONDS / seconds * self._slots))

    def room(self, held: int) -> int:
        """Give how many tasks may be taken while so many are held, those being settled included.

        None before half of those ahead are gone: one at a time they would be read one at a time.
        """
        most, undone = self.most, held - self._settling
        return self._slots + most - undone if undone < self._slots + most // 2 else 0

    def settle_wait_seconds(self) -> float:
        """Give how long an ended task may wait for others, to be settled in one round trip.

        Only while more wait for their turn (nobody waits for the last ones of a group), and no
        longer than half of those ahead take: more is read when something was settled.
        """
        if not self._waiting:
            return 0.0
        half = self.most * (self._typical_seconds or 0.0) / self._slots / 2
        return min(LONGEST_SETTLE_SECONDS, half)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a slot and have it for as long as the block lasts.

        Raises NotNow when the tasks that run take much longer than those before.
        """
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            self._learn(PATIENCE_SECONDS)
            raise NotNow from None
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self._turns.release()
            self._learn(loop.time() - began)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Let a task that has had its turn be none of those ahead while it is settled."""
        self._settling += 1
        try:
            yield
        finally:
            self._settling -= 1

    def _learn(self, seconds: float) -> None:
        before = self._typical_seconds or 0.0
        self._typical_seconds = max(seconds, _MEMORY * before + (1 - _MEMORY) * seconds)
