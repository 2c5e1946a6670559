"""The two clients: the same verbs, blocking and asyncio.

    with Client("http://127.0.0.1:8080") as vn:
        response = vn.value(Path("book.xml"))

Both drive the verbs of `calls` over httpx and turn its errors into ours. Every verb raises
ServerUnreachable when nobody answers, and the ApiError that fits when the server refuses.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from vnclient import calls
from vnclient.answers import Accepted, Completed, Readiness, Status
from vnclient.calls import Call, Document, Pause, Run, Step, Verb
from vnclient.errors import ServerUnreachable, VnClientError

DEFAULT_URL = "http://127.0.0.1:8080"

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
        self.url = _checked(url)
        self._timeout_seconds = timeout_seconds
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_seconds,
            transport=transport,
            trust_env=not _is_loopback(self.url),
        )

    def submit(self, document: Document) -> Accepted:
        """Hand a request in; it runs on its own from here."""
        return self._run(calls.submit(document))

    def submit_sync(
        self,
        document: Document,
        *,
        wait_seconds: float | None = None,
    ) -> Completed | Accepted:
        """Hand a request in and wait for its end at the server.

        Gives Accepted ("pending") when the server's patience, or `wait_seconds`, ends first.
        Raises RequestFailed with the report when the request fails.
        """
        return self._run(calls.submit_sync(document, wait_seconds))

    def value(
        self,
        document: Document,
        *,
        timeout_seconds: float | None = None,
    ) -> bytes:
        """Hand a request in and give its response, however long it takes.

        Raises RequestFailed with the report, or WaitTimedOut after `timeout_seconds`.
        """
        return self._run(calls.value(document, timeout_seconds))

    def status(self, request_id: str) -> Status:
        """Say where a request stands; raises RequestNotFound or RequestExpired."""
        return self._run(calls.status(request_id))

    def results(self, request_id: str) -> bytes:
        """Fetch the response; raises ResultNotReady, or RequestFailed with the report."""
        return self._run(calls.results(request_id))

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
        try:
            return self._http.send(_request(self._http, call, self._timeout_seconds))
        except httpx.TransportError as err:
            raise ServerUnreachable(self.url, _reason(err)) from err


class AsyncClient:
    """The same client for asyncio; see `Client` for what each verb does and raises."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = _checked(url)
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=timeout_seconds,
            transport=transport,
            trust_env=not _is_loopback(self.url),
        )

    async def submit(self, document: Document) -> Accepted:
        """Hand a request in; it runs on its own from here."""
        return await self._run(calls.submit(document))

    async def submit_sync(
        self,
        document: Document,
        *,
        wait_seconds: float | None = None,
    ) -> Completed | Accepted:
        """Hand a request in and wait for its end at the server."""
        return await self._run(calls.submit_sync(document, wait_seconds))

    async def value(
        self,
        document: Document,
        *,
        timeout_seconds: float | None = None,
    ) -> bytes:
        """Hand a request in and give its response, however long it takes."""
        return await self._run(calls.value(document, timeout_seconds))

    async def status(self, request_id: str) -> Status:
        """Say where a request stands."""
        return await self._run(calls.status(request_id))

    async def results(self, request_id: str) -> bytes:
        """Fetch the response."""
        return await self._run(calls.results(request_id))

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
        try:
            return await self._http.send(_request(self._http, call, self._timeout_seconds))
        except httpx.TransportError as err:
            raise ServerUnreachable(self.url, _reason(err)) from err


def _request(
    http: httpx.Client | httpx.AsyncClient, call: Call[Any], timeout_seconds: float
) -> httpx.Request:
    patience = call.read_timeout_seconds or timeout_seconds
    return http.build_request(
        call.method,
        call.path,
        params=call.params,
        headers=call.headers,
        content=call.content,
        timeout=httpx.Timeout(timeout_seconds, read=patience),
    )


def _reason(err: httpx.TransportError) -> str:
    if isinstance(err, httpx.ConnectTimeout | httpx.ReadTimeout):
        return "no answer in time"
    return str(err) or type(err).__name__


def _checked(url: str) -> str:
    """Give the address without a trailing slash; raises VnClientError for what is no address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as err:
        raise VnClientError(f"{url!r} is not the address of a server: {err}") from err
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise VnClientError(f"{url!r} is not the address of a server, such as {DEFAULT_URL}")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    """Whether the server is on this machine, so that no proxy of the environment is in between."""
    return httpx.URL(url).host in {"127.0.0.1", "localhost", "::1"}
