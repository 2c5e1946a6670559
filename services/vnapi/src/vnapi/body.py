"""The body of a request, read within its limits whatever its headers promise.

Called by `routes` for submissions; gives the plain bytes, each of which is copied once from the
chunk that it came in. Every refusal here closes the connection or follows a body read to its end,
so that nothing of it is taken for the next request.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from vnapi.capacity import NoRoom
from vnapi.room import FREE_BYTES, Hold
from vncore.errors import InvalidRequest, MalformedDocument
from vncore.inflate import Inflater

XML_TYPES = frozenset(("application/xml", "text/xml"))

_DRAIN_SECONDS = 1.0
_SLICE_BYTES = 64  # of gzip, while no room is held: becomes some 64 KiB at the most


async def read_document(request: Request, *, max_bytes: int, timeout_ms: int, hold: Hold) -> bytes:
    """Read the document that a request carries, decompressed where it says gzip.

    A document over `FREE_BYTES` waits for its room: before it is read where its length is known,
    else, for the largest that it may become, when it has come to that size. `timeout_ms` counts
    while it is read. At the end `hold` has the size of the document.

    Raises MalformedDocument (``CONTENT_TYPE_UNSUPPORTED``, ``CONTENT_ENCODING_UNSUPPORTED``,
    ``CONTENT_ENCODING_BROKEN``, ``DOCUMENT_TOO_LARGE``), InvalidRequest (``PARAMETER_INVALID`` for
    a transfer coding, ``BODY_TIMEOUT``), NoRoom (``BACKLOG_FULL``) and ClientDisconnect.
    """
    incoming = _Incoming(request)
    try:
        _refuse_transfer_coding(request)
        _refuse_type(request)
        compressed = _is_gzip(request)
        most = max_bytes * 2 if compressed else max_bytes
        declared = _declared_length(request, most, max_bytes)
        if declared > FREE_BYTES and not compressed:
            await hold.grow(declared)
        async with asyncio.timeout(timeout_ms / 1000) as clock:
            document = _Document(max_bytes, hold, clock)
            if compressed:
                return await _inflated(incoming, document)
            return await _plain(incoming, document)
    except TimeoutError as err:
        raise InvalidRequest(
            "BODY_TIMEOUT", f"the body did not arrive within {timeout_ms} ms"
        ) from err
    except MalformedDocument:
        await _drain(request, incoming, max_bytes)
        raise
    except NoRoom:
        await _drain(request, incoming, max_bytes)
        request.state.body_unread = not incoming.ended
        raise


async def discard(request: Request, *, max_bytes: int) -> bool:
    """Let the body of a refused request come in for a moment, and forget it.

    Tells whether all of it came, so that the connection can be used again.
    """
    incoming = _Incoming(request)
    await _drain(request, incoming, max_bytes)
    return incoming.ended


class _Incoming:
    """The chunks of one body; knows when there are no more."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self.ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what is left; raises ClientDisconnect when the client goes away in between."""
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.ended = True
                raise ClientDisconnect
            self.ended = not message.get("more_body", False)
            yield message.get("body", b"")


class _Document:
    """A document that grows within its limits, in one buffer."""

    def __init__(self, max_bytes: int, hold: Hold, clock: asyncio.Timeout) -> None:
        self.max_bytes = max_bytes
        self._hold = hold
        self._clock = clock
        self._buffer = io.BytesIO()
        self._size = 0

    @property
    def has_room(self) -> bool:
        """Whether it holds room for more than what is free."""
        return self._hold.size > 0

    async def add(self, plain: bytes) -> None:
        """Append to it, as soon as there is room; raises MalformedDocument and NoRoom."""
        self._size += len(plain)
        if self._size > self.max_bytes:
            raise _too_large(self.max_bytes)
        if self._size > max(self._hold.size, FREE_BYTES):
            await self._make_room()
        self._buffer.write(plain)

    def whole(self) -> bytes:
        """Give all of it, without a copy."""
        document = self._buffer.getvalue()
        self._hold.shrink(self._size)
        return document

    async def _make_room(self) -> None:
        """Wait for room while the clock of the body stands still."""
        now = asyncio.get_running_loop().time
        ends = self._clock.when()
        left = None if ends is None else ends - now()
        self._clock.reschedule(None)
        await self._hold.grow(self.max_bytes)
        self._clock.reschedule(None if left is None else now() + left)


async def _plain(incoming: _Incoming, document: _Document) -> bytes:
    async for chunk in incoming.chunks():
        await document.add(chunk)
    return document.whole()


async def _inflated(incoming: _Incoming, document: _Document) -> bytes:
    inflater = Inflater(document.max_bytes)
    size = 0
    async for chunk in incoming.chunks():
        size += len(chunk)
        if size > 2 * document.max_bytes:  # empty blocks can go on forever and give nothing
            raise _too_large(document.max_bytes)
        at = 0
        while at < len(chunk):
            # A byte may become a thousand: with no room held yet, that is found out in small steps.
            some = chunk[at:] if document.has_room else chunk[at : at + _SLICE_BYTES]
            at += len(some)
            await document.add(inflater.feed(some))
    inflater.finish()
    return document.whole()


async def _drain(request: Request, incoming: _Incoming, max_bytes: int) -> None:
    """Let a refused body come in for a moment, and forget it.

    A connection closed on unread bytes is reset, and the client would see that instead of why.
    Whoever asked by ``Expect: 100-continue`` waits for our answer and sends nothing.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    room = max_bytes
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in incoming.chunks():
                room -= len(chunk)
                if room < 0:
                    return


def _refuse_transfer_coding(request: Request) -> None:
    coding = request.headers.get("transfer-encoding", "chunked").strip().lower()
    if coding != "chunked":
        raise InvalidRequest("PARAMETER_INVALID", "Transfer-Encoding may only be chunked")


def _refuse_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in XML_TYPES:
        sent = f"it is {content_type[:100]!r}" if content_type else "there is none"
        raise MalformedDocument(
            "CONTENT_TYPE_UNSUPPORTED", f"Content-Type must be application/xml or text/xml; {sent}"
        )


def _is_gzip(request: Request) -> bool:
    codings = [
        coding.strip().lower()
        for header in request.headers.getlist("content-encoding")
        for coding in header.split(",")
    ]
    match [coding for coding in codings if coding not in {"", "identity"}]:
        case []:
            return False
        case ["gzip" | "x-gzip"]:
            return True
        case other:
            raise MalformedDocument(
                "CONTENT_ENCODING_UNSUPPORTED",
                f"Content-Encoding must be gzip or absent, not {', '.join(other)[:100]!r}",
            )


def _declared_length(request: Request, most: int, max_bytes: int) -> int:
    """Give the length that a body says it has, 0 when it says nothing; refuse more than `most`."""
    declared = request.headers.get("content-length", "")
    length = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0
    if length > most:
        raise _too_large(max_bytes)
    return length


def _too_large(max_bytes: int) -> MalformedDocument:
    return MalformedDocument("DOCUMENT_TOO_LARGE", f"the document has more than {max_bytes} bytes")
