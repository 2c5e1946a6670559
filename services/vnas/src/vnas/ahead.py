"""How many tasks a worker holds beyond those that run, and whose turn it is.

To be read and to have its document fetched costs a task of 2 ms as much as to run. While tasks are
short a worker therefore takes some ahead, in one read and one fetch, and settles what has ended
together: no more than are done in `AHEAD_SECONDS`, none while tasks are longer. One whose turn does
not come all the same is handed back, so that another worker may do it. Made in `main`; asked by
`vncore.serving` and `vncore.tasks`, used by `work`.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from vncore.holding import NotNow

AHEAD_SECONDS = 0.1
"""How long what is taken ahead may take, as far as one can tell."""

LONGEST_SETTLE_SECONDS = 0.03
"""How long an ended task waits for others while more are ahead, at most."""

PATIENCE_SECONDS = 1.0
"""How long a task waits for its turn before it is handed back."""

_MOST_AHEAD = 32  # or two entries; more would save nothing worth having
_SHORTEST_SECONDS = 0.001
_MEMORY = 0.9  # of what is typical, from one to the next; longer durations count at once


class Ahead:
    """Gives turns to as many tasks as there are slots, and tells how many entries may be taken."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._turns = asyncio.Semaphore(slots)
        self._waiting = 0  # tasks whose turn has not come
        self._entries = 0  # held, their tasks known
        self._undone = 0  # their tasks that have not had their turn to the end
        self._typical_seconds: float | None = None
        self._typical_tasks = 1.0  # of an entry

    @property
    def most(self) -> int:
        """How many tasks may be held beyond those that run."""
        if self._typical_seconds is None:
            return 0
        seconds = max(self._typical_seconds, _SHORTEST_SECONDS)
        worth_having = max(_MOST_AHEAD, int(2 * self._typical_tasks))
        return min(worth_having, int(AHEAD_SECONDS / seconds * self.slots))

    def room(self, held: int) -> int:
        """Give how many entries may be taken while so many are held.

        None before half of the tasks ahead are gone: one at a time they would be read one at a
        time. An entry of which nothing is known yet counts as one task.
        """
        undone = self._undone + max(0, held - self._entries)
        if undone >= self.slots + self.most // 2:
            return 0
        return max(1, int((self.slots + self.most - undone) / self._typical_tasks))

    def settle_wait_seconds(self) -> float:
        """Give how long an ended task may wait for others, to be settled in one round trip.

        Only while more wait for their turn (nobody waits for the last ones of a group), and no
        longer than half of those ahead take: more is read when something was settled.
        """
        if not self._waiting:
            return 0.0
        half = self.most * (self._typical_seconds or 0.0) / self.slots / 2
        return min(LONGEST_SETTLE_SECONDS, half)

    @contextmanager
    def holding(self, tasks: int) -> Iterator["Held"]:
        """Count the tasks of an entry as held, until their turns are over or the block is."""
        held = Held(self, tasks)
        self._entries += 1
        self._typical_tasks = _MEMORY * self._typical_tasks + (1 - _MEMORY) * tasks
        try:
            yield held
        finally:
            self._entries -= 1
            held.leave(held.undone)

    def left(self, tasks: int) -> None:
        """Count so many tasks less (more, if negative) as held and not done."""
        self._undone -= tasks

    def turn(self) -> "Turn":
        """Give the slot that is had within ``async with``; see `Turn`."""
        return Turn(self)

    async def take_turn(self) -> None:
        """Wait for a slot and have it until `end_turn`; raises NotNow as `Turn` does."""
        if self._turns.locked():
            await self._wait_for_turn()
        else:
            await self._turns.acquire()  # at once

    def end_turn(self, seconds: float) -> None:
        """Give the slot back, which was had for so long."""
        self._turns.release()
        self._learn(seconds)

    async def _wait_for_turn(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            self._learn(PATIENCE_SECONDS)
            raise NotNow from None
        finally:
            self._waiting -= 1

    def _learn(self, seconds: float) -> None:
        before = self._typical_seconds or 0.0
        self._typical_seconds = max(seconds, _MEMORY * before + (1 - _MEMORY) * seconds)


class Turn:
    """A slot, for as long as the block of an ``async with`` lasts.

    Entering waits for one; raises NotNow when those that run take much longer than those before.
    """

    __slots__ = ("_ahead", "_began", "_held")

    def __init__(self, ahead: Ahead, held: "Held | None" = None) -> None:
        self._ahead = ahead
        self._held = held

    async def __aenter__(self) -> None:
        await self._ahead.take_turn()
        self._began = time.monotonic()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ahead.end_turn(time.monotonic() - self._began)
        if self._held is not None and error is None:
            self._held.leave(1)


class Held:
    """The tasks of one entry that is held."""

    def __init__(self, ahead: Ahead, tasks: int) -> None:
        self._ahead = ahead
        self.undone = 0
        self.leave(-tasks)

    def turn(self) -> Turn:
        """Give the slot for one of the tasks, which is done afterwards."""
        return Turn(self._ahead, self)

    def leave(self, tasks: int) -> None:
        """Let so many of the tasks be held no more."""
        self.undone -= tasks
        self._ahead.left(tasks)
