"""Fragments that documents of a request share: kept once, read through a cache.

`pieces` says what they are. Written by the orchestrator of the request (`held`), read by whoever
puts a document together: workers, vnapi, and the orchestrator for results.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.pieces import composed, digests_in

CACHE_BYTES = 64 * 1024 * 1024


class Fragments:
    """Reads fragments of any request; remembers those used last, by digest."""

    def __init__(self, redis: Redis, keys: Keys, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._redis = redis
        self._keys = keys
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    async def whole(self, request_id: RequestId, stored: Sequence[bytes]) -> list[bytes]:
        """Put stored documents of a request together, in order.

        Raises NotPieces when a fragment is gone, StoreUnavailable.
        """
        wanted = {digest for one in stored for digest in digests_in(one)}
        if not wanted:
            return list(stored)
        fragments = await self.get(request_id, wanted)
        return [composed(one, fragments) for one in stored]

    async def get(self, request_id: RequestId, digests: Collection[str]) -> dict[str, bytes]:
        """Read fragments, at most once from the server as long as they are remembered.

        One that is gone is not in the answer. Raises StoreUnavailable.
        """
        found = {digest: self._cached[digest] for digest in digests if digest in self._cached}
        for digest in found:
            self._cached.move_to_end(digest)
        if missing := [digest for digest in digests if digest not in found]:
            with translated("read fragments"):
                bodies = await cast(
                    "Any", self._redis.hmget(self._keys.fragments(request_id), missing)
                )
            read = {
                digest: body
                for digest, body in zip(missing, bodies, strict=True)
                if body is not None
            }
            self._remember(read.items())
            found |= read
        return found

    def _remember(self, read: Iterable[tuple[str, bytes]]) -> None:
        for digest, body in read:
            if digest not in self._cached:
                self._cached[digest] = body
                self._size += len(body)
        while self._size > self._cache_bytes:
            _, dropped = self._cached.popitem(last=False)
            self._size -= len(dropped)
