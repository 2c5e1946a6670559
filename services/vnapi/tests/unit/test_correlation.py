"""Ids in and out, and what the unexpected looks like from outside."""

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.datastructures import Headers

from vnapi import problems
from vnapi.correlation import Correlation, trace_of
from vncore.errors import InvalidRequest, StoreFull, StoreUnavailable
from vncore.logs import logger

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(redirect_slashes=False)
    problems.install(app)
    app.add_middleware(Correlation, log=logger("vnapi-test"))

    @app.get("/trace")
    async def trace(request: Request) -> dict[str, str]:
        held = request.state.trace
        return {"correlation": held.correlation_id, "traceparent": held.traceparent}

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("the secret is 42")

    @app.get("/store")
    async def store() -> None:
        raise StoreUnavailable("redis://user:secret@host does not answer")

    @app.get("/full")
    async def full() -> None:
        raise StoreFull("submit_request: out of the secret memory")

    @app.get("/submitted")
    async def submitted(request: Request) -> None:
        request.state.request_id = "r-1"

    @app.get("/number")
    async def number(n: int) -> int:
        raise InvalidRequest("PARAMETER_INVALID", f"{n} is not liked")

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vn") as client:
        yield client


async def test_ids_of_the_client_are_kept_and_sent_back(client: httpx.AsyncClient) -> None:
    sent = {"X-Request-Id": "desk-7/order_12", "traceparent": PARENT}
    answer = await client.get("/trace", headers=sent)
    assert answer.json() == {"correlation": "desk-7/order_12", "traceparent": PARENT}
    assert answer.headers["x-request-id"] == "desk-7/order_12"
    assert answer.headers["traceparent"] == PARENT


async def test_missing_ids_are_made(client: httpx.AsyncClient) -> None:
    first, second = [(await client.get("/trace")).json() for _ in range(2)]
    assert first["correlation"] != second["correlation"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", first["traceparent"])


@pytest.mark.parametrize("sent", ["", "two words", "x" * 129, "é", "tab\there", "x\x7f"])
def test_an_id_with_other_characters_is_replaced(sent: str) -> None:
    assert trace_of(Headers({"x-request-id": sent})).correlation_id != sent


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(PARENT, True, id="version 00"),
        pytest.param(PARENT + "-more", False, id="version 00 with more"),
        pytest.param("01" + PARENT[2:] + "-more", True, id="a later version"),
        pytest.param("ff" + PARENT[2:], False, id="version ff"),
        pytest.param(PARENT.upper(), False, id="capitals"),
        pytest.param("00-" + "0" * 32 + PARENT[35:], False, id="no trace id"),
        pytest.param(PARENT[:36] + "0" * 16 + "-01", False, id="no parent id"),
        pytest.param(PARENT + "\n", False, id="line end"),
        pytest.param("nonsense", False, id="nonsense"),
    ],
)
def test_a_traceparent_is_kept_only_in_the_form_of_the_standard(sent: str, kept: bool) -> None:
    assert (trace_of(Headers({"traceparent": sent})).traceparent == sent) is kept


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        pytest.param("/broken", "GET", 500, "INTERNAL", id="a bug"),
        pytest.param("/store", "GET", 503, "STORE_UNAVAILABLE", id="the store"),
        pytest.param("/full", "GET", 503, "STORE_FULL", id="the store has no memory"),
        pytest.param("/none", "GET", 404, "ROUTE_NOT_FOUND", id="no route"),
        pytest.param("/trace/", "GET", 404, "ROUTE_NOT_FOUND", id="slash"),
        pytest.param("/trace", "POST", 405, "METHOD_NOT_ALLOWED", id="method"),
        pytest.param("/number?n=x", "GET", 400, "PARAMETER_INVALID", id="validation"),
        pytest.param("/number?n=1", "GET", 400, "PARAMETER_INVALID", id="refused"),
    ],
)
async def test_every_error_is_a_problem_document(
    client: httpx.AsyncClient, path: str, method: str, status: int, code: str
) -> None:
    answer = await client.request(method, path, headers={"X-Request-Id": "r1"})
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "r1"
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["type"] == f"urn:vn:error:{code}"
    assert "secret" not in answer.text
    assert "Error" not in answer.text


async def test_the_unexpected_tells_where_to_look_and_nothing_else(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await client.get("/broken", headers={"X-Request-Id": "r2"})
    assert answer.json()["correlationId"] == "r2"


async def test_a_method_not_allowed_names_those_that_are(client: httpx.AsyncClient) -> None:
    assert (await client.post("/trace")).headers["allow"] == "GET"


async def test_an_unavailable_store_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    assert int((await client.get("/store")).headers["retry-after"]) >= 1


async def test_each_call_is_one_log_line_with_its_ids(client: httpx.AsyncClient) -> None:
    lines: list[dict[str, object]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            formatter = logging.getLogger("vnapi-test").handlers[0].formatter
            assert formatter is not None
            lines.append(json.loads(formatter.format(record)))

    handler = Keep()
    logging.getLogger("vnapi-test").addHandler(handler)
    try:
        await client.get("/trace", headers={"X-Request-Id": "r3", "traceparent": PARENT})
    finally:
        logging.getLogger("vnapi-test").removeHandler(handler)
    (line,) = lines
    assert line["message"] == "call_answered"
    assert (line["correlation_id"], line["traceparent"]) == ("r3", PARENT)
    assert (line["method"], line["path"], line["http_status"]) == ("GET", "/trace", 200)


def records(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == event]


async def test_the_line_of_a_submission_names_the_request(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/submitted")
    await client.get("/trace")
    assert [line.get("request_id") for line in records(caplog, "call_answered")] == ["r-1", None]


async def test_why_the_store_failed_is_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/full")
    [line] = records(caplog, "store_failed")
    assert line["code"] == "STORE_FULL"
    assert line["error"] == "submit_request: out of the secret memory"
