"""One reader of ``stream:request:lifecycle`` per process; it wakes whoever waits for a request.

A waiter registers before its request is submitted, so that no event can come too early. When the
reader may have missed events (a connection lost, a stream trimmed under it), it looks at the state
of every request waited for: no wake-up is lost.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aws_lambda_powertools import Logger
from redis.asyncio import Redis

from vncore.connection import Connections
from vncore.errors import StoreUnavailable
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import LifecycleEvent, MalformedEntry, RequestStatus
from vncore.requests import RequestStore
from vncore.serving import raise_if_cancelled
from vncore.streams import Delivery, newest_entry_id, read_after

_BATCH = 1_000  # well below the stream's length: to be overtaken by its trimming, one must lag
_PAUSE_SECONDS = 0.5  # after a failed read


class Waiter:
    """One call that waits for one request to end."""

    def __init__(self) -> None:
        self._ended: asyncio.Future[RequestStatus | None] = (
            asyncio.get_running_loop().create_future()
        )

    def wake(self, status: RequestStatus | None) -> None:
        """Tell the terminal status; None gives the wait up. Later calls change nothing."""
        if not self._ended.done():
            self._ended.set_result(status)

    async def terminal_status(self, timeout_seconds: float) -> RequestStatus | None:
        """Wait for the end of the request; None when the time is over first."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._ended), timeout_seconds)
        return None


class LifecycleReader:
    """Reads the lifecycle stream and wakes waiters; `run` is the reading, one per process."""

    def __init__(
        self,
        connections: Connections,
        keys: Keys,
        store: RequestStore,
        *,
        block_ms: int,
        log: Logger,
    ) -> None:
        self._commands: Redis = connections.commands
        self._readers: Redis = connections.readers
        self._stream = keys.lifecycle
        self._store = store
        self._block_ms = block_ms
        self.log = log
        self._waiters: dict[RequestId, set[Waiter]] = {}
        self._draining = False
        self.connected = False

    @contextmanager
    def waiting_for(self, request_id: RequestId) -> Iterator[Waiter]:
        """Register a waiter for as long as the block lasts."""
        waiter = Waiter()
        if self._draining:
            waiter.wake(None)
        waiters = self._waiters.setdefault(request_id, set())
        waiters.add(waiter)
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(request_id, None)

    def release(self) -> None:
        """Wake every waiter without a status, now and from now on: the process is ending."""
        self._draining = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake(None)

    async def run(self) -> None:
        """Read until cancelled; a server that is away is waited for."""
        while True:
            try:
                await self._follow()
            except StoreUnavailable as err:
                self.log.warning("lifecycle_read_failed", extra={"error": err.message})
            except Exception:
                self.log.exception("lifecycle_reader_failed")
            self.connected = False
            raise_if_cancelled()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        position = await newest_entry_id(self._commands, self._stream)
        await self._look_at_all()  # after the position: what ends from now on is read below
        self.connected = True
        lagging = False
        while True:
            entries = await read_after(
                self._readers, self._stream, position, count=_BATCH, block_ms=self._block_ms
            )
            raise_if_cancelled()
            for entry in entries:
                position = entry.entry_id
                self._notice(entry)
            if lagging and len(entries) < _BATCH:
                # We were behind, and the stream may have been trimmed before we got there.
                await self._look_at_all()
            lagging = len(entries) >= _BATCH

    def _notice(self, entry: Delivery) -> None:
        try:
            event = LifecycleEvent.from_fields(entry.fields)
        except MalformedEntry as err:
            self.log.warning(
                "lifecycle_entry_malformed", extra={"entry": entry.entry_id, "error": str(err)}
            )
            return
        if event.status.is_terminal:
            self._wake(event.request_id, event.status)

    async def _look_at_all(self) -> None:
        for request_id in list(self._waiters):
            status = await self._store.status(request_id)
            if status is not None and status.is_terminal:
                self._wake(request_id, status)

    def _wake(self, request_id: RequestId, status: RequestStatus) -> None:
        for waiter in self._waiters.get(request_id, ()):
            waiter.wake(status)
