"""How many workers there are to share a group's tasks among.

Asked by `dispatch`, which cuts a group into slices for all of them.
"""

import time

from redis.asyncio import Redis

from vncore.errors import StoreUnavailable
from vncore.keys import WORKERS, Keys
from vncore.streams import consumers_seen

_FRESH_SECONDS = 2.0
"""How long an answer is good for: workers come and go seldom, and a wrong number costs little."""

_ALIVE_MS = 30_000
"""A worker shows life every few seconds, also when there is nothing to do."""


class Workforce:
    """Counts the consumers of the dispatch stream, at most every two seconds."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._count = 1
        self._good_until = 0.0  # monotonic

    async def count(self) -> int:
        """Give the number of workers, at least 1; the last known one when it cannot be told."""
        if time.monotonic() >= self._good_until:
            try:
                seen = await consumers_seen(self._redis, self._keys.dispatch, WORKERS)
            except StoreUnavailable:
                return self._count
            self._count = max(1, sum(one.idle_ms < _ALIVE_MS for one in seen))
            self._good_until = time.monotonic() + _FRESH_SECONDS
        return self._count
