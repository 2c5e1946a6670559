"""Every error code of VN: what it means, who can cure it and how.

The one table behind `errors.VnError`; ``docs/ERRORS.md`` is made from it by ``make docs``; a test
keeps the two the same. A code, once published, keeps its meaning.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """Where the cause of a failure lies (DESIGN: one failure model)."""

    DOCUMENT = "document"  # the bytes or the shape of what the client sent
    REFERENCE = "reference"  # href, select, use, placeholders
    DATA = "data"  # well-formed, but cannot be priced
    SCRIPT = "script"  # the valuation script failed or answered nonsense
    TIMEOUT = "timeout"  # something took longer than its limit
    CAPACITY = "capacity"  # a limit of size or number; try later or raise it
    POISON = "poison"  # the task kills its workers
    INTERNAL = "internal"  # VN or its platform is at fault


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table: a stable code and what is known of it."""

    name: str
    category: Category
    http_status: int  # what a caller over HTTP sees
    cause: str
    cure: str
    retryable: bool = False  # whether the same attempt may succeed later


def _table(rows: Iterable[ErrorCode]) -> Mapping[str, ErrorCode]:
    table: dict[str, ErrorCode] = {}
    for row in rows:
        if row.name in table:
            raise ValueError(f"error code {row.name} is defined twice")
        table[row.name] = row
    return table


_D, _R, _C, _S = Category.DOCUMENT, Category.REFERENCE, Category.CAPACITY, Category.SCRIPT

# --- the document at the door (vncore.xml, vnapi) ------------------------------------------------
_DOOR = (
    ErrorCode(
        "XML_MALFORMED",
        _D,
        400,
        "The document is not well-formed XML.",
        "Correct it at the line and column given.",
    ),
    ErrorCode(
        "XML_DOCTYPE",
        _D,
        400,
        "The document has a DOCTYPE.",
        "Remove it: VN reads no DTD and expands no entities.",
    ),
    ErrorCode(
        "XML_ENCODING",
        _D,
        400,
        "The encoding is not accepted, or the bytes are not in it.",
        "Send UTF-8; also accepted: US-ASCII, UTF-16 with BOM, ISO-8859-1, windows-1252.",
    ),
    ErrorCode(
        "XML_TOO_COMPLEX",
        _D,
        400,
        "Too many elements, attributes, namespaces or levels.",
        "Split the document, or flatten it below the limit that the message names.",
    ),
    ErrorCode(
        "DOCUMENT_TOO_LARGE",
        _C,
        413,
        "The document is larger than the limit.",
        "Send less, or raise PAYLOAD_MAX_BYTES.",
    ),
    ErrorCode(
        "CONTENT_TYPE_UNSUPPORTED",
        _D,
        415,
        "The body is not declared as XML.",
        "Send Content-Type: application/xml.",
    ),
    ErrorCode(
        "CONTENT_ENCODING_UNSUPPORTED",
        _D,
        415,
        "A content coding other than gzip.",
        "Send the body plain or with Content-Encoding: gzip.",
    ),
    ErrorCode(
        "CONTENT_ENCODING_BROKEN",
        _D,
        400,
        "The gzip body is truncated or damaged.",
        "Compress it again; a body is exactly one gzip member.",
    ),
    ErrorCode(
        "NO_PROJECT",
        _D,
        422,
        "The root is not `vnml` with exactly one `project`.",
        "Put everything into /vnml/project.",
    ),
    ErrorCode(
        "NO_GROUP",
        _D,
        422,
        "The project has no `group`.",
        "Add a group with the valuations to run.",
    ),
)

# --- requests and their answers (vnapi) ----------------------------------------------------------
_REQUESTS = (
    ErrorCode(
        "PARAMETER_INVALID",
        _D,
        400,
        "A query parameter or header has a value not allowed.",
        "Use one of the values that the message names.",
    ),
    ErrorCode(
        "REQUEST_ID_INVALID",
        _D,
        404,
        "The id in the path is not a request id.",
        "Use the requestId of the 202 answer.",
    ),
    ErrorCode(
        "REQUEST_NOT_FOUND",
        _D,
        404,
        "No request has this id, or it expired long ago.",
        "Check the id; results are kept for a limited time.",
    ),
    ErrorCode(
        "REQUEST_EXPIRED",
        _D,
        410,
        "The request was here, and its time to live has passed.",
        "Submit it again.",
    ),
    ErrorCode(
        "RESULT_NOT_READY", _D, 404, "Result not yet available.", "Ask again, or wait with sync=Y."
    ),
    ErrorCode(
        "NAME_TOO_LONG",
        _D,
        422,
        "The name of a group or valuation is longer than 256 characters.",
        "Shorten it; put what else you want to carry into an element of your own.",
    ),
    ErrorCode(
        "REQUEST_FAILED",
        Category.INTERNAL,
        500,
        "The request ended without a result.",
        "See the failure report; without one, the request was cancelled.",
    ),
    ErrorCode(
        "ROUTE_NOT_FOUND",
        _D,
        404,
        "Nothing is served at this path.",
        "See /docs for what is.",
    ),
    ErrorCode(
        "METHOD_NOT_ALLOWED",
        _D,
        405,
        "The path does not answer to this method.",
        "Use a method that the Allow header names.",
    ),
    ErrorCode(
        "HTTP_MALFORMED",
        _D,
        400,
        "The bytes received are not an HTTP/1.1 request.",
        "Send one; look for a proxy or client that damages requests.",
    ),
    ErrorCode(
        "HEADERS_TOO_LARGE",
        _C,
        431,
        "The request line and headers are larger than the limit.",
        "Send fewer or smaller headers, or raise HEADER_MAX_BYTES.",
    ),
    ErrorCode(
        "HEADERS_TIMEOUT",
        Category.TIMEOUT,
        408,
        "The request line and headers did not arrive in time.",
        "Send them at once, or raise HEADER_TIMEOUT_MS.",
    ),
    ErrorCode(
        "OVERLOADED",
        _C,
        503,
        "Too many connections at once.",
        "Try again after the time that Retry-After gives, or raise LIMIT_CONCURRENCY.",
        retryable=True,
    ),
    ErrorCode(
        "NOT_READY",
        Category.INTERNAL,
        503,
        "A part that requests depend on is missing.",
        "See the failed check in the answer; start or repair that part.",
        retryable=True,
    ),
    ErrorCode(
        "BODY_TIMEOUT",
        Category.TIMEOUT,
        408,
        "The body did not arrive in time.",
        "Send it faster, or raise the limit.",
    ),
    ErrorCode(
        "STORE_UNAVAILABLE",
        Category.INTERNAL,
        503,
        "The Redis server does not answer.",
        "Try again; see REDIS_URL and /readyz.",
        retryable=True,
    ),
    ErrorCode(
        "SUPERSEDED",
        Category.INTERNAL,
        409,
        "Another orchestrator took the request over.",
        "Nothing to do: the other one finishes it.",
    ),
    ErrorCode(
        "MISCONFIGURED",
        Category.INTERNAL,
        500,
        "A setting is wrong.",
        "Correct the setting that the message names.",
    ),
    ErrorCode(
        "INTERNAL",
        Category.INTERNAL,
        500,
        "A fault in VN itself.",
        "Report it with the request id.",
        retryable=True,
    ),
)

# --- hydration (vnvs.hydration): one code per kind of fault, each error names its rule -----------
_HYDRATION: tuple[ErrorCode, ...] = ()

# --- tasks and scripts (vnas, vnvs) --------------------------------------------------------------
_TASKS: tuple[ErrorCode, ...] = (
    ErrorCode(
        "SCRIPT_FAILED",
        _S,
        500,
        "The script ended by a signal or with another status.",
        "Read its stderr in the report; run the task by `vn value`.",
        retryable=True,
    ),
    ErrorCode(
        "SCRIPT_REJECTED_DATA",
        Category.DATA,
        422,
        "The script exited with 65: bad data.",
        "Correct the valuation at the place that the message names.",
    ),
    ErrorCode(
        "SCRIPT_NOT_RUNNABLE",
        _S,
        500,
        "The script, or a command in it, cannot be started.",
        "Check VNAS_SCRIPT: the file, its execute bit, its first line and what it calls.",
    ),
    ErrorCode(
        "SCRIPT_ENVIRONMENT_REFUSED",
        _S,
        422,
        "A name of the task fits no variable.",
        "Shorten the group's or valuation's name below 128 KiB; leave out NUL.",
    ),
    ErrorCode(
        "SCRIPT_TIMED_OUT",
        Category.TIMEOUT,
        500,
        "The script ran longer than its limit.",
        "Make the task smaller, or raise VNAS_SCRIPT_TIMEOUT_MS.",
        retryable=True,
    ),
    ErrorCode(
        "SCRIPT_OUTPUT_TOO_LARGE",
        _C,
        500,
        "The script wrote more than the limit.",
        "Write less, or raise VNAS_OUTPUT_MAX_BYTES (stdout) or VNAS_FILE_MAX_BYTES.",
    ),
    ErrorCode(
        "RESULT_INVALID",
        _S,
        500,
        "The script exited with 0, but its output is no result.",
        "Print a vnml document, one valuation or one decimal number (VNML K2).",
    ),
    ErrorCode(
        "TASK_POISONED",
        Category.POISON,
        500,
        "The task ended several workers.",
        "Run it alone by `vn value`; look for memory, signals, machine limits.",
    ),
    ErrorCode(
        "TASK_DOCUMENT_MISSING",
        Category.INTERNAL,
        500,
        "The task's document is gone.",
        "Look for memory limits, eviction or a flush of the server; submit again.",
    ),
)

CODES: Mapping[str, ErrorCode] = _table((*_DOOR, *_REQUESTS, *_HYDRATION, *_TASKS))
