"""The ``Idempotency-Key`` of a submission: read, and made into what is kept of it.

Pure; called by `terms` and `submit`. Sent again with the same key, the same document and the same
parameters is the same request, which is then answered instead of run again. A key is remembered
exactly as long as its request (ADR 0046).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

from vncore.errors import InvalidRequest
from vncore.ids import Tenant
from vncore.requests import Idempotency

_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # a string of RFC 8941
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def key_of(headers: Sequence[str]) -> str | None:
    """Read the key out of the ``Idempotency-Key`` headers; None when there is none.

    A key may stand in quotes, as the IETF draft has it, or bare: both are the same key.
    Raises InvalidRequest (``IDEMPOTENCY_KEY_INVALID``).
    """
    if not headers:
        return None
    text = headers[0].strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if len(headers) > 1 or not _KEY.fullmatch(text) or (text.startswith('"') and not quoted):
        raise InvalidRequest(
            "IDEMPOTENCY_KEY_INVALID",
            "Idempotency-Key must be sent once, with 1 to 128 visible ASCII characters",
        )
    return text


def idempotency_of(
    key: str, tenant: Tenant, document: bytes, *, on_failure: str, deadline_ms: int | None
) -> Idempotency:
    """Give the digests that are kept: of whose key it is, and of what it was sent with.

    How long the client waits is no part of it: that changes the answer, not the request.
    """
    deadline = "" if deadline_ms is None else str(deadline_ms)
    return Idempotency(
        key_digest=_digest((tenant.encode(), key.encode())),
        payload_digest=_digest((on_failure.encode(), deadline.encode(), document)),
    )


def _digest(parts: Iterable[bytes]) -> str:
    """Give the SHA-256 of parts, each after its length, so that none can pass for another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
