"""The same client for asyncio; see `client` for what each verb does, takes and raises."""

import asyncio
from collections.abc import AsyncIterator
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


class AsyncClient:
    """The same client for asyncio; see `Client` for what each verb does and raises."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = checked(url)
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=timeout_seconds,
            transport=transport,
            trust_env=not is_loopback(self.url),
        )

    async def submit(
        self,
        document: Document,
        *,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> Accepted:
        """Hand a request in; it runs on its own from here."""
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return await self._run(submission.submit(document, terms))

    async def submit_sync(
        self,
        document: Document,
        *,
        wait_seconds: float | None = None,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> Completed | Accepted:
        """Hand a request in and wait for its end at the server."""
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return await self._run(submission.submit_sync(document, wait_seconds, terms))

    async def value(
        self,
        document: Document,
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        deadline_ms: int | None = None,
        on_failure: str | None = None,
    ) -> bytes:
        """Hand a request in and give its response, however long it takes."""
        terms = terms_of(idempotency_key, deadline_ms, on_failure)
        return await self._run(submission.value(document, timeout_seconds, terms))

    async def complete(
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
        return await self._run(submission.complete(document, timeout_seconds, terms))

    async def status(self, request_id: str) -> Status:
        """Say where a request stands."""
        return await self._run(calls.status(request_id))

    async def results(self, request_id: str) -> bytes:
        """Fetch the response."""
        return await self._run(calls.results(request_id))

    async def cancel(self, request_id: str) -> None:
        """End a request; raises RequestOver when it has ended otherwise."""
        await self._run(calls.cancel(request_id))

    async def redrive(self, request_id: str, *, deadline_ms: int | None = None) -> Redriven:
        """Run a failed, partial or cancelled request again, keeping every good result.

        Raises RequestNotRedrivable for any other.
        """
        return await self._run(calls.redrive(request_id, deadline_ms))

    async def wait(self, request_id: str, *, timeout_seconds: float | None = None) -> Status:
        """Wait until a request has ended, well or not."""
        return await self._run(calls.watch(request_id, timeout_seconds))

    async def watch(
        self, request_id: str, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[Status]:
        """Give the status now and after each change; the last one is terminal."""
        run = Run(calls.watch(request_id, timeout_seconds))
        while (step := run.step) is not None:
            if isinstance(step, Status):
                yield step
            await self._take(run, step)

    async def ready(self) -> Readiness:
        """Whether the server can take requests right now."""
        return await self._run(calls.ready())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, verb: Verb[T]) -> T:
        run = Run(verb)
        while run.step is not None:
            await self._take(run, run.step)
        return run.answer

    async def _take(self, run: Run[Any], step: Step) -> None:
        if isinstance(step, Call):
            try:
                answer = step.read(await self._send(step))
            except VnClientError as err:
                return run.fail(err)
            return run.done(answer)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        return run.done(None)

    async def _send(self, call: Call[Any]) -> httpx.Response:
        request = request_of(self._http, call, self._timeout_seconds)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as err:
            raise unreachable(self.url, err) from err
        try:
            await response.aread()
        except httpx.TransportError as err:
            raise cut_off(self.url, err) from err
        finally:
            await response.aclose()
        return response
