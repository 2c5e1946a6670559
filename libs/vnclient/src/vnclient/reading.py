"""HTTP responses become values, and problem documents errors.

`calls` and `submission` read every response through here; nothing else of the client sees JSON.
Unknown fields are ignored, so that an older client can talk to a newer server.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from vnclient.answers import (
    TERMINAL,
    Accepted,
    Completed,
    Failure,
    GroupStatus,
    Readiness,
    Redriven,
    Status,
)
from vnclient.errors import (
    ApiError,
    Problem,
    RequestExpired,
    RequestFailed,
    RequestNotFound,
    RequestNotRedrivable,
    RequestOver,
    RequestRefused,
    ResultNotReady,
    ServerFailed,
    UnexpectedAnswer,
    VnClientError,
)

_EXCERPT = 200


def accepted(response: httpx.Response) -> Accepted:
    """Read the answer to an asynchronous submission."""
    facts = _expected(response, 202)
    return Accepted(_text(facts, "requestId"), _text(facts, "status"), _is_replayed(response))


def submitted(response: httpx.Response) -> Completed | Accepted:
    """Read the answer to a synchronous submission."""
    if response.status_code != httpx.codes.OK:
        return accepted(response)
    return Completed(
        response.content,
        _request_id_of(response),
        response.headers.get("VN-Request-Status", "succeeded"),
        _is_replayed(response),
    )


def cancelled(response: httpx.Response) -> None:
    """Read the answer to a cancel: there is nothing to tell unless it was refused."""
    _expected(response, 202)


def redriven(response: httpx.Response) -> Redriven:
    """Read the answer to a redrive."""
    facts = _expected(response, 202)
    return Redriven(_text(facts, "requestId"), _text(facts, "status"), _integer(facts, "run") or 1)


def document(response: httpx.Response) -> bytes:
    """Read a result: XML in UTF-8."""
    if response.status_code != httpx.codes.OK:
        raise refusal(response)
    return response.content


def status(response: httpx.Response) -> Status:
    """Read a request's status."""
    facts = _expected(response, 200)
    reported = facts.get("failure")
    return Status(
        request_id=_text(facts, "requestId"),
        status=_text(facts, "status"),
        current_group=_integer(facts, "currentGroup"),
        group_count=_integer(facts, "groupCount") or 0,
        groups=tuple(
            GroupStatus(
                index=_integer(group, "index") or 0,
                name=str(group.get("name") or ""),
                status=str(group.get("status") or ""),
                expected=_integer(group, "expected") or 0,
                completed=_integer(group, "completed") or 0,
                failed=_integer(group, "failed") or 0,
                on_failure=_optional(group, "onFailure"),
            )
            for group in facts.get("groups") or ()
        ),
        received_at=_moment(facts, "receivedAt"),
        started_at=_moment(facts, "startedAt"),
        completed_at=_moment(facts, "completedAt"),
        failure=failure(reported) if isinstance(reported, dict) else None,
        run=_integer(facts, "run") or 1,
        on_failure=_optional(facts, "onFailure"),
        deadline_at=_moment(facts, "deadlineAt"),
        raw=facts,
    )


def ready(response: httpx.Response) -> Readiness:
    """Read the readiness: 200 is yes, 503 is no."""
    if response.status_code == httpx.codes.OK:
        return Readiness(ready=True, detail="")
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        facts = _object(response) or {}
        return Readiness(ready=False, detail=str(facts.get("detail") or response.text[:_EXCERPT]))
    raise refusal(response)


def failure(facts: Mapping[str, Any]) -> Failure:
    """Read a failure report under its wire names."""
    return Failure(
        code=str(facts.get("code") or "INTERNAL"),
        message=str(facts.get("message") or facts.get("detail") or facts.get("title") or ""),
        category=_optional(facts, "category"),
        retryable=bool(facts.get("retryable")),
        rule=_optional(facts, "rule"),
        stage=_optional(facts, "stage"),
        group=_optional(facts, "group"),
        group_index=_integer(facts, "groupIndex"),
        valuation=_optional(facts, "valuation"),
        task=_integer(facts, "task"),
        element=_optional(facts, "element"),
        line=_integer(facts, "line"),
        column=_integer(facts, "column"),
        expression=_optional(facts, "expression"),
        uri=_optional(facts, "uri"),
        attempts=_integer(facts, "attempts"),
        exit_status=_integer(facts, "exitStatus"),
        stderr=str(facts.get("stderr") or ""),
        tasks=tuple(
            failure(task) for task in facts.get("failedTasks") or () if isinstance(task, dict)
        ),
        raw=facts,
    )


def refusal(response: httpx.Response) -> VnClientError:
    """Turn an answer that is no success into the error that tells who acts next."""
    facts = _object(response)
    if facts is None or "code" not in facts:
        return UnexpectedAnswer(response.status_code, response.text[:_EXCERPT].strip() or "empty")
    reported = facts.get("failure")
    ended = facts.get("requestStatus")
    is_conflict = response.status_code == httpx.codes.CONFLICT  # with how it ended, not about it
    if not is_conflict and (isinstance(reported, dict) or ended in TERMINAL):
        report = failure(reported if isinstance(reported, dict) else facts)
        return RequestFailed(_optional(facts, "requestId"), str(ended or "failed"), report)
    problem = Problem(
        http_status=response.status_code,
        code=str(facts["code"]),
        title=str(facts.get("title") or facts["code"]),
        detail=str(facts.get("detail") or ""),
        category=_optional(facts, "category"),
        retryable=bool(facts.get("retryable")),
        rule=_optional(facts, "rule"),
        group=_optional(facts, "group"),
        group_index=_integer(facts, "groupIndex"),
        valuation=_optional(facts, "valuation"),
        task=_integer(facts, "task"),
        element=_optional(facts, "element"),
        line=_integer(facts, "line"),
        column=_integer(facts, "column"),
        expression=_optional(facts, "expression"),
        uri=_optional(facts, "uri"),
        request_id=_optional(facts, "requestId"),
        request_status=_optional(facts, "requestStatus"),
        retry_after_seconds=_seconds(response.headers.get("Retry-After")),
    )
    return _kind_of(problem)(problem)


_KINDS: Mapping[str, type[ApiError]] = {
    "RESULT_NOT_READY": ResultNotReady,
    "REQUEST_OVER": RequestOver,
    "REQUEST_NOT_REDRIVABLE": RequestNotRedrivable,
}


def _kind_of(problem: Problem) -> type[ApiError]:
    if problem.code in _KINDS:
        return _KINDS[problem.code]
    if problem.http_status == httpx.codes.NOT_FOUND:
        return RequestNotFound
    if problem.http_status == httpx.codes.GONE:
        return RequestExpired
    return ServerFailed if problem.http_status >= 500 else RequestRefused


def _expected(response: httpx.Response, http_status: int) -> dict[str, Any]:
    if response.status_code != http_status:
        raise refusal(response)
    facts = _object(response)
    if facts is None:
        raise UnexpectedAnswer(response.status_code, "no JSON object")
    return facts


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        facts = json.loads(response.content)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def _is_replayed(response: httpx.Response) -> bool:
    return bool(response.headers.get("Idempotency-Replayed") == "true")


def _request_id_of(response: httpx.Response) -> str | None:
    """Take the id out of ``Location: /valuation/{id}/status`` (or its Content- sister)."""
    place = response.headers.get("Location") or response.headers.get("Content-Location") or ""
    found = place.rpartition("/valuation/")[2].split("/")[0]
    return found or None


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(httpx.codes.OK, f"{name} is missing")
    return value


def _optional(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return None if value is None else str(value)


def _integer(facts: Mapping[str, Any], name: str) -> int | None:
    value = facts.get(name)
    return value if isinstance(value, int) else None


def _moment(facts: Mapping[str, Any], name: str) -> datetime | None:
    value = facts.get(name)
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None  # an HTTP date: vnapi sends seconds
