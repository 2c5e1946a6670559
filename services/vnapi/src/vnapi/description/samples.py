"""Real examples for the description: documents, answers and problems as they come over the wire.

Read by the other modules here; a test compares the documents with what the house does with them.
"""

from importlib.resources import files
from typing import Any

from vnapi import problems
from vnapi.terms import MOST_DEADLINE_MS
from vncore.codes import CODES

XML = "application/xml"
REQUEST_ID = "0b2ff7f2-9bb3-4be4-a9a0-2f2f3f2d5c11"

_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}

_REPORT = {
    "code": "SELECT_NOTHING",
    "category": "reference",
    "retryable": False,
    "rule": "S6",
    "message": "/vnml/project/market[@name='EUR'] selects nothing",
    "group": "prices",
    "groupIndex": 0,
    "valuation": "bond",
    "line": 25,
    "expression": "/vnml/project/market[@name='EUR']",
}

STATUS: dict[str, Any] = {
    "requestId": REQUEST_ID,
    "status": "partial",
    "run": 1,
    "groupCount": 1,
    "currentGroup": 0,
    "groups": [
        {
            "index": 0,
            "name": "prices",
            "status": "completed",
            "expected": 25,
            "completed": 24,
            "failed": 1,
            "onFailure": "tolerate:10%",
        }
    ],
    "receivedAt": "2026-11-25T06:00:00.120Z",
    "startedAt": "2026-11-25T06:00:00.124Z",
    "completedAt": "2026-11-25T06:00:03.871Z",
    "deadlineAt": "2026-11-25T06:10:00.120Z",
    "onFailure": "tolerate:10%",
    "retryCount": 0,
    "failure": {
        "code": "SCRIPT_REJECTED_DATA",
        "category": "data",
        "retryable": False,
        "message": "VNP-206 /vnml/project/group/valuation/market: the market has no curve",
        "group": "prices",
        "groupIndex": 0,
        "valuation": "bond",
        "task": 12,
        "attempts": 1,
        "exitStatus": 65,
    },
}


def example(name: str) -> str:
    """Read an example document that is shipped with the package."""
    return files("vnapi").joinpath("examples", name).read_text(encoding="utf-8")


def problem(
    code: str, detail: str, *, http_status: int | None = None, **facts: Any
) -> dict[str, Any]:
    """Give an example of a problem document."""
    known = CODES[code]
    value = problems.problem(known, detail, facts, http_status=http_status)
    return {"summary": known.cause, "value": value}


def answers_problem(meaning: str, **examples: dict[str, Any]) -> dict[str, Any]:
    """Describe an answer that is a problem document; examples by their codes in lower case."""
    content: dict[str, Any] = {"schema": _PROBLEM_SCHEMA}
    if examples:
        content["examples"] = {name.upper(): value for name, value in examples.items()}
    return {"description": meaning, "content": {problems.MEDIA_TYPE: content}}


def answers_document(meaning: str) -> dict[str, Any]:
    """Describe an answer that is a response document."""
    return {
        "description": meaning,
        "headers": {
            "VN-Request-Status": header(
                "How the request ended: `succeeded`, or `partial` with failures in the document"
            )
        },
        "content": {XML: {"schema": {"type": "string"}, "example": example("response.xml")}},
    }


def failed(http_status: int) -> dict[str, Any]:
    """Show a request that failed, as the answer of this status does."""
    shown = problem(
        str(_REPORT["code"]),
        str(_REPORT["message"]),
        http_status=http_status,
        requestId=REQUEST_ID,
        requestStatus="failed",
        failure=_REPORT,
    )
    return shown | {"summary": "A reference that resolves to nothing"}


def overdue(http_status: int) -> dict[str, Any]:
    """Show a request that its deadline ended, as the answer of this status does."""
    code = "REQUEST_DEADLINE_EXCEEDED"
    message = "the request did not end within the deadline that came with it"
    report = {
        "code": code,
        "category": "timeout",
        "retryable": False,
        "message": message,
        "stage": "run",
        "group": "prices",
        "groupIndex": 0,
    }
    return problem(
        code,
        message,
        http_status=http_status,
        requestId=REQUEST_ID,
        requestStatus="failed",
        failure=report,
    )


def cancelled() -> dict[str, Any]:
    """Show a request that was cancelled."""
    return problem(
        "REQUEST_CANCELLED",
        "the request was cancelled before it ended",
        requestId=REQUEST_ID,
        requestStatus="cancelled",
    )


def header(meaning: str) -> dict[str, Any]:
    """Describe a header of an answer."""
    return {"description": meaning, "schema": {"type": "string"}}


def parameter(place: str, name: str, meaning: str, example: Any, **schema: Any) -> dict[str, Any]:
    """Describe a query parameter or a header of a call."""
    return {
        "name": name,
        "in": place,
        "description": meaning,
        "schema": schema or {"type": "string"},
        "example": example,
    }


_UNREACHABLE = problem(
    "STORE_UNAVAILABLE",
    "the server that keeps requests does not answer; a submission may have been kept",
)
SILENT = answers_problem("Redis does not answer. Try again.", store_unavailable=_UNREACHABLE)
NO_ROOM = answers_problem(
    "No room, and nothing was read or written; or Redis does not answer. Try again after the time"
    " that `Retry-After` gives: it grows with how far the limit is passed.",
    backlog_full=problem(
        "BACKLOG_FULL",
        "10412 requests have not ended; BACKLOG_MAX_REQUESTS is 10000",
        setting="BACKLOG_MAX_REQUESTS",
        limit=10_000,
        found=10_412,
    ),
    store_full=problem(
        "STORE_FULL",
        "the server that keeps requests uses 91 % of its memory; REDIS_MEMORY_MAX_PERCENT is 85",
        setting="REDIS_MEMORY_MAX_PERCENT",
        limit=85,
        found=91,
    ),
    store_unavailable=_UNREACHABLE,
) | {"headers": {"Retry-After": header("Seconds to wait")}}
UNKNOWN = answers_problem(
    "No request has this id.",
    request_not_found=problem("REQUEST_NOT_FOUND", "there is no request with this id"),
)
GONE = answers_problem(
    "The request was here and is no longer kept.",
    request_expired=problem("REQUEST_EXPIRED", f"request {REQUEST_ID} is no longer kept"),
)
LOCATION = header("Its status")

DEADLINE = parameter(
    "query",
    "deadlineMs",
    "How long the request may take, in milliseconds from its receipt. What has not ended by then"
    " fails with `REQUESTDEADLINE_EXCEEDED`, and its running scripts are stopped.",
    600_000,
    type="integer",
    minimum=1,
    maximum=MOST_DEADLINE_MS,
)
