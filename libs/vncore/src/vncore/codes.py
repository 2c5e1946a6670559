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
        "See the failure report.",
    ),
    ErrorCode(
        "REQUEST_CANCELLED",
        _D,
        422,
        "The request was cancelled by its client.",
        "Redrive it to go on where it was stopped, or submit it again.",
    ),
    ErrorCode(
        "REQUEST_DEADLINE_EXCEEDED",
        Category.TIMEOUT,
        500,
        "The request did not end within the deadline that came with it.",
        "Redrive it, which keeps what is there, or submit it with a longer deadlineMs.",
    ),
    ErrorCode(
        "REQUEST_OVER",
        _D,
        409,
        "The request has ended; it can no longer be cancelled.",
        "Fetch its results or its report.",
    ),
    ErrorCode(
        "REQUEST_NOT_REDRIVABLE",
        _D,
        409,
        "Only a request that ended failed, partial or cancelled can be redriven.",
        "Wait for its end; one that succeeded has nothing to redo.",
    ),
    ErrorCode(
        "IDEMPOTENCY_KEY_INVALID",
        _D,
        400,
        "The Idempotency-Key header is not a key.",
        "Send it once: 1 to 128 visible ASCII characters, such as a UUID, with or without quotes.",
    ),
    ErrorCode(
        "IDEMPOTENCY_KEY_REUSED",
        _D,
        422,
        "The Idempotency-Key was used before with another document or other parameters.",
        "Use a new key for each new request; repeat one only with the very same request.",
    ),
    ErrorCode(
        "BACKLOG_FULL",
        _C,
        503,
        "Too many requests or tasks are waiting; nothing was kept.",
        "Try again after the time that Retry-After gives; add workers, or raise the limit named.",
        retryable=True,
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
        "STORE_FULL",
        _C,
        503,
        "The Redis server is at, or close to, its memory limit; nothing was kept.",
        "Try later; give the server more memory (maxmemory), or keep requests for less long.",
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
_HYDRATION: tuple[ErrorCode, ...] = (
    ErrorCode(
        "VARIABLE_DUPLICATE",
        _D,
        422,
        "A variable is declared twice (V1).",
        "Declare each `$NAME` once.",
    ),
    ErrorCode(
        "VARIABLE_MALFORMED",
        _D,
        422,
        'A `vnvs` instruction assigns a variable in another form than `$NAME = "value"` (V1).',
        'Write `<?vnvs $NAME = "value" ?>`, the value in quotes.',
    ),
    ErrorCode(
        "VARIABLE_LIMIT",
        _C,
        422,
        "Too many variables, or a name or value that is too long.",
        "Declare fewer or shorter ones; put large parts into a file named by `href`.",
    ),
    ErrorCode(
        "HREF_EMPTY", _R, 422, "An `href` is empty.", "Name a document, or remove the attribute."
    ),
    ErrorCode(
        "HREF_FORBIDDEN",
        _R,
        422,
        "An `href` is of another kind, or leads outside what VN may read.",
        "Use s3:// with a bucket of HYDRATION_S3_BUCKETS, or a file below HYDRATION_FILE_ROOT.",
    ),
    ErrorCode(
        "HREF_UNAVAILABLE",
        _R,
        422,
        "A referenced document is missing, a directory, or cannot be read.",
        "Check that the document is where the URI says, and that VN may read it.",
    ),
    ErrorCode(
        "HREF_MALFORMED",
        _R,
        422,
        "A referenced document is not XML as VN accepts it.",
        "Correct the document at the place that the message names.",
    ),
    ErrorCode(
        "HREF_NO_COUNTERPART",
        _R,
        422,
        "A referenced document has no single counterpart of the element (R2).",
        "Give the element the path, `name` or `id` that its counterpart has there.",
    ),
    ErrorCode(
        "HREF_LIMIT",
        _C,
        422,
        "Too many or too large referenced documents, or too long a chain of them.",
        "Refer to fewer or smaller documents; let files not include files so deeply.",
    ),
    ErrorCode(
        "REFERENCE_CYCLE",
        _R,
        422,
        "References lead back to where they started (T4).",
        "Break the chain that the message names.",
    ),
    ErrorCode(
        "REFERENCE_FAILED_VALUATION",
        _R,
        422,
        "A reference leads to a valuation that failed.",
        "Cure the failed valuation, or leave it out of what is selected.",
    ),
    ErrorCode(
        "ON_FAILURE_INVALID",
        _D,
        422,
        "The `onFailure` of a group is no failure policy (F1).",
        "Write stop, continue, tolerate:N or tolerate:P%.",
    ),
    ErrorCode("USE_EMPTY", _R, 422, "A `use` is empty.", "Write vn:link(source, child) or a path."),
    ErrorCode(
        "USE_MISPLACED",
        _R,
        422,
        "A `use` on something else than a valuation of a group.",
        "Move it to the valuation; `use` is never data.",
    ),
    ErrorCode(
        "USE_NOTHING",
        _R,
        422,
        "A `use` matches no element.",
        "Correct the path; an empty portfolio gives no task.",
    ),
    ErrorCode(
        "USE_NOT_ELEMENTS",
        _R,
        422,
        "A `use` gives something else than elements.",
        "Let it match elements.",
    ),
    ErrorCode(
        "LINK_UNKNOWN",
        _R,
        422,
        "A function or prefix that does not exist.",
        "Use vn:link(source, child) or vn:today().",
    ),
    ErrorCode(
        "LINK_UNCLOSED",
        _R,
        422,
        "A vn: function has no closing parenthesis, or text behind it.",
        "Close it; write nothing behind it.",
    ),
    ErrorCode(
        "LINK_ARGUMENTS",
        _R,
        422,
        "A vn: function has the wrong number of arguments, or an empty one.",
        "vn:link has two, separated by a comma; vn:today has none.",
    ),
    ErrorCode(
        "LINK_NO_SOURCE",
        _R,
        422,
        "The source of a vn:link matches nothing.",
        "Correct the first argument.",
    ),
    ErrorCode(
        "LINK_NO_CHILD",
        _R,
        422,
        "No source of a vn:link has such a child (for `select`: exactly one).",
        "Correct the second argument.",
    ),
    ErrorCode(
        "SELECT_EMPTY", _R, 422, "A `select` or placeholder has no expression.", "Write a path."
    ),
    ErrorCode(
        "SELECT_NOTHING",
        _R,
        422,
        "An expression selects nothing.",
        "Correct the path; results of later groups cannot be seen.",
    ),
    ErrorCode(
        "SELECT_AMBIGUOUS",
        _R,
        422,
        "An expression selects several nodes.",
        "Add a condition such as [@name='…'] or [1].",
    ),
    ErrorCode(
        "SELECT_UNRESOLVED",
        _R,
        422,
        "None of several alternatives selects exactly one node (S2).",
        "Correct one of them; the message tells what each gave.",
    ),
    ErrorCode(
        "SELECT_NOT_NODES",
        _R,
        422,
        "An expression gives a number, text, boolean or a node that cannot be placed.",
        "Select an element, an attribute or text.",
    ),
    ErrorCode(
        "SELECT_NO_CONTEXT",
        _R,
        422,
        "A relative path stands where no linked element is (S1).",
        "Start the path with `/`, or give the valuation a `use`.",
    ),
    ErrorCode(
        "SELECT_TEXT_INTO_CHILDREN",
        _R,
        422,
        "Text is selected for an element that has element children (S4).",
        "Remove the children, or select an element.",
    ),
    ErrorCode(
        "XPATH_SYNTAX",
        _R,
        422,
        "An expression is not XPath 1.0.",
        "Correct it; variables and functions of your own do not exist.",
    ),
    ErrorCode(
        "XPATH_PREFIX",
        _R,
        422,
        "An expression uses a namespace prefix (D3).",
        "Match by *[local-name()='…'].",
    ),
    ErrorCode(
        "XPATH_LIMIT", _C, 422, "An expression is too long or too deeply nested.", "Shorten it."
    ),
    ErrorCode(
        "HYDRATION_PASSES",
        _C,
        422,
        "References bring in references too many times.",
        "Let documents and selections refer less deeply.",
    ),
    ErrorCode(
        "HYDRATION_TOO_LARGE",
        _C,
        422,
        "The hydrated document or the tasks of a group are too large.",
        "Select smaller parts, or split the request.",
    ),
    ErrorCode(
        "HYDRATION_TOO_DEEP",
        _C,
        422,
        "The hydrated document has too many levels.",
        "Flatten what is selected.",
    ),
    ErrorCode(
        "HYDRATION_ATTRIBUTE_TOO_LONG",
        _C,
        422,
        "An attribute, once expanded, is too long.",
        "Put long text into an element by `select`.",
    ),
    ErrorCode(
        "HYDRATION_NAME_TOO_LONG",
        _C,
        422,
        "The name of a group or valuation is too long.",
        "Shorten it to 256 characters.",
    ),
    ErrorCode(
        "HYDRATION_TOO_MANY_TASKS", _C, 422, "A group has too many tasks.", "Split the request."
    ),
    ErrorCode(
        "HYDRATION_TOO_MANY_FAULTS",
        _C,
        422,
        "A check found more faults than it lists.",
        "Correct those listed, then check again.",
    ),
    ErrorCode(
        "RESULTS_MISPLACED",
        Category.INTERNAL,
        500,
        "Results do not fit the group that they belong to.",
        "Report it with the request id.",
    ),
)

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
        "SCRIPT_NOT_READY",
        _S,
        500,
        "A warm script ended, or was silent too long, before it said that it was ready.",
        "Read its stderr: `vn value --script-mode persistent`. Maybe it is one for exec mode.",
        retryable=True,
    ),
    ErrorCode(
        "SCRIPT_PROTOCOL",
        _S,
        500,
        "A warm script sent something else than one answer to its task.",
        "Compare what it writes to descriptor 4 with docs/SCRIPTS.md.",
        retryable=True,
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
    ErrorCode(
        "TASK_RESULT_MISSING",
        Category.INTERNAL,
        500,
        "A task was counted as done, but its result is gone.",
        "Look for memory limits, eviction or a flush of the server; submit again.",
    ),
    ErrorCode(
        "REQUEST_DOCUMENT_MISSING",
        Category.INTERNAL,
        500,
        "The request's document is gone.",
        "Look for memory limits, eviction or a flush of the server; submit again.",
    ),
    ErrorCode(
        "REQUEST_POISONED",
        Category.POISON,
        500,
        "Orchestrator after orchestrator took the request and left it.",
        "Look in the log of vnvs for its end; raise MAX_REQUEST_DELIVERIES if all is well.",
    ),
    ErrorCode(
        "HYDRATION_TIMED_OUT",
        Category.TIMEOUT,
        422,
        "One pass of hydration took longer than its limit and was ended.",
        "Make expressions cheaper (name each step, no `//`), or raise HYDRATION_TIMEOUT_MS.",
    ),
    ErrorCode(
        "HYDRATION_OUT_OF_MEMORY",
        _C,
        422,
        "One pass of hydration needed more memory than its limit.",
        "Make the document smaller, or raise HYDRATION_MEMORY_MAX_BYTES.",
    ),
    ErrorCode(
        "HYDRATION_CRASHED",
        Category.INTERNAL,
        500,
        "The process that hydrates ended unexpectedly.",
        "Submit again; if it ends again, report it with the document.",
    ),
    ErrorCode(
        "HREF_TIMED_OUT",
        Category.TIMEOUT,
        500,
        "Fetching a document took longer than its limit.",
        "Submit again; look at the source, or raise HYDRATION_FETCH_TIMEOUT_MS.",
    ),
    ErrorCode(
        "HREF_SOURCE_FAILED",
        Category.INTERNAL,
        500,
        "A document's source does not answer as it should.",
        "Look at the credentials, the region and the network of vnvs.",
    ),
)

CODES: Mapping[str, ErrorCode] = _table((*_DOOR, *_REQUESTS, *_HYDRATION, *_TASKS))
