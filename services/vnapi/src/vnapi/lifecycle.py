"""One reader of ``stream:request:lifecycle`` per process; it wakes whoever waits for a request.

A waiter registers before its request is submitted, so that no event can come too early. When the
reader may have missed events (a connection lost, a stream trimmed under it), it looks at the state
of every request waited for: no wake-up is lost. As the one that notices an outage it also has the
server checked before it follows it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aws_lambda_powertools import Logger
from redis.asyncio import Redis

from vncore.connection import Connections
from vncore.errors import Misconfigured, StoreUnavailable
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import LifecycleEvent, MalformedEntry, RequestStatus
from vncore.requests import RequestStore
from vncore.serving import Check, raise_if_cancelled
from vncore.streams import Delivery, newest_entry_id, read_after

_BATCH = 1_000  # well below the stream's length: to be overtaken by its trimming, one must lag
_PAUSE_SECONDS = 0.5  # after a failed read


class Waiter:
    """One call that waits for one request to end, in its run `run` or a later one."""

    def __init__(self, run: int) -> None:
        self.run = run
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
        check: Check | None = None,
    ) -> None:
        """`check` looks at the server before it is followed, at the start and after an outage."""
        self._commands: Redis = connections.commands
        self._readers: Redis = connections.readers
        self._stream = keys.lifecycle
        self._store = store
        self._block_ms = block_ms
        self._check = check
        self.log = log
        self._waiters: dict[RequestId, set[Waiter]] = {}
        self._draining = False
        self.connected = False

    @contextmanager
    def waiting_for(self, request_id: RequestId, run: int = 1) -> Iterator[Waiter]:
        """Register a waiter for as long as the block lasts.

        The end of a run before `run` does not wake it: that event may still be unread here.
        """
        waiter = Waiter(run)
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
        """Read until cancelled; a server that is away is waited for.

        Raises Misconfigured when the check refuses the server.
        """
        while True:
            try:
                await self._follow()
            except StoreUnavailable as err:
                self.log.warning("lifecycle_read_failed", extra={"error": err.message})
            except Misconfigured:
                raise
            except Exception:
                self.log.exception("lifecycle_reader_failed")
            self.connected = False
            raise_if_cancelled()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        await self._store.ping()  # waited for in `run`, which looks more often than a check does
        if self._check is not None:
            await self._check()
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
            self._wake(event.request_id, event.status, event.run)

    async def _look_at_all(self) -> None:
        for request_id in list(self._waiters):
            status = await self._store.status(request_id)
            if status is not None and status.is_terminal:
                self._wake(request_id, status)

    def _wake(self, request_id: RequestId, status: RequestStatus, run: int | None = None) -> None:
        """Wake who waits for this run; None is the current one, which nobody is ahead of."""
        for waiter in self._waiters.get(request_id, ()):
            if run is None or run >= waiter.run:
                waiter.wake(status)
