"""Tasks on their way out: a group is opened, its tasks are stored and queued, again and withdrawn.

The part of `held` that writes ``stream:task:dispatch``.
"""

import json
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

_BATCH_TASKS = 200  # one script call blocks the server; a batch keeps that to a few milliseconds
_BATCH_BYTES = 2 * 1024 * 1024
_SLICE_BYTES = 256 * 1024  # of task documents in one entry: a worker reads them in one go


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task about to be dispatched: its entry and its documents."""

    dispatch: TaskDispatch
    document: bytes  # in the form of `vncore.pieces`
    trace: bytes  # JSON
    failure: Failure | None = None  # why it cannot be run; None: it can


class Dispatching(Fenced):
    """What an orchestrator does to queue tasks."""

    async def start_group(
        self,
        group_index: int,
        name: str,
        expected: int,
        policy: FailurePolicy = STOP,
        *,
        at_once: bool = True,
    ) -> None:
        """Open a group, else with the next change; nothing changes when it was open already."""
        now = self.clock()
        event = self.event(RequestStatus.GROUP_STARTED, now, group_index, expected, 0, 0)
        await self.change_when(
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
            at_once=at_once,
        )

    async def dispatch(
        self, tasks: Sequence[NewTask], *, slice_tasks: int = 1
    ) -> dict[TaskId, str]:
        """Store task documents and queue first attempts, in order, a batch in one step.

        `tasks` are numbered without a gap, and differ in number, name and documents only; up to
        `slice_tasks` neighbours, fewer if they are large, share an entry. Gives the entry's id of
        each task that was queued. Not queued are tasks that this run has dispatched before, those
        that an earlier run did and whose document is still the same, and those that have failed
        already.
        """
        entries: dict[TaskId, str] = {}
        for batch in _batches(tasks):
            first = batch[0].dispatch
            group_index = first.group_index
            keys = [
                self.keys.group(self.request_id, group_index),
                self.keys.dispatch,
                self.keys.task_traces(self.request_id, group_index),
            ]
            common = flattened(first.common_fields(self.keys))
            arguments: list[Argument] = [first.task_id, int(first.run == 1), len(common), *common]
            starts = _slice_starts(batch, slice_tasks)
            for at, task in enumerate(batch):
                name = task.dispatch.valuation_name
                keys += task_keys(self.keys, self.request_id, group_index, task.dispatch.task_id)
                arguments += [
                    task.document,
                    task.trace,
                    task.failure.to_json() if task.failure else "",
                    failure_field(task.dispatch.task_id),
                    name,
                    json.dumps(name, ensure_ascii=False),
                    int(at in starts),
                ]
            new = await self.change("dispatch_tasks", keys, arguments)
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


def _slice_starts(batch: Sequence[NewTask], most: int) -> set[int]:
    """Tell where slices begin, of at most so many tasks and `_SLICE_BYTES`."""
    starts, size = {0}, 0
    count = 0
    for at, task in enumerate(batch):
        if count and (count >= most or size + len(task.document) > _SLICE_BYTES):
            starts.add(at)
            count = size = 0
        count += 1
        size += len(task.document)
    return starts


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
