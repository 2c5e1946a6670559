"""What the description says of the calls that name a request, and of those of operation."""

from typing import Any

from fastapi.responses import Response

from vnapi.answers import Cancelled, Health, Ready, Redriven, Status
from vnapi.description import samples
from vnapi.description.samples import (
    DEADLINE,
    GONE,
    LOCATION,
    NO_ROOM,
    REQUEST_ID,
    SILENT,
    UNKNOWN,
    answers_document,
    answers_problem,
    problem,
)
from vnapi.terms import MOST_DEADLINE_MS

CANCEL: dict[str, Any] = {
    "summary": "Cancel a request",
    "description": (
        "From here on nothing of the request is started any more, and its running scripts are"
        " stopped within two seconds. Results that are there are kept, for a redrive. Cancelling"
        " again changes nothing."
    ),
    "tags": ["valuation"],
    "response_class": Response,
    "responses": {
        202: {
            "model": Cancelled,
            "description": "Cancelled, now or before.",
            "headers": {"Location": LOCATION},
        },
        404: UNKNOWN,
        409: answers_problem(
            "It has ended otherwise.",
            request_over=problem(
                "REQUEST_OVER",
                "the request has ended succeeded",
                requestId=REQUEST_ID,
                requestStatus="succeeded",
            ),
        ),
        410: GONE,
        503: SILENT,
    },
}

REDRIVE: dict[str, Any] = {
    "summary": "Run a request again, keeping every good result",
    "description": (
        "For a request that ended failed, partial or cancelled. Groups that are complete without"
        " failures are kept; from the first other one on, tasks run again that failed or whose"
        " document comes out differently. Its earlier answer or report is gone from here on. A"
        " deadline holds for one run: this one has the one that is given here, or none."
    ),
    "tags": ["valuation"],
    "response_class": Response,
    "openapi_extra": {"parameters": [DEADLINE]},
    "responses": {
        202: {
            "model": Redriven,
            "description": "Queued; `run` is the number of the new run.",
            "headers": {"Location": LOCATION},
        },
        400: answers_problem(
            "A bad parameter.",
            parameter_invalid=problem(
                "PARAMETER_INVALID",
                f"deadlineMs must be a number of milliseconds from 1 to {MOST_DEADLINE_MS}, once",
            ),
        ),
        404: UNKNOWN,
        409: answers_problem(
            "It succeeded, or it is running.",
            request_not_redrivable=problem(
                "REQUEST_NOT_REDRIVABLE",
                "the request is succeeded; only a failed, partial or cancelled one can be redriven",
                requestId=REQUEST_ID,
            ),
        ),
        410: GONE,
        503: NO_ROOM,
    },
}

STATUS: dict[str, Any] = {
    "summary": "See where a request stands",
    "tags": ["valuation"],
    "response_model": None,
    "responses": {
        200: {
            "model": Status,
            "description": "Where it stands.",
            "content": {"application/json": {"example": samples.STATUS}},
        },
        404: UNKNOWN,
        410: GONE,
        503: SILENT,
    },
}

RESULTS: dict[str, Any] = {
    "summary": "Fetch the response document",
    "tags": ["valuation"],
    "response_class": Response,
    "responses": {
        200: answers_document("The response document."),
        404: answers_problem(
            "No such request, or its result is not yet available.",
            result_not_ready=problem(
                "RESULT_NOT_READY",
                "the request is group_started",
                requestId=REQUEST_ID,
                requestStatus="group_started",
            ),
        ),
        410: GONE,
        422: answers_problem(
            "The request failed (the report) or was cancelled.",
            select_nothing=samples.failed(422),
            request_deadline_exceeded=samples.overdue(422),
            request_cancelled=samples.cancelled(),
        ),
        500: answers_problem(
            "A part of the response is gone from the server.",
            task_result_missing=problem(
                "TASK_RESULT_MISSING", "the result of task 12 of group 0 is gone"
            ),
        ),
        503: SILENT,
    },
}

HEALTH: dict[str, Any] = {
    "summary": "Tell whether the process answers",
    "tags": ["operation"],
    "responses": {200: {"model": Health}},
}

READY: dict[str, Any] = {
    "summary": "Tell whether requests would be served now",
    "tags": ["operation"],
    "response_model": None,
    "responses": {
        200: {"model": Ready, "description": "Everything is there."},
        503: answers_problem(
            "A part is missing; `failed` names it, `checks` says what was found.",
        ),
    },
}
