"""HTTP/1.1 for uvicorn with limits that it lacks: headers in time and in size, bytes per request.

uvicorn times out neither headers nor bodies, and its parser takes headers of any size. Bodies have
their deadline in `body`; this class guards what comes before the application sees anything, and the
bytes of one request in all. What it refuses gets a problem document and the connection ends.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from vnapi import problems
from vncore.codes import CODES


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What one request may take before the application decides."""

    header_max_bytes: int
    header_timeout_ms: int
    request_max_bytes: int  # headers and body as they are on the wire
    connections: int


class _Refused(Exception):
    """Ends parsing from within a parser's callback."""


def bounded(limits: WireLimits) -> type[HttpToolsProtocol]:
    """Give the protocol class with these limits, for uvicorn's ``http`` setting."""
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


class BoundedProtocol(HttpToolsProtocol):
    """One connection; `limits` is set by `bounded`."""

    limits: ClassVar[WireLimits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_header = True  # the parser wants (more of) a request's header
        self._begun = False  # it has seen some of it: a connection may also just stay silent
        self._header_bytes = 0  # of the unfinished header, by chunk
        self._request_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[str, str] | None = None  # code, detail

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first header."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_header_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, parse, and refuse what is over a limit."""
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._in_header:
            self._header_bytes += len(data)
            self._start_header_timer()
        self._request_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_header and self._header_bytes > self.limits.header_max_bytes:
            self._refuse(*self._header_size_refusal())
        elif self._request_bytes > self.limits.request_max_bytes:
            self._refuse("DOCUMENT_TOO_LARGE", "the request is too large to be read")

    def on_message_begin(self) -> None:
        """Begin to count a request."""
        super().on_message_begin()
        self._begun = True

    def on_headers_complete(self) -> None:
        """Check the header's size, and that there is room for another connection."""
        self._stop_header_timer()
        self._in_header = self._begun = False
        self._header_bytes = 0
        # As on the wire, with the colon, the blank and the line end of each header.
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_max_bytes:
            self._refusal = self._header_size_refusal()
            raise _Refused
        if len(self.connections) > self.limits.connections:
            self._refusal = ("OVERLOADED", f"more than {self.limits.connections} connections")
            raise _Refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Await the next header."""
        self._in_header = True
        self._request_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or a callback above, refused."""
        self._refuse(*(self._refusal or ("HTTP_MALFORMED", msg)))

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(
                self.limits.header_timeout_ms / 1000, self._header_timed_out
            )

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_timed_out(self) -> None:
        self._header_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            # Bytes of a next request beside one that is being answered: look again after it.
            self._start_header_timer()
            return
        if not self._begun:
            self.transport.close()
            return
        patience = f"{self.limits.header_timeout_ms} ms"
        self._refuse("HEADERS_TIMEOUT", f"the headers did not arrive within {patience}")

    def _header_size_refusal(self) -> tuple[str, str]:
        most = self.limits.header_max_bytes
        return "HEADERS_TOO_LARGE", f"request line and headers have more than {most} bytes"

    def _refuse(self, code: str, detail: str) -> None:
        """Send a problem document, unless another answer is under way, and close."""
        self._refusal = (code, detail)
        self._stop_header_timer()
        if self.transport.is_closing():
            return
        running = self.cycle is not None and not self.cycle.response_complete
        if running:
            # The application is told that nobody listens; it can no longer answer here.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not running or not self.cycle.response_started:
            self.transport.write(_answer(code, detail))
        self.transport.close()


def _answer(code: str, detail: str) -> bytes:
    known = CODES[code]
    body = problems.encoded(problems.problem(known, detail))
    head = (
        STATUS_LINE[known.http_status],
        b"content-type: " + problems.MEDIA_TYPE.encode() + b"\r\n",
        b"content-length: %d\r\n" % len(body),
        b"retry-after: 1\r\n" if known.retryable else b"",
        b"connection: close\r\n\r\n",
    )
    return b"".join(head) + body
