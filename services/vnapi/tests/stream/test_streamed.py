"""Responses on their way out through a real uvicorn: whole, in parts, or visibly cut off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from vnapi.app import build_app
from vnapi.protocol import WireLimits
from vnclient import AnswerCutOff, AsyncClient
from vncore.connection import Connections
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys
from vncore.logs import logger
from vncore.pieces import Fragment, Results, packed

LIMITS = WireLimits(
    header_max_bytes=65_536, header_timeout_ms=5_000, request_max_bytes=30_000_000, connections=100
)
DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
MARKET = Fragment.of(b"<market>" + b"1" * 300_000 + b"</market>")
HEAD, FOOT = b"<vnml><project><group>", b"</group></project></vnml>"
XML = {"Content-Type": "application/xml"}


@pytest.fixture
async def url(door: Any, reading: Any, serving: Any) -> AsyncIterator[str]:
    async with serving(build_app(door, logger("vnapi-test")), LIMITS) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=XML, timeout=20) as client:
        yield client


class Ended:
    """A request that has succeeded with results in its response."""

    def __init__(self, connections: Connections, keys: Keys, orchestrator: Any) -> None:
        self.redis = connections.commands
        self.keys = keys
        self.orchestrator = orchestrator

    async def end(self, results: list[bytes]) -> RequestId:
        """End the next request with these results and a shared fragment."""
        tasks = Results(0, TaskId(1), TaskId(len(results)))
        stored = packed([HEAD, MARKET, tasks, FOOT])
        held = await self.orchestrator.take_one()
        request_id: RequestId = held.request_id
        for number, result in enumerate(results, 1):
            await self.redis.set(self.keys.task_result(request_id, 0, TaskId(number)), result)
        await self.redis.hset(self.keys.fragments(request_id), MARKET.digest, MARKET.body)
        await held.succeed(stored, [0], 60)
        return request_id

    async def reads(self) -> int:
        """How often results were read so far."""
        stats: Any = await self.redis.info("commandstats")
        return int(stats.get("cmdstat_mget", {}).get("calls", 0))


@pytest.fixture
async def ended(connections: Connections, keys: Keys, orchestrator: Any) -> Ended:
    await connections.commands.config_resetstat()
    return Ended(connections, keys, orchestrator)


async def submitted(client: httpx.AsyncClient) -> None:
    assert (await client.post("/valuation", content=DOCUMENT)).status_code == 202


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([b"<valuation/>"], id="one, beside a large fragment"),
        pytest.param([b"<v>" + b"x" * 5_000 + b"</v>"] * 500, id="many"),
        pytest.param([b"<v>" + b"x" * 2_000_000 + b"</v>"] * 3, id="large"),
    ],
)
async def test_a_large_response_comes_in_chunks(
    client: httpx.AsyncClient, ended: Ended, results: list[bytes]
) -> None:
    await submitted(client)
    request_id = await ended.end(results)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert answer.status_code == 200
    assert answer.content == b"".join([HEAD, MARKET.body, *results, FOOT])
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["vn-request-status"] == "succeeded"
    assert "content-length" not in answer.headers


async def test_a_synchronous_call_gets_the_same_chunks(
    client: httpx.AsyncClient, ended: Ended
) -> None:
    waiting = asyncio.create_task(client.post("/valuation?sync=Y", content=DOCUMENT))
    results = [b"<v>" + b"x" * 5_000 + b"</v>"] * 100
    await ended.end(results)
    answer = await waiting
    assert answer.content == b"".join([HEAD, MARKET.body, *results, FOOT])
    assert answer.headers["transfer-encoding"] == "chunked"


async def test_a_small_response_comes_in_one_go(
    client: httpx.AsyncClient, ended: Ended, connections: Connections, keys: Keys
) -> None:
    await submitted(client)
    request_id = await ended.end([b"<valuation/>"] * 10)
    small = packed([HEAD, Results(0, TaskId(1), TaskId(10), b" "), FOOT])
    await connections.commands.set(keys.response(request_id), small)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert answer.content == HEAD + b" ".join([b"<valuation/>"] * 10) + FOOT
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_results_that_are_gone_are_a_problem(
    client: httpx.AsyncClient, ended: Ended, connections: Connections, keys: Keys
) -> None:
    await submitted(client)
    request_id = await ended.end([b"<valuation/>"] * 3)
    await connections.commands.delete(keys.task_result(request_id, 0, TaskId(2)))
    answer = await client.get(f"/valuation/{request_id}/results")
    assert (answer.status_code, answer.json()["code"]) == (500, "TASK_RESULT_MISSING")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_results_that_are_gone_with_their_request_have_expired(
    client: httpx.AsyncClient,
    ended: Ended,
    connections: Connections,
    keys: Keys,
    door: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await submitted(client)
    request_id = await ended.end([b"<valuation/>"] * 3)
    chunks = door.store.response_chunks

    async def just_before_the_rest_expires(asked: RequestId) -> Any:
        found = await chunks(asked)
        await connections.commands.delete(
            keys.state(asked), keys.response(asked), keys.task_result(asked, 0, TaskId(1))
        )
        return found

    monkeypatch.setattr(door.store, "response_chunks", just_before_the_rest_expires)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert (answer.status_code, answer.json()["code"]) == (410, "REQUEST_EXPIRED")


async def test_a_response_that_breaks_off_is_no_response(
    client: httpx.AsyncClient,
    url: str,
    ended: Ended,
    connections: Connections,
    keys: Keys,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await submitted(client)
    request_id = await ended.end([b"<v>" + b"x" * 100_000 + b"</v>"] * 100)
    await connections.commands.delete(keys.task_result(request_id, 0, TaskId(90)))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        await client.get(f"/valuation/{request_id}/results")
    async with AsyncClient(url) as vn:
        with pytest.raises(AnswerCutOff, match=r"broke off before its end .*incomplete"):
            await vn.results(request_id)
    cut = [record for record in caplog.records if record.message == "response_cut_off"]
    assert [record.__dict__["code"] for record in cut] == ["TASK_RESULT_MISSING"] * 2
    assert cut[0].__dict__["request_id"] == request_id
    assert (await client.get("/healthz")).status_code == 200


async def test_a_client_that_does_not_read_does_not_make_us_read(
    client: httpx.AsyncClient, ended: Ended
) -> None:
    await submitted(client)
    result = b"<v>" + b"x" * 1_000_000 + b"</v>"
    request_id = await ended.end([result] * 60)
    async with client.stream("GET", f"/valuation/{request_id}/results") as answer:
        seen = -1
        while seen != (seen := await ended.reads()):
            await asyncio.sleep(0.2)
        assert seen < 20  # of 29: the kernel's buffers take some megabytes
        size = 0
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    assert size == len(HEAD + MARKET.body + FOOT) + 60 * len(result)
    assert await ended.reads() >= 29


async def test_a_client_that_leaves_ends_the_reading(
    client: httpx.AsyncClient, ended: Ended
) -> None:
    await submitted(client)
    request_id = await ended.end([b"<v>" + b"x" * 1_000_000 + b"</v>"] * 60)
    async with client.stream("GET", f"/valuation/{request_id}/results") as answer:
        await anext(answer.aiter_raw())
    seen = -1
    while seen != (seen := await ended.reads()):
        await asyncio.sleep(0.2)
    assert seen < 20  # of 29
