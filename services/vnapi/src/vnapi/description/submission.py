"""What the description says of ``POST /valuation``."""

from typing import Any

from fastapi.responses import Response

from vnapi.answers import Accepted
from vnapi.description import samples
from vnapi.description.samples import (
    DEADLINE,
    LOCATION,
    NO_ROOM,
    XML,
    answers_document,
    answers_problem,
    header,
    problem,
)

SUBMIT: dict[str, Any] = {
    "summary": "Submit a document",
    "description": (
        "Takes one VNML document, keeps it, and answers with its id, or waits for the response."
        " `Prefer: wait=n` waits at most n seconds, `Prefer: respond-async` does not wait;"
        " `Preference-Applied` tells what was honoured. The body may be compressed"
        " (`Content-Encoding: gzip`).\n\n"
        "With an `Idempotency-Key` the call may be sent again when its connection broke: it is"
        " answered as the first one would be now, with the first one's id and"
        " `Idempotency-Replayed: true`, and nothing is run twice. That holds also while the first"
        " request still runs, so there is no 409. A key is remembered exactly as long as its"
        " request: until `REQUEST_TTL_SECONDS` after its end, or `FAILED_TTL_SECONDS` if it"
        " failed. While there is no room, a repetition too is answered 503."
    ),
    "tags": ["valuation"],
    "response_class": Response,
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string"}, "example": samples.example("request.xml")}
                for kind in (XML, "text/xml")
            },
        },
        "parameters": [
            samples.parameter(
                "query",
                "sync",
                "`Y` waits for the response, `N` (default) answers at once; case is ignored.",
                "Y",
                type="string",
                enum=["Y", "N"],
                default="N",
            ),
            DEADLINE,
            samples.parameter(
                "query",
                "onFailure",
                "What a failed task means for the groups that have no `onFailure` themselves:"
                " `stop` (default: the request fails), `continue`, `tolerate:N` or `tolerate:P%`"
                " (in a URL `%25`).",
                "tolerate:10%",
            ),
            samples.parameter(
                "header",
                "Idempotency-Key",
                "1 to 128 visible ASCII characters, with or without quotes; a UUID is best.",
                '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
            ),
            samples.parameter(
                "header", "Prefer", "RFC 7240: `wait=<seconds>`, `respond-async`.", "wait=10"
            ),
        ],
    },
    "responses": {
        200: answers_document("The response document; the request waited and has ended."),
        202: {
            "model": Accepted,
            "description": "Kept; `pending` when a wait ended before the request did.",
            "headers": {
                "Location": LOCATION,
                "Preference-Applied": header("Which preferences were honoured"),
                "Idempotency-Replayed": header(
                    "`true`: this key was here before; the id is the first request's"
                ),
            },
        },
        400: answers_problem(
            "Not well-formed XML, a DOCTYPE, an encoding not accepted, a bad parameter or key.",
            xml_malformed=problem(
                "XML_MALFORMED",
                "the document is not well-formed at line 14, column 9: Opening and ending tag"
                " mismatch: market line 3 and project",
                line=14,
                column=9,
            ),
            xml_doctype=problem(
                "XML_DOCTYPE", "the document has a DOCTYPE at line 2, column 1", line=2, column=1
            ),
            parameter_invalid=problem("PARAMETER_INVALID", "sync must be Y or N, once"),
            idempotency_key_invalid=problem(
                "IDEMPOTENCY_KEY_INVALID",
                "Idempotency-Key must be sent once, with 1 to 128 visible ASCII characters",
            ),
        ),
        408: answers_problem("The body did not arrive in time."),
        413: answers_problem("The document is larger than the limit, compressed or not."),
        415: answers_problem("Neither application/xml nor text/xml, or a coding other than gzip."),
        422: answers_problem(
            "Well-formed, but no valuation request; a key used before with something else; or the"
            " request waited and was cancelled.",
            no_group=problem("NO_GROUP", "the project has no group", rule="D1", line=3),
            no_project=problem(
                "NO_PROJECT", "vnml has 0 project elements instead of one", rule="D1", line=2
            ),
            on_failure_invalid=problem(
                "ON_FAILURE_INVALID",
                "onFailure of group prices: 'ignore' is no failure policy: stop, continue,"
                " tolerate:N or tolerate:P%, P at most 100",
                rule="F1",
                line=12,
            ),
            idempotency_key_reused=problem(
                "IDEMPOTENCY_KEY_REUSED",
                "the Idempotency-Key was used before with another document or other parameters",
            ),
            request_cancelled=samples.cancelled(),
        ),
        500: answers_problem(
            "The request waited and failed: the failure report; or a fault of ours.",
            select_nothing=samples.failed(500),
            request_deadline_exceeded=samples.overdue(500),
        ),
        503: NO_ROOM,
    },
}
