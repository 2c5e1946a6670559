"""Fan in: wait until every task of a group is done, and see to its retries meanwhile.

In comes an open group; it returns when each of its tasks has a stored result or has failed for
good, or raises TasksFailed when more have failed than the group's policy allows. Called by
`orchestrate`. What it knows it can learn again from the store, so it may be stopped anywhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vncore.clock import Clock
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.logs import logger
from vncore.serving import raise_if_cancelled
from vncore.settling import FinalFailure, ReceivedUpdate, Retry
from vnvs.dispatch import OpenGroup, attempt_at
from vnvs.durations import Durations
from vnvs.retry import RetryPolicy

_log = logger("vnvs")

# Updates come one by one while workers are fast; read and acknowledged so, each would cost more
# than dispatching its task. With many tasks still open nobody waits for some milliseconds.
_MANY = 200  # updates worth a round trip of their own
_FEW = 20  # open tasks: from here on each update is read as it comes
_SLICE = 4  # updates in an entry: where there are more they do not come one by one
_LINGER_SECONDS_A_TASK = 0.0005  # that is open: 0.1 s with 200, a hundredth with 20
_LONGEST_LINGER_SECONDS = 0.1


class TasksFailed(Exception):
    """More tasks of the group have failed than its policy allows."""

    def __init__(self, failures: Mapping[TaskId, Failure]) -> None:
        super().__init__(f"{len(failures)} tasks")
        self.failures = dict(failures)


async def collect(
    request: HeldRequest,
    group: OpenGroup,
    policy: RetryPolicy,
    clock: Clock,
    durations: Durations,
    *,
    look_first: bool,
) -> Mapping[TaskId, Failure]:
    """Return once every task of the group is done; gives those that have failed for good.

    With `look_first` there may be results, recorded failures and retries, and updates that a
    predecessor had read: they are settled first. Raises TasksFailed as soon as more tasks have
    failed than the group's policy allows; Superseded; StoreUnavailable.
    """
    collector = _Collector(request, group, policy, clock, durations)
    if look_first:
        await collector.look_again()
    await collector.until_all_are_done()
    return collector.failed


class _Collector:
    """One wait for one group."""

    def __init__(
        self,
        request: HeldRequest,
        group: OpenGroup,
        policy: RetryPolicy,
        clock: Clock,
        durations: Durations,
    ) -> None:
        self.request = request
        self.group = group
        self.policy = policy
        self.clock = clock
        self.durations = durations
        self.open = set(group.valuations)
        self.failed: dict[TaskId, Failure] = {}
        self.retries: dict[TaskId, Retry] = {}
        self.settled: list[str] = []  # entries still to be acknowledged, in one go

    async def until_all_are_done(self) -> None:
        reading: asyncio.Task[list[ReceivedUpdate]] | None = None
        try:
            while self.open:
                raise_if_cancelled()
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
                one_by_one = len(received) < _SLICE * len({one.entry_id for one in received})
                if one_by_one and len(self.open) > _FEW and len(received) < _MANY:
                    linger = len(self.open) * _LINGER_SECONDS_A_TASK
                    await asyncio.sleep(min(linger, _LONGEST_LINGER_SECONDS))
            await self.acknowledge(at_once=False)
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
        await self.request.assert_held()
        self.open = set(await self.request.missing_results(self.group.index, sorted(self.open)))
        recorded = await self.request.recorded(self.group.index)
        self.count_failed(recorded.failures)
        for retry in recorded.retries:
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
                self.durations.learn(self.group.kind_of(update.task_id), update.duration_ms / 1000)
                self.settled.append(one.entry_id)
            else:
                failures.append(one)
        await self.settle_failures(failures)
        if len(self.settled) >= _MANY:
            await self.acknowledge()

    async def acknowledge(self, *, at_once: bool = True) -> None:
        """Take settled updates off the stream; one seen again after a stop is settled again."""
        await self.request.acknowledge(list(dict.fromkeys(self.settled)), at_once=at_once)
        self.settled.clear()

    async def settle_failures(self, failures: Sequence[ReceivedUpdate]) -> None:
        ours: list[ReceivedUpdate] = []
        for one in failures:
            if one.update.task_id in self.open:
                ours.append(one)
            else:  # another attempt's success came first: it wins
                self.settled.append(one.entry_id)
        final = [one for one in ours if self.is_final(one)]
        if final:
            await self.give_up(final)
        for one in ours:
            if one.update.task_id in self.open:
                await self.schedule_retry(one)

    def is_final(self, one: ReceivedUpdate) -> bool:
        assert one.update.failure is not None
        return self.policy.is_final(one.update.failure, one.update.attempt)

    async def give_up(self, received: Sequence[ReceivedUpdate]) -> None:
        """Record that tasks get no further attempt; those that have a result after all are done."""
        final = [FinalFailure(one, self.described(one)) for one in received]
        failed = await self.request.fail_tasks(self.group.index, final)
        self.open -= {one.update.task_id for one in received}
        for one in final:
            task_id = one.received.update.task_id
            if task_id in failed:
                _log.warning(
                    "task_given_up",
                    extra={
                        "task_id": task_id,
                        "attempt": one.received.update.attempt,
                        "code": one.failure.code,
                        "fingerprint": one.failure.fingerprint,
                    },
                )
        self.count_failed(
            {
                one.received.update.task_id: one.failure
                for one in final
                if one.received.update.task_id in failed
            }
        )

    def count_failed(self, failures: Mapping[TaskId, Failure]) -> None:
        self.failed.update(failures)
        self.open -= failures.keys()
        if len(self.failed) > self.group.policy.allowed(len(self.group.valuations)):
            raise TasksFailed(self.failed)

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

    def described(self, one: ReceivedUpdate) -> Failure:
        update = one.update
        assert update.failure is not None
        return replace(
            self.group.placed(update.failure, update.task_id),
            attempts=update.attempt,
            duration_ms=update.duration_ms,
            worker_id=update.worker_id,
        )
