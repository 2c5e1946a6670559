"""What is stored of a request's documents, put together: for operators who want to see them.

In come a request's id and, for one of its tasks, group and number; out come the bytes that a script
got, that it gave, or that a client gets. Called by the command line.
"""

from collections.abc import AsyncIterator
from typing import cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.fragments import Fragments
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys
from vncore.requests import RequestStore
from vncore.responses import Chunk


async def task_document(
    redis: Redis, keys: Keys, request_id: RequestId, group_index: int, task_id: TaskId
) -> bytes | None:
    """Read the very XML that a task's script gets; None when there is none."""
    return await _whole(redis, keys, request_id, keys.task_xml(request_id, group_index, task_id))


async def task_result(
    redis: Redis, keys: Keys, request_id: RequestId, group_index: int, task_id: TaskId
) -> bytes | None:
    """Read a task's result, a bare ``valuation``; None when there is none."""
    return await _whole(redis, keys, request_id, keys.task_result(request_id, group_index, task_id))


async def response(redis: Redis, keys: Keys, request_id: RequestId) -> AsyncIterator[Chunk] | None:
    """Read a request's response, chunk by chunk; None when there is none."""
    return await RequestStore(redis, keys).response_chunks(request_id)


async def _whole(redis: Redis, keys: Keys, request_id: RequestId, key: str) -> bytes | None:
    with translated("read a stored document"):
        stored = cast("bytes | None", await redis.get(key))
    if stored is None:
        return None
    [whole] = await Fragments(redis, keys).whole(request_id, [stored])
    return whole
