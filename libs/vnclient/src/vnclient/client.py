"""The blocking client.

    with Client("http://127.0.0.1:8080") as vn:
        response = vn.value(Path("book.xml"))

Drives the verbs of `calls` and `submission` over httpx and turns its errors into ours; so does
`async_client`. Every verb raises ServerUnreachable when nobody answers, AnswerCutOff when an answer
breaks off before its end, and the ApiError that fits when the server refuses.

Those that hand a request in take with it an `idempotency_key` (1 to 128 visible ASCII characters:
sent again with it, the request is not run again, and a submission whose connection broke is sent
again by itself), a `deadline_ms` counted from the receipt, and `on_failure`, the failure policy
of groups that name none.
"""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from vnclient import calls, submission
from vnclient.answers import Accepted, Completed, Readiness, Redriven, Status
from vnclient.calls import Call, Pause, Run, Step, Verb
from vnclient.errors import VnClientError
from vnclient.submission import Document
from vnclient.wire import (
    DEFAULT_URL,
    checked,
    cut_off,
    is_loopback,
    request_of,
    terms_of,
    unreachable,
)

T = TypeVar("T")


class Client:
    """A blocking client of one VN server; safe to share between threads.

    `timeout_seconds` bounds connecting and each wait for bytes of an answer. `transport` replaces
    the network, for tests. Close it, or use it with ``with``.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = checked(url)
        self._timeout_seconds = timeout_seconds
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            transport=transport,
            trust_env=not is_loopback(self.url),
        )

    def submit(
        self,
        document: Document,
        *,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> Accepted:
        """Hand a request in; it runs on its own from here."""
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return self._run(submission.submit(document, terms))

    def submit_sync(
        self,
        document: Document,
        *,
        wait_seconds: float | None = None,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> Completed | Accepted:
        """Hand a request in and wait for its end at the server.

        Gives Accepted ("pending") when the server's patience, or `wait_seconds`, ends first.
        Raises RequestFailed with the report when the request fails.
        """
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return self._run(submission.submit_sync(document, wait_seconds, terms))

    def value(
        self,
        document: Document,
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> bytes:
        """Hand a request in and give its response, however long it takes.

        It has an idempotency key of its own where none is given. What a failure policy tolerates
        stands in the response; `complete` tells whether there is any.
        Raises RequestFailed with the report, or WaitTimedOut after `timeout_seconds`.
        """
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return self._run(submission.value(document, timeout_seconds, terms))

    def complete(
        self,
        document: Document,
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> Completed:
        """Do as `value`, and give with the response how the request ended and its id."""
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return self._run(submission.complete(document, timeout_seconds, terms))

    def status(self, request_id: str) -> Status:
        """Say where a request stands; raises RequestNotFound or RequestExpired."""
        return self._run(calls.status(request_id))

    def results(self, request_id: str) -> bytes:
        """Fetch the response; raises ResultNotReady, or RequestFailed with the report."""
        return self._run(calls.results(request_id))

    def cancel(self, request_id: str) -> None:
        """End a request; raises RequestOver when it has ended otherwise."""
        self._run(calls.cancel(request_id))

    def redrive(self, request_id: str, *, deadline_ms: int | None = None) -> Redriven:
        """Run a failed, partial or cancelled request again, keeping every good result.

        Raises RequestNotRedrivable for any other.
        """
        return self._run(calls.redrive(request_id, deadline_ms))

    def wait(self, request_id: str, *, timeout_seconds: float | None = None) -> Status:
        """Wait until a request has ended, well or not; raises WaitTimedOut."""
        return self._run(calls.watch(request_id, timeout_seconds))

    def watch(self, request_id: str, *, timeout_seconds: float | None = None) -> Iterator[Status]:
        """Give the status now and after each change; the last one is terminal."""
        run = Run(calls.watch(request_id, timeout_seconds))
        while (step := run.step) is not None:
            if isinstance(step, Status):
                yield step
            self._take(run, step)

    def ready(self) -> Readiness:
        """Whether the server can take requests right now."""
        return self._run(calls.ready())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, verb: Verb[T]) -> T:
        run = Run(verb)
        while run.step is not None:
            self._take(run, run.step)
        return run.answer

    def _take(self, run: Run[Any], step: Step) -> None:
        if isinstance(step, Call):
            try:
                answer = step.read(self._send(step))
            except VnClientError as err:
                return run.fail(err)
            return run.done(answer)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
        return run.done(None)

    def _send(self, call: Call[Any]) -> httpx.Response:
        request = request_of(self._http, call, self._timeout_seconds)
        try:
            response = self._http.send(request, stream=True)
        except httpx.TransportError as err:
            raise unreachable(self.url, err) from err
        try:
            response.read()
        except httpx.TransportError as err:
            raise cut_off(self.url, err) from err
        finally:
            response.close()
        return response
