"""The endpoints on a real server, from submission to every kind of end."""

import asyncio
import gzip
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from vncore.connection import Connections
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import IngestEntry

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
RESPONSE = b'<?xml version="1.0" encoding="UTF-8"?>\n<vnml><project name="p"/></vnml>'
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REPORT = {
    "code": "SELECT_AMBIGUOUS",
    "category": "reference",
    "retryable": False,
    "message": "two markets",
    "group": "g",
}

pytestmark = pytest.mark.usefixtures("reading")


async def submitted(client: httpx.AsyncClient, **arguments: Any) -> str:
    answer = await client.post("/valuation", content=DOCUMENT, **arguments)
    assert answer.status_code == 202
    return str(answer.json()["requestId"])


# --- submission ----------------------------------------------------------------------------------


async def test_an_accepted_request_is_whole_on_the_server(
    client: httpx.AsyncClient, connections: Connections, keys: Keys, orchestrator: Any
) -> None:
    headers = {"X-Request-Id": "desk-1", "traceparent": PARENT}
    answer = await client.post("/valuation", content=DOCUMENT, headers=headers)
    request_id = RequestId(answer.json()["requestId"])
    assert answer.status_code == 202
    assert answer.json() == {"requestId": request_id, "status": "accepted"}
    assert answer.headers["location"] == f"/valuation/{request_id}/status"
    assert "preference-applied" not in answer.headers
    assert uuid.UUID(request_id).version == 4

    redis = connections.commands
    assert await redis.get(keys.xml(request_id)) == DOCUMENT
    metadata = json.loads(await redis.get(keys.metadata(request_id)))
    assert metadata["documentBytes"] == len(DOCUMENT)
    (delivery,) = await orchestrator.deliveries()
    entry = IngestEntry.from_fields(delivery.fields)
    assert (entry.request_id, entry.group_count) == (request_id, 1)
    assert (entry.trace.correlation_id, entry.trace.traceparent) == ("desk-1", PARENT)


async def test_a_compressed_document_is_kept_plain(
    client: httpx.AsyncClient, connections: Connections, keys: Keys
) -> None:
    answer = await client.post(
        "/valuation", content=gzip.compress(DOCUMENT), headers={"Content-Encoding": "gzip"}
    )
    request_id = RequestId(answer.json()["requestId"])
    assert await connections.commands.get(keys.xml(request_id)) == DOCUMENT


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "code"),
    [
        pytest.param(b"<vnml>\n<x></y>", {}, "", 400, "XML_MALFORMED", id="malformed"),
        pytest.param(b"<!DOCTYPE a><a/>", {}, "", 400, "XML_DOCTYPE", id="doctype"),
        pytest.param(b"<a>\xff</a>", {}, "", 400, "XML_ENCODING", id="encoding"),
        pytest.param(b"", {}, "", 400, "XML_MALFORMED", id="empty"),
        pytest.param(b"<vnml/>", {}, "", 422, "NO_PROJECT", id="no project"),
        pytest.param(b"<vnml><project/></vnml>", {}, "", 422, "NO_GROUP", id="no group"),
        pytest.param(DOCUMENT, {"Content-Type": "text/plain"}, "", 415, None, id="type"),
        pytest.param(DOCUMENT, {"Content-Encoding": "zstd"}, "", 415, None, id="coding"),
        pytest.param(b" " * 10_485_761, {}, "", 413, "DOCUMENT_TOO_LARGE", id="too large"),
        pytest.param(DOCUMENT, {}, "?sync=maybe", 400, "PARAMETER_INVALID", id="sync"),
        pytest.param(DOCUMENT, {}, "?sync=", 400, "PARAMETER_INVALID", id="empty sync"),
        pytest.param(DOCUMENT, {}, "?deadlineMs=0", 400, "PARAMETER_INVALID", id="deadline"),
        pytest.param(DOCUMENT, {}, "?onFailure=ignore", 400, "PARAMETER_INVALID", id="policy"),
        pytest.param(
            DOCUMENT.replace(b"name", b'onFailure="ignore" name'),
            {},
            "",
            422,
            "ON_FAILURE_INVALID",
            id="a group's policy",
        ),
    ],
)
async def test_what_is_refused_leaves_nothing_behind(
    client: httpx.AsyncClient,
    connections: Connections,
    body: bytes,
    headers: dict[str, str],
    query: str,
    status: int,
    code: str | None,
) -> None:
    answer = await client.post(f"/valuation{query}", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert code is None or answer.json()["code"] == code
    assert await connections.commands.dbsize() == 0


async def test_a_malformed_document_is_refused_with_line_and_column(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/valuation", content=b"<vnml>\n<x></y>\n</vnml>")
    assert (answer.json()["line"], answer.json()["column"]) == (2, 8)


async def test_deadline_and_failure_policy_travel_with_the_request(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    query = "?deadlineMs=60000&onFailure=tolerate:10%25"
    answer = await client.post(f"/valuation{query}", content=DOCUMENT)
    request_id = answer.json()["requestId"]
    status = (await client.get(f"/valuation/{request_id}/status")).json()
    received, deadline = (
        datetime.fromisoformat(status[name]) for name in ("receivedAt", "deadlineAt")
    )
    assert (deadline - received).total_seconds() == 60
    assert status["onFailure"] == "tolerate:10%"
    (delivery,) = await orchestrator.deliveries()
    entry = IngestEntry.from_fields(delivery.fields)
    assert entry.deadline_ms == int(deadline.timestamp() * 1000)
    assert (entry.on_failure, entry.run) == ("tolerate:10%", 1)


# --- waiting -------------------------------------------------------------------------------------


async def test_a_synchronous_call_gets_the_response(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    answer, held = await asyncio.gather(
        client.post("/valuation?sync=y", content=DOCUMENT), orchestrator.succeed_one(RESPONSE)
    )
    assert (answer.status_code, answer.content) == (200, RESPONSE)
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-location"] == f"/valuation/{held.request_id}/results"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_synchronous_call_gets_the_failure_report(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    async def fail() -> Any:
        held = await orchestrator.take_one()
        await held.fail(REPORT, [], 60)
        return held

    answer, held = await asyncio.gather(client.post("/valuation?sync=Y", content=DOCUMENT), fail())
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (500, 500)
    assert (problem["code"], problem["detail"]) == ("SELECT_AMBIGUOUS", "two markets")
    assert problem["requestId"] == held.request_id
    assert problem["requestStatus"] == "failed"
    assert problem["failure"] == REPORT


async def test_a_wait_that_ends_first_gets_the_id_and_the_request_goes_on(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    answer = await client.post("/valuation", content=DOCUMENT, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"
    assert answer.headers["preference-applied"] == "wait=0"
    held = await orchestrator.succeed_one(RESPONSE)
    assert held.request_id == answer.json()["requestId"]
    assert (await client.get(f"/valuation/{held.request_id}/results")).content == RESPONSE


async def test_respond_async_is_honoured_and_told(client: httpx.AsyncClient) -> None:
    headers = {"Prefer": "respond-async"}
    answer = await client.post("/valuation?sync=Y", content=DOCUMENT, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert answer.headers["preference-applied"] == "respond-async"


async def test_a_preferred_wait_gets_the_response(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    answer, _ = await asyncio.gather(
        client.post("/valuation", content=DOCUMENT, headers={"Prefer": "wait=9"}),
        orchestrator.succeed_one(RESPONSE),
    )
    assert (answer.status_code, answer.content) == (200, RESPONSE)
    assert answer.headers["preference-applied"] == "wait=9"


# --- status and results --------------------------------------------------------------------------


async def test_the_status_tells_how_far_a_request_is(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    place = f"/valuation/{request_id}/status"
    before = (await client.get(place)).json()
    assert (before["status"], before["currentGroup"], before["groups"]) == ("received", None, [])

    held = await orchestrator.take_one()
    await held.save_hydrated({"document": DOCUMENT}, 1)
    await held.start_group(0, "g", 3)
    answer = await client.get(place)
    assert answer.headers["cache-control"] == "no-store"
    during = answer.json()
    assert (during["status"], during["currentGroup"]) == ("group_started", 0)
    assert during["groups"] == [
        {
            "index": 0,
            "name": "g",
            "status": "started",
            "expected": 3,
            "completed": 0,
            "failed": 0,
            "onFailure": "stop",
        }
    ]
    assert during["completedAt"] is None
    assert (during["run"], during["onFailure"], during["deadlineAt"]) == (1, None, None)

    await held.fail(REPORT, [3], 60)
    after = (await client.get(place)).json()
    assert (after["status"], after["groupCount"], after["failure"]) == ("failed", 1, REPORT)
    times = [datetime.fromisoformat(after[name]) for name in ("receivedAt", "completedAt")]
    assert times[0] <= times[1]
    assert times[0].tzinfo is not None


async def test_results_before_the_end_are_not_ready(client: httpx.AsyncClient) -> None:
    request_id = await submitted(client)
    answer = await client.get(f"/valuation/{request_id}/results")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404, "RESULT_NOT_READY")
    assert problem["title"] == "Result not yet available."
    assert (problem["requestId"], problem["requestStatus"]) == (request_id, "received")


async def test_results_of_a_failed_request_are_its_report(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    held = await orchestrator.take_one()
    await held.fail(REPORT, [], 60)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert (answer.status_code, answer.json()["failure"]) == (422, REPORT)


async def test_results_are_served_as_data_and_never_as_a_page(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    await orchestrator.succeed_one(RESPONSE)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert (answer.status_code, answer.content) == (200, RESPONSE)
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("what", ["status", "results"])
async def test_an_unknown_request_is_told_from_an_expired_one(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections, keys: Keys, what: str
) -> None:
    unknown = await client.get(f"/valuation/{uuid.uuid4()}/{what}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "REQUEST_NOT_FOUND")

    request_id = RequestId(await submitted(client))
    await orchestrator.succeed_one()
    await connections.commands.delete(keys.state(request_id), keys.response(request_id))
    expired = await client.get(f"/valuation/{request_id}/{what}")
    assert (expired.status_code, expired.json()["code"]) == (410, "REQUEST_EXPIRED")


@pytest.mark.parametrize(
    "text",
    ["x", "..", "{0}", "0B2FF7F2-9BB3-4BE4-A9A0-2F2F3F2D5C11", "%00", "*", "a:b"],
)
async def test_an_id_that_is_none_never_touches_a_key(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.get(f"/valuation/{text}/status")
    assert answer.status_code == 404
    assert answer.json()["code"] in {"REQUEST_ID_INVALID", "ROUTE_NOT_FOUND"}


# --- health --------------------------------------------------------------------------------------


async def test_the_process_is_healthy_whatever_else_is(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_names_the_part_that_is_missing(
    client: httpx.AsyncClient, consumers: Callable[[], Awaitable[None]]
) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "NOT_READY")
    assert answer.json()["failed"] == ["orchestrators", "workers"]
    assert "retry-after" in answer.headers

    await consumers()
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["checks"] == {
        "redis": "answers",
        "server": "is as it must be",
        "lifecycle": "follows",
        "orchestrators": "1 seen",
        "workers": "1 seen",
        "backlog": "0 of 10000 requests, 0 of 200000 tasks",
        "memory": "has no limit",
    }


@pytest.mark.parametrize("demand", ["refuse", "warn"])
async def test_readiness_tells_a_server_that_evicts(
    client: httpx.AsyncClient,
    consumers: Callable[[], Awaitable[None]],
    connections: Connections,
    door: Any,
    demand: str,
) -> None:
    await consumers()
    door.readiness._eviction = demand
    await connections.commands.config_set("maxmemory-policy", "volatile-lru")
    try:
        answer = await client.get("/readyz")
    finally:
        await connections.commands.config_set("maxmemory-policy", "noeviction")
    assert answer.json()["checks"]["server"] == "volatile-lru"
    assert answer.json().get("failed", []) == (["server"] if demand == "refuse" else [])
    assert answer.status_code == (503 if demand == "refuse" else 200)


async def test_a_consumer_that_fell_silent_is_not_counted(
    client: httpx.AsyncClient, consumers: Callable[[], Awaitable[None]], door: Any
) -> None:
    await consumers()
    door.readiness._fresh_ms = -1
    assert (await client.get("/readyz")).json()["failed"] == ["orchestrators", "workers"]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_description_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200
