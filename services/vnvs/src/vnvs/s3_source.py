"""Documents from S3, only from listed buckets (VNML R3, SAFETY §2).

In comes an ``s3://bucket/key`` URI, the key as it stands; out go bytes and version. Called by
`sources` in a thread. Credentials, region and endpoint come from the process's environment as
every AWS tool reads them; boto3 is loaded and asked for them when the first document is fetched.
"""

import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NoReturn

from vncore.errors import HydrationFailed, Place
from vnvs.hydration import Fetched
from vnvs.source import fetched, timed_out, too_large

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "s3://"

_MAX_KEY_BYTES = 1_024  # S3's own limit
_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 3.0
_ATTEMPTS = 3
_NOT_THERE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})
_DENIED = frozenset({"AccessDenied", "403"})  # S3 says so of missing keys, too, without ListBucket


class S3Source:
    """Reads objects of the listed buckets."""

    def __init__(self, buckets: Collection[str], *, timeout_seconds: float) -> None:
        """Take bucket names; an ARN or an access point is none."""
        self._buckets = frozenset(buckets)
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._made: S3Client | None = None

    def read(self, uri: str, max_bytes: int) -> Fetched:
        """Read an object.

        Raises HydrationFailed: ``HREF_FORBIDDEN`` for any bucket off the list,
        ``HREF_UNAVAILABLE`` for what is missing or denied, ``HREF_LIMIT`` for more than
        `max_bytes`, ``HREF_TIMED_OUT``, ``HREF_SOURCE_FAILED`` for what is S3's or the
        operator's matter.
        """
        bucket, key = self._allowed(uri)
        from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

        deadline = time.monotonic() + self._timeout_seconds
        try:
            answer = self._client().get_object(Bucket=bucket, Key=key)
            body = self._read_body(answer["Body"], uri, max_bytes, deadline)
        except ClientError as err:
            _refuse(uri, str(err.response.get("Error", {}).get("Code", "")), err)
        except ReadTimeoutError as err:
            raise timed_out(uri, self._timeout_seconds) from err
        except BotoCoreError as err:
            _source_failed(uri, type(err).__name__, err)
        version = answer.get("VersionId")
        known = version if version and version != "null" else answer.get("ETag", "").strip('"')
        return fetched(uri, body, version=known or None)

    def _allowed(self, uri: str) -> tuple[str, str]:
        bucket, _, key = uri.removeprefix(PREFIX).partition("/")
        if bucket not in self._buckets:
            _forbid(uri, "the bucket is not on HYDRATION_S3_BUCKETS")
        if not key or len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES:
            _forbid(uri, f"a key has 1 to {_MAX_KEY_BYTES} bytes")
        return bucket, key

    def _read_body(self, stream: Any, uri: str, max_bytes: int, deadline: float) -> bytes:
        """Read chunk by chunk: an object may be larger than it says, and slower than it may."""
        body = bytearray()
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                body += chunk
                if len(body) > max_bytes:
                    raise too_large(uri, max_bytes)
                if time.monotonic() > deadline:
                    raise timed_out(uri, self._timeout_seconds)
        finally:
            stream.close()
        return bytes(body)

    def _client(self) -> "S3Client":
        with self._lock:
            if self._made is None:
                import boto3
                from botocore.config import Config

                self._made = boto3.client(
                    "s3",
                    config=Config(
                        connect_timeout=_CONNECT_SECONDS,
                        read_timeout=self._timeout_seconds,
                        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
                        max_pool_connections=32,
                    ),
                )
            return self._made


def _refuse(uri: str, code: str, cause: Exception) -> NoReturn:
    if code not in _NOT_THERE | _DENIED:
        _source_failed(uri, code, cause)
    what = "is not there" if code in _NOT_THERE else "is not there, or may not be read"
    raise HydrationFailed(
        "HREF_UNAVAILABLE", f"a referenced object {what}", rule="R7", place=Place(uri=uri)
    ) from cause


def _source_failed(uri: str, what: str, cause: Exception) -> NoReturn:
    raise HydrationFailed(
        "HREF_SOURCE_FAILED", f"S3 answers {what}", rule="R7", place=Place(uri=uri)
    ) from cause


def _forbid(uri: str, reason: str) -> NoReturn:
    raise HydrationFailed(
        "HREF_FORBIDDEN", f"an object may not be read: {reason}", rule="R3", place=Place(uri=uri)
    )
