"""Entries as they lie in a stream, whoever has them, and a walk over all of them.

Used by `fsck` and `cleanup`, which look at streams from outside; consumers are in `streams`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from redis.asyncio import Redis

from vncore.connection import translated

PAGE = 1_000
"""How many entries are read at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    entry_id: str
    fields: Mapping[str, str]

    @classmethod
    def of(cls, raw: tuple[bytes, Mapping[bytes, bytes]]) -> Self:
        """Take an entry as the client library gives it."""
        entry_id, fields = raw
        return cls(entry_id.decode(), {_text(name): _text(value) for name, value in fields.items()})


def number(entry_id: str) -> tuple[int, int]:
    """Give an entry id as what it is ordered by: milliseconds and a sequence number."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


async def walk(redis: Redis, stream: str, *, until: str = "+") -> AsyncIterator[list[Entry]]:
    """Give the entries of a stream up to an id or time (ms), a page at a time."""
    after = "-"
    while True:
        with translated(f"read {stream}"):
            page = await cast("Any", redis.xrange(stream, min=after, max=until, count=PAGE))
        if not page:
            return
        entries = [Entry.of(raw) for raw in page]
        after = f"({entries[-1].entry_id}"
        yield entries


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
