"""What a client may do to a request that is there: cancel it, or have it run again.

Called by `routes`; the changes themselves are `vncore.cancel` and `vncore.redrive`.
"""

from redis.asyncio import Redis

from vncore.cancel import cancel
from vncore.clock import Clock
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import RequestStatus, Trace
from vncore.redrive import redrive


class Controls:
    """Both, on one server."""

    def __init__(self, redis: Redis, keys: Keys, *, request_ttl_seconds: int, clock: Clock) -> None:
        self._redis = redis
        self._keys = keys
        self._request_ttl_seconds = request_ttl_seconds
        self._clock = clock

    async def cancel(self, request_id: RequestId) -> RequestStatus | None:
        """End a request; gives the terminal status that it has then, None when it is unknown.

        CANCELLED also when it was cancelled before. Raises StoreUnavailable: call again.
        """
        return await cancel(
            self._redis,
            self._keys,
            request_id,
            ttl_seconds=self._request_ttl_seconds,
            clock=self._clock,
        )

    async def redrive(
        self, request_id: RequestId, deadline_ms: int | None, trace: Trace
    ) -> int | None:
        """Begin a new run, `deadline_ms` from now at most; gives its number, None when unknown.

        Raises InvalidRequest (``REQUEST_NOT_REDRIVABLE``) and StoreUnavailable.
        """
        return await redrive(
            self._redis,
            self._keys,
            request_id,
            deadline_at_ms=None if deadline_ms is None else self._clock() + deadline_ms,
            trace=trace,
            clock=self._clock,
        )
