"""Whether a silent consumer is a dead one, or just had no server to renew its entries on.

In come the moments at which the server answered a renewal, or did not; out goes whether silence
counts now. Called by `serving`. Pure: the clock is handed in.
"""

from collections.abc import Callable

_RECOVERY_SECONDS = 2.0
"""How long after an outage a living consumer may need to try again: its pause, the client's own."""


class Silence:
    """What one consumer knows of the server's absence; all times in seconds."""

    def __init__(self, idle_seconds: float, clock: Callable[[], float]) -> None:
        """Begin now, with what a restarted consumer has to wait: half the idle limit."""
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._heard_at = clock()
        self._counts_from = clock() + idle_seconds / 2

    def counts(self) -> bool:
        """Tell whether an entry that was not renewed for the idle limit may be taken over."""
        return self._clock() >= self._counts_from and not self._unheard()

    def server_was_away(self) -> None:
        """Let all living consumers renew what they hold before silence counts again."""
        self._counts_from = self._clock() + self._idle_seconds / 2 + _RECOVERY_SECONDS

    def server_answered(self) -> None:
        """Note that a renewal was answered; after a long pause the server was away, to be sure."""
        if self._unheard():
            self.server_was_away()
        self._heard_at = self._clock()

    def _unheard(self) -> bool:
        # Entries are renewed at each third of the limit: no shorter absence than two thirds makes
        # a living consumer look silent, and the client rides out short ones without a word.
        return self._clock() - self._heard_at > self._idle_seconds * 2 / 3
