"""Undo gzip chunk by chunk within a size limit.

Compressed bytes go in as they arrive, plain bytes come out; called by vnapi for request bodies and
by whoever fetches compressed documents. A bomb costs no more than the limit.
"""

import zlib

from vncore.errors import MalformedDocument

_GZIP_ONLY = 31  # zlib's wbits: 15 for the window, 16 for "gzip header and checksum, nothing else"


class Inflater:
    """Decompress exactly one gzip member of at most `max_bytes` plain bytes.

    `feed` and `finish` raise MalformedDocument with

    - ``DOCUMENT_TOO_LARGE``: more than `max_bytes` would come out;
    - ``CONTENT_ENCODING_BROKEN``: not gzip, damaged, truncated, or followed by other bytes.

    After an error the object is of no further use.
    """

    def __init__(self, max_bytes: int, *, what: str = "document") -> None:
        self._stream = zlib.decompressobj(_GZIP_ONLY)
        self._room = max_bytes
        self._max_bytes = max_bytes
        self._what = what

    def feed(self, chunk: bytes) -> bytes:
        """Take the next compressed bytes; give the plain bytes that they complete."""
        if not chunk:
            return b""
        if self._stream.eof:
            raise self._broken("bytes follow its end")
        try:
            plain = self._stream.decompress(chunk, self._room + 1)
        except zlib.error as err:
            raise self._broken("it is damaged") from err
        self._room -= len(plain)
        if self._room < 0:
            raise MalformedDocument(
                "DOCUMENT_TOO_LARGE",
                f"the {self._what} has more than {self._max_bytes} bytes when decompressed",
            )
        if self._stream.unused_data:
            raise self._broken("bytes follow its end")
        return plain

    def finish(self) -> None:
        """Check that the member is complete; its checksum was checked on the way."""
        if not self._stream.eof:
            raise self._broken("it is truncated")

    def _broken(self, reason: str) -> MalformedDocument:
        return MalformedDocument(
            "CONTENT_ENCODING_BROKEN", f"the {self._what} is not one gzip member: {reason}"
        )
