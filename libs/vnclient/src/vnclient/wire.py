"""How a call goes over HTTP: the server's address, the request, and what stops it.

What `client` and `async_client` share.
"""

from typing import Any

import httpx

from vnclient.calls import Call
from vnclient.errors import AnswerCutOff, ServerUnreachable, VnClientError
from vnclient.submission import Terms

DEFAULT_URL = "http://127.0.0.1:8080"


def terms_of(idempotency_key: str | None, deadline_ms: int | None, on_failure: str | None) -> Terms:
    """Put together what a caller asks for beside the document."""
    return Terms(idempotency_key=idempotency_key, deadline_ms=deadline_ms, on_failure=on_failure)


def request_of(
    http: httpx.Client | httpx.AsyncClient, call: Call[Any], timeout_seconds: float
) -> httpx.Request:
    """Make the request of a call."""
    patience = call.read_timeout_seconds or timeout_seconds
    return http.build_request(
        call.method,
        call.path,
        params=call.params,
        headers=call.headers,
        content=call.content,
        timeout=httpx.Timeout(timeout_seconds, read=patience),
    )


def unreachable(url: str, err: httpx.TransportError) -> ServerUnreachable:
    """Turn what went wrong on the way into our error."""
    reason = _reason(err)
    nobody_there = isinstance(err, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return ServerUnreachable(url, reason, sent=not nobody_there)


def cut_off(url: str, err: httpx.TransportError) -> AnswerCutOff:
    """Turn what went wrong after the head of an answer into our error."""
    return AnswerCutOff(url, _reason(err))


def checked(url: str) -> str:
    """Give the address without a trailing slash; raises VnClientError for what is no address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as err:
        raise VnClientError(f"{url!r} is not the address of a server: {err}") from err
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise VnClientError(f"{url!r} is not the address of a server, such as {DEFAULT_URL}")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether the server is on this machine, so that no proxy of the environment is in between."""
    return httpx.URL(url).host in {"127.0.0.1", "localhost", "::1"}


def _reason(err: httpx.TransportError) -> str:
    if isinstance(err, httpx.ConnectTimeout | httpx.ReadTimeout):
        return "no answer in time"
    return str(err) or type(err).__name__
