"""What every source of referenced documents has in common: the digest and two errors."""

import hashlib

from vncore.errors import HydrationFailed, Place
from vnvs.hydration import Fetched


def fetched(uri: str, body: bytes, *, version: str | None) -> Fetched:
    """Give a document with its digest."""
    return Fetched(
        uri=uri,
        body=body,
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        version=version,
    )


def too_large(uri: str, max_bytes: int) -> HydrationFailed:
    """Describe a document that is larger than what may be read."""
    return HydrationFailed(
        "HREF_LIMIT",
        f"a referenced document has more than {max_bytes} bytes",
        rule="T4",
        place=Place(uri=uri),
    )


def timed_out(uri: str, seconds: float) -> HydrationFailed:
    """Describe a document that did not arrive in time."""
    return HydrationFailed(
        "HREF_TIMED_OUT",
        f"a referenced document was not there after {seconds:g} seconds",
        rule="R7",
        place=Place(uri=uri),
    )
