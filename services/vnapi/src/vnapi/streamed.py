"""A response document on its way out: at once where it is small, else chunk by chunk.

Called by `outcome`. What is gone before the status line is sent is an error like any other; after
it, the connection is broken, so that no client takes a part of a document for the whole.
"""

from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from vncore.errors import VnError
from vncore.ids import RequestId
from vncore.logs import logger
from vncore.responses import Chunk

_log = logger("vnapi")

_AT_ONCE_BYTES = 256 * 1024
"""What is no larger is read before its status line is sent, and has a Content-Length."""


async def document_of(
    request_id: RequestId, chunks: AsyncIterator[Chunk], headers: Mapping[str, str]
) -> Response:
    """Begin to read a document and give the answer that carries it.

    Raises ResponseBroken and StoreUnavailable when already the beginning cannot be read.
    """
    beginning: list[Chunk] = []
    size = 0
    async for chunk in chunks:
        if size > _AT_ONCE_BYTES:  # and this one is not the end of it
            return _Streamed(request_id, [*beginning, chunk], chunks, headers)
        beginning.append(chunk)
        size += len(chunk)
    body = beginning[0] if len(beginning) == 1 else b"".join(beginning)
    return Response(body, media_type="application/xml", headers=headers)


class _Streamed(StreamingResponse):
    """Sends chunks as fast as the client takes them, and stops where there are no more."""

    def __init__(
        self,
        request_id: RequestId,
        beginning: list[Chunk],
        rest: AsyncIterator[Chunk],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(_chained(beginning, rest), media_type="application/xml", headers=headers)
        self._request_id = request_id

    async def stream_response(self, send: Send) -> None:
        """Send the whole answer, or as much as there is: without the end that HTTP asks for.

        The server, which misses that end, closes the connection.
        """
        try:
            await super().stream_response(send)
        except VnError as err:
            facts = {"request_id": self._request_id, "code": err.code, "error": err.message}
            _log.error("response_cut_off", extra=facts)


async def _chained(beginning: list[Chunk], rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    while beginning:  # and nothing is kept that was sent
        yield beginning.pop(0)
    async for chunk in rest:
        yield chunk
