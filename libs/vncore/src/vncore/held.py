"""A request in the hands of its one orchestrator: everything that vnvs may change of it.

`begin` raises the request's epoch and gives a `HeldRequest` with it; each change carries the epoch
into its script, so that an orchestrator that was superseded can change nothing (promise 3): it is
told by `Superseded`. Every method may raise StoreUnavailable and may then be called again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.clock import Clock
from vncore.connection import Connections, translated
from vncore.ending import Ending, expire_tasks, finish_arguments, finish_keys
from vncore.errors import Superseded
from vncore.ids import TaskId
from vncore.keys import ORCHESTRATORS, WORKERS, Keys, update_readers
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus, TaskDispatch, TaskUpdate
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import Argument, Scripts, flattened
from vncore.streams import acknowledge, read_group
from vncore.tasks import IN_FLIGHT_TTL_SECONDS

_READER = "orchestrator"  # the one consumer name: a successor finds what its predecessor had read
_BATCH_TASKS = 200  # one script call blocks the server; a batch keeps that to a few milliseconds
_BATCH_BYTES = 2 * 1024 * 1024
_BATCH_KEYS = 500


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task about to be dispatched: its entry and its documents."""

    dispatch: TaskDispatch
    document: bytes
    trace: bytes  # JSON


@dataclass(frozen=True, slots=True)
class ReceivedUpdate:
    """An update with its entry id; it stays on the stream until it is acknowledged."""

    entry_id: str
    update: TaskUpdate


@dataclass(frozen=True, slots=True)
class Retry:
    """A recorded next attempt."""

    task_id: TaskId
    attempt: int
    due_ms: int


async def begin(
    connections: Connections, keys: Keys, entry: IngestEntry, entry_id: str, clock: Clock
) -> "HeldRequest | None":
    """Become the one orchestrator of a request.

    Gives None when the request is terminal or unknown: its ingest entry is then taken off.
    """
    request_id, now = entry.request_id, clock()
    event = LifecycleEvent(request_id, entry.tenant, RequestStatus.STARTED, now)
    epoch = await Scripts(connections.commands).call(
        "begin_request",
        [keys.state(request_id), keys.updates(request_id), keys.lifecycle],
        [now, update_readers(request_id), LIFECYCLE_LENGTH, *flattened(event.to_fields())],
    )
    if epoch > 0:
        return HeldRequest(connections, keys, entry, entry_id, epoch, clock)
    await acknowledge(connections.commands, keys.ingest, ORCHESTRATORS, [entry_id])
    return None


class HeldRequest:
    """One request under one epoch."""

    def __init__(
        self,
        connections: Connections,
        keys: Keys,
        entry: IngestEntry,
        entry_id: str,
        epoch: int,
        clock: Clock,
    ) -> None:
        self.entry = entry
        self.request_id = entry.request_id
        self.epoch = epoch
        self._redis: Redis = connections.commands
        self._readers: Redis = connections.readers
        self._block_ms = connections.block_ms
        self._keys = keys
        self._entry_id = entry_id
        self._clock = clock
        self._scripts = Scripts(connections.commands)

    # --- the document -------------------------------------------------------------------------
    async def document(self) -> bytes | None:
        """Read the document as it was sent; None when it is gone."""
        with translated("read document"):
            return cast("bytes | None", await self._redis.get(self._keys.xml(self.request_id)))

    async def metadata(self) -> dict[str, Any]:
        """Read what vnapi noted beside the document."""
        with translated("read metadata"):
            text = await self._redis.get(self._keys.metadata(self.request_id))
        return cast("dict[str, Any]", json.loads(text or b"{}"))

    async def hydrated(self) -> dict[str, bytes]:
        """Read what `save_hydrated` kept; empty when nothing was."""
        with translated("read hydrated"):
            kept = await cast("Any", self._redis.hgetall(self._keys.hydrated(self.request_id)))
        return {name.decode(): value for name, value in kept.items()}

    async def save_hydrated(self, fields: Mapping[str, bytes], group_count: int) -> None:
        """Keep the hydrated document and what it was made from."""
        await self._change(
            "save_hydrated",
            [self._keys.hydrated(self.request_id)],
            [group_count, *flattened(dict(fields))],
        )

    # --- groups and tasks -----------------------------------------------------------------------
    async def start_group(self, group_index: int, name: str, expected: int) -> None:
        """Open a group; nothing changes when it was open already."""
        now = self._clock()
        event = self._event(RequestStatus.GROUP_STARTED, now, group_index, expected, 0, 0)
        await self._change(
            "start_group",
            [self._keys.group(self.request_id, group_index), self._keys.lifecycle],
            [group_index, name, expected, now, LIFECYCLE_LENGTH, *flattened(event.to_fields())],
        )

    async def dispatch(self, tasks: Sequence[NewTask]) -> dict[TaskId, str]:
        """Store task documents and queue first attempts, in order, a batch in one step.

        Gives the new entries' ids by task; tasks dispatched before are not dispatched again.
        """
        entries: dict[TaskId, str] = {}
        for batch in _batches(tasks):
            keys: list[str] = [self._keys.dispatch]
            arguments: list[Argument] = []
            width = 0
            for task in batch:
                at = (self.request_id, task.dispatch.group_index, task.dispatch.task_id)
                keys += [self._keys.task_xml(*at), self._keys.task_trace(*at)]
                fields = flattened(task.dispatch.to_fields(self._keys))
                arguments += [task.document, task.trace, *fields]
                width = len(fields)
            new = await self._change(
                "dispatch_tasks", keys, [IN_FLIGHT_TTL_SECONDS, width, *arguments]
            )
            entries |= {
                task.dispatch.task_id: entry.decode()
                for task, entry in zip(batch, new, strict=True)
                if entry
            }
        return entries

    async def updates(self, *, count: int = 500) -> list[ReceivedUpdate]:
        """Wait for updates, at most one block; first those that a predecessor left unsettled.

        An update stays on the stream until it is acknowledged.
        """
        deliveries = await read_group(
            self._readers,
            self._keys.updates(self.request_id),
            update_readers(self.request_id),
            _READER,
            count=count,
            block_ms=self._block_ms,
        )
        return [ReceivedUpdate(d.entry_id, TaskUpdate.from_fields(d.fields)) for d in deliveries]

    async def unsettled_updates(self) -> list[ReceivedUpdate]:
        """Read again what a predecessor had read and not acknowledged; does not wait."""
        deliveries = await read_group(
            self._redis,
            self._keys.updates(self.request_id),
            update_readers(self.request_id),
            _READER,
            count=None,
            block_ms=None,
            pending=True,
        )
        return [ReceivedUpdate(d.entry_id, TaskUpdate.from_fields(d.fields)) for d in deliveries]

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Take settled updates off the stream."""
        stream = self._keys.updates(self.request_id)
        await acknowledge(self._redis, stream, update_readers(self.request_id), entry_ids)

    async def schedule_retry(self, received: ReceivedUpdate, due_ms: int) -> None:
        """Record the next attempt of a failed task and acknowledge its report, in one step."""
        update = received.update
        await self._change(
            "schedule_retry",
            [
                self._keys.group(self.request_id, update.group_index),
                self._keys.updates(self.request_id),
            ],
            [
                update.task_id,
                update.attempt + 1,
                due_ms,
                update_readers(self.request_id),
                received.entry_id,
            ],
        )

    async def retries(self, group_index: int) -> list[Retry]:
        """Read the recorded retries of a group."""
        with translated("read retries"):
            fields = await cast(
                "Any", self._redis.hgetall(self._keys.group(self.request_id, group_index))
            )
        return [
            Retry(TaskId(int(name[len(b"retry:") :])), *(int(part) for part in value.split(b":")))
            for name, value in fields.items()
            if name.startswith(b"retry:")
        ]

    async def retry(self, dispatch: TaskDispatch) -> str | None:
        """Queue a recorded attempt; gives its entry id, None when it was queued before."""
        entry = await self._change(
            "retry_task",
            [self._keys.group(self.request_id, dispatch.group_index), self._keys.dispatch],
            [dispatch.task_id, *flattened(dispatch.to_fields(self._keys))],
        )
        return entry.decode() or None

    async def results(self, group_index: int, task_ids: Sequence[TaskId]) -> dict[TaskId, bytes]:
        """Read the results of a group that are there, by task."""
        found: dict[TaskId, bytes] = {}
        for at in range(0, len(task_ids), _BATCH_KEYS):
            batch = task_ids[at : at + _BATCH_KEYS]
            names = [self._keys.task_result(self.request_id, group_index, task) for task in batch]
            with translated("read results"):
                values = cast("list[bytes | None]", await self._redis.mget(names))
            found |= {task: value for task, value in zip(batch, values, strict=True) if value}
        return found

    async def complete_group(self, group_index: int, expected: int) -> None:
        """Close a group whose every task has a result.

        Raises RuntimeError when tasks are still open: a fault in the orchestrator.
        """
        now = self._clock()
        event = self._event(RequestStatus.GROUP_COMPLETED, now, group_index, expected, expected, 0)
        outcome = await self._change(
            "complete_group",
            [self._keys.group(self.request_id, group_index), self._keys.lifecycle],
            [now, LIFECYCLE_LENGTH, *flattened(event.to_fields())],
        )
        if outcome == -2:  # see the script's contract
            raise RuntimeError(f"group {group_index} of {self.request_id} has open tasks")

    async def withdraw(self, entry_ids: Sequence[str]) -> None:
        """Take dispatch entries off the queue, so that their attempts do not start."""
        for at in range(0, len(entry_ids), _BATCH_KEYS):
            batch = entry_ids[at : at + _BATCH_KEYS]
            await acknowledge(self._redis, self._keys.dispatch, WORKERS, batch)

    # --- the end --------------------------------------------------------------------------------
    async def succeed(self, response: bytes, task_counts: Sequence[int], ttl_seconds: int) -> None:
        """End the request with its answer; `task_counts` has one number for each group."""
        await self._end(
            Ending(
                status=RequestStatus.SUCCEEDED,
                task_counts=tuple(task_counts),
                ttl_seconds=ttl_seconds,
                response=response,
            )
        )

    async def fail(
        self,
        report: Mapping[str, Any],
        task_counts: Sequence[int],
        ttl_seconds: int,
        *,
        failed_tasks: int = 0,
    ) -> None:
        """End the request with its failure report; the last group is the one that failed."""
        await self._end(
            Ending(
                status=RequestStatus.FAILED,
                task_counts=tuple(task_counts),
                ttl_seconds=ttl_seconds,
                report=json.dumps(report, ensure_ascii=False).encode(),
                failed_tasks=failed_tasks,
            )
        )

    async def _end(self, ending: Ending) -> None:
        # Before the terminal state: a successor of an orchestrator that dies in between does it
        # again, whereas nobody would after it.
        await expire_tasks(self._redis, self._keys, self.request_id, ending)
        now = self._clock()
        event = LifecycleEvent(self.request_id, self.entry.tenant, ending.status, now)
        await self._change(
            "finish_request",
            finish_keys(self._keys, self.request_id, ending),
            finish_arguments(ending, now, self._entry_id, event),
        )

    def _event(
        self,
        status: RequestStatus,
        now: int,
        group_index: int,
        expected: int,
        completed: int,
        failed: int,
    ) -> LifecycleEvent:
        return LifecycleEvent(
            self.request_id,
            self.entry.tenant,
            status,
            now,
            group_index,
            expected,
            completed,
            failed,
        )

    async def _change(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        outcome = await self._scripts.call(
            script, [self._keys.state(self.request_id), *keys], [self.epoch, *arguments]
        )
        if outcome == -1:
            raise Superseded(self.request_id)
        return outcome


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
