"""What ``/openapi.json`` says beyond the code: prose, real examples, and the problems of each call.

Read by `routes` (one mapping for each endpoint) and `app`.
"""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from vnapi import problems
from vnapi.answers import Accepted, Health, Problem, Ready, Status
from vncore.codes import CODES

_XML = "application/xml"
_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def example(name: str) -> str:
    """Read an example document that is shipped with the package."""
    return files("vnapi").joinpath("examples", name).read_text(encoding="utf-8")


def _problem(code: str, detail: str, **facts: Any) -> dict[str, Any]:
    known = CODES[code]
    return {"summary": known.cause, "value": problems.problem(known, detail, facts)}


def _problems(meaning: str, **examples: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _PROBLEM_SCHEMA}
    if examples:
        content["examples"] = {name.upper(): value for name, value in examples.items()}
    return {"description": meaning, "content": {problems.MEDIA_TYPE: content}}


def _document(meaning: str) -> dict[str, Any]:
    return {
        "description": meaning,
        "content": {_XML: {"schema": {"type": "string"}, "example": example("response.xml")}},
    }


_NO_STORE = _problems("Redis does not answer. Try again.")
_UNKNOWN = _problems(
    "No request has this id.",
    request_not_found=_problem("REQUEST_NOT_FOUND", "there is no request with this id"),
)
_GONE = _problems("The request was here and is no longer kept.")

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


def _failed(http_status: int) -> dict[str, Any]:
    """Show a request that failed, as the answer of this status does."""
    known = CODES[str(_REPORT["code"])]
    facts = {
        "requestId": "0b2ff7f2-9bb3-4be4-a9a0-2f2f3f2d5c11",
        "requestStatus": "failed",
        "failure": _REPORT,
    }
    detail = str(_REPORT["message"])
    value = problems.problem(known, detail, facts, http_status=http_status)
    return {"summary": "A reference that resolves to nothing", "value": value}


SYNC: dict[str, Any] = {
    "description": "`Y` waits for the response, `N` (default) answers at once; case is ignored.",
    "json_schema_extra": {"enum": ["Y", "N"], "default": "N"},
}

SUBMIT: dict[str, Any] = {
    "summary": "Submit a document",
    "description": (
        "Takes one VNML document, keeps it, and answers with its id, or waits for the response."
        " `Prefer: wait=n` waits at most n seconds, `Prefer: respond-async` does not wait;"
        " `Preference-Applied` tells what was honoured. The body may be compressed"
        " (`Content-Encoding: gzip`)."
    ),
    "tags": ["valuation"],
    "response_class": Response,
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string"}, "example": example("request.xml")}
                for kind in (_XML, "text/xml")
            },
        },
        "parameters": [
            {
                "name": "Prefer",
                "in": "header",
                "description": "RFC 7240: `wait=<seconds>`, `respond-async`.",
                "schema": {"type": "string"},
                "example": "wait=10",
            },
        ],
    },
    "responses": {
        200: _document("The response document; the request waited and succeeded."),
        202: {
            "model": Accepted,
            "description": "Kept; `pending` when a wait ended before the request did.",
            "headers": {
                "Location": {"description": "Its status", "schema": {"type": "string"}},
                "Preference-Applied": {
                    "description": "Which preferences were honoured",
                    "schema": {"type": "string"},
                },
            },
        },
        400: _problems(
            "Not well-formed XML, a DOCTYPE, an encoding not accepted, or a bad parameter.",
            xml_malformed=_problem(
                "XML_MALFORMED",
                "the document is not well-formed at line 14, column 9: Opening and ending tag"
                " mismatch: market line 3 and project",
                line=14,
                column=9,
            ),
            xml_doctype=_problem(
                "XML_DOCTYPE", "the document has a DOCTYPE at line 2, column 1", line=2, column=1
            ),
            parameter_invalid=_problem("PARAMETER_INVALID", "sync must be Y or N, once"),
        ),
        408: _problems("The body did not arrive in time."),
        413: _problems("The document is larger than the limit, compressed or not."),
        415: _problems("Neither application/xml nor text/xml, or a coding other than gzip."),
        422: _problems(
            "Well-formed, but no valuation request.",
            no_group=_problem("NO_GROUP", "the project has no group", rule="D1", line=3),
            no_project=_problem(
                "NO_PROJECT", "vnml has 0 project elements instead of one", rule="D1", line=2
            ),
        ),
        500: _problems(
            "The request waited and failed: the failure report; or a fault of ours.",
            select_nothing=_failed(500),
        ),
        503: _NO_STORE,
    },
}

STATUS: dict[str, Any] = {
    "summary": "See where a request stands",
    "tags": ["valuation"],
    "response_model": None,
    "responses": {
        200: {"model": Status, "description": "Where it stands."},
        404: _UNKNOWN,
        410: _GONE,
        503: _NO_STORE,
    },
}

RESULTS: dict[str, Any] = {
    "summary": "Fetch the response document",
    "tags": ["valuation"],
    "response_class": Response,
    "responses": {
        200: _document("The response document."),
        404: _problems(
            "No such request, or its result is not yet available.",
            result_not_ready=_problem(
                "RESULT_NOT_READY",
                "the request is group_started",
                requestId="0b2ff7f2-9bb3-4be4-a9a0-2f2f3f2d5c11",
                requestStatus="group_started",
            ),
        ),
        410: _GONE,
        422: _problems("The request failed: the report.", select_nothing=_failed(422)),
        503: _NO_STORE,
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
        503: _problems("A part is missing; `failed` names it, `checks` says what was found."),
    },
}


def describe(app: FastAPI, version: str) -> None:
    """Let the application describe itself with the problem documents and without 422 defaults."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title="VN",
                version=version,
                summary="Values portfolios that arrive as XML.",
                description=(
                    "POST a VNML document, get one assembled document back. Errors are"
                    " `application/problem+json` with a stable `code`. `X-Request-Id` and"
                    " `traceparent` are accepted, passed on and sent back."
                ),
                routes=app.routes,
            )
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for path in schema["paths"].values():
                for operation in path.values():
                    _without_default_422(operation["responses"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's documented way


def _without_default_422(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    if "HTTPValidationError" in str(content.get("application/json", "")):
        content.pop("application/json")
        if not content:
            responses.pop("422")
