"""The time of day, as what needs it is handed it: a function, so that tests hand another."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives the time in epoch milliseconds."""


def epoch_ms() -> int:
    """Give the time of this machine; the `Clock` of every service."""
    return time.time_ns() // 1_000_000
