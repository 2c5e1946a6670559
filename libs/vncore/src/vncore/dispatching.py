"""Tasks on their way out: a group is opened, its tasks are stored and queued, again and withdrawn.

The part of `held` that writes ``stream:task:dispatch``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vncore.ending import task_keys
from vncore.failure_policy import STOP, FailurePolicy
from vncore.failures import Failure
from vncore.fenced import BATCH_KEYS, Fenced
from vncore.ids import TaskId
from vncore.keys import WORKERS, failure_field
from vncore.messages import RequestStatus, TaskDispatch
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import Argument, flattened
from vncore.streams import acknowledge
from vncore.tasks import IN_FLIGHT_TTL_SECONDS

_BATCH_TASKS = 200  # one script call blocks the server; a batch keeps that to a few milliseconds
_BATCH_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task about to be dispatched: its entry and its documents."""

    dispatch: TaskDispatch
    document: bytes
    trace: bytes  # JSON
    failure: Failure | None = None  # why it cannot be run; None: it can


class Dispatching(Fenced):
    """What an orchestrator does to queue tasks."""

    async def start_group(
        self, group_index: int, name: str, expected: int, policy: FailurePolicy = STOP
    ) -> None:
        """Open a group; nothing changes when it was open already."""
        now = self.clock()
        event = self.event(RequestStatus.GROUP_STARTED, now, group_index, expected, 0, 0)
        await self.change(
            "start_group",
            [self.keys.group(self.request_id, group_index), self.keys.lifecycle],
            [
                group_index,
                name,
                expected,
                str(policy),
                now,
                LIFECYCLE_LENGTH,
                *flattened(event.to_fields()),
            ],
        )

    async def dispatch(self, tasks: Sequence[NewTask]) -> dict[TaskId, str]:
        """Store task documents and queue first attempts, in order, a batch in one step.

        `tasks` are numbered without a gap. Gives the new entries' ids by task. Not queued are
        tasks that this run has dispatched before, those that an earlier run did and whose document
        is still the same, and those that have failed already.
        """
        entries: dict[TaskId, str] = {}
        for batch in _batches(tasks):
            group_index = batch[0].dispatch.group_index
            keys = [self.keys.group(self.request_id, group_index), self.keys.dispatch]
            arguments: list[Argument] = []
            width = 0
            for task in batch:
                task_id = task.dispatch.task_id
                keys += task_keys(self.keys, self.request_id, group_index, task_id)
                fields = flattened(task.dispatch.to_fields(self.keys))
                failure = task.failure.to_json() if task.failure else ""
                arguments += [task.document, task.trace, failure, failure_field(task_id), *fields]
                width = len(fields)
            new = await self.change(
                "dispatch_tasks",
                keys,
                [IN_FLIGHT_TTL_SECONDS, batch[0].dispatch.task_id, width, *arguments],
            )
            entries |= {
                task.dispatch.task_id: entry.decode()
                for task, entry in zip(batch, new, strict=True)
                if entry
            }
        return entries

    async def retry(self, dispatch: TaskDispatch) -> str | None:
        """Queue a recorded attempt; gives its entry id, None when it was queued before."""
        entry = await self.change(
            "retry_task",
            [self.keys.group(self.request_id, dispatch.group_index), self.keys.dispatch],
            [dispatch.task_id, *flattened(dispatch.to_fields(self.keys))],
        )
        return entry.decode() or None

    async def withdraw(self, entry_ids: Sequence[str]) -> None:
        """Take dispatch entries off the queue, so that their attempts do not start."""
        for at in range(0, len(entry_ids), BATCH_KEYS):
            batch = entry_ids[at : at + BATCH_KEYS]
            await acknowledge(self.redis, self.keys.dispatch, WORKERS, batch)


def _batches(tasks: Sequence[NewTask]) -> Iterator[list[NewTask]]:
    batch: list[NewTask] = []
    size = 0
    for task in tasks:
        weight = len(task.document) + len(task.trace)
        if batch and (len(batch) >= _BATCH_TASKS or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += weight
    if batch:
        yield batch
