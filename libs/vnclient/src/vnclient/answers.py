"""What the server answers, as values; and its problem documents, as errors.

`calls` reads every HTTP response through here; nothing else of the client sees JSON. Unknown fields
are ignored, so that an older client can talk to a newer server.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from vnclient.errors import (
    ApiError,
    Problem,
    RequestExpired,
    RequestFailed,
    RequestNotFound,
    RequestRefused,
    ResultNotReady,
    ServerFailed,
    UnexpectedAnswer,
    VnClientError,
)

TERMINAL = frozenset({"succeeded", "partial", "failed", "cancelled"})
"""The statuses that are final."""

_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has the request whole and will run it."""

    request_id: str
    status: str  # "accepted", or "pending" when a synchronous wait ended first


@dataclass(frozen=True, slots=True)
class Completed:
    """A synchronous submission that ended in time."""

    document: bytes  # the response, XML in UTF-8
    request_id: str | None  # where the server told it


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How far one group is; `expected` is 0 until the group has been split into tasks."""

    index: int  # counts from 0
    name: str
    status: str
    expected: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The report of a failed request, or of one failed task in it; absent facts are None."""

    code: str
    message: str
    category: str | None = None
    retryable: bool = False
    rule: str | None = None  # the VNML rule broken, such as S2
    stage: str | None = None
    group: str | None = None
    group_index: int | None = None  # counts from 0
    valuation: str | None = None
    task: int | None = None  # counts from 1
    element: str | None = None
    line: int | None = None  # counts from 1, in the document as sent
    column: int | None = None
    expression: str | None = None
    uri: str | None = None
    attempts: int | None = None
    exit_status: int | None = None
    stderr: str = ""  # the tail of the script's standard error
    tasks: tuple["Failure", ...] = ()  # every failed task
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Status:
    """Where a request stands."""

    request_id: str
    status: str
    current_group: int | None  # counts from 0; None before the first group
    group_count: int
    groups: tuple[GroupStatus, ...]
    received_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failure: Failure | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can change it any more."""
        return self.status in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether every valuation has its result."""
        return self.status == "succeeded"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can take requests; true or false in a condition."""

    ready: bool
    detail: str  # what is missing; empty when nothing is

    def __bool__(self) -> bool:
        return self.ready


def accepted(response: httpx.Response) -> Accepted:
    """Read the answer to an asynchronous submission."""
    facts = _expected(response, 202)
    return Accepted(_text(facts, "requestId"), _text(facts, "status"))


def submitted(response: httpx.Response) -> Completed | Accepted:
    """Read the answer to a synchronous submission."""
    if response.status_code != httpx.codes.OK:
        return accepted(response)
    return Completed(response.content, _request_id_of(response))


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
            )
            for group in facts.get("groups") or ()
        ),
        received_at=_moment(facts, "receivedAt"),
        started_at=_moment(facts, "startedAt"),
        completed_at=_moment(facts, "completedAt"),
        failure=failure(reported) if isinstance(reported, dict) else None,
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
    if isinstance(reported, dict) or ended in TERMINAL:
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
        retry_after_seconds=_seconds(response.headers.get("Retry-After")),
    )
    return _kind_of(problem)(problem)


def _kind_of(problem: Problem) -> type[ApiError]:
    if problem.code == "RESULT_NOT_READY":
        return ResultNotReady
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
