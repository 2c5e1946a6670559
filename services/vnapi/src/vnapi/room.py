"""How many bytes of bodies are in memory at once; who comes when there is no room waits in line.

A body holds its room from before it is read until its document is submitted or refused. Until then
its bytes stay in the client and in the kernel. Called by `routes` and `body`.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from vnapi.capacity import NoRoom

FREE_BYTES = 64 * 1024
"""What a body may have without holding room: the server has read as much before anybody asks."""

_RETRY_AFTER_SECONDS = 5


class Room:
    """Room for `max_bytes` of bodies, given in the order in which it is asked for."""

    def __init__(self, max_bytes: int, *, wait_ms: int) -> None:
        """`wait_ms` is how long somebody stands in line before it is refused."""
        self.max_bytes = max_bytes
        self.wait_ms = wait_ms
        self.held_bytes = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    def hold(self) -> "Hold":
        """Give a hold on nothing yet; what it takes is given back at the end of its ``with``."""
        return Hold(self)

    @property
    def waiting_bytes(self) -> int:
        """How much is asked for by those who stand in line."""
        return sum(size for size, _ in self._line)

    async def take(self, size: int) -> None:
        """Wait until there is room for so much, and take it; raises NoRoom when it takes long."""
        if not self._line and self.held_bytes + size <= self.max_bytes:
            self.held_bytes += size
            return
        place = size, asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            async with asyncio.timeout(self.wait_ms / 1000):
                await asyncio.shield(place[1])
        except BaseException as err:
            if place[1].done():  # in the very moment that we gave up
                self.give(size)
            else:
                self._line.remove(place)
                self._let_in()  # one behind us may fit
            if isinstance(err, TimeoutError):
                raise self._refusal() from err
            raise

    def give(self, size: int) -> None:
        """Give room back."""
        self.held_bytes -= size
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self.held_bytes + self._line[0][0] <= self.max_bytes:
            size, turn = self._line.popleft()
            self.held_bytes += size
            turn.set_result(None)

    def _refusal(self) -> NoRoom:
        return NoRoom(
            "BACKLOG_FULL",
            f"no room for the body within {self.wait_ms} ms; BODIES_MAX_BYTES is {self.max_bytes}",
            setting="BODIES_MAX_BYTES",
            limit=self.max_bytes,
            found=self.held_bytes + self.waiting_bytes,
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )


class Hold:
    """What one body holds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    async def grow(self, size: int) -> None:
        """Hold so much in all, at most all the room there is; raises NoRoom.

        What is held already is given back first: nobody waits for others who wait for it.
        """
        self.shrink(0)
        size = min(size, self._room.max_bytes)
        await self._room.take(size)
        self.size = size

    def shrink(self, size: int) -> None:
        """Hold no more than so much."""
        if size < self.size:
            self._room.give(self.size - size)
            self.size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shrink(0)
