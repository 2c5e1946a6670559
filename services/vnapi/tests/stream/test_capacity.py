"""What there is no room for is refused before anything of it is read or written."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from vnapi.app import build_app
from vnapi.capacity import Capacity, Limits
from vncore.connection import Connections
from vncore.errors import StoreUnavailable
from vncore.keys import Keys
from vncore.logs import logger

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
REPORT = {"code": "SCRIPT_FAILED", "category": "script", "message": "exit status 1"}
MIB = 1024 * 1024

pytestmark = pytest.mark.usefixtures("reading")


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vnapi.capacity._FRESH_SECONDS", -1.0)


@pytest.fixture
async def limited_memory(connections: Connections) -> AsyncIterator[int]:
    """A server with 24 MiB, for one test."""
    redis = connections.commands
    await redis.config_set("maxmemory", 24 * MIB)
    yield 24 * MIB
    await redis.config_set("maxmemory", 0)
    await redis.flushall()


async def submit(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post("/valuation", content=DOCUMENT, headers=headers)


async def kept(connections: Connections, keys: Keys) -> tuple[int, int, int]:
    redis = connections.commands
    return (
        await redis.dbsize(),
        await redis.xlen(keys.ingest),
        await redis.xlen(keys.lifecycle),
    )


async def test_a_backlog_of_requests_is_refused_with_its_numbers(
    client: httpx.AsyncClient, door: Any, connections: Connections, keys: Keys, orchestrator: Any
) -> None:
    door.capacity.limits = Limits(2, 200_000, 85)
    assert [(await submit(client)).status_code for _ in range(2)] == [202, 202]
    before = await kept(connections, keys)
    answer = await submit(client)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "BACKLOG_FULL")
    assert (problem["setting"], problem["limit"], problem["found"]) == (
        "BACKLOG_MAX_REQUESTS",
        2,
        2,
    )
    assert problem["retryable"] is True
    assert answer.headers["retry-after"] == "1"
    assert await kept(connections, keys) == before

    for held in (await orchestrator.take(2)).values():
        await held.succeed(b"<vnml/>", [0], 60)
    assert (await submit(client)).status_code == 202


async def test_a_backlog_of_tasks_is_refused_and_the_wait_grows_with_it(
    client: httpx.AsyncClient, door: Any, connections: Connections, keys: Keys
) -> None:
    door.capacity.limits = Limits(10_000, 10, 85)
    waits = []
    for _ in range(3):
        for _ in range(10):
            await connections.commands.xadd(keys.dispatch, {"a": "task"})
        answer = await submit(client)
        assert (answer.status_code, answer.json()["setting"]) == (503, "BACKLOG_MAX_TASKS")
        waits.append(int(answer.headers["retry-after"]))
    assert waits == [1, 30, 30]
    assert await connections.commands.xlen(keys.ingest) == 0


async def test_a_server_that_is_nearly_full_is_spared(
    client: httpx.AsyncClient, connections: Connections, keys: Keys, limited_memory: int
) -> None:
    redis = connections.commands
    assert (await submit(client)).status_code == 202
    number = 0
    while int((await redis.info("memory"))["used_memory"]) < 0.86 * limited_memory:
        await redis.set(f"ballast:{number}", os.urandom(MIB // 4))
        number += 1
    before = await kept(connections, keys)
    answer = await submit(client)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "STORE_FULL")
    assert (problem["setting"], problem["limit"]) == ("REDIS_MEMORY_MAX_PERCENT", 85)
    assert 85 <= problem["found"] < 100  # not full yet: what runs can still be finished
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert await kept(connections, keys) == before

    await redis.delete(*[f"ballast:{number}" for number in range(number)])
    assert (await submit(client)).status_code == 202


async def test_a_repetition_too_is_refused_while_there_is_no_room(
    client: httpx.AsyncClient, door: Any
) -> None:
    assert (await submit(client, **{"Idempotency-Key": "k"})).status_code == 202
    door.capacity.limits = Limits(1, 200_000, 85)
    assert (await submit(client, **{"Idempotency-Key": "k"})).status_code == 503


async def test_a_redrive_needs_room_and_a_cancel_makes_it(
    client: httpx.AsyncClient, door: Any, orchestrator: Any
) -> None:
    first = (await submit(client)).json()["requestId"]
    held = await orchestrator.take_one()
    await held.fail(REPORT, [], 60)
    second = (await submit(client)).json()["requestId"]
    door.capacity.limits = Limits(1, 200_000, 85)
    refused = await client.post(f"/valuation/{first}/redrive")
    assert (refused.status_code, refused.json()["code"]) == (503, "BACKLOG_FULL")
    assert "retry-after" in refused.headers
    assert (await client.get(f"/valuation/{first}/status")).json()["status"] == "failed"
    assert (await client.delete(f"/valuation/{second}")).status_code == 202
    assert (await client.post(f"/valuation/{first}/redrive")).status_code == 202


async def test_a_wrong_parameter_is_told_without_a_look_at_the_server(
    client: httpx.AsyncClient, door: Any
) -> None:
    door.capacity.limits = Limits(1, 1, 1)
    await submit(client)
    answer = await client.post("/valuation?sync=maybe", content=DOCUMENT)
    assert answer.status_code == 400


async def test_calls_that_come_together_share_one_look(
    connections: Connections, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vnapi.capacity._FRESH_SECONDS", 60.0)
    capacity = Capacity(connections.commands, keys, Limits(1, 1, 85))

    async def looks() -> int:
        stats = await connections.commands.info("commandstats")
        return int(stats["cmdstat_info"]["calls"])

    before = await looks()
    await asyncio.gather(*(capacity.admit() for _ in range(100)))
    await capacity.admit()
    assert await looks() - before == 2  # one of ours, one of this test's


async def test_a_look_goes_on_when_the_call_that_began_it_is_gone(
    connections: Connections, keys: Keys
) -> None:
    capacity = Capacity(connections.commands, keys, Limits(1, 1, 85))
    first = asyncio.create_task(capacity.admit())
    await asyncio.sleep(0)
    second = asyncio.create_task(capacity.admit())
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_look_that_fails_is_told_to_all_and_tried_again(
    keys: Keys, connections: Connections
) -> None:
    async with Connections("redis://127.0.0.1:9", block_ms=100) as nowhere:
        capacity = Capacity(nowhere.commands, keys, Limits(1, 1, 85))
        outcomes = await asyncio.gather(
            *(capacity.admit() for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        capacity._redis = connections.commands
        await capacity.admit()


async def test_a_server_that_is_away_is_told_before_the_body_is_read(
    door: Any, keys: Keys, reading: Any
) -> None:
    async with Connections("redis://127.0.0.1:9", block_ms=100) as nowhere:
        capacity = Capacity(nowhere.commands, keys, Limits(1, 1, 85))
        app = build_app(replace(door, capacity=capacity), logger("vnapi-test"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://vn") as client:
            answer = await client.post("/valuation", content=DOCUMENT)
    # Not 415, although the content type is missing.
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")


async def test_readiness_tells_the_backlog_and_is_not_unready_for_it(
    client: httpx.AsyncClient, door: Any, consumers: Any
) -> None:
    await submit(client)
    await consumers()
    door.capacity.limits = Limits(1, 5, 85)
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"]["backlog"] == "1 of 1 requests, 0 of 5 tasks"
    assert answer.json()["checks"]["memory"] == "has no limit"
