"""Which silent entries a consumer takes over now.

The last permitted delivery of an entry runs alone in its consumer: a verdict of poison then rests
on one death, at least, at which nothing else ran there, and an entry that was merely beside the
guilty one gets its chance to end well. Called by `serving`. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from vncore.streams import Silent


@dataclass(frozen=True, slots=True)
class Takeover:
    """What to take over, and what has to wait for it."""

    entries: tuple[Silent, ...] = ()
    """All of these; with `alone` the first of them that nobody else takes."""

    alone: bool = False  # nothing else is to be taken while it runs
    suspects_wait: bool = False  # nothing new is to be taken until this consumer is free


def choose(silent: Sequence[Silent], *, free: int, busy: bool, alone_at: int | None) -> Takeover:
    """Choose among silent entries, the oldest first, for `free` slots.

    An entry whose delivery would be number `alone_at` is a suspect; None: there are none. It is
    taken only when nothing else runs (`busy`): claimed before it can run, it would only be counted
    once more. Entries delivered more often than that will be refused, not run, and need not wait.
    """

    def is_suspect(entry: Silent) -> bool:
        return entry.deliveries + 1 == alone_at

    def is_beyond(entry: Silent) -> bool:
        return alone_at is not None and entry.deliveries >= alone_at

    suspects = tuple(filter(is_suspect, silent))
    if not suspects:
        return Takeover(tuple(silent[:free]))
    if busy:
        ahead = list(filter(is_beyond, silent))
    else:
        ahead = list(takewhile(lambda entry: not is_suspect(entry), silent))
    if busy or ahead:
        return Takeover(tuple(ahead[:free]), suspects_wait=True)
    return Takeover(suspects, alone=True, suspects_wait=len(suspects) > 1)
