"""Referenced documents: which source reads a URI, in how much time and how many bytes.

In comes a URI from a document, so from anybody; out go bytes. Called by `pins`, once for each URI
of a request. Nothing but ``file://`` and ``s3://`` is ever fetched.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from vncore.errors import HydrationFailed, Place
from vnvs.file_source import PREFIX as FILE
from vnvs.file_source import FileSource
from vnvs.hydration import Fetched
from vnvs.s3_source import PREFIX as S3
from vnvs.s3_source import S3Source
from vnvs.settings import VnvsSettings
from vnvs.source import timed_out

_THREADS = 32  # of all requests together: what waits for S3 is cheap


class Source(Protocol):
    """Reads documents of one scheme, blocking; raises HydrationFailed."""

    def read(self, uri: str, max_bytes: int) -> Fetched:
        """Read one document."""
        ...


class Sources:
    """All sources of one process, by the exact prefix of their URIs."""

    def __init__(
        self, by_prefix: Mapping[str, Source], *, max_bytes: int, timeout_seconds: float
    ) -> None:
        self._by_prefix = dict(by_prefix)
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")

    async def fetch(self, uri: str) -> Fetched:
        """Fetch one document.

        Raises HydrationFailed; a read that goes on after its time only holds its thread.
        """
        source = next(
            (source for prefix, source in self._by_prefix.items() if uri.startswith(prefix)), None
        )
        if source is None:
            raise HydrationFailed(
                "HREF_FORBIDDEN",
                "only s3:// and file:// documents are fetched",
                rule="R3",
                place=Place(uri=uri),
            )
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await loop.run_in_executor(self._threads, source.read, uri, self._max_bytes)
        except TimeoutError:
            raise timed_out(uri, self._timeout_seconds) from None

    def close(self) -> None:
        """Take no more; reads that still hang are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def sources_of(settings: VnvsSettings) -> Sources:
    """Build the sources that the settings allow."""
    timeout_seconds = settings.hydration_fetch_timeout_ms / 1000
    return Sources(
        {
            FILE: FileSource(settings.hydration_file_root),
            S3: S3Source(settings.hydration_s3_buckets, timeout_seconds=timeout_seconds),
        },
        max_bytes=settings.hydration_fetch_max_bytes,
        timeout_seconds=timeout_seconds,
    )
