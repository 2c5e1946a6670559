"""How long a submission waits for its answer: the ``sync`` parameter and the ``Prefer`` header.

Pure; called by `routes`. ``Prefer`` (RFC 7240) is a wish: what is not understood is ignored, what
is honoured is told in ``Preference-Applied``. An explicit ``sync=N`` is not overridden by a wish.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vncore.errors import InvalidRequest

_WAIT_SECONDS = re.compile(r'"?([0-9]{1,9})"?')


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, and which preferences that honours."""

    seconds: float | None  # None: answer at once
    applied: tuple[str, ...] = ()  # for Preference-Applied


def wait_of(sync: Sequence[str], prefer: Sequence[str], *, most_seconds: float) -> Wait:
    """Decide from the values of ``sync`` and the ``Prefer`` headers; the setting is the maximum.

    ``wait=n`` alone makes the call wait; with ``respond-async`` it waits and then answers 202, as
    every call does. ``respond-async`` alone makes a synchronous call asynchronous.
    Raises InvalidRequest (``PARAMETER_INVALID``) unless ``sync`` is absent or one Y or N.
    """
    asked = _asked(sync)
    wishes = _wishes(prefer)
    respond_async = ("respond-async",) if "respond-async" in wishes else ()
    found = _WAIT_SECONDS.fullmatch(wishes.get("wait", ""))
    if found and asked is not False:
        seconds = min(float(found[1]), most_seconds)
        return Wait(seconds, (*respond_async, f"wait={seconds:g}"))
    if asked and not respond_async:
        return Wait(most_seconds)
    return Wait(None, respond_async)


def _asked(sync: Sequence[str]) -> bool | None:
    """Read ``sync``: None when it is absent."""
    if not sync:
        return None
    if len(sync) > 1 or sync[0].upper() not in {"Y", "N"}:
        raise InvalidRequest("PARAMETER_INVALID", "sync must be Y or N, once")
    return sync[0].upper() == "Y"


def _wishes(prefer: Sequence[str]) -> dict[str, str]:
    """Read preferences by name; of a repeated one the first counts (RFC 7240 §2)."""
    wishes: dict[str, str] = {}
    for preference in ",".join(prefer).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        wishes.setdefault(name.strip().lower(), value.strip())
    return wishes
