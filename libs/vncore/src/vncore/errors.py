"""The errors of VN, split by who acts next.

    VnError                 code, category, retryable, http_status, message, rule, place
      RequestRejected       the sender corrects it: 4xx at the door, nothing was queued
        MalformedDocument     not XML that we accept (line, column)
        InvalidRequest        parameters, headers, ids
        UnprocessableDocument well-formed, but no valuation request
      HydrationFailed       the sender corrects it: the request fails (rule, expression, place)
      AttemptFailed         vnvs: backoff and retry, unless not retryable
        ScriptFailed          exit status, stderr tail
        ScriptTimedOut        the script's own limit
        ResultRejected        exit 0, but the output is no result
      StoreUnavailable      the platform: the entry stays pending and is delivered again
        StoreFull             the operator: nothing was kept; more memory, or what expires, helps
      Superseded            nobody: another orchestrator has the request, or it is over
      Misconfigured         the operator: the service does not start

Facts are attributes, not only prose. The meaning of each code is in `vncore.codes`.
"""

from dataclasses import dataclass
from typing import Any

from vncore.codes import CODES, Category, ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fault is; every field is optional and absent when it is not known."""

    group: str | None = None  # the group's name
    group_index: int | None = None  # counts from 0
    valuation: str | None = None  # the valuation's name
    task: int | None = None  # the task's number, counts from 1
    element: str | None = None  # XPath of the element in the document
    line: int | None = None  # counts from 1, in the document as it was sent
    column: int | None = None  # counts from 1
    expression: str | None = None  # the XPath or link expression as written
    uri: str | None = None  # the referenced document

    def fields(self) -> dict[str, str | int]:
        """Give the known facts under their wire names (camelCase)."""
        named = {
            "group": self.group,
            "groupIndex": self.group_index,
            "valuation": self.valuation,
            "task": self.task,
            "element": self.element,
            "line": self.line,
            "column": self.column,
            "expression": self.expression,
            "uri": self.uri,
        }
        return {name: value for name, value in named.items() if value is not None}


class VnError(Exception):
    """A fault with a stable code and, where it is known, a place.

    `code` must be in `vncore.codes.CODES`. `rule` is the number of the VNML rule broken (``S2``).
    """

    def __init__(
        self, code: str, message: str, *, rule: str | None = None, place: Place | None = None
    ) -> None:
        super().__init__(message)
        self.known: ErrorCode = CODES[code]
        self.message = message
        self.rule = rule
        self.place = place or Place()

    @property
    def code(self) -> str:
        """The stable code, such as ``SELECT_AMBIGUOUS``."""
        return self.known.name

    @property
    def category(self) -> Category:
        """Where the cause lies."""
        return self.known.category

    @property
    def retryable(self) -> bool:
        """Whether the same attempt may succeed later."""
        return self.known.retryable

    @property
    def http_status(self) -> int:
        """What a caller over HTTP sees."""
        return self.known.http_status

    def report(self) -> dict[str, Any]:
        """Give the error as it stands in failure reports and problem documents (VNML §9)."""
        rule = {"rule": self.rule} if self.rule else {}
        return {
            "code": self.code,
            "category": self.category.value,
            "retryable": self.retryable,
            **rule,
            "message": self.message,
            **self.place.fields(),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (hydration children); keyword-only facts ride in __dict__.
        return _restore, (type(self), self.__dict__.copy(), self.args)


def _restore(kind: type[VnError], facts: dict[str, Any], args: tuple[Any, ...]) -> VnError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class RequestRejected(VnError):
    """The sender must correct the request; nothing was queued."""


class MalformedDocument(RequestRejected):
    """Bytes that are not XML as VN accepts it."""


class InvalidRequest(RequestRejected):
    """A parameter, header or id that is not allowed."""


class UnprocessableDocument(RequestRejected):
    """Well-formed XML that is no valuation request (VNML D1)."""


class HydrationFailed(VnError):
    """A reference, variable or limit of hydration; the request ends failed, no retry helps."""


class AttemptFailed(VnError):
    """One attempt at a task failed; vnvs decides whether there is another."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        rule: str | None = None,
        place: Place | None = None,
        exit_status: int | None = None,
        stderr_tail: str = "",
    ) -> None:
        super().__init__(code, message, rule=rule, place=place)
        self.exit_status = exit_status
        self.stderr_tail = stderr_tail


class ScriptFailed(AttemptFailed):
    """The script ended with a status other than 0, or by a signal."""


class ScriptTimedOut(AttemptFailed):
    """The script ran longer than ``VNAS_SCRIPT_TIMEOUT_MS``."""


class ResultRejected(AttemptFailed):
    """The script ended well, but its output is no VNML result and no number (VNML K2)."""


class StoreUnavailable(VnError):
    """The Redis server does not answer; entries stay pending and are delivered again.

    `passing` says that whatever was asked just then would have met the same: no entry is to blame.
    """

    def __init__(
        self, message: str, *, code: str = "STORE_UNAVAILABLE", passing: bool = False
    ) -> None:
        super().__init__(code, message)
        self.passing = passing


class StoreFull(StoreUnavailable):
    """The Redis server has reached its ``maxmemory`` and refused the whole step."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="STORE_FULL", passing=True)


class Superseded(VnError):
    """Another orchestrator has the request, or it is terminal; whoever is told stops quietly."""

    def __init__(self, request_id: str) -> None:
        super().__init__("SUPERSEDED", f"request {request_id} is in other hands or over")


class Misconfigured(VnError):
    """A setting is wrong; the service says which and does not start."""

    def __init__(self, message: str) -> None:
        super().__init__("MISCONFIGURED", message)
