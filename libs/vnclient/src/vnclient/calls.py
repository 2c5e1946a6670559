"""Every verb of the client, without any I/O: what to send, how to read it, when to ask again.

A verb is a generator that yields steps (a `Call` to make, a `Pause` to keep, a `Status` to show)
and returns its answer. `client.Client` and `client.AsyncClient` only drive it, so that each verb
is written once.
"""

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from vnclient import answers
from vnclient.answers import Accepted, Completed, Readiness, Status
from vnclient.errors import (
    RequestFailed,
    ServerFailed,
    ServerUnreachable,
    VnClientError,
    WaitTimedOut,
)

Document = bytes | os.PathLike[str]
"""A VNML document: its bytes, or the path of its file."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

POLL_SECONDS = (0.1, 1.0)
"""The first pause between two looks at a status, and the longest."""

_OUTAGE_SECONDS = 15.0  # a wait survives a server that restarts
_SYNC_GRACE_SECONDS = 15.0  # the server ends a synchronous wait itself; we give it time to say so
_SYNC_DEFAULT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One HTTP call and how to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T_co]
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    read_timeout_seconds: float | None = None  # None: the client's own


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next step."""

    seconds: float


Step = Call[Any] | Pause | Status
Verb = Generator[Step, Any, T_co]


class Run(Generic[T]):
    """A verb on its way: the step it waits for, or its answer.

    `step` None means that it has ended. Errors that the verb does not handle come out of `fail`.
    """

    def __init__(self, verb: Verb[T]) -> None:
        self._verb = verb
        self.answer: T
        self.step: Step | None
        self.done(None)

    def done(self, value: Any) -> None:
        """Go on with what the step gave."""
        try:
            self.step = self._verb.send(value)
        except StopIteration as end:
            self.step, self.answer = None, end.value

    def fail(self, error: VnClientError) -> None:
        """Go on with the error that the step met."""
        try:
            self.step = self._verb.throw(error)
        except StopIteration as end:
            self.step, self.answer = None, end.value


def submit(document: Document) -> Verb[Accepted]:
    """Hand a request in."""
    return _make(_submission(document, answers.accepted, {"sync": "N"}))


def submit_sync(document: Document, wait_seconds: float | None) -> Verb[Completed | Accepted]:
    """Hand a request in and let the server wait for its end."""
    patience = _SYNC_DEFAULT_SECONDS if wait_seconds is None else wait_seconds
    call = _submission(
        document,
        answers.submitted,
        {"sync": "Y"},
        preference=None if wait_seconds is None else f"wait={max(1, round(wait_seconds))}",
        read_timeout_seconds=patience + _SYNC_GRACE_SECONDS,
    )
    return _make(call)


def status(request_id: str) -> Verb[Status]:
    """Ask where a request stands."""
    return _make(_status(request_id))


def results(request_id: str) -> Verb[bytes]:
    """Fetch a response; raises ResultNotReady, or RequestFailed with the report."""
    return _make(Call("GET", f"{_path(request_id)}/results", answers.document))


def ready() -> Verb[Readiness]:
    """Ask whether the server can take requests."""
    return _make(Call("GET", "/readyz", answers.ready))


def watch(request_id: str, timeout_seconds: float | None) -> Verb[Status]:
    """Show each change of a request's status until it is terminal; return the last.

    A server that is away for a moment is asked again; raises WaitTimedOut when the time is over.
    """
    began = time.monotonic()
    last_answer, seen = began, None
    pause, longest = POLL_SECONDS
    while True:
        now = time.monotonic()
        if timeout_seconds is not None and now - began > timeout_seconds:
            raise WaitTimedOut(request_id, timeout_seconds)
        try:
            found: Status = yield _status(request_id)
        except (ServerUnreachable, ServerFailed):
            if now - last_answer > _OUTAGE_SECONDS:
                raise
        else:
            last_answer = now
            if found != seen:
                # Not back to the first pause: many watchers must not outweigh the work.
                seen, pause = found, max(POLL_SECONDS[0], pause / 2)
                yield found
            if found.is_terminal:
                return found
        yield Pause(pause)
        pause = min(pause * 1.5, longest)


def value(document: Document, timeout_seconds: float | None) -> Verb[bytes]:
    """Hand a request in, wait for its end however long it takes, and give the response.

    Raises RequestFailed with the report when the request ends without one.
    """
    began = time.monotonic()
    wait = None if timeout_seconds is None else min(timeout_seconds, _SYNC_DEFAULT_SECONDS)
    answer = yield from submit_sync(document, wait)
    if isinstance(answer, Completed):
        return answer.document
    left = None if timeout_seconds is None else timeout_seconds - (time.monotonic() - began)
    ended = yield from watch(answer.request_id, left)
    if ended.failure is not None and ended.status in {"failed", "cancelled"}:
        raise RequestFailed(ended.request_id, ended.status, ended.failure)
    return (yield from results(answer.request_id))


def read_document(document: Document) -> bytes:
    """Give the bytes to send; raises OSError for a file that cannot be read."""
    if isinstance(document, bytes):
        return document
    if isinstance(document, str):  # text or a path? Nobody can tell, and text has lost its encoding
        raise TypeError("give the document as bytes, or its file as a pathlib.Path")
    return Path(document).read_bytes()


def _make(call: Call[T]) -> Verb[T]:
    answer: T = yield call
    return answer


def _submission(
    document: Document,
    read: Callable[[httpx.Response], T],
    params: dict[str, str],
    *,
    preference: str | None = None,
    read_timeout_seconds: float | None = None,
) -> Call[T]:
    headers = {"Content-Type": "application/xml", "Accept": "application/xml, application/json"}
    if preference is not None:
        headers["Prefer"] = preference
    return Call(
        "POST",
        "/valuation",
        read,
        params,
        headers,
        read_document(document),
        read_timeout_seconds,
    )


def _status(request_id: str) -> Call[Status]:
    return Call("GET", f"{_path(request_id)}/status", answers.status)


def _path(request_id: str) -> str:
    return f"/valuation/{quote(request_id, safe='')}"
