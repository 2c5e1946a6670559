"""When a failed attempt gets another: the one place that decides it.

Exponential backoff with full jitter: before attempt n + 1 a task waits for a random part of
min(cap, first * 2^n). Called by `collect`; pure but for the `jitter` it is handed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vncore.failures import Failure

_LARGEST_EXPONENT = 32


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon."""

    max_attempts: int  # in all, the first one included
    jitter: Callable[[], float]  # uniform in [0, 1)
    first_wait_ms: int = 1_000  # what the first wait is on average
    cap_ms: int = 60_000  # no wait is longer

    def is_final(self, failure: Failure, attempt: int) -> bool:
        """Tell whether the failure of attempt `attempt` (from 1) ends its task."""
        return not failure.retryable or attempt >= self.max_attempts

    def wait_ms(self, attempt: int) -> int:
        """Draw how long to wait after attempt `attempt` (from 1) failed."""
        window = min(self.cap_ms, self.first_wait_ms << min(attempt, _LARGEST_EXPONENT))
        return int(window * self.jitter())
