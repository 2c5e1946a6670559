"""Tasks on their way back: updates are read and settled, results and failures looked up.

The part of `held` that reads the request's own update stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.errors import StoreUnavailable
from vncore.failures import Failure
from vncore.fenced import BATCH_KEYS, Fenced
from vncore.ids import TaskId
from vncore.keys import FAILURE, RETRY, failure_field, update_readers
from vncore.messages import RequestStatus, TaskUpdate, updates_of
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import flattened
from vncore.streams import read_group

_READER = "orchestrator"  # the one consumer name: a successor finds what its predecessor had read


@dataclass(frozen=True, slots=True)
class ReceivedUpdate:
    """An update with its entry id; it stays on the stream until it is acknowledged.

    Several that succeeded may have come in one entry.
    """

    entry_id: str
    update: TaskUpdate


@dataclass(frozen=True, slots=True)
class Retry:
    """A recorded next attempt."""

    task_id: TaskId
    attempt: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class FinalFailure:
    """A task that gets no further attempt, and the report that it is known from."""

    received: ReceivedUpdate
    failure: Failure


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """What is recorded of a group's tasks beside their results."""

    retries: tuple[Retry, ...]
    failures: Mapping[TaskId, Failure]


class Settling(Fenced):
    """What an orchestrator does about what its tasks came to."""

    async def updates(self, *, count: int = 500) -> list[ReceivedUpdate]:
        """Wait for updates, at most one block.

        An update stays on the stream until it is acknowledged.
        """
        return await self._read(self.readers, count=count, block_ms=self.block_ms)

    async def unsettled_updates(self) -> list[ReceivedUpdate]:
        """Read again what a predecessor had read and not acknowledged; does not wait."""
        return await self._read(self.redis, pending=True)

    async def _read(
        self,
        redis: Redis,
        *,
        count: int | None = None,
        block_ms: int | None = None,
        pending: bool = False,
    ) -> list[ReceivedUpdate]:
        stream, group = self.keys.updates(self.request_id), update_readers(self.request_id)
        try:
            deliveries = await read_group(
                redis, stream, group, _READER, count=count, block_ms=block_ms, pending=pending
            )
        except StoreUnavailable as err:
            if not err.passing:  # the stream is deleted when the request ends: by a cancel, say
                await self.assert_held()
            raise
        return [ReceivedUpdate(d.entry_id, one) for d in deliveries for one in updates_of(d.fields)]

    async def acknowledge(self, entry_ids: Sequence[str], *, at_once: bool = True) -> None:
        """Take settled updates off the stream, else with the next change.

        Those that came in one entry go together.
        """
        for at in range(0, len(entry_ids), BATCH_KEYS):
            await self.change_when(
                "acknowledge_updates",
                [self.keys.updates(self.request_id)],
                [update_readers(self.request_id), *entry_ids[at : at + BATCH_KEYS]],
                at_once=at_once,
            )

    async def fail_tasks(self, group_index: int, final: Sequence[FinalFailure]) -> set[TaskId]:
        """Record that tasks get no further attempt, and acknowledge their reports.

        Gives those that have failed; the others have a result after all.
        """
        failed: set[TaskId] = set()
        for at in range(0, len(final), BATCH_KEYS):
            batch = final[at : at + BATCH_KEYS]
            tasks = [one.received.update.task_id for one in batch]
            outcome = await self.change(
                "fail_tasks",
                [
                    self.keys.group(self.request_id, group_index),
                    self.keys.updates(self.request_id),
                    *self._result_keys(group_index, tasks),
                ],
                [
                    update_readers(self.request_id),
                    *(
                        part
                        for task, one in zip(tasks, batch, strict=True)
                        for part in (
                            failure_field(task),
                            one.failure.to_json(),
                            one.received.entry_id,
                        )
                    ),
                ],
            )
            failed |= {task for task, has_failed in zip(tasks, outcome, strict=True) if has_failed}
        return failed

    async def schedule_retry(self, received: ReceivedUpdate, due_ms: int) -> None:
        """Record the next attempt of a failed task and acknowledge its report, in one step."""
        update = received.update
        await self.change(
            "schedule_retry",
            [
                self.keys.group(self.request_id, update.group_index),
                self.keys.updates(self.request_id),
            ],
            [
                update.task_id,
                update.attempt + 1,
                due_ms,
                update_readers(self.request_id),
                received.entry_id,
            ],
        )

    async def recorded(self, group_index: int) -> GroupRecord:
        """Read the recorded retries and final failures of a group."""
        with translated("read group"):
            fields = await cast(
                "Any", self.redis.hgetall(self.keys.group(self.request_id, group_index))
            )
        retries: list[Retry] = []
        failures: dict[TaskId, Failure] = {}
        for raw, value in fields.items():
            kind, _, task = raw.decode().partition(":")
            if f"{kind}:" == RETRY:
                attempt, due_ms = value.split(b":")
                retries.append(Retry(TaskId(int(task)), int(attempt), int(due_ms)))
            elif f"{kind}:" == FAILURE:
                failures[TaskId(int(task))] = Failure.from_json(value)
        return GroupRecord(tuple(retries), failures)

    async def missing_results(self, group_index: int, task_ids: Sequence[TaskId]) -> list[TaskId]:
        """Give those of the tasks that have no result."""
        missing: list[TaskId] = []
        for at in range(0, len(task_ids), BATCH_KEYS):
            batch = task_ids[at : at + BATCH_KEYS]
            names = self._result_keys(group_index, batch)
            with translated("look for results"):
                if await self.redis.exists(*names) == len(names):
                    continue
                async with self.redis.pipeline(transaction=False) as pipe:
                    for name in names:
                        pipe.exists(name)
                    there = await pipe.execute()
            missing += [task for task, found in zip(batch, there, strict=True) if not found]
        return missing

    async def results(self, group_index: int, task_ids: Sequence[TaskId]) -> dict[TaskId, bytes]:
        """Read the results of a group that are there, by task."""
        found: dict[TaskId, bytes] = {}
        for at in range(0, len(task_ids), BATCH_KEYS):
            batch = task_ids[at : at + BATCH_KEYS]
            names = self._result_keys(group_index, batch)
            with translated("read results"):
                values = cast("list[bytes | None]", await self.redis.mget(names))
            there = {task: value for task, value in zip(batch, values, strict=True) if value}
            whole = await self.fragments.whole(self.request_id, list(there.values()))
            found |= dict(zip(there, whole, strict=True))
        return found

    async def documents(self, group_index: int, task_ids: Sequence[TaskId]) -> list[bytes]:
        """Read task documents, in the order asked for; empty for one that is gone."""
        found: list[bytes] = []
        for at in range(0, len(task_ids), BATCH_KEYS):
            batch = task_ids[at : at + BATCH_KEYS]
            names = [self.keys.task_xml(self.request_id, group_index, task) for task in batch]
            with translated("read task documents"):
                values = cast("list[bytes | None]", await self.redis.mget(names))
            found += await self.fragments.whole(self.request_id, [one or b"" for one in values])
        return found

    def _result_keys(self, group_index: int, tasks: Sequence[TaskId]) -> list[str]:
        return [self.keys.task_result(self.request_id, group_index, task) for task in tasks]

    async def complete_group(self, group_index: int, expected: int, failed: int = 0) -> None:
        """Close a group whose every task has a result or has failed.

        Raises RuntimeError when tasks are still open: a fault in the orchestrator.
        """
        now = self.clock()
        event = self.event(
            RequestStatus.GROUP_COMPLETED, now, group_index, expected, expected - failed, failed
        )
        outcome = await self.change(
            "complete_group",
            [self.keys.group(self.request_id, group_index), self.keys.lifecycle],
            [now, LIFECYCLE_LENGTH, *flattened(event.to_fields())],
        )
        if outcome == -2:  # see the script's contract
            raise RuntimeError(f"group {group_index} of {self.request_id} has open tasks")
