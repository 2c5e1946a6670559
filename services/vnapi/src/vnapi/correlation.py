"""What ties one call together: its ids, its log line, and its answer to the unexpected.

An ASGI middleware around the whole application: takes or makes ``X-Request-Id`` and
``traceparent``, hands them on as ``request.state.trace``, sends them back, writes one log line per
call, and answers what nobody caught.
"""

import re
import secrets
import time
import uuid

from aws_lambda_powertools import Logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vnapi import problems
from vncore.logs import bound
from vncore.messages import Trace

_CORRELATION_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?P<more>-[\x21-\x7e]{0,200})?"
)


class Correlation:
    """See the module's text; `log` is the service's logger."""

    def __init__(self, app: ASGIApp, log: Logger) -> None:
        self._app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = trace_of(Headers(scope=scope))
        scope.setdefault("state", {})["trace"] = trace
        call = _Call(send, trace)
        start = time.perf_counter()
        with bound(self.log, correlation_id=trace.correlation_id, traceparent=trace.traceparent):
            try:
                await self._app(scope, receive, call.send)
            except ClientDisconnect:
                self.log.info("client_left", extra={"path": scope["path"][:200]})
            except Exception:
                self.log.exception("call_failed", extra={"path": scope["path"][:200]})
                await call.answer_unexpected()
            submitted = scope["state"].get("request_id")
            self.log.info(
                "call_answered",
                extra={
                    **({"request_id": submitted} if submitted else {}),
                    "method": scope["method"],
                    "path": scope["path"][:200],
                    "http_status": call.http_status,
                    "duration_ms": round((time.perf_counter() - start) * 1000, 1),
                },
            )


def trace_of(headers: Headers) -> Trace:
    """Take the ids that a client sent where they are well-formed; make the others.

    A ``traceparent`` is handed on as it is: VN adds no span of its own to it here.
    """
    correlation_id = headers.get("x-request-id", "")
    if not _CORRELATION_ID.fullmatch(correlation_id):
        correlation_id = str(uuid.uuid4())
    traceparent = headers.get("traceparent", "")
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or (found["version"] == "00" and found["more"]):
        traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    return Trace(traceparent=traceparent, correlation_id=correlation_id)


class _Call:
    """The sending side of one call."""

    def __init__(self, send: Send, trace: Trace) -> None:
        self._send = send
        self._trace = trace
        self.http_status = 0  # until the answer starts

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.http_status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._trace.correlation_id
            headers["traceparent"] = self._trace.traceparent
        await self._send(message)

    async def answer_unexpected(self) -> None:
        if self.http_status:
            return  # the answer is under way; the server cuts it off
        document = problems.unexpected(self._trace.correlation_id)
        body = problems.encoded(document)
        start = {
            "type": "http.response.start",
            "status": document["status"],
            "headers": [
                (b"content-type", problems.MEDIA_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
            ],
        }
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body})
