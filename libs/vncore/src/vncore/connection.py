"""Connections to the one Redis-compatible server.

Two kinds: `commands` for everything that answers at once, retried because each of our writes is
safe to send twice; and `readers` for blocking reads, each of which takes a pooled connection of its
own, with a socket timeout that exceeds its BLOCK, and is never retried by the client (a silently
repeated read would leave entries unseen in the pending list).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.typing import EncodableT

from vncore.errors import Misconfigured, StoreFull, StoreUnavailable

_COMMAND_TIMEOUT_SECONDS = 10.0
_CONNECT_TIMEOUT_SECONDS = 5.0
_READER_GRACE_SECONDS = 5.0
_MOST_CONNECTIONS = 10_000  # of a client; left alone, redis-py refuses the 101st call at once
_PACKER = HiredisRespSerializer()
_RETRIES = 4  # about two seconds in all: a short failover is ridden out, a long one is reported


class Connections:
    """Makes and closes the clients of one process; connects when first used."""

    def __init__(self, url: str, *, block_ms: int) -> None:
        """Take a ``redis://``, ``rediss://`` or ``unix://`` URL and the longest blocking read.

        Raises Misconfigured for any other URL.
        """
        self._url = url
        self.block_ms = block_ms
        self.commands = self._client(
            _COMMAND_TIMEOUT_SECONDS,
            Retry(
                ExponentialWithJitterBackoff(base=0.05, cap=1.0),
                _RETRIES,
                supported_errors=(RedisConnectionError, RedisTimeoutError),
            ),
        )
        self.readers = self._client(block_ms / 1000 + _READER_GRACE_SECONDS, Retry(NoBackoff(), 0))

    async def aclose(self) -> None:
        """Close both clients."""
        await self.readers.aclose()
        await self.commands.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _client(self, socket_timeout: float, retry: Retry) -> Redis:
        try:
            client = Redis.from_url(
                self._url,
                socket_timeout=socket_timeout,
                socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                retry=retry,
                health_check_interval=0,
                max_connections=_MOST_CONNECTIONS,
            )
        except ValueError as err:
            raise Misconfigured(f"REDIS_URL: {err}") from None
        pool = client.connection_pool
        pool.connection_class = _quick(pool.connection_class)
        return client


def _quick(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """Give a connection class that writes commands with hiredis, as its blocking twin does.

    redis-py reads with hiredis in both worlds but writes with it in one only; a settled task has
    forty arguments, and writing them in Python takes as long as Valkey's work on them.
    """

    class Quick(connection):  # type: ignore[valid-type,misc]
        def pack_command(self, *args: EncodableT) -> list[bytes]:
            return _PACKER.pack(*args)  # type: ignore[no-any-return,arg-type]

    return Quick


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the client library's errors into ours, once, at the edge.

    Raises StoreFull when the server is out of memory, and StoreUnavailable for every other
    RedisError, as a passing one when the connection is to blame; the cause is kept.
    """
    try:
        yield
    except OutOfMemoryError as err:
        raise StoreFull(f"{doing}: {err}") from err
    except RedisError as err:
        lost = isinstance(err, RedisConnectionError)
        raise StoreUnavailable(f"{doing}: {type(err).__name__}: {err}", passing=lost) from err
