"""What the suite reads from the server itself, beside what the doors tell.

The lifecycle stream is trimmed, so it is followed while the storm lasts; the connection comes back
after each death of the server.
"""

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from vncore.connection import Connections
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys

from .evidence import TERMINAL, Kept
from .plan import Place, RequestPlan

_BLOCK_MS = 500
_PAUSE_SECONDS = 0.2


class Watcher:
    """Reads, and never writes."""

    def __init__(self, url: str) -> None:
        self.terminal_events: Counter[tuple[str, int]] = Counter()
        self._connections = Connections(url, block_ms=_BLOCK_MS)
        self._keys = Keys()
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._position = (0, 0)  # of the last event that was counted

    @property
    def _redis(self) -> Redis:
        return self._connections.commands

    def ended(self, request_id: str) -> asyncio.Event:
        """Give the event that is set whenever the stream tells an end of the request."""
        return self._ended[request_id]

    async def follow(self) -> None:
        """Count terminal events until cancelled."""
        while True:
            try:
                await self._read(_BLOCK_MS)
            except (RedisError, OSError):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def catch_up(self) -> None:
        """Read what is there and not read yet."""
        while await self._read(None):
            pass

    async def snapshot(self, request_id: str, plan: RequestPlan) -> dict[Place, Kept]:
        """Give each task that the server keeps of a request, its document and its result."""
        places = [
            (index, number)
            for index, group in enumerate(plan.groups)
            for number in range(1, len(group.tasks) + 1)
        ]
        names: list[str] = []
        for index, number in places:
            at = (RequestId(request_id), index, TaskId(number))
            names += [self._keys.task_xml(*at), self._keys.task_result(*at)]
        while True:
            try:
                found = await self._redis.mget(names)
            except (RedisError, OSError):
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            pairs = zip(places, found[::2], found[1::2], strict=True)
            return {place: Kept(xml, result) for place, xml, result in pairs if xml is not None}

    async def known_ids(self) -> set[str]:
        """Give every request that the server has, or had."""
        return {name.decode() for name in await self._redis.zrange(self._keys.index, 0, -1)}

    async def backlog(self) -> dict[str, int]:
        """Give how much is on the queues."""
        return {
            name: await self._redis.xlen(name) for name in (self._keys.ingest, self._keys.dispatch)
        }

    async def aclose(self) -> None:
        """Close the connections."""
        with suppress(RedisError, OSError):
            await self._connections.aclose()

    async def _read(self, block_ms: int | None) -> int:
        answer = await self._connections.readers.xread(
            {self._keys.lifecycle: "{}-{}".format(*self._position)}, count=1000, block=block_ms
        )
        entries = answer[0][1] if answer else []
        for entry_id, fields in entries:
            milliseconds, _, sequence = entry_id.decode().partition("-")
            position = int(milliseconds), int(sequence)
            if position <= self._position:
                continue  # another read was faster
            self._position = position
            if fields[b"status"].decode() in TERMINAL:
                request_id = fields[b"requestId"].decode()
                self.terminal_events[request_id, int(fields.get(b"run", b"1"))] += 1
                self._ended[request_id].set()
        return len(entries)
