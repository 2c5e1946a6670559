"""What a client asks of its request beside the document: query parameters and headers.

Pure; called by `routes` before a body is read. Each parameter may be given once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers, QueryParams

from vnapi.idempotency import key_of
from vnapi.prefer import Wait, wait_of
from vncore.errors import InvalidRequest
from vncore.failure_policy import FailurePolicy

MOST_DEADLINE_MS = 7 * 86_400_000
"""The longest deadline: a week, as long as the documents of running tasks are kept."""

_MILLISECONDS = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one submission."""

    wait: Wait
    on_failure: str = ""  # of groups that say nothing themselves; empty: stop
    deadline_ms: int | None = None  # from the moment of receipt
    idempotency_key: str | None = None


def terms_of(query: QueryParams, headers: Headers, *, most_seconds: float) -> Terms:
    """Read all of it; a synchronous wait takes `most_seconds` at most.

    Raises InvalidRequest (``PARAMETER_INVALID``, ``IDEMPOTENCY_KEY_INVALID``).
    """
    wait = wait_of(query.getlist("sync"), headers.getlist("prefer"), most_seconds=most_seconds)
    return Terms(
        wait=wait,
        on_failure=on_failure_of(query.getlist("onFailure")),
        deadline_ms=deadline_of(query.getlist("deadlineMs")),
        idempotency_key=key_of(headers.getlist("idempotency-key")),
    )


def deadline_of(values: Sequence[str]) -> int | None:
    """Read ``deadlineMs``; None when it is absent. Raises InvalidRequest."""
    if not values:
        return None
    found = _MILLISECONDS.fullmatch(values[0])
    if len(values) > 1 or not found or int(found[0]) > MOST_DEADLINE_MS:
        raise InvalidRequest(
            "PARAMETER_INVALID",
            f"deadlineMs must be a number of milliseconds from 1 to {MOST_DEADLINE_MS}, once",
        )
    return int(found[0])


def on_failure_of(values: Sequence[str]) -> str:
    """Read ``onFailure``; empty when it is absent. Raises InvalidRequest."""
    if not values:
        return ""
    if len(values) > 1:
        raise InvalidRequest("PARAMETER_INVALID", "onFailure must be given once")
    try:
        return str(FailurePolicy.parse(values[0]))
    except ValueError as err:
        raise InvalidRequest("PARAMETER_INVALID", f"onFailure: {err}") from err
