"""Both clients against a scripted transport: what is sent, what each answer becomes."""

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from vnclient import (
    Accepted,
    AsyncClient,
    Client,
    Completed,
    RequestExpired,
    RequestFailed,
    RequestNotFound,
    RequestNotRedrivable,
    RequestOver,
    RequestRefused,
    ResultNotReady,
    ServerFailed,
    ServerUnreachable,
    UnexpectedAnswer,
    VnClientError,
    WaitTimedOut,
    calls,
    submission,
)
from vnclient.answers import Failure, GroupStatus, Redriven

ID = "0b8f6d7e-4a52-4f0e-9f5c-3f5a1c0a7a11"
XML = b"<vnml><project><group/></project></vnml>"
RESPONSE = b"<vnml><project><group><valuation/></group></project></vnml>"
PROBLEM = "application/problem+json"
REPORT = {
    "code": "SCRIPT_FAILED",
    "category": "script",
    "retryable": True,
    "message": "the script ended with status 1",
    "stage": "tasks",
    "group": "prices",
    "groupIndex": 0,
    "valuation": "bond",
    "task": 12,
    "attempts": 3,
    "exitStatus": 1,
    "stderr": "no curve\n",
    "fingerprint": "0123456789ab",
    "failedTasks": [{"code": "SCRIPT_FAILED", "message": "again", "task": 12, "unheard": "of"}],
}

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(params=["blocking", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "POLL_SECONDS", (0.001, 0.002))
    monkeypatch.setattr(submission, "RESEND_SECONDS", (0.001, 0.001, 0.001))


def ask(kind: str, handler: Handler, verb: str, *arguments: Any, **options: Any) -> Any:
    """Call one verb of either client; a watch gives the list of what it gave."""
    if kind == "blocking":
        with Client("http://vn.test/", transport=httpx.MockTransport(handler)) as client:
            given = getattr(client, verb)(*arguments, **options)
            return list(given) if isinstance(given, Iterator) else given

    async def asked() -> Any:
        transport = httpx.MockTransport(handler)
        async with AsyncClient("http://vn.test/", transport=transport) as client:
            given = getattr(client, verb)(*arguments, **options)
            return [one async for one in given] if inspect.isasyncgen(given) else await given

    return asyncio.run(asked())


def answering(*responses: httpx.Response | Exception) -> Handler:
    """Answer with these in turn, the last one for ever."""
    left = list(responses)

    def handler(_request: httpx.Request) -> httpx.Response:
        response = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(response, Exception):
            raise response
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )

    return handler


def problem(http_status: int, code: str, **facts: Any) -> httpx.Response:
    body = {"type": "about:blank", "title": code.title(), "status": http_status, "code": code}
    headers = {"Content-Type": PROBLEM}
    return httpx.Response(http_status, content=json.dumps(body | facts), headers=headers)


def status_of(status: str, completed: int = 0, failure: Any = None, **facts: Any) -> httpx.Response:
    group = {"index": 0, "name": "prices", "status": "started", "expected": 3}
    return httpx.Response(
        200,
        json={
            "requestId": ID,
            "status": status,
            "currentGroup": 0,
            "groupCount": 1,
            "groups": [group | {"completed": completed, "failed": 0}],
            "receivedAt": "2026-01-02T03:04:05.678Z",
            "startedAt": "2026-01-02T03:04:05.700+00:00",
            "completedAt": None,
            "failure": failure,
            **facts,
        },
    )


def test_submit_sends_the_document_and_gives_the_id(kind: str, tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"requestId": ID, "status": "accepted"})

    file = tmp_path / "request.xml"
    file.write_bytes(XML)
    answer = ask(kind, handler, "submit", file)
    assert answer == Accepted(ID, "accepted")
    assert str(seen[0].url) == "http://vn.test/valuation?sync=N"
    assert seen[0].content == XML
    assert seen[0].headers["Content-Type"] == "application/xml"


def test_a_document_as_text_is_refused_before_anything_is_sent(kind: str) -> None:
    with pytest.raises(TypeError, match=r"pathlib\.Path"):
        ask(kind, answering(httpx.Response(500)), "submit", "<vnml/>")


def test_a_status_becomes_a_value(kind: str) -> None:
    found = ask(kind, answering(status_of("group_started", 2)), "status", ID)
    assert (found.request_id, found.status, found.current_group) == (ID, "group_started", 0)
    assert found.groups == (GroupStatus(0, "prices", "started", 3, 2, 0),)
    assert found.received_at == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert (found.completed_at, found.failure, found.is_terminal) == (None, None, False)


def test_a_status_of_an_older_server_has_one_run_and_no_deadline(kind: str) -> None:
    found = ask(kind, answering(status_of("started")), "status", ID)
    assert (found.run, found.on_failure, found.deadline_at) == (1, None, None)


def test_a_status_tells_run_policy_and_deadline(kind: str) -> None:
    facts = {"run": 2, "onFailure": "continue", "deadlineAt": "2026-01-02T03:14:05.678Z"}
    found = ask(kind, answering(status_of("started", **facts)), "status", ID)
    assert (found.run, found.on_failure) == (2, "continue")
    assert found.deadline_at == datetime(2026, 1, 2, 3, 14, 5, 678_000, tzinfo=UTC)


def test_a_failure_report_keeps_every_fact(kind: str) -> None:
    found = ask(kind, answering(status_of("failed", failure=REPORT)), "status", ID)
    assert found.is_terminal
    assert found.failure == Failure(
        code="SCRIPT_FAILED",
        message="the script ended with status 1",
        category="script",
        retryable=True,
        stage="tasks",
        group="prices",
        group_index=0,
        valuation="bond",
        task=12,
        attempts=3,
        exit_status=1,
        stderr="no curve\n",
        tasks=(Failure(code="SCRIPT_FAILED", message="again", task=12),),
    )
    assert found.failure.raw["fingerprint"] == "0123456789ab"


def test_a_synchronous_submission_gives_the_response_or_says_pending(kind: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if "wait=2" in request.headers.get("Prefer", ""):
            return httpx.Response(202, json={"requestId": ID, "status": "pending"})
        headers = {"Content-Location": f"/valuation/{ID}/results"}
        return httpx.Response(200, content=RESPONSE, headers=headers)

    assert ask(kind, handler, "submit_sync", XML) == Completed(RESPONSE, ID)
    assert ask(kind, handler, "submit_sync", XML, wait_seconds=2) == Accepted(ID, "pending")
    assert seen[0].url.params["sync"] == "Y"
    assert seen[0].extensions["timeout"]["read"] > 120


def test_value_goes_on_waiting_after_pending(kind: str) -> None:
    handler = answering(
        httpx.Response(202, json={"requestId": ID, "status": "pending"}),
        status_of("group_started", 1),
        status_of("succeeded", 3),
        httpx.Response(200, content=RESPONSE),
    )
    assert ask(kind, handler, "value", XML) == RESPONSE


@pytest.mark.parametrize("told_by", ["the submission", "the status", "the results"])
def test_value_raises_the_report_of_a_failed_request(kind: str, told_by: str) -> None:
    pending = httpx.Response(202, json={"requestId": ID, "status": "pending"})
    told = {"requestId": ID, "requestStatus": "failed", "failure": REPORT}
    failed = problem(500, "SCRIPT_FAILED", **told)
    unprocessable = problem(422, "SCRIPT_FAILED", **told)
    handler = {
        "the submission": answering(failed),
        "the status": answering(pending, status_of("failed", failure=REPORT)),
        "the results": answering(pending, status_of("failed"), unprocessable),
    }[told_by]
    with pytest.raises(RequestFailed, match="the script ended with status 1") as caught:
        ask(kind, handler, "value", XML)
    assert (caught.value.request_id, caught.value.status) == (ID, "failed")
    assert caught.value.failure.stderr == "no curve\n"


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        pytest.param(
            problem(400, "XML_MALFORMED", detail="tag mismatch", line=3, column=7),
            RequestRefused,
            "XML_MALFORMED: tag mismatch (line 3, column 7)",
            id="malformed",
        ),
        pytest.param(
            problem(400, "XML_MALFORMED", detail="tag mismatch at line 3", line=3, column=7),
            RequestRefused,
            "XML_MALFORMED: tag mismatch at line 3",
            id="place said already",
        ),
        pytest.param(problem(413, "DOCUMENT_TOO_LARGE"), RequestRefused, "Document_Too", id="413"),
        pytest.param(problem(422, "NO_GROUP", detail="none"), RequestRefused, "none", id="422"),
        pytest.param(
            problem(404, "RESULT_NOT_READY", detail="Result not yet available"),
            ResultNotReady,
            "not yet",
            id="not ready",
        ),
        pytest.param(problem(404, "REQUEST_NOT_FOUND"), RequestNotFound, "FOUND", id="unknown"),
        pytest.param(problem(410, "REQUEST_EXPIRED"), RequestExpired, "EXPIRED", id="expired"),
        pytest.param(
            problem(422, "X", failure=REPORT), RequestFailed, "SCRIPT_FAILED", id="failed"
        ),
        pytest.param(
            problem(422, "REQUEST_FAILED", requestStatus="cancelled", detail="it was cancelled"),
            RequestFailed,
            "the request ended cancelled: REQUEST_FAILED: it was cancelled",
            id="cancelled",
        ),
        pytest.param(problem(503, "STORE_UNAVAILABLE"), ServerFailed, "STORE", id="store"),
        pytest.param(
            problem(409, "REQUEST_OVER", detail="it has ended failed", requestStatus="failed"),
            RequestOver,
            "REQUEST_OVER: it has ended failed",
            id="over",
        ),
        pytest.param(
            problem(409, "REQUEST_NOT_REDRIVABLE", detail="it runs", requestStatus="succeeded"),
            RequestNotRedrivable,
            "it runs",
            id="not redrivable",
        ),
        pytest.param(problem(409, "SUPERSEDED"), RequestRefused, "Superseded", id="409"),
        pytest.param(httpx.Response(502, text="<html>"), UnexpectedAnswer, "502", id="a proxy"),
        pytest.param(httpx.Response(404, json=["?"]), UnexpectedAnswer, "404", id="no problem"),
        pytest.param(httpx.ConnectError("refused"), ServerUnreachable, "refused", id="nobody"),
        pytest.param(httpx.ReadTimeout(""), ServerUnreachable, "in time", id="silence"),
        pytest.param(
            httpx.RemoteProtocolError(""), ServerUnreachable, "RemoteProtocol", id="hung up"
        ),
    ],
)
def test_each_refusal_is_an_error_that_says_it(
    kind: str, response: httpx.Response | Exception, error: type[VnClientError], said: str
) -> None:
    with pytest.raises(error) as caught:
        ask(kind, answering(response), "results", ID)
    assert said in str(caught.value)
    assert isinstance(caught.value, VnClientError)


def test_a_refusal_keeps_the_facts_of_the_problem(kind: str) -> None:
    response = problem(503, "QUEUE_FULL", detail="later", retryable=True, category="capacity")
    response.headers["Retry-After"] = "7"
    with pytest.raises(ServerFailed) as caught:
        ask(kind, answering(response), "submit", XML)
    err = caught.value
    assert (err.code, err.http_status, err.retryable, err.title) == (
        "QUEUE_FULL",
        503,
        True,
        "Queue_Full",
    )
    assert (err.problem.retry_after_seconds, err.problem.category) == (7.0, "capacity")


def test_a_watch_gives_each_change_once_and_ends_with_the_terminal_status(kind: str) -> None:
    handler = answering(
        status_of("started"),
        status_of("started"),
        status_of("group_started", 1),
        status_of("group_started", 1),
        status_of("succeeded", 3),
    )
    seen = ask(kind, handler, "watch", ID)
    assert [(one.status, one.groups[0].completed) for one in seen] == [
        ("started", 0),
        ("group_started", 1),
        ("succeeded", 3),
    ]


def test_a_wait_survives_a_server_that_is_away_for_a_moment(kind: str) -> None:
    handler = answering(
        status_of("started"),
        httpx.ConnectError("refused"),
        problem(503, "STORE_UNAVAILABLE"),
        status_of("succeeded", 3),
    )
    assert ask(kind, handler, "wait", ID).succeeded


def test_a_wait_for_a_server_that_stays_away_ends(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_OUTAGE_SECONDS", 0.02)
    handler = answering(status_of("started"), httpx.ConnectError("refused"))
    with pytest.raises(ServerUnreachable):
        ask(kind, handler, "wait", ID)


def test_a_wait_for_an_unknown_request_ends_at_once(kind: str) -> None:
    with pytest.raises(RequestNotFound):
        ask(kind, answering(problem(404, "REQUEST_NOT_FOUND")), "wait", ID)


def test_a_wait_ends_with_the_callers_patience(kind: str) -> None:
    with pytest.raises(WaitTimedOut, match="still running"):
        ask(kind, answering(status_of("started")), "wait", ID, timeout_seconds=0.02)


# --- what goes with a submission ---------------------------------------------------------------


class Recording:
    """Answers like `answering` and keeps what was asked."""

    def __init__(self, *responses: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answering(*responses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.requests]


ACCEPTED = httpx.Response(202, json={"requestId": ID, "status": "accepted"})
PENDING = httpx.Response(202, json={"requestId": ID, "status": "pending"})


@pytest.mark.parametrize("verb", ["submit", "submit_sync", "value", "complete"])
def test_key_deadline_and_policy_go_with_a_submission(kind: str, verb: str) -> None:
    server = Recording(ACCEPTED if verb == "submit" else httpx.Response(200, content=RESPONSE))
    terms = {"idempotency_key": "k-1", "deadline_ms": 5_000, "on_failure": "tolerate:10%"}
    ask(kind, server, verb, XML, **terms)
    (sent,) = server.requests
    assert sent.url.params["deadlineMs"] == "5000"
    assert sent.url.params["onFailure"] == "tolerate:10%"
    assert sent.headers["Idempotency-Key"] == '"k-1"'


def test_nothing_goes_with_a_submission_that_asks_for_nothing(kind: str) -> None:
    server = Recording(ACCEPTED)
    ask(kind, server, "submit", XML)
    assert dict(server.requests[0].url.params) == {"sync": "N"}
    assert server.keys() == [None]


def test_a_key_is_sent_as_a_quoted_string(kind: str) -> None:
    server = Recording(ACCEPTED)
    ask(kind, server, "submit", XML, idempotency_key=r'a"b\c')
    assert server.keys() == [r'"a\"b\\c"']


@pytest.mark.parametrize("key", ["", "a b", "é", "a\n", "k" * 129])
def test_what_is_no_key_is_refused_before_anything_is_sent(kind: str, key: str) -> None:
    server = Recording(ACCEPTED)
    with pytest.raises(VnClientError, match="idempotency key"):
        ask(kind, server, "submit", XML, idempotency_key=key)
    assert server.requests == []


def test_a_replay_is_told(kind: str) -> None:
    replayed = {"Idempotency-Replayed": "true"}
    body = {"requestId": ID, "status": "accepted"}
    accepted = ask(kind, answering(httpx.Response(202, json=body, headers=replayed)), "submit", XML)
    assert accepted == Accepted(ID, "accepted", replayed=True)
    done = httpx.Response(200, content=RESPONSE, headers=replayed)
    assert ask(kind, answering(done), "submit_sync", XML).replayed


# --- sent again ----------------------------------------------------------------------------------

BROKEN = httpx.ReadError("reset")


@pytest.mark.parametrize(
    "met",
    [
        pytest.param([BROKEN], id="a broken connection"),
        pytest.param([httpx.RemoteProtocolError("hung up")], id="a server that hung up"),
        pytest.param([httpx.ReadTimeout("")], id="silence"),
        pytest.param([BROKEN, httpx.ConnectError("refused")], id="a server that starts again"),
        pytest.param([httpx.Response(502, text="<html>")], id="a gateway without a server"),
        pytest.param([problem(503, "STORE_UNAVAILABLE", retryable=True)], id="a silent store"),
        pytest.param(
            [BROKEN, problem(503, "BACKLOG_FULL", retryable=True)], id="no room, once in doubt"
        ),
        pytest.param([BROKEN, BROKEN, BROKEN], id="three times"),
    ],
)
@pytest.mark.parametrize("verb", ["submit", "submit_sync"])
def test_with_a_key_a_submission_in_doubt_is_sent_again(
    kind: str, verb: str, met: list[httpx.Response | Exception]
) -> None:
    server = Recording(*met, ACCEPTED)
    assert ask(kind, server, verb, XML, idempotency_key="k").request_id == ID
    assert server.keys() == ['"k"'] * (len(met) + 1)
    assert {request.content for request in server.requests} == {XML}


@pytest.mark.parametrize(
    ("met", "error"),
    [
        pytest.param(httpx.ConnectError("refused"), ServerUnreachable, id="nobody there"),
        pytest.param(
            problem(503, "BACKLOG_FULL", retryable=True), ServerFailed, id="nothing was taken"
        ),
        pytest.param(problem(500, "INTERNAL", retryable=True), ServerFailed, id="a fault"),
        pytest.param(problem(422, "IDEMPOTENCY_KEY_REUSED"), RequestRefused, id="refused"),
        pytest.param(httpx.Response(404, text="?"), UnexpectedAnswer, id="not vnapi"),
        pytest.param(
            problem(500, "X", failure=REPORT, requestStatus="failed"), RequestFailed, id="failed"
        ),
    ],
)
def test_what_leaves_no_doubt_is_not_sent_again(
    kind: str, met: httpx.Response | Exception, error: type[VnClientError]
) -> None:
    server = Recording(met)
    with pytest.raises(error):
        ask(kind, server, "submit", XML, idempotency_key="k")
    assert len(server.requests) == 1


def test_without_a_key_a_submission_is_never_sent_again(kind: str) -> None:
    for verb in ("submit", "submit_sync"):
        server = Recording(BROKEN, ACCEPTED)
        with pytest.raises(ServerUnreachable):
            ask(kind, server, verb, XML)
        assert len(server.requests) == 1


def test_a_server_that_stays_away_is_given_up(kind: str) -> None:
    server = Recording(BROKEN)
    with pytest.raises(ServerUnreachable):
        ask(kind, server, "submit", XML, idempotency_key="k")
    assert len(server.requests) == 4


def test_the_time_that_a_server_asks_for_is_kept(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = problem(503, "STORE_UNAVAILABLE", retryable=True)
    full.headers["Retry-After"] = "0.2"
    began = time.monotonic()
    ask(kind, Recording(full, ACCEPTED), "submit", XML, idempotency_key="k")
    assert time.monotonic() - began >= 0.2


def test_value_makes_a_key_of_its_own_for_each_request(kind: str) -> None:
    server = Recording(BROKEN, httpx.Response(200, content=RESPONSE))
    assert ask(kind, server, "value", XML) == RESPONSE
    first, again = server.keys()
    assert first == again
    assert ask(kind, server, "value", XML) == RESPONSE
    assert server.keys()[2] not in {first, None}


def test_value_gives_up_when_its_time_is_over(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "RESEND_SECONDS", (0.05, 5.0))
    server = Recording(BROKEN)
    with pytest.raises(ServerUnreachable):
        ask(kind, server, "value", XML, timeout_seconds=0.01)
    assert len(server.requests) == 2


# --- partial, cancelled, run again ---------------------------------------------------------------


def test_a_response_with_failures_in_it_says_so(kind: str) -> None:
    headers = {"Content-Location": f"/valuation/{ID}/results", "VN-Request-Status": "partial"}
    at_once = Recording(httpx.Response(200, content=RESPONSE, headers=headers))
    later = Recording(
        PENDING, status_of("partial", 2, failure=REPORT), httpx.Response(200, content=RESPONSE)
    )
    for server in (at_once, later):
        completed = ask(kind, server, "complete", XML)
        assert completed == Completed(RESPONSE, ID, "partial")
        assert not completed.succeeded


def test_value_gives_the_response_of_a_partial_request(kind: str) -> None:
    server = Recording(
        PENDING, status_of("partial", 2, failure=REPORT), httpx.Response(200, content=RESPONSE)
    )
    assert ask(kind, server, "value", XML) == RESPONSE


def test_value_of_a_cancelled_request_says_that_it_was(kind: str) -> None:
    told = problem(422, "REQUEST_CANCELLED", requestId=ID, requestStatus="cancelled")
    for server in (Recording(told), Recording(PENDING, status_of("cancelled"), told)):
        with pytest.raises(RequestFailed, match="ended cancelled: REQUEST_CANCELLED") as caught:
            ask(kind, server, "value", XML)
        assert caught.value.status == "cancelled"


def test_cancel_is_done_or_says_how_the_request_has_ended(kind: str) -> None:
    server = Recording(httpx.Response(202, json={"requestId": ID, "status": "cancelled"}))
    assert ask(kind, server, "cancel", ID) is None
    (sent,) = server.requests
    assert (sent.method, sent.url.path) == ("DELETE", f"/valuation/{ID}")
    over = problem(409, "REQUEST_OVER", requestId=ID, requestStatus="partial")
    with pytest.raises(RequestOver) as caught:
        ask(kind, answering(over), "cancel", ID)
    assert caught.value.problem.request_status == "partial"


def test_redrive_gives_the_number_of_the_new_run(kind: str) -> None:
    answer = {"requestId": ID, "status": "accepted", "run": 3}
    server = Recording(httpx.Response(202, json=answer))
    assert ask(kind, server, "redrive", ID) == Redriven(ID, "accepted", 3)
    ask(kind, server, "redrive", ID, deadline_ms=60_000)
    assert [str(sent.url) for sent in server.requests] == [
        f"http://vn.test/valuation/{ID}/redrive",
        f"http://vn.test/valuation/{ID}/redrive?deadlineMs=60000",
    ]
    assert {sent.method for sent in server.requests} == {"POST"}


def test_a_redrive_is_never_sent_again_by_itself(kind: str) -> None:
    server = Recording(BROKEN)
    with pytest.raises(ServerUnreachable):
        ask(kind, server, "redrive", ID)
    assert len(server.requests) == 1


# --- the rest ------------------------------------------------------------------------------------


def test_ready_is_yes_or_no_with_what_is_missing(kind: str) -> None:
    assert ask(kind, answering(httpx.Response(200, json={"status": "ready"})), "ready")
    answer = ask(kind, answering(problem(503, "NOT_READY", detail="failed: workers")), "ready")
    assert not answer
    assert answer.detail == "failed: workers"


def test_an_id_never_leaves_its_place_in_the_path(kind: str) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return problem(404, "REQUEST_ID_INVALID")

    with pytest.raises(RequestNotFound):
        ask(kind, handler, "status", "../healthz?x=1#y")
    assert seen == ["/valuation/..%2Fhealthz%3Fx%3D1%23y/status"]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(VnClientError, match="not the address of a server"):
        Client(url)


def test_the_two_clients_have_the_same_verbs_with_the_same_arguments() -> None:
    def verbs(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(kind).items()
            if callable(member) and not name.startswith("_") and name not in {"close", "aclose"}
        }

    assert verbs(Client) == verbs(AsyncClient)


def test_one_blocking_client_serves_several_threads() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(202, json={"requestId": request.content.decode(), "status": "ok"})

    given: dict[int, str] = {}
    with Client("http://vn.test", transport=httpx.MockTransport(handler)) as client:

        def one(number: int) -> None:
            given[number] = client.submit(str(number).encode()).request_id

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert given == {number: str(number) for number in range(8)}
