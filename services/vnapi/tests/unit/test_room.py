"""Room for bodies: given in order, waited for in vain only so long, never given twice."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from vnapi import problems
from vnapi.body import read_document
from vnapi.capacity import NoRoom
from vnapi.room import FREE_BYTES, Room

LARGEST = 1_000_000
XML = {"Content-Type": "application/xml"}
LARGE = b"<vnml>" + b" " * 600_000 + b"</vnml>"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_room_is_given_in_the_order_in_which_it_was_asked_for() -> None:
    room = Room(10, wait_ms=5_000)
    order: list[str] = []

    async def come(name: str, size: int) -> None:
        with room.hold() as hold:
            await hold.grow(size)
            order.append(name)
            await settle()

    sizes = {"first": 6, "second": 6, "large": 10, "small": 1}
    await asyncio.gather(*(come(name, size) for name, size in sizes.items()))
    assert order == list(sizes)  # the small one would have fitted beside the second
    assert room.held_bytes == 0


async def test_more_than_all_the_room_is_all_the_room() -> None:
    room = Room(10, wait_ms=5_000)
    with room.hold() as hold:
        await hold.grow(11)
        assert (hold.size, room.held_bytes) == (10, 10)
        hold.shrink(4)
        assert room.held_bytes == 4
    assert room.held_bytes == 0


async def test_who_waits_too_long_is_refused_and_told_the_limit() -> None:
    room = Room(10, wait_ms=20)
    with room.hold() as hold, room.hold() as other:
        await hold.grow(8)
        with pytest.raises(NoRoom) as caught:
            await other.grow(9)
    assert caught.value.code == "BACKLOG_FULL"
    assert caught.value.facts() == {"setting": "BODIES_MAX_BYTES", "limit": 10, "found": 8}
    assert caught.value.retryable
    assert (room.held_bytes, room.waiting_bytes) == (0, 0)


async def test_who_gives_up_lets_those_behind_pass() -> None:
    room = Room(10, wait_ms=5_000)
    with room.hold() as hold:
        await hold.grow(5)
        large = asyncio.create_task(room.take(10))
        small = asyncio.create_task(room.take(5))
        await settle()
        assert not small.done()
        large.cancel()
        await small
    room.give(5)
    assert room.held_bytes == 0


async def test_room_that_comes_as_its_taker_gives_up_is_given_back() -> None:
    room = Room(10, wait_ms=5_000)
    await room.take(10)
    waiting = asyncio.create_task(room.take(10))
    await settle()
    room.give(10)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert room.held_bytes == 0


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_no_more_is_held_than_there_is_room(seed: int) -> None:
    chance = random.Random(seed)
    room = Room(100, wait_ms=5)

    async def come() -> None:
        with room.hold() as hold:
            for _ in range(chance.randint(1, 3)):
                await hold.grow(chance.randint(0, 120))
                assert room.held_bytes <= room.max_bytes
                await asyncio.sleep(chance.random() / 500)
                hold.shrink(chance.randint(0, 100))

    comers = [asyncio.create_task(come()) for _ in range(60)]
    for comer in comers:
        if chance.random() < 0.2:
            asyncio.get_running_loop().call_later(chance.random() / 50, comer.cancel)
    await asyncio.gather(*comers, return_exceptions=True)
    assert (room.held_bytes, room.waiting_bytes) == (0, 0)


# --- bodies --------------------------------------------------------------------------------------


class Door:
    """Reads bodies, and keeps what they hold until it is told to let go."""

    def __init__(self, *, wait_ms: int) -> None:
        self.room = Room(LARGEST, wait_ms=wait_ms)
        self.let_go = asyncio.Event()
        self.held: list[int] = []
        self.app = FastAPI()
        problems.install(self.app)

        @self.app.post("/")
        async def read(request: Request) -> Response:
            with self.room.hold() as hold:
                body = await read_document(request, max_bytes=LARGEST, timeout_ms=300, hold=hold)
                self.held.append(hold.size)
                await self.let_go.wait()
            return Response(body)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://vn", headers=XML)


class Sent:
    """A body that knows how much of it was taken."""

    def __init__(self, body: bytes) -> None:
        self.taken = 0
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 10_000):
            part = self._body[start : start + 10_000]
            self.taken += len(part)
            yield part


@pytest.mark.parametrize(
    ("headers", "body", "read_before"),
    [
        pytest.param({"Content-Length": str(len(LARGE))}, LARGE, 0, id="of a known length"),
        pytest.param({}, LARGE, FREE_BYTES + 10_000, id="of an unknown length"),
        pytest.param(
            {"Content-Encoding": "gzip"}, gzip.compress(LARGE), len(gzip.compress(LARGE)), id="gzip"
        ),
    ],
)
async def test_a_large_body_waits_unread_and_its_clock_with_it(
    headers: dict[str, str], body: bytes, read_before: int
) -> None:
    door = Door(wait_ms=5_000)
    sent = Sent(body)
    async with door.client() as client:
        first = asyncio.create_task(client.post("/", content=LARGE))
        while not door.held:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(client.post("/", content=sent, headers=headers))
        await asyncio.sleep(0.5)  # longer than a body may take
        assert not second.done()
        assert sent.taken <= read_before
        assert door.room.waiting_bytes >= len(LARGE)
        door.let_go.set()
        assert (await first).content == LARGE
        assert (await second).content == LARGE
    assert door.held == [len(LARGE), len(LARGE)]  # also where it was not known before
    assert door.room.held_bytes == 0


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
async def test_small_bodies_pass_the_large_ones_that_wait(headers: dict[str, str]) -> None:
    door = Door(wait_ms=5_000)
    async with door.client() as client:
        large = [asyncio.create_task(client.post("/", content=LARGE)) for _ in range(2)]
        while not door.room.waiting_bytes:
            await asyncio.sleep(0.001)
        small = b"<vnml/>"
        content = gzip.compress(small) if headers else small
        passing = asyncio.create_task(client.post("/", content=content, headers=headers))
        while len(door.held) < 2:
            await asyncio.sleep(0.001)
        assert door.held == [len(LARGE), 0]
        door.let_go.set()
        assert (await passing).content == small
        await asyncio.gather(*large)


async def test_a_body_without_room_is_refused_for_now() -> None:
    door = Door(wait_ms=50)
    async with door.client() as client:
        first = asyncio.create_task(client.post("/", content=LARGE))
        while not door.held:
            await asyncio.sleep(0.001)
        answer = await client.post("/", content=LARGE)
        door.let_go.set()
        await first
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "BACKLOG_FULL")
    assert problem["retryable"]
    assert (problem["setting"], problem["limit"]) == ("BODIES_MAX_BYTES", LARGEST)
    assert answer.headers["retry-after"] == "5"


async def test_a_bomb_takes_no_memory_before_it_has_room_for_it() -> None:
    door = Door(wait_ms=50)
    async with door.client() as client:
        first = asyncio.create_task(client.post("/", content=LARGE))
        while not door.held:
            await asyncio.sleep(0.001)
        bomb = gzip.compress(b" " * 50_000_000)
        answer = await client.post("/", content=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.json()["code"] == "BACKLOG_FULL"
        door.let_go.set()
        await first
        answer = await client.post("/", content=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.json()["code"] == "DOCUMENT_TOO_LARGE"
    assert door.room.held_bytes == 0
