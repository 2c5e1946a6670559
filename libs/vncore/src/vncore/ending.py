"""The end of a request: what ``finish_request`` is told, and the time to live of all its keys.

In comes an `Ending`; out go the script's keys and arguments. Called by `held`, which alone may end
a request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.ids import RequestId, TaskId
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import LifecycleEvent, RequestStatus
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import Argument, flattened

_BATCH_KEYS = 500
_FIRST_OWNED = 7  # the script's KEYS count from 1, and the state comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a request ends."""

    status: RequestStatus  # a terminal one
    task_counts: tuple[int, ...]  # one number for each group that was started
    ttl_seconds: int  # how long everything of the request is kept from now on
    response: bytes = b""  # empty for none
    report: bytes = b""  # JSON; empty for none
    failed_tasks: int = 0  # of the last group started; 0: no group failed


def finish_keys(keys: Keys, request_id: RequestId, ending: Ending) -> list[str]:
    """Give the script's keys, but for the state."""
    return [
        keys.response(request_id),
        keys.failure(request_id),
        keys.updates(request_id),
        keys.ingest,
        keys.lifecycle,
        *_owned(keys, request_id, ending),
    ]


def finish_arguments(
    ending: Ending, now_ms: int, entry_id: str, event: LifecycleEvent
) -> list[Argument]:
    """Give the script's arguments, but for the epoch; `entry_id` is the request's ingest entry."""
    group_failed = ending.failed_tasks and ending.task_counts
    failed_group = _FIRST_OWNED + _BESIDE_GROUPS + len(ending.task_counts) - 1
    return [
        ending.status.value,
        now_ms,
        ending.ttl_seconds,
        ending.response,
        ending.report,
        ORCHESTRATORS,
        entry_id,
        failed_group if group_failed else 0,
        ending.failed_tasks,
        LIFECYCLE_LENGTH,
        *flattened(event.to_fields()),
    ]


async def expire_tasks(redis: Redis, keys: Keys, request_id: RequestId, ending: Ending) -> None:
    """Give every key of the request's tasks its time to live; raises StoreUnavailable."""
    names = _task_keys(keys, request_id, ending)
    while batch := list(islice(names, _BATCH_KEYS)):
        async with redis.pipeline(transaction=False) as pipe:
            for name in batch:
                pipe.expire(name, ending.ttl_seconds)
            with translated("expire tasks"):
                await pipe.execute()


_BESIDE_GROUPS = 3  # how many keys `_owned` gives before those of the groups


def _owned(keys: Keys, request_id: RequestId, ending: Ending) -> list[str]:
    groups = [keys.group(request_id, index) for index in range(len(ending.task_counts))]
    return [keys.xml(request_id), keys.metadata(request_id), keys.hydrated(request_id), *groups]


def _task_keys(keys: Keys, request_id: RequestId, ending: Ending) -> Iterator[str]:
    for group_index, count in enumerate(ending.task_counts):
        for task_id in range(1, count + 1):
            at = (request_id, group_index, TaskId(task_id))
            yield from (keys.task_xml(*at), keys.task_trace(*at), keys.task_result(*at))
