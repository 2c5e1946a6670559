"""The tasks of one dispatch entry, worked through.

In come the open tasks of an entry, one or a slice of short ones, with their documents; when this
returns each of them is settled or put off. Called by `work`; one attempt is `attempt`.

A slice that comes for the first time is worked through by as many lanes as there are slots, and
settled in few calls. When its tasks turn out to be long, those not begun are moved to an entry of
their own, for other workers to take.

An entry that a worker died with is worked through one task after the other, each settled before the
next is begun. So the first that is open is the one that the last worker ended with; after the last
permitted delivery it, and it alone, is called poison.
"""

import asyncio
from collections import deque
from collections.abc import Mapping

from vnas.ahead import PATIENCE_SECONDS, Ahead, Held
from vnas.attempt import Attempts, failed
from vnas.update import settle
from vncore.errors import AttemptFailed, StoreUnavailable
from vncore.holding import NotNow, end
from vncore.ids import TaskId
from vncore.logs import logger
from vncore.messages import TaskDispatch
from vncore.tasks import Assignment, Settlement, TaskStore, TaskText

_log = logger("vnas")

SETTLE_SECONDS = 0.03
"""How long an ended task of a slice waits for others of it before it is settled, at most."""

SLICE_SECONDS = PATIENCE_SECONDS
"""How long a slice may take until what of it was not begun is put off."""


class Slice:
    """The open tasks of an entry in our hands."""

    def __init__(
        self,
        assignment: Assignment,
        documents: Mapping[TaskId, TaskText | None],
        *,
        store: TaskStore,
        attempts: Attempts,
        ahead: Ahead,
        held: Held,
    ) -> None:
        self._assignment = assignment
        self._documents = documents
        self._open = deque(task for task in assignment.tasks if task.task_id in documents)
        self._store = store
        self._attempts = attempts
        self._ahead = ahead
        self._held = held
        self._ended: list[Settlement] = []  # not settled yet

    @property
    def is_single(self) -> bool:
        """Whether there is no more than one task to do."""
        return len(self._open) <= 1

    async def refuse_poison(self, deliveries: int) -> None:
        """Fail the task that `deliveries` - 1 workers ended with, and put the others off."""
        suspect, *others = self._open
        error = AttemptFailed(
            "TASK_POISONED",
            f"{deliveries - 1} workers took the task and none lived to report",
        )
        if others:
            await self._store.put_off(self._assignment, others)
        await self._settle([failed(suspect, error)])

    async def one_by_one(self) -> None:
        """Work through the tasks one after the other, each settled at once.

        Raises NotNow when the turn of the next one does not come: it is open still.
        """
        while self._open:
            async with self._held.turn():
                ended = await self._attempt()
            await self._settle([ended])

    async def in_lanes(self) -> None:
        """Work through the tasks, as many at once as there are slots."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        count = min(self._ahead.slots, len(self._open))
        lanes = [asyncio.ensure_future(self._lane()) for _ in range(count)]
        try:
            running: set[asyncio.Future[None]] = set(lanes)
            while running:
                _, running = await asyncio.wait(running, timeout=SETTLE_SECONDS)
                await self._settle_ended()
                if self._open and (not running or loop.time() - began > SLICE_SECONDS):
                    await self._put_off(later=bool(running))
        finally:
            await end(lanes)
        for lane in lanes:
            lane.result()  # raises what it raised

    async def _lane(self) -> None:
        """Do one task after another; the rest stays open when our turn does not come."""
        try:
            while self._open:
                async with self._held.turn():
                    if self._open:
                        ended = await self._attempt()
                        self._ended.append(ended)  # another list by now, perhaps: not before
        except NotNow:
            return

    async def _attempt(self) -> Settlement:
        if self._attempts.is_broken:
            raise NotNow  # it was taken ahead; a worker whose script starts may do it
        task = self._open.popleft()
        return await self._attempts.make(task, self._documents[task.task_id])

    async def _settle_ended(self) -> None:
        ended, self._ended = self._ended, []
        if ended:
            await self._settle(ended)

    async def _settle(self, ended: list[Settlement]) -> None:
        await settle(self._store, self._assignment, ended)

    async def _put_off(self, *, later: bool) -> None:
        """Move what was not begun to an entry of its own.

        `later` tells that there is another chance: what runs must not be lost to a server that does
        not answer. Else raises StoreUnavailable.
        """
        tasks: list[TaskDispatch] = list(self._open)
        self._open.clear()  # from now on no lane begins any of them
        try:
            moved = await self._store.put_off(self._assignment, tasks)
        except StoreUnavailable:
            if not later:
                raise
            self._open.extend(tasks)
            return
        self._held.leave(len(tasks))
        if moved:
            _log.info("tasks_put_off", extra={"tasks": len(tasks)})
