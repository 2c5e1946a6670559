"""The verbs that hand a request in: what goes with it, and when it is sent again.

Like `calls`, without any I/O. A submission whose connection broke may have been taken or not. With
an idempotency key it is sent again, which the server answers with the first request; without a
key never.
"""

import os
import random
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import httpx

from vnclient import reading
from vnclient.answers import Accepted, Completed
from vnclient.calls import Call, Pause, Verb, results, watch
from vnclient.errors import (
    RequestFailed,
    ServerFailed,
    ServerUnreachable,
    UnexpectedAnswer,
    VnClientError,
)

Document = bytes | os.PathLike[str]
"""A VNML document: its bytes, or the path of its file."""

RESEND_SECONDS = (0.25, 1.0, 4.0)
"""The pauses, on average, before a submission with a key is sent again."""

_SYNC_GRACE_SECONDS = 15.0  # the server ends a synchronous wait itself; we give it time to say so
_SYNC_DEFAULT_SECONDS = 120.0
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_GATEWAY_FAULTS = frozenset({502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for a request beside its document."""

    idempotency_key: str | None = None
    deadline_ms: int | None = None  # from its receipt
    on_failure: str | None = None  # of groups that name no policy; None: stop

    def params(self) -> dict[str, str]:
        """Give the query parameters."""
        deadline = None if self.deadline_ms is None else str(self.deadline_ms)
        given = {"deadlineMs": deadline, "onFailure": self.on_failure}
        return {name: value for name, value in given.items() if value is not None}

    def headers(self) -> dict[str, str]:
        """Give the headers; raises VnClientError for a key that is none."""
        key = self.idempotency_key
        if key is None:
            return {}
        if not _KEY.fullmatch(key):
            raise VnClientError("an idempotency key has 1 to 128 visible ASCII characters")
        escaped = key.replace("\\", r"\\").replace('"', r"\"")
        return {"Idempotency-Key": f'"{escaped}"'}


def submit(document: Document, terms: Terms) -> Verb[Accepted]:
    """Hand a request in."""
    call = _call(read_document(document), terms, reading.accepted, {"sync": "N"})
    return _persistently(lambda: call, terms)


def submit_sync(
    document: Document, wait_seconds: float | None, terms: Terms
) -> Verb[Completed | Accepted]:
    """Hand a request in and let the server wait for its end."""
    call = _waiting_call(read_document(document), wait_seconds, terms)
    return _persistently(lambda: call, terms)


def complete(document: Document, timeout_seconds: float | None, terms: Terms) -> Verb[Completed]:
    """Hand a request in, wait for its end however long it takes, and give what it ended with.

    A key is made where none is given, so that a broken connection costs nothing. Raises
    RequestFailed with the report when the request ends without a response, and WaitTimedOut.
    """
    body = read_document(document)
    if terms.idempotency_key is None:
        terms = replace(terms, idempotency_key=str(uuid.uuid4()))
    until = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def call() -> Call[Completed | Accepted]:
        left = _left(until)
        wait = None if left is None else min(left, _SYNC_DEFAULT_SECONDS)
        return _waiting_call(body, wait, terms)

    answer = yield from _persistently(call, terms, until)
    if isinstance(answer, Completed):
        return answer
    ended = yield from watch(answer.request_id, _left(until))
    if ended.failure is not None and ended.status in {"failed", "cancelled"}:
        raise RequestFailed(ended.request_id, ended.status, ended.failure)
    response = yield from results(answer.request_id)
    return Completed(response, answer.request_id, ended.status, answer.replayed)


def value(document: Document, timeout_seconds: float | None, terms: Terms) -> Verb[bytes]:
    """Do as `complete`, and give the response document alone."""
    completed = yield from complete(document, timeout_seconds, terms)
    return completed.document


def read_document(document: Document) -> bytes:
    """Give the bytes to send; raises OSError for a file that cannot be read."""
    if isinstance(document, bytes):
        return document
    if isinstance(document, str):  # text or a path? Nobody can tell, and text has lost its encoding
        raise TypeError("give the document as bytes, or its file as a pathlib.Path")
    return Path(document).read_bytes()


def _persistently(call: Callable[[], Call[T]], terms: Terms, until: float | None = None) -> Verb[T]:
    """Make a call, again while it has a key and nobody knows whether the server took it."""
    pauses = iter(RESEND_SECONDS if terms.idempotency_key is not None else ())
    in_doubt = False
    while True:
        try:
            answer: T = yield call()
        except (ServerUnreachable, ServerFailed, UnexpectedAnswer) as err:
            in_doubt = in_doubt or _leaves_in_doubt(err)
            pause = next(pauses, None) if in_doubt and _may_pass(err) else None
            left = _left(until)
            if pause is None or left == 0:
                raise
            seconds = pause * random.uniform(0.5, 1.5)  # noqa: S311 - not all at once, that is all
            if isinstance(err, ServerFailed):
                seconds = max(seconds, err.problem.retry_after_seconds or 0)
        else:
            return answer
        yield Pause(seconds if left is None else min(seconds, left))


def _leaves_in_doubt(error: VnClientError) -> bool:
    """Whether the server may have taken what this error is the answer to."""
    if isinstance(error, ServerFailed):
        return error.code == "STORE_UNAVAILABLE"
    return error.sent if isinstance(error, ServerUnreachable) else _may_pass(error)


def _may_pass(error: VnClientError) -> bool:
    """Whether the same call may succeed in a moment."""
    if isinstance(error, ServerFailed):
        return error.retryable and error.http_status == httpx.codes.SERVICE_UNAVAILABLE
    return not isinstance(error, UnexpectedAnswer) or error.http_status in _GATEWAY_FAULTS


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _waiting_call(
    body: bytes, wait_seconds: float | None, terms: Terms
) -> Call[Completed | Accepted]:
    patience = _SYNC_DEFAULT_SECONDS if wait_seconds is None else wait_seconds
    call = _call(body, terms, reading.submitted, {"sync": "Y"})
    if wait_seconds is not None:
        call.headers["Prefer"] = f"wait={max(1, round(wait_seconds))}"
    return replace(call, read_timeout_seconds=patience + _SYNC_GRACE_SECONDS)


def _call(
    body: bytes,
    terms: Terms,
    read: Callable[[httpx.Response], T],
    params: dict[str, str],
) -> Call[T]:
    headers = {"Content-Type": "application/xml", "Accept": "application/xml, application/json"}
    return Call(
        "POST", "/valuation", read, params | terms.params(), headers | terms.headers(), body
    )
