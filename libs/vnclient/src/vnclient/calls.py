"""The verbs of the client, without any I/O: what to send, how to read it, when to ask again.

A verb is a generator that yields steps (a `Call` to make, a `Pause` to keep, a `Status` to show)
and returns its answer. `client` and `async_client` only drive it, so that each verb is written
once. Here are those that name a request; those that hand one in are in `submission`.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from vnclient import reading
from vnclient.answers import Readiness, Redriven, Status
from vnclient.errors import ServerFailed, ServerUnreachable, VnClientError, WaitTimedOut

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

POLL_SECONDS = (0.1, 1.0)
"""The first pause between two looks at a status, and the longest."""

_OUTAGE_SECONDS = 15.0  # a wait survives a server that restarts


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


def status(request_id: str) -> Verb[Status]:
    """Ask where a request stands."""
    return _make(_status(request_id))


def results(request_id: str) -> Verb[bytes]:
    """Fetch a response; raises ResultNotReady, or RequestFailed with the report."""
    return _make(Call("GET", f"{_path(request_id)}/results", reading.document))


def cancel(request_id: str) -> Verb[None]:
    """End a request; raises RequestOver when it has ended otherwise. A second call does no harm."""
    return _make(Call("DELETE", _path(request_id), reading.cancelled))


def redrive(request_id: str, deadline_ms: int | None) -> Verb[Redriven]:
    """Run a request again, keeping every good result; raises RequestNotRedrivable."""
    params = {} if deadline_ms is None else {"deadlineMs": str(deadline_ms)}
    return _make(Call("POST", f"{_path(request_id)}/redrive", reading.redriven, params))


def ready() -> Verb[Readiness]:
    """Ask whether the server can take requests."""
    return _make(Call("GET", "/readyz", reading.ready))


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


def _make(call: Call[T]) -> Verb[T]:
    answer: T = yield call
    return answer


def _status(request_id: str) -> Call[Status]:
    return Call("GET", f"{_path(request_id)}/status", reading.status)


def _path(request_id: str) -> str:
    return f"/valuation/{quote(request_id, safe='')}"
