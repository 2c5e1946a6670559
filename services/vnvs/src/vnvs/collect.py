"""Fan in: wait until every task of a group has a result, and see to its retries meanwhile.

In comes an open group; it returns when all its results are stored, or raises TasksFailed. Called by
`orchestrate`. What it knows it can learn again from the store, so it may be stopped anywhere.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from vncore.clock import Clock
from vncore.failures import Failure
from vncore.held import HeldRequest, ReceivedUpdate, Retry
from vncore.ids import TaskId
from vncore.logs import logger
from vncore.messages import TaskUpdate
from vnvs.dispatch import OpenGroup, attempt_at
from vnvs.retry import RetryPolicy

_log = logger("vnvs")

# Updates come one by one while workers are fast; read and acknowledged so, each would cost more
# than dispatching its task. With many tasks still open nobody waits for a few milliseconds.
_MANY = 200  # updates worth a round trip of their own
_FEW = 20  # open tasks: from here on each update is read as it comes
_LINGER_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that gets no further attempt."""

    update: TaskUpdate  # how its last attempt ended
    failure: Failure  # the same failure with its whole place


class TasksFailed(Exception):
    """Tasks of the group are out of attempts, or failed for good."""

    def __init__(self, group: OpenGroup, tasks: Sequence[FailedTask]) -> None:
        super().__init__(f"{len(tasks)} tasks of group {group.index}")
        self.group = group
        self.tasks = tuple(tasks)


async def collect(
    request: HeldRequest, group: OpenGroup, policy: RetryPolicy, clock: Clock, *, resumed: bool
) -> None:
    """Return once every task of the group has a stored result.

    With `resumed` a predecessor may have left results, recorded retries and updates that it had
    read: they are settled first. Raises TasksFailed as soon as one task is out of attempts;
    Superseded; StoreUnavailable.
    """
    collector = _Collector(request, group, policy, clock)
    if resumed:
        await collector.look_again()
    await collector.until_all_are_done()


class _Collector:
    """One wait for one group."""

    def __init__(
        self, request: HeldRequest, group: OpenGroup, policy: RetryPolicy, clock: Clock
    ) -> None:
        self.request = request
        self.group = group
        self.policy = policy
        self.clock = clock
        self.open = set(group.valuations)
        self.retries: dict[TaskId, Retry] = {}
        self.settled: list[str] = []  # entries still to be acknowledged, in one go

    async def until_all_are_done(self) -> None:
        reading: asyncio.Task[list[ReceivedUpdate]] | None = None
        try:
            while self.open:
                await self.queue_due_retries()
                if reading is None:
                    reading = asyncio.create_task(self.request.updates())
                await asyncio.wait({reading}, timeout=self.seconds_to_next_retry())
                if not reading.done():
                    continue
                received = reading.result()
                reading = None
                if not received:
                    await self.look_again()
                    continue
                await self.settle(received)
                if len(self.open) > _FEW and len(received) < _MANY:
                    await asyncio.sleep(_LINGER_SECONDS)
            await self.acknowledge()
        finally:
            if reading is not None:
                # What it may have read meanwhile stays on the stream, unacknowledged.
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def look_again(self) -> None:
        """Learn from the store what updates alone do not tell.

        After a predecessor: what it left. After a silence: whether the request is still ours (an
        orchestrator that was stopped and superseded reads the same stream, and may have taken an
        update with it before it noticed).
        """
        await self.acknowledge()
        await self.request.start_group(
            self.group.index, self.group.name, len(self.group.valuations)
        )  # opened already: this only asks for our epoch, and raises Superseded
        self.open -= (await self.request.results(self.group.index, sorted(self.open))).keys()
        for retry in await self.request.retries(self.group.index):
            if retry.task_id in self.open:
                self.retries.setdefault(retry.task_id, retry)
        await self.settle(await self.request.unsettled_updates())

    async def settle(self, received: Sequence[ReceivedUpdate]) -> None:
        """Act on updates and take them off the stream."""
        failures: list[ReceivedUpdate] = []
        for one in received:
            update = one.update
            if update.group_index != self.group.index:
                self.settled.append(one.entry_id)  # late news of an earlier group
            elif update.failure is None:
                self.open.discard(update.task_id)
                self.settled.append(one.entry_id)
            else:
                failures.append(one)
        await self.settle_failures(failures)
        if len(self.settled) >= _MANY:
            await self.acknowledge()

    async def acknowledge(self) -> None:
        """Take settled updates off the stream; one seen again after a stop is settled again."""
        await self.request.acknowledge(self.settled)
        self.settled.clear()

    async def settle_failures(self, failures: Sequence[ReceivedUpdate]) -> None:
        ours: list[ReceivedUpdate] = []
        for one in failures:
            if one.update.task_id in self.open:
                ours.append(one)
            else:  # another attempt's success came first: it wins
                self.settled.append(one.entry_id)
        final = [one.update for one in ours if self.is_final(one.update)]
        if final:
            await self.give_up(final)
        for one in ours:
            if one.update.task_id in self.open:
                await self.schedule_retry(one)
            else:
                self.settled.append(one.entry_id)

    def is_final(self, update: TaskUpdate) -> bool:
        assert update.failure is not None
        return self.policy.is_final(update.failure, update.attempt)

    async def give_up(self, updates: Sequence[TaskUpdate]) -> None:
        """Raise TasksFailed, unless a result is there after all."""
        tasks = [update.task_id for update in updates]
        self.open -= (await self.request.results(self.group.index, tasks)).keys()
        failed = [self.described(update) for update in updates if update.task_id in self.open]
        if failed:
            raise TasksFailed(self.group, failed)

    async def schedule_retry(self, one: ReceivedUpdate) -> None:
        update = one.update
        wait_ms = self.policy.wait_ms(update.attempt)
        retry = Retry(update.task_id, update.attempt + 1, self.clock() + wait_ms)
        await self.request.schedule_retry(one, retry.due_ms)
        self.retries[retry.task_id] = retry
        code = update.failure.code if update.failure else ""
        _log.warning(
            "task_retried",
            extra={
                "task_id": retry.task_id,
                "attempt": retry.attempt,
                "wait_ms": wait_ms,
                "code": code,
            },
        )

    async def queue_due_retries(self) -> None:
        now = self.clock()
        for retry in [retry for retry in self.retries.values() if retry.due_ms <= now]:
            del self.retries[retry.task_id]
            if retry.task_id not in self.open:
                continue
            attempt = attempt_at(self.request, self.group, retry.task_id, retry.attempt)
            entry_id = await self.request.retry(attempt)
            if entry_id:
                self.group.entries[retry.task_id] = entry_id

    def seconds_to_next_retry(self) -> float | None:
        if not self.retries:
            return None
        due_ms = min(retry.due_ms for retry in self.retries.values())
        return max(0.0, (due_ms - self.clock()) / 1000)

    def described(self, update: TaskUpdate) -> FailedTask:
        assert update.failure is not None
        failure = update.failure.at(
            group=self.group.name,
            groupIndex=self.group.index,
            valuation=self.group.valuations[update.task_id],
            task=update.task_id,
        )
        return FailedTask(update, failure)
