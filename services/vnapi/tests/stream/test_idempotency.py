"""A submission that is sent again: the same request, answered as the first would be now."""

import asyncio
from typing import Any

import httpx
import pytest

from vnapi.idempotency import idempotency_of
from vncore.connection import Connections
from vncore.ids import DEFAULT_TENANT, RequestId
from vncore.keys import Keys
from vncore.requests import Submission, Submitted

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
RESPONSE = b"<vnml><project/></vnml>"
REPORT = {"code": "SELECT_AMBIGUOUS", "category": "reference", "message": "two markets"}
KEY = {"Idempotency-Key": '"k-1"'}

pytestmark = pytest.mark.usefixtures("reading")


async def submit(client: httpx.AsyncClient, query: str = "", **headers: str) -> httpx.Response:
    return await client.post(f"/valuation{query}", content=DOCUMENT, headers=KEY | headers)


async def queued(connections: Connections, keys: Keys) -> int:
    return int(await connections.commands.xlen(keys.ingest))


async def test_a_repetition_gets_the_first_id_and_changes_nothing(
    client: httpx.AsyncClient, connections: Connections, keys: Keys
) -> None:
    first = await submit(client)
    before = await connections.commands.dbsize()
    second = await submit(client, **{"Idempotency-Key": "k-1"})  # bare is the same key
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await queued(connections, keys) == 1
    assert await connections.commands.dbsize() == before


async def test_of_racing_submissions_one_becomes_the_request(
    client: httpx.AsyncClient, connections: Connections, keys: Keys
) -> None:
    answers = await asyncio.gather(*(submit(client) for _ in range(20)))
    assert len({answer.json()["requestId"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
    assert await queued(connections, keys) == 1


@pytest.mark.parametrize(
    ("document", "query"),
    [
        pytest.param(DOCUMENT + b"\n", "", id="another document"),
        pytest.param(DOCUMENT, "?onFailure=continue", id="another policy"),
        pytest.param(DOCUMENT, "?deadlineMs=5000", id="another deadline"),
    ],
)
async def test_a_key_used_for_something_else_is_refused(
    client: httpx.AsyncClient,
    connections: Connections,
    keys: Keys,
    document: bytes,
    query: str,
) -> None:
    await submit(client)
    answer = await client.post(f"/valuation{query}", content=document, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await queued(connections, keys) == 1


async def test_another_key_is_another_request(client: httpx.AsyncClient) -> None:
    first, second = await submit(client), await submit(client, **{"Idempotency-Key": '"k-2"'})
    assert first.json()["requestId"] != second.json()["requestId"]
    assert "idempotency-replayed" not in second.headers


@pytest.mark.parametrize("key", ["", "a b", '"a', "k" * 129])
async def test_what_is_no_key_is_refused_and_nothing_is_kept(
    client: httpx.AsyncClient, connections: Connections, key: str
) -> None:
    answer = await submit(client, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert await connections.commands.dbsize() == 0


async def test_a_key_sent_twice_is_refused(client: httpx.AsyncClient) -> None:
    headers = [("Content-Type", "application/xml"), *[("Idempotency-Key", "k")] * 2]
    answer = await client.post("/valuation", content=DOCUMENT, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")


# --- with sync ---------------------------------------------------------------------------------


async def test_a_synchronous_repetition_waits_for_the_request_that_runs(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    first = await submit(client)
    held = await orchestrator.take_one()
    again = asyncio.create_task(submit(client, "?sync=Y"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(again), 0.3)
    await held.succeed(RESPONSE, [0], 60)
    answer = await again
    assert (answer.status_code, answer.content) == (200, RESPONSE)
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.headers["content-location"] == (f"/valuation/{first.json()['requestId']}/results")


async def test_a_synchronous_repetition_of_what_has_ended_is_answered_at_once(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    await submit(client)
    await orchestrator.succeed_one(RESPONSE)
    for _ in range(2):
        answer = await asyncio.wait_for(submit(client, "?sync=Y"), 2)
        assert (answer.status_code, answer.content) == (200, RESPONSE)


async def test_both_of_two_synchronous_submissions_get_the_response(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    one, two, _ = await asyncio.gather(
        submit(client, "?sync=Y"), submit(client, "?sync=Y"), orchestrator.succeed_one(RESPONSE)
    )
    assert (one.content, two.content) == (RESPONSE, RESPONSE)
    assert ("idempotency-replayed" in one.headers) != ("idempotency-replayed" in two.headers)


async def test_a_synchronous_repetition_gets_the_failure_report(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    await submit(client)
    held = await orchestrator.take_one()
    await held.fail(REPORT, [], 60)
    answer = await submit(client, "?sync=Y")
    assert (answer.status_code, answer.json()["failure"]) == (500, REPORT)
    assert answer.json()["requestId"] == held.request_id
    assert answer.headers["idempotency-replayed"] == "true"


async def test_a_repetition_after_a_redrive_waits_for_the_new_run(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    await submit(client)
    held = await orchestrator.take_one()
    await held.fail(REPORT, [], 60)
    await client.post(f"/valuation/{held.request_id}/redrive")
    answer, _ = await asyncio.gather(submit(client, "?sync=Y"), orchestrator.succeed_one(RESPONSE))
    assert (answer.status_code, answer.content) == (200, RESPONSE)


async def test_the_wait_of_a_repetition_ends_with_the_clients_patience(
    client: httpx.AsyncClient,
) -> None:
    first = await submit(client)
    answer = await submit(client, Prefer="wait=0")
    assert answer.json() == {"requestId": first.json()["requestId"], "status": "pending"}
    assert answer.headers["preference-applied"] == "wait=0"


# --- how long a key is remembered ----------------------------------------------------------------


async def test_a_key_is_remembered_exactly_as_long_as_its_request(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections, keys: Keys
) -> None:
    redis = connections.commands
    first = await submit(client)
    request_id = RequestId(first.json()["requestId"])
    digest = idempotency_of("k-1", DEFAULT_TENANT, DOCUMENT, on_failure="", deadline_ms=None)
    key = keys.idempotency(DEFAULT_TENANT, digest.key_digest)
    assert await redis.ttl(key) == -1  # while the request runs
    held = await orchestrator.take_one()
    await held.fail(REPORT, [], 60)
    assert 0 < await redis.ttl(key) <= 60
    assert abs(await redis.pttl(key) - await redis.pttl(keys.state(request_id))) < 100
    await client.post(f"/valuation/{request_id}/redrive")
    assert await redis.ttl(key) == -1


async def test_once_its_request_is_gone_a_key_begins_a_new_one(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections
) -> None:
    first = await submit(client)
    await orchestrator.succeed_one()
    await connections.commands.flushall()
    second = await submit(client)
    assert second.json()["requestId"] != first.json()["requestId"]
    assert "idempotency-replayed" not in second.headers


async def test_a_step_that_had_to_be_repeated_is_no_repetition_of_the_client(
    client: httpx.AsyncClient, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the server's answer to the atomic step got lost, and the step was sent again."""
    once = door.store.submit

    async def twice(submission: Submission) -> Submitted:
        await once(submission)
        return await once(submission)

    monkeypatch.setattr(door.store, "submit", twice)
    answer = await submit(client)
    assert answer.status_code == 202
    assert "idempotency-replayed" not in answer.headers
