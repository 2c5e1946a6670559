"""Tasks as vnas sees them: a document to fetch, an attempt to settle."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.ids import RequestId
from vncore.keys import WORKERS, Keys, failure_field
from vncore.messages import TaskDispatch, TaskUpdate
from vncore.scripts import Call, Scripts, flattened
from vncore.streams import acknowledge
from vncore.together import Together, at_once

IN_FLIGHT_TTL_SECONDS = 604_800
"""Safety net: task keys of a request that never ends are gone after a week."""


Run = tuple[RequestId, int]
"""A request and the number of its run: 1, and one more with each redrive."""

_SETTLE = "settle_task"
_STANDING = ["status", "completedAt", "run"]


def _is_open(standing: list[bytes | None], run: int) -> bool:
    status, completed_at, current_run = standing
    return status is not None and completed_at is None and int(current_run or 1) == run


class Settled(IntEnum):
    """What became of a settled attempt."""

    KEPT = 1  # the result was stored, or the failure reported
    DUPLICATE = 0  # another attempt's result was there already
    REQUEST_OVER = -1  # the request, or this run of it, is over: nothing to report to
    NOT_HELD = -2  # a failure of an attempt that is in other hands: nothing is changed


@dataclass(frozen=True, slots=True)
class TaskPayload:
    """What a worker needs before it starts the script."""

    document: bytes | None  # None: the key is gone
    request_is_open: bool  # False: terminal, unknown or in another run; do not start


class TaskStore:
    """Fetches task documents and settles attempts."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        settle_wait_seconds: Callable[[], float] = at_once,
    ) -> None:
        """`settle_wait_seconds` tells, for an attempt that has ended, how long others may join."""
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._fetching = Together(self._fetch_all)
        self._settling = Together(self._settle_all, settle_wait_seconds)

    async def fetch(self, task: TaskDispatch) -> TaskPayload:
        """Read a task's document and whether its request still wants it.

        What is asked for in one turn of the event loop is read in one round trip. Raises
        StoreUnavailable.
        """
        return await self._fetching.ask(task)

    async def _fetch_all(self, tasks: Sequence[TaskDispatch]) -> Sequence[TaskPayload]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for task in tasks:
                pipe.get(self._keys.task_xml(task.request_id, task.group_index, task.task_id))
                pipe.hmget(self._keys.state(task.request_id), _STANDING)
            with translated("fetch tasks"):
                answers = cast("Any", await pipe.execute())
        return [
            TaskPayload(document, request_is_open=_is_open(standing, task.run))
            for task, document, standing in zip(tasks, answers[::2], answers[1::2], strict=True)
        ]

    async def over(self, runs: Collection[Run]) -> set[Run]:
        """Tell which runs of requests are over: terminal, gone, or followed by another run."""
        asked = list(runs)
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id, _ in asked:
                pipe.hmget(self._keys.state(request_id), _STANDING)
            with translated("look for ended requests"):
                standings = cast("Any", await pipe.execute()) if asked else []
        return {
            run
            for run, standing in zip(asked, standings, strict=True)
            if not _is_open(standing, run[1])
        }

    async def settle(self, entry_id: str, update: TaskUpdate, result: bytes = b"") -> Settled:
        """Keep the result or report the failure, count, and take the entry off the queue.

        One atomic step; calling it again changes nothing. Several that come together go in one
        round trip, each atomic by itself. Raises StoreUnavailable: the entry is still pending and
        will be delivered again.
        """
        return await self._settling.ask(self._settlement(entry_id, update, result))

    async def _settle_all(self, settlements: Sequence[Call]) -> Sequence[Settled]:
        return [Settled(outcome) for outcome in await self._scripts.call_all(_SETTLE, settlements)]

    def _settlement(self, entry_id: str, update: TaskUpdate, result: bytes) -> Call:
        keys = self._keys
        request_id, group_index = update.request_id, update.group_index
        return (
            [
                keys.state(request_id),
                keys.task_result(request_id, group_index, update.task_id),
                keys.group(request_id, group_index),
                keys.updates(request_id),
                keys.dispatch,
            ],
            [
                WORKERS,
                update.worker_id,
                entry_id,
                update.run,
                update.status.value,
                result,
                IN_FLIGHT_TTL_SECONDS,
                failure_field(update.task_id),
                *flattened(update.to_fields(keys)),
            ],
        )

    async def discard(self, entry_id: str) -> None:
        """Take an entry off the queue whose request is over or that cannot be read."""
        await acknowledge(self._redis, self._keys.dispatch, WORKERS, [entry_id])
