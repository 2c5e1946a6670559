"""The door on a real server, and an orchestrator that tests move by hand."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from vnapi.app import build_app
from vnapi.capacity import Capacity, Limits
from vnapi.controls import Controls
from vnapi.lifecycle import LifecycleReader
from vnapi.protocol import WireLimits, bounded
from vnapi.readiness import Readiness
from vnapi.room import Room
from vnapi.routes import Door
from vnapi.submit import Submitter
from vncore.connection import Connections
from vncore.held import HeldRequest, begin
from vncore.ids import RequestId
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.logs import logger
from vncore.messages import IngestEntry
from vncore.requests import RequestStore
from vncore.streams import Consumer, Delivery, ensure_group, read_group
from vncore.xml import DEFAULT_LIMITS

RESPONSE = b"<vnml><project/></vnml>"
TTL_SECONDS = 60


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Orchestrator:
    """Takes requests off the ingest stream and ends them as a test says."""

    def __init__(self, connections: Connections, keys: Keys) -> None:
        self.connections = connections
        self.keys = keys

    async def deliveries(self) -> list[Delivery]:
        redis = self.connections.commands
        await ensure_group(redis, self.keys.ingest, ORCHESTRATORS)
        return await read_group(
            redis, self.keys.ingest, ORCHESTRATORS, "test", count=None, block_ms=None
        )

    async def take(self, count: int = 1, within: float = 10.0) -> dict[RequestId, HeldRequest]:
        """Begin as many requests as are wanted, as soon as they are there."""
        held: dict[RequestId, HeldRequest] = {}
        async with asyncio.timeout(within):
            while len(held) < count:
                for delivery in await self.deliveries():
                    entry = IngestEntry.from_fields(delivery.fields)
                    request = await begin(
                        self.connections, self.keys, entry, delivery.entry_id, now_ms
                    )
                    assert request is not None
                    held[entry.request_id] = request
                await asyncio.sleep(0.005)
        return held

    async def take_one(self) -> HeldRequest:
        (held,) = (await self.take()).values()
        return held

    async def succeed_one(self, response: bytes = RESPONSE) -> HeldRequest:
        held = await self.take_one()
        await held.succeed(response, [0], TTL_SECONDS)
        return held


@pytest.fixture
def store(connections: Connections, keys: Keys) -> RequestStore:
    return RequestStore(connections.commands, keys)


@pytest.fixture
def reader(connections: Connections, keys: Keys, store: RequestStore) -> LifecycleReader:
    return LifecycleReader(connections, keys, store, block_ms=200, log=logger("vnapi-test"))


@pytest.fixture
def door(
    connections: Connections, keys: Keys, store: RequestStore, reader: LifecycleReader
) -> Door:
    submitter = Submitter(store, DEFAULT_LIMITS, large_at_once=2, clock=now_ms)
    redis = connections.commands
    capacity = Capacity(redis, keys, Limits(10_000, 200_000, 85))
    readiness = Readiness(
        redis,
        keys,
        store,
        reader,
        capacity,
        fresh_ms=5_000,
        workers_expected=True,
        eviction="refuse",
        durability="memory",
    )
    return Door(
        store=store,
        submitter=submitter,
        controls=Controls(redis, keys, request_ttl_seconds=TTL_SECONDS, clock=now_ms),
        capacity=capacity,
        room=Room(64 * 1024 * 1024, wait_ms=5_000),
        reader=reader,
        readiness=readiness,
        payload_max_bytes=DEFAULT_LIMITS.max_bytes,
        body_timeout_ms=5_000,
        sync_wait_timeout_ms=10_000,
    )


@pytest.fixture
async def reading(reader: LifecycleReader) -> AsyncIterator[LifecycleReader]:
    task = asyncio.create_task(reader.run())
    await until(lambda: reader.connected)
    yield reader
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def client(door: Door, reading: LifecycleReader) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(door, logger("vnapi-test")))
    headers = {"Content-Type": "application/xml"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://vn", headers=headers
    ) as client:
        yield client


class QuietServer(uvicorn.Server):
    """uvicorn beside a test, on a listener of its own."""

    @asynccontextmanager
    async def on(self, listener: socket.socket) -> AsyncIterator[int]:
        serving = asyncio.create_task(self._serve([listener]))
        await until(lambda: self.started)
        yield listener.getsockname()[1]
        self.should_exit = True
        await serving


@asynccontextmanager
async def _serving(app: FastAPI, limits: WireLimits) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with QuietServer(config).on(listener) as port:
            yield port


@pytest.fixture
def serving() -> Callable[[FastAPI, WireLimits], AbstractAsyncContextManager[int]]:
    """Serve an application by a real uvicorn on a loopback port, which it gives."""
    return _serving


@pytest.fixture
def orchestrator(connections: Connections, keys: Keys) -> Orchestrator:
    return Orchestrator(connections, keys)


@pytest.fixture
def consumers(connections: Connections, keys: Keys) -> Callable[[], Awaitable[None]]:
    """Let one orchestrator and one worker be seen."""

    async def appear() -> None:
        for stream, group in ((keys.ingest, ORCHESTRATORS), (keys.dispatch, WORKERS)):
            await Consumer(connections, stream, group, "someone", idle_ms=60_000).join()

    return appear


async def until(holds: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)
