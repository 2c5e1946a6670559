"""What a client may do to a request that is there: cancel it, have it run again."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from vncore.connection import Connections
from vncore.errors import Superseded
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import IngestEntry

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
RESPONSE = b"<vnml><project/></vnml>"
REPORT = {"code": "SCRIPT_FAILED", "category": "script", "message": "exit status 1"}

pytestmark = pytest.mark.usefixtures("reading")

End = Callable[[Any, Any, httpx.AsyncClient], Awaitable[None]]


async def submitted(client: httpx.AsyncClient, query: str = "") -> RequestId:
    answer = await client.post(f"/valuation{query}", content=DOCUMENT)
    assert answer.status_code == 202
    return RequestId(answer.json()["requestId"])


async def succeed(held: Any) -> None:
    await held.succeed(RESPONSE, [0], 60)


async def end_partial(held: Any) -> None:
    await held.end_partial(RESPONSE, REPORT, [0], 60)


async def fail(held: Any) -> None:
    await held.fail(REPORT, [0], 60)


# --- cancel --------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [False, True])
async def test_a_cancelled_request_is_over_whoever_has_it(
    client: httpx.AsyncClient,
    orchestrator: Any,
    connections: Connections,
    keys: Keys,
    taken: bool,
) -> None:
    request_id = await submitted(client)
    held = await orchestrator.take_one() if taken else None
    for _ in range(2):  # the second one changes nothing
        answer = await client.delete(f"/valuation/{request_id}")
        assert answer.status_code == 202
        assert answer.json() == {"requestId": request_id, "status": "cancelled"}
        assert answer.headers["location"] == f"/valuation/{request_id}/status"
    status = (await client.get(f"/valuation/{request_id}/status")).json()
    assert (status["status"], status["failure"]) == ("cancelled", None)
    assert datetime.fromisoformat(status["completedAt"])
    assert await connections.commands.xlen(keys.ingest) == 0
    if held is not None:
        with pytest.raises(Superseded):
            await held.start_group(0, "g", 1)
    left = [key async for key in connections.commands.scan_iter(f"*{request_id}*")]
    assert left
    for key in left:
        assert 0 < await connections.commands.ttl(key) <= 60  # what the door was told


async def test_whoever_waits_for_a_cancelled_request_is_told_at_once(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    waiting = asyncio.create_task(client.post("/valuation?sync=Y", content=DOCUMENT))
    held = await orchestrator.take_one()
    await client.delete(f"/valuation/{held.request_id}")
    answer = await asyncio.wait_for(waiting, 2)
    results = await client.get(f"/valuation/{held.request_id}/results")
    for told in (answer, results):  # nobody's fault, so the same in both
        assert (told.status_code, told.json()["code"]) == (422, "REQUEST_CANCELLED")
        assert told.json()["requestStatus"] == "cancelled"
        assert told.json()["requestId"] == held.request_id
        assert "failure" not in told.json()


@pytest.mark.parametrize(
    ("end", "status"), [(succeed, "succeeded"), (end_partial, "partial"), (fail, "failed")]
)
async def test_what_has_ended_otherwise_cannot_be_cancelled(
    client: httpx.AsyncClient, orchestrator: Any, end: Any, status: str
) -> None:
    request_id = await submitted(client)
    await end(await orchestrator.take_one())
    answer = await client.delete(f"/valuation/{request_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "REQUEST_OVER")
    assert answer.json()["requestStatus"] == status
    assert status in answer.json()["detail"]
    assert (await client.get(f"/valuation/{request_id}/status")).json()["status"] == status


async def call(client: httpx.AsyncClient, verb: str, request_id: str) -> httpx.Response:
    if verb == "cancel":
        return await client.delete(f"/valuation/{request_id}")
    return await client.post(f"/valuation/{request_id}/redrive")


@pytest.mark.parametrize("verb", ["cancel", "redrive"])
async def test_an_unknown_request_is_told_from_an_expired_one(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections, keys: Keys, verb: str
) -> None:
    invalid = await call(client, verb, "X")
    assert (invalid.status_code, invalid.json()["code"]) == (404, "REQUEST_ID_INVALID")
    unknown = await call(client, verb, str(uuid.uuid4()))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "REQUEST_NOT_FOUND")

    request_id = await submitted(client)
    await orchestrator.succeed_one()
    await connections.commands.delete(keys.state(request_id), keys.response(request_id))
    expired = await call(client, verb, request_id)
    assert (expired.status_code, expired.json()["code"]) == (410, "REQUEST_EXPIRED")


# --- redrive -------------------------------------------------------------------------------------


async def cancel(held: Any, client: httpx.AsyncClient) -> None:
    assert (await client.delete(f"/valuation/{held.request_id}")).status_code == 202


@pytest.mark.parametrize("end", [fail, end_partial, cancel])
async def test_a_redriven_request_waits_for_an_orchestrator_again(
    client: httpx.AsyncClient, orchestrator: Any, end: Any
) -> None:
    request_id = await submitted(client, "?onFailure=continue&deadlineMs=60000")
    held = await orchestrator.take_one()
    await (end(held, client) if end is cancel else end(held))
    headers = {"X-Request-Id": "desk-2"}
    answer = await client.post(f"/valuation/{request_id}/redrive", headers=headers)
    assert answer.status_code == 202
    assert answer.json() == {"requestId": request_id, "status": "accepted", "run": 2}
    assert answer.headers["location"] == f"/valuation/{request_id}/status"

    status = (await client.get(f"/valuation/{request_id}/status")).json()
    assert (status["status"], status["run"]) == ("received", 2)
    assert (status["onFailure"], status["deadlineAt"]) == ("continue", None)
    assert (status["completedAt"], status["failure"]) == (None, None)
    results = await client.get(f"/valuation/{request_id}/results")
    assert (results.status_code, results.json()["code"]) == (404, "RESULT_NOT_READY")

    (delivery,) = await orchestrator.deliveries()
    entry = IngestEntry.from_fields(delivery.fields)
    assert (entry.request_id, entry.run, entry.on_failure) == (request_id, 2, "continue")
    assert (entry.deadline_ms, entry.trace.correlation_id) == (None, "desk-2")


async def test_a_redrive_has_the_deadline_that_it_is_given(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    await fail(await orchestrator.take_one())
    answer = await client.post(f"/valuation/{request_id}/redrive?deadlineMs=3600000")
    assert answer.status_code == 202
    status = (await client.get(f"/valuation/{request_id}/status")).json()
    left = datetime.fromisoformat(status["deadlineAt"]) - datetime.now().astimezone()
    assert 3_500 < left.total_seconds() <= 3_600


async def test_a_redrive_with_a_wrong_deadline_changes_nothing(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    await fail(await orchestrator.take_one())
    answer = await client.post(f"/valuation/{request_id}/redrive?deadlineMs=0")
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAMETER_INVALID")
    assert (await client.get(f"/valuation/{request_id}/status")).json()["status"] == "failed"


@pytest.mark.parametrize("ended", [False, True])
async def test_what_runs_or_has_succeeded_cannot_be_redriven(
    client: httpx.AsyncClient, orchestrator: Any, ended: bool
) -> None:
    request_id = await submitted(client)
    if ended:
        await orchestrator.succeed_one()
    answer = await client.post(f"/valuation/{request_id}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "REQUEST_NOT_REDRIVABLE")
    assert answer.json()["requestId"] == request_id


async def test_of_racing_redrives_one_begins_a_run(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections, keys: Keys
) -> None:
    request_id = await submitted(client)
    await fail(await orchestrator.take_one())
    answers = await asyncio.gather(
        *(client.post(f"/valuation/{request_id}/redrive") for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert await connections.commands.xlen(keys.ingest) == 1


async def test_a_call_that_waited_is_not_given_what_a_redrive_has_taken_away(
    client: httpx.AsyncClient, orchestrator: Any, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody redrives the request between its end and the answer to who waited for it."""
    report = door.store.failure

    async def after_a_redrive(request_id: RequestId) -> Any:
        monkeypatch.setattr(door.store, "failure", report)
        assert (await client.post(f"/valuation/{request_id}/redrive")).status_code == 202
        return await report(request_id)

    waiting = asyncio.create_task(client.post("/valuation?sync=Y", content=DOCUMENT))
    held = await orchestrator.take_one()
    monkeypatch.setattr(door.store, "failure", after_a_redrive)
    await fail(held)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    await succeed(await orchestrator.take_one())
    assert (await client.get(f"/valuation/{held.request_id}/results")).content == RESPONSE


async def test_what_a_later_run_left_is_not_told_as_the_end_of_an_earlier_one(
    client: httpx.AsyncClient, orchestrator: Any, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await submitted(client)
    await end_partial(await orchestrator.take_one())
    response = door.store.response_chunks

    async def after_a_whole_run(asked: RequestId) -> Any:
        monkeypatch.setattr(door.store, "response_chunks", response)
        assert (await client.post(f"/valuation/{request_id}/redrive")).status_code == 202
        await succeed(await orchestrator.take_one())
        return await response(asked)

    monkeypatch.setattr(door.store, "response_chunks", after_a_whole_run)
    answer = await client.get(f"/valuation/{request_id}/results")
    assert (answer.status_code, answer.content) == (200, RESPONSE)
    assert answer.headers["vn-request-status"] == "succeeded"


# --- partial ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "status"), [(succeed, "succeeded"), (end_partial, "partial")])
async def test_a_response_document_says_how_its_request_ended(
    client: httpx.AsyncClient, orchestrator: Any, end: Any, status: str
) -> None:
    waiting = asyncio.create_task(client.post("/valuation?sync=Y", content=DOCUMENT))
    held = await orchestrator.take_one()
    await end(held)
    results = await client.get(f"/valuation/{held.request_id}/results")
    for answer in (await waiting, results):
        assert (answer.status_code, answer.content) == (200, RESPONSE)
        assert answer.headers["vn-request-status"] == status


async def test_the_status_of_a_partial_request_has_its_report(
    client: httpx.AsyncClient, orchestrator: Any
) -> None:
    request_id = await submitted(client)
    await end_partial(await orchestrator.take_one())
    status = (await client.get(f"/valuation/{request_id}/status")).json()
    assert (status["status"], status["failure"]) == ("partial", REPORT)
