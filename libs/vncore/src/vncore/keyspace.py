"""Key names read back: whose key a name is, and a walk over all names of one cell.

In come the names that a server has; out go `Name`s. `keys` spells names and this module only reads
what it spells. Used by `fsck` and `cleanup`, which look at every key there is.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.ids import RequestId, TaskId, Tenant
from vncore.keys import Keys

_PAGE = 1_000  # names asked for at once


class Kind(StrEnum):
    """What a key is, as far as its end is concerned."""

    STATE = "state"  # of a request
    GROUP = "group"  # of a request
    CACHE = "cache"  # document, metadata, hydrated document, response or report of a request
    UPDATES = "updates"  # stream of a request
    TASK = "task"  # document, trace or result of a task
    IDEMPOTENCY = "idempotency"  # its value says whose it is
    SHARED = "shared"  # lives as long as the cell
    UNKNOWN = "unknown"  # not one of ours


OF_A_REQUEST = frozenset(Kind) - {Kind.SHARED, Kind.UNKNOWN}
"""Kinds of keys that end with a request."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a key, and whose it is."""

    key: str
    kind: Kind
    request_id: RequestId | None = None  # None: it does not tell
    group_index: int | None = None


# Stand for the variable parts, in names that `keys` then spells.
_REQUEST = RequestId("e0e0e0e0-0000-4000-8000-0e0e0e0e0e0e")
_GROUP, _TASK = 7_000_000_001, TaskId(7_000_000_002)
_TENANT, _DIGEST = Tenant("e0e0-tenant-e0e0"), "e0e0-digest-e0e0"
_PARTS = {
    _REQUEST: "(?P<request>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    str(_GROUP): r"(?P<group>\d{1,9})",
    str(_TASK): r"\d{1,9}",
    _TENANT: ".+",
    _DIGEST: "[^:]+",
}


class KeySpace:
    """Reads names of one cell's keys."""

    def __init__(self, keys: Keys) -> None:
        task = (_REQUEST, _GROUP, _TASK)
        spelled = {
            Kind.TASK: [
                keys.task_xml(*task),
                keys.task_result(*task),
                keys.task_traces(_REQUEST, _GROUP),
            ],
            Kind.CACHE: [
                keys.xml(_REQUEST),
                keys.metadata(_REQUEST),
                keys.hydrated(_REQUEST),
                keys.fragments(_REQUEST),
                keys.response(_REQUEST),
                keys.failure(_REQUEST),
            ],
            Kind.STATE: [keys.state(_REQUEST)],
            Kind.GROUP: [keys.group(_REQUEST, _GROUP)],
            Kind.UPDATES: [keys.updates(_REQUEST)],
            Kind.IDEMPOTENCY: [keys.idempotency(_TENANT, _DIGEST)],
            Kind.SHARED: [keys.ingest, keys.lifecycle, keys.dispatch, keys.index],
        }
        self._patterns = [
            (kind, re.compile(_pattern(name), re.ASCII))
            for kind, names in spelled.items()
            for name in names
        ]
        self._match = re.sub(r"([*?\[\]\\^])", r"\\\1", keys.prefix) + "*"

    def read(self, key: str) -> Name:
        """Tell whose key it is."""
        for kind, pattern in self._patterns:
            found = pattern.fullmatch(key)
            if found:
                parts = found.groupdict()
                group = parts.get("group")
                return Name(
                    key, kind, cast("Any", parts.get("request")), int(group) if group else None
                )
        return Name(key, Kind.UNKNOWN)

    async def walk(self, redis: Redis) -> AsyncIterator[list[Name]]:
        """Give all names under the prefix, a page at a time; one may come twice.

        Names that are there from the beginning to the end come at least once.
        """
        cursor = 0
        while True:
            with translated("walk over the keys"):
                cursor, page = await cast("Any", redis.scan(cursor, match=self._match, count=_PAGE))
            if page:
                yield [self.read(key.decode(errors="surrogateescape")) for key in page]
            if cursor == 0:
                return


async def owners_of(redis: Redis, names: Sequence[Name]) -> list[RequestId | None]:
    """Tell whose the keys are; None where it cannot be told."""
    records = [name for name in names if name.kind is Kind.IDEMPOTENCY]
    async with redis.pipeline(transaction=False) as pipe:
        for name in records:
            pipe.get(name.key)
        with translated("read idempotency records"):
            values = await cast("Any", pipe.execute()) if records else []
    said = {
        name.key: (value or b"").decode(errors="replace").partition(" ")[0]
        for name, value in zip(records, values, strict=True)
    }
    return [RequestId(said[name.key]) if said.get(name.key) else name.request_id for name in names]


def _pattern(spelled: str) -> str:
    pattern = re.escape(spelled)
    for stand_in, part in _PARTS.items():
        pattern = pattern.replace(re.escape(stand_in), part)
    return pattern
