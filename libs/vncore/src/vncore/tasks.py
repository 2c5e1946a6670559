"""Tasks as vnas sees them: a document to fetch, an attempt to settle."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.keys import WORKERS, Keys
from vncore.messages import TaskDispatch, TaskUpdate
from vncore.scripts import Scripts, flattened
from vncore.streams import acknowledge

IN_FLIGHT_TTL_SECONDS = 604_800
"""Safety net: task keys of a request that never ends are gone after a week."""


class Settled(IntEnum):
    """What became of a settled attempt."""

    KEPT = 1  # the result was stored, or the failure reported
    DUPLICATE = 0  # another attempt's result was there already
    REQUEST_OVER = -1  # the request is terminal or gone: nothing to report to
    NOT_HELD = -2  # a failure of an attempt that somebody else has settled


@dataclass(frozen=True, slots=True)
class TaskPayload:
    """What a worker needs before it starts the script."""

    document: bytes | None  # None: the key is gone
    request_is_open: bool  # False: terminal or unknown, do not start


class TaskStore:
    """Fetches task documents and settles attempts."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)

    async def fetch(self, task: TaskDispatch) -> TaskPayload:
        """Read a task's document and whether its request still wants it, in one round trip."""
        state = self._keys.state(task.request_id)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(self._keys.task_xml(task.request_id, task.group_index, task.task_id))
            pipe.hmget(state, ["status", "completedAt"])
            with translated("fetch task"):
                document, (status, completed_at) = cast("Any", await pipe.execute())
        return TaskPayload(document, request_is_open=status is not None and completed_at is None)

    async def settle(self, entry_id: str, update: TaskUpdate, result: bytes = b"") -> Settled:
        """Keep the result or report the failure, count, and take the entry off the queue.

        One atomic step; calling it again changes nothing. Raises StoreUnavailable: the entry is
        still pending and will be delivered again.
        """
        keys = self._keys
        request_id, group_index = update.request_id, update.group_index
        outcome = await self._scripts.call(
            "settle_task",
            [
                keys.state(request_id),
                keys.task_result(request_id, group_index, update.task_id),
                keys.group(request_id, group_index),
                keys.updates(request_id),
                keys.dispatch,
            ],
            [
                WORKERS,
                entry_id,
                update.status.value,
                result,
                IN_FLIGHT_TTL_SECONDS,
                *flattened(update.to_fields(keys)),
            ],
        )
        return Settled(outcome)

    async def discard(self, entry_id: str) -> None:
        """Take an entry off the queue whose request is over or that cannot be read."""
        await acknowledge(self._redis, self._keys.dispatch, WORKERS, [entry_id])
