"""Consumers of streams: read, keep alive, reclaim, acknowledge.

The pending-entries list is the crash detector: entries of a dead consumer go idle and another one
takes them over; a live one keeps its own fresh (the loop is in `serving`, what it takes over in
`takeover`). Whoever handles a delivery acknowledges it with, or after, its stored effect; a
delivery that nobody acknowledged comes again.
"""

import os
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from vncore.connection import Connections, translated
from vncore.scripts import Scripts

FORGOTTEN_MS = 3_600_000
"""A consumer that was not seen for so long, and holds nothing, is gone: a live one reads every few
seconds."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stream entry in this consumer's hands."""

    entry_id: str
    fields: Mapping[str, str]
    deliveries: int = 1  # how many consumers have had it, this one included


@dataclass(frozen=True, slots=True)
class Silent:
    """A pending entry that its consumer handed back, or has said nothing of for too long."""

    entry_id: str
    deliveries: int  # so far
    handed_back: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Which of the entries that a consumer believed to hold it does not hold."""

    taken: frozenset[str]  # another consumer has them
    gone: frozenset[str]  # acknowledged, by this consumer or another


@dataclass(frozen=True, slots=True)
class ConsumerSeen:
    """A consumer of a group as the server knows it."""

    name: str
    pending: int  # entries it holds
    idle_ms: int  # since its last attempt to read or claim


def consumer_name(service: str) -> str:
    """Make a name that no other process has: service, host, process id, six random digits."""
    return f"{service}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


async def ensure_group(redis: Redis, stream: str, group: str) -> None:
    """Make stream and group when absent; the group sees every entry ever added."""
    with translated(f"create group {group}"):
        try:
            await redis.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as err:
            if "BUSYGROUP" not in str(err):
                raise


async def read_group(
    redis: Redis,
    stream: str,
    group: str,
    consumer: str,
    *,
    count: int | None,
    block_ms: int | None,
    pending: bool = False,
) -> list[Delivery]:
    """Read new entries, or with `pending` those that the consumer name already holds.

    Waits at most `block_ms`; None does not wait. Raises StoreUnavailable, also when the group is
    gone.
    """
    with translated(f"read {stream}"):
        answer = await cast(
            "Any",
            redis.xreadgroup(
                group, consumer, {stream: "0" if pending else ">"}, count=count, block=block_ms
            ),
        )
    return [_delivery(entry) for _, entries in answer or () for entry in entries if entry[1]]


async def newest_entry_id(redis: Redis, stream: str) -> str:
    """Give the id of a stream's newest entry; ``0-0`` when there is none."""
    with translated(f"find the end of {stream}"):
        newest = await cast("Any", redis.xrevrange(stream, count=1))
    return cast("str", newest[0][0].decode()) if newest else "0-0"


async def read_after(
    redis: Redis, stream: str, entry_id: str, *, count: int, block_ms: int
) -> list[Delivery]:
    """Read entries after `entry_id` without a group; waits at most `block_ms` for the first."""
    with translated(f"read {stream}"):
        answer = await cast("Any", redis.xread({stream: entry_id}, count, block_ms))
    return [_delivery(entry) for _, entries in answer or () for entry in entries]


async def acknowledge(redis: Redis, stream: str, group: str, entry_ids: Sequence[str]) -> None:
    """Take entries off a stream, with or after their stored effect; none or gone ones are fine.

    Raises StoreUnavailable: they are still there and will be delivered again.
    """
    if not entry_ids:
        return
    async with redis.pipeline(transaction=True) as pipe:
        pipe.xack(stream, group, *entry_ids)
        pipe.xdel(stream, *entry_ids)
        with translated(f"acknowledge {stream}"):
            await pipe.execute()


async def consumers_seen(redis: Redis, stream: str, group: str) -> list[ConsumerSeen]:
    """List a group's consumers; empty when stream or group is absent."""
    with translated(f"list consumers of {group}"):
        try:
            rows = await redis.xinfo_consumers(stream, group)
        except ResponseError as err:
            if _has_no_group(err):
                return []
            raise
    return [ConsumerSeen(row["name"].decode(), row["pending"], row["idle"]) for row in rows]


class Consumer:
    """One named consumer of one group on one stream."""

    def __init__(
        self, connections: Connections, stream: str, group: str, name: str, *, idle_ms: int
    ) -> None:
        """Take entries of other consumers that were silent for `idle_ms`."""
        self.name = name
        self.stream = stream
        self.idle_ms = idle_ms
        self._group = group
        self._block_ms = connections.block_ms
        self._commands = connections.commands
        self._readers = connections.readers
        self._scripts = Scripts(connections.commands)

    async def join(self) -> None:
        """Make the stream and its group when absent; forget consumers that are long gone."""
        await ensure_group(self._commands, self.stream, self._group)
        for seen in await consumers_seen(self._commands, self.stream, self._group):
            if seen.pending == 0 and seen.idle_ms > FORGOTTEN_MS:
                await self._remove(seen.name)
        await self.show_life()

    async def show_life(self) -> None:
        """Let the server see this consumer, also when there is nothing to read.

        Redis 7.0 counts a read only when it brings something; reading one's own pending entries
        (here: none, after the last possible id) counts on every server.
        """
        with translated(f"show life on {self.stream}"):
            await cast(
                "Any",
                self._commands.xreadgroup(
                    self._group, self.name, {self.stream: _LAST_POSSIBLE_ID}, count=1
                ),
            )

    async def read(self, count: int, block_ms: int | None = None) -> list[Delivery]:
        """Wait for at most `count` new entries, at most one block or `block_ms` if shorter."""
        return await read_group(
            self._readers,
            self.stream,
            self._group,
            self.name,
            count=count,
            block_ms=self._block_ms if block_ms is None else min(block_ms, self._block_ms),
        )

    async def silent(
        self, count: int, *, but: Collection[str] = (), handed_back_only: bool = False
    ) -> list[Silent]:
        """Find at most `count` entries that may be taken over, the oldest first; takes none.

        Those in `but` are left out: what runs here is not silent, however late its renewal is.
        """
        # Not XAUTOCLAIM: it looks at ten pending entries for each one wanted and stops, so that a
        # dead consumer's entries behind those of a busy crowd would not be found.
        with translated(f"look for silent entries of {self.stream}"):
            rows = await self._commands.xpending_range(
                self.stream,
                self._group,
                min="-",
                max="+",
                count=count + len(but),
                idle=_HANDED_BACK_MS if handed_back_only else self.idle_ms,
            )
        found = [
            Silent(
                cast("bytes", row["message_id"]).decode(),
                int(row["times_delivered"]),
                handed_back=int(row["time_since_delivered"]) >= _HANDED_BACK_MS,
            )
            for row in rows
        ]
        return [entry for entry in found if entry.entry_id not in but][:count]

    async def reclaim(self, entries: Sequence[Silent]) -> list[Delivery]:
        """Take over those of the entries that are still silent; this delivery counts."""
        if not entries:
            return []
        before = {entry.entry_id: entry.deliveries for entry in entries}
        with translated(f"reclaim {self.stream}"):
            claimed = await self._commands.xclaim(
                self.stream, self._group, self.name, self.idle_ms, list(before)
            )
        taken = [_delivery(entry) for entry in cast("Any", claimed) if entry[1]]
        return [replace(one, deliveries=before[one.entry_id] + 1) for one in taken]

    async def renew(self, entry_ids: Collection[str]) -> Lost:
        """Keep held entries fresh; gives those that are not this consumer's any more."""
        taken, gone = await self._scripts.call(
            "renew_entries", [self.stream], [self._group, self.name, *entry_ids]
        )
        return Lost(_ids(taken), _ids(gone))

    async def hand_back(self, entry_ids: Sequence[str]) -> None:
        """Give up entries that were begun and not finished; whoever looks next takes them over.

        The delivery does not count against them.
        """
        if entry_ids:
            await self._scripts.call(
                "hand_back", [self.stream], [self._group, self.name, _HANDED_BACK_MS, *entry_ids]
            )

    async def held(self) -> set[str]:
        """Give the ids of all entries that the server counts as this consumer's."""
        with translated(f"list what {self.name} holds"):
            try:
                rows = await self._commands.xpending_range(
                    self.stream, self._group, min="-", max="+", count=_MANY, consumername=self.name
                )
            except ResponseError as err:
                if _has_no_group(err):
                    return set()
                raise
        return {cast("bytes", row["message_id"]).decode() for row in rows}

    async def leave(self) -> None:
        """Leave the group, unless entries are still held: then others take them over first."""
        await self._remove(self.name)

    async def _remove(self, name: str) -> None:
        await self._scripts.call("leave_group", [self.stream], [self._group, name])


_MANY = 10_000
_LAST_POSSIBLE_ID = "18446744073709551615-0"
_HANDED_BACK_MS = 31_536_000_000
"""The idle time that an entry shows once it was handed back: a year, longer than any silence.

So it needs no waiting for signs of life, which silence does after an outage.
"""


def _has_no_group(err: ResponseError) -> bool:
    return "no such key" in str(err) or "NOGROUP" in str(err)


def _ids(raw: Sequence[bytes]) -> frozenset[str]:
    return frozenset(entry_id.decode() for entry_id in raw)


def _delivery(entry: Any) -> Delivery:
    entry_id, fields = entry
    # Bytes that are no UTF-8 must not stop the reader: whoever reads the message refuses it.
    decoded = {_text(name): _text(value) for name, value in fields.items()}
    return Delivery(entry_id.decode(), decoded)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
