"""The body of a request, read within its limits whatever its headers promise.

Called by `routes` for submissions; gives the plain bytes. Every refusal here closes the connection
or follows a body read to its end, so that nothing of it is taken for the next request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from vncore.errors import InvalidRequest, MalformedDocument
from vncore.inflate import Inflater

XML_TYPES = frozenset(("application/xml", "text/xml"))

_DRAIN_SECONDS = 1.0


async def read_document(request: Request, *, max_bytes: int, timeout_ms: int) -> bytes:
    """Read the document that a request carries, decompressed where it says gzip.

    Raises MalformedDocument (``CONTENT_TYPE_UNSUPPORTED``, ``CONTENT_ENCODING_UNSUPPORTED``,
    ``CONTENT_ENCODING_BROKEN``, ``DOCUMENT_TOO_LARGE``), InvalidRequest (``PARAMETER_INVALID`` for
    a transfer coding, ``BODY_TIMEOUT``) and ClientDisconnect.
    """
    incoming = _Incoming(request)
    try:
        _refuse_transfer_coding(request)
        _refuse_type(request)
        compressed = _is_gzip(request)
        _refuse_declared_length(request, max_bytes * 2 if compressed else max_bytes, max_bytes)
        async with asyncio.timeout(timeout_ms / 1000):
            if compressed:
                return await _inflated(incoming, max_bytes)
            return await _plain(incoming, max_bytes)
    except TimeoutError as err:
        raise InvalidRequest(
            "BODY_TIMEOUT", f"the body did not arrive within {timeout_ms} ms"
        ) from err
    except MalformedDocument:
        await _drain(request, incoming, max_bytes)
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


async def _plain(incoming: _Incoming, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in incoming.chunks():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(chunk)
    return b"".join(parts)


async def _inflated(incoming: _Incoming, max_bytes: int) -> bytes:
    inflater = Inflater(max_bytes)
    parts: list[bytes] = []
    size = 0
    async for chunk in incoming.chunks():
        size += len(chunk)
        if size > 2 * max_bytes:  # empty blocks can go on forever and give nothing
            raise _too_large(max_bytes)
        parts.append(inflater.feed(chunk))
    inflater.finish()
    return b"".join(parts)


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


def _refuse_declared_length(request: Request, most: int, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> MalformedDocument:
    return MalformedDocument("DOCUMENT_TOO_LARGE", f"the document has more than {max_bytes} bytes")
