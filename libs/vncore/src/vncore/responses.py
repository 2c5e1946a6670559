"""A response read piece by piece, so that nobody has to hold all of it.

In comes what is stored under `Keys.response`: the document itself, or the pieces of it (`pieces`),
among them runs of task results, which are read here in batches. Out go its bytes in order, in
chunks. Called by `requests.RequestStore`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.errors import VnError
from vncore.fragments import Fragments
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys
from vncore.pieces import NotPieces, Piece, Results, is_whole, unpacked

CHUNK_BYTES = 64 * 1024
"""What is smaller is put together to about this size."""

_SLICE_BYTES = 4 * CHUNK_BYTES  # what is larger is given in slices: whoever sends a chunk copies it
_BATCH_BYTES = 2 * 1024 * 1024  # of results, as far as the last ones tell how large the next are
_FIRST_BATCH, _GROWTH, _LARGEST_BATCH = 4, 4, 64  # results; the first few show how large they are

Chunk = bytes | memoryview


class ResponseBroken(VnError):
    """A response cannot be put together: a part of it is gone, or unreadable (``INTERNAL``)."""

    def __init__(self, message: str, *, code: str = "TASK_RESULT_MISSING") -> None:
        super().__init__(code, message)


class ResponseReader:
    """Reads responses of any request."""

    def __init__(self, redis: Redis, keys: Keys, fragments: Fragments) -> None:
        self._redis = redis
        self._keys = keys
        self._fragments = fragments

    async def chunks(self, request_id: RequestId, stored: bytes) -> AsyncIterator[Chunk]:
        """Give the bytes of a stored response in order; a whole document is one chunk.

        Before the first chunk also the first results are read. In memory are never more than a
        batch of results, a chunk, and the own bytes of the response.
        Raises ResponseBroken and StoreUnavailable, at the first chunk or at any later one.
        """
        if is_whole(stored):
            yield stored
            return
        pieces = _readable(stored)
        del stored
        waiting: list[bytes] = []
        size = 0
        async for part in self._parts(request_id, pieces):
            if len(part) < CHUNK_BYTES:
                waiting.append(part)
                size += len(part)
                if size < CHUNK_BYTES:
                    continue
            if waiting:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
            if len(part) >= CHUNK_BYTES:
                view = memoryview(part)
                for start in range(0, len(part), _SLICE_BYTES):
                    yield view[start : start + _SLICE_BYTES]
        if waiting:
            yield b"".join(waiting)

    async def _parts(self, request_id: RequestId, pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
        results = _Batches(self._redis, self._keys, request_id)
        run = next((piece for piece in pieces if isinstance(piece, Results)), None)
        ahead = await results.read(run, run.first) if run is not None else []
        for piece in pieces:
            if not isinstance(piece, Results):
                yield await self._bytes_of(request_id, piece)
                continue
            task = piece.first
            while task <= piece.last:
                batch, ahead = ahead or await results.read(piece, task), []
                for result in batch:
                    if task > piece.first:
                        yield piece.between
                    for part in [result] if is_whole(result) else _readable(result):
                        yield await self._bytes_of(request_id, part)
                    task = TaskId(task + 1)

    async def _bytes_of(self, request_id: RequestId, piece: Piece) -> bytes:
        if isinstance(piece, bytes):
            return piece
        if isinstance(piece, Results):
            raise ResponseBroken("a result has results in it", code="INTERNAL")
        found = await self._fragments.get(request_id, [piece.digest])
        if piece.digest not in found:
            raise ResponseBroken(f"fragment {piece.digest[:16]} of the response is gone")
        return found[piece.digest]


class _Batches:
    """Reads results of one request, as many at once as their sizes allow."""

    def __init__(self, redis: Redis, keys: Keys, request_id: RequestId) -> None:
        self._redis = redis
        self._keys = keys
        self._request_id = request_id
        self._count = _FIRST_BATCH

    async def read(self, run: Results, first: TaskId) -> list[bytes]:
        """Read the next results of a run, from `first` on, as they are stored."""
        last = min(run.last, first + self._count - 1)
        tasks = [TaskId(task) for task in range(first, last + 1)]
        keys = [self._keys.task_result(self._request_id, run.group_index, task) for task in tasks]
        if not keys:
            return []
        with translated("read results"):
            found = cast("list[bytes | None]", await self._redis.mget(keys))
        for task, result in zip(tasks, found, strict=True):
            if result is None:
                raise ResponseBroken(
                    f"the result of task {task} of group {run.group_index} is gone"
                )
        results = cast("list[bytes]", found)
        fitting = _BATCH_BYTES // max(1, *map(len, results))
        self._count = max(1, min(fitting, self._count * _GROWTH, _LARGEST_BATCH))
        return results


def _readable(stored: bytes) -> list[Piece]:
    try:
        return list(unpacked(stored))
    except NotPieces as err:
        raise ResponseBroken(f"what is stored cannot be read: {err}", code="INTERNAL") from err
