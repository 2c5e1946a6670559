"""Where a request stands: its state and groups, read in one moment; promises 2 and 4 judged by it.

Every change of these keys is one script, and so is this look: what it sees is never half a change.
Called by `survey` for each request, and again for the suspects.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.ending import group_keys, owned_keys
from vncore.entries import number
from vncore.fsck.outstanding import empty_where_absent, last_delivered
from vncore.fsck.violations import Fault, Moment, Violation
from vncore.ids import DEFAULT_TENANT, RequestId, Tenant
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import TERMINAL, RequestStatus

_STATE = [
    "status",
    "completedAt",
    "run",
    "epoch",
    "groupCount",
    "currentGroup",
    "ingestEntry",
    "tenant",
    "idempotency",
]
GROUP = ["status", "expected", "completed", "failed", "dispatched"]
"""Fields of a group's hash that `GroupRecord` is made of; not all of it, which may be large."""

_BEGUN = frozenset(("started", "completed", "failed"))
_ATTEMPTS = 5  # a request's groups may come to be while we ask how many there are


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """What is counted of one group."""

    status: str
    expected: int
    completed: int
    failed: int
    dispatched: int

    @classmethod
    def of(cls, fields: Sequence[bytes | None]) -> "GroupRecord | None":
        """Read the fields `GROUP`; None where there is no group."""
        status, *counts = fields
        return cls(status.decode(), *map(integer, counts)) if status else None


@dataclass(frozen=True, slots=True)
class Standing:
    """A request as it was in one moment."""

    request_id: RequestId
    moment: Moment
    over: bool
    current_group: int | None
    groups: tuple[GroupRecord | None, ...]  # None: not begun
    ingest_entry: str
    entry_is_there: bool
    entry_is_outstanding: bool  # pending, or still to be delivered
    expiring: tuple[str, ...]  # of the keys that must outlive the run, those with a time to live

    def violation(
        self,
        fault: Fault,
        found: str,
        *,
        group_index: int | None = None,
        tasks: tuple[int, ...] = (),
        key: str = "",
    ) -> Violation:
        """Say what is wrong with the request."""
        return Violation(fault, found, self.request_id, group_index, tasks, key, self.moment)


async def standing_of(redis: Redis, keys: Keys, request_id: RequestId) -> Standing | None:
    """Read where a request stands; None when it is unknown, or changes faster than we ask."""
    shape: tuple[int, str, str, str] | None = None
    for _ in range(_ATTEMPTS):
        state, read = await _read(redis, keys, request_id, shape)
        if not state["status"]:
            return None
        now = (
            integer(state["groupCount"]),
            _entry_id(state["ingestEntry"]),
            _text(state["tenant"]) or DEFAULT_TENANT,
            _text(state["idempotency"]),
        )
        if now == shape:
            return _standing(keys, request_id, state, now, read)
        shape = now
    return None


async def _read(
    redis: Redis, keys: Keys, request_id: RequestId, shape: tuple[int, str, str, str] | None
) -> tuple[dict[str, bytes | None], Sequence[Any]]:
    """Read the state and, in the same moment, all that its `shape` says belongs to it."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hmget(keys.state(request_id), _STATE)
        if shape is not None:
            group_count, entry, *_ = shape
            for key in group_keys(keys, request_id, group_count):
                pipe.hmget(key, GROUP)
            for key in _kept(keys, request_id, shape):
                pipe.ttl(key)
            pipe.xinfo_groups(keys.ingest)
            pipe.xrange(keys.ingest, min=entry, max=entry)
            pipe.xpending_range(keys.ingest, ORCHESTRATORS, min=entry, max=entry, count=1)
        with translated("read where a request stands"):
            values, *read = await cast("Any", pipe.execute(raise_on_error=False))
            if isinstance(values, Exception):
                raise values
    return dict(zip(_STATE, values, strict=True)), read


def _standing(
    keys: Keys,
    request_id: RequestId,
    state: dict[str, bytes | None],
    shape: tuple[int, str, str, str],
    read: Sequence[Any],
) -> Standing:
    group_count, entry, *_ = shape
    *values, delivered_groups, entries, pending = (empty_where_absent(one) for one in read)
    times = zip(_kept(keys, request_id, shape), values[group_count:], strict=True)
    waits = number(entry) > last_delivered(delivered_groups, ORCHESTRATORS)
    current = state["currentGroup"]
    return Standing(
        request_id=request_id,
        moment=Moment(_text(state["status"]), integer(state["run"], 1), integer(state["epoch"])),
        over=state["completedAt"] is not None,
        current_group=integer(current) if current else None,
        groups=tuple(GroupRecord.of(fields) for fields in values[:group_count]),
        ingest_entry=entry,
        entry_is_there=bool(entries),
        entry_is_outstanding=bool(entries) and (bool(pending) or waits),
        expiring=tuple(key for key, seconds in times if seconds >= 0),
    )


def _kept(keys: Keys, request_id: RequestId, shape: tuple[int, str, str, str]) -> list[str]:
    group_count, _, tenant, idempotency = shape
    return [
        keys.state(request_id),
        *owned_keys(keys, request_id, Tenant(tenant), idempotency),
        *group_keys(keys, request_id, group_count),
    ]


# --- promise 2 --------------------------------------------------------------------------------


def without_entry(standing: Standing) -> Iterator[Violation]:
    """Find why nobody will pick an open request up: its entry is gone, or its keys will be."""
    if standing.over:
        if standing.moment.status not in TERMINAL:
            found = "it has ended, yet its status says that it runs: who waits for it waits in vain"
            yield standing.violation(Fault.ENDED_IN_NO_END, found)
        return
    entry = standing.ingest_entry
    if not standing.entry_is_there:
        found = f"its ingest entry {entry} is not in the stream"
        yield standing.violation(Fault.INGEST_ENTRY_MISSING, found, key=entry)
    elif not standing.entry_is_outstanding:
        found = f"its ingest entry {entry} was delivered and is pending with nobody"
        yield standing.violation(Fault.INGEST_ENTRY_ACKNOWLEDGED, found, key=entry)
    for key in standing.expiring:
        found = f"{key} has a time to live although the request is open"
        yield standing.violation(Fault.OPEN_REQUEST_EXPIRES, found, key=key)


# --- promise 4 --------------------------------------------------------------------------------


def out_of_order(standing: Standing) -> Iterator[Violation]:
    """Find groups begun before those ahead of them were done, or closed before they were."""
    ahead: int | None = None  # the first group that is not complete
    last_begun: int | None = None
    for index, group in enumerate(standing.groups):
        if group is not None and (group.status in _BEGUN or group.dispatched):
            last_begun = index
            if ahead is not None:
                first = standing.groups[ahead]
                stands = first.status if first else "not begun"
                found = f"is {group.status}, and group {ahead} is {stands}"
                yield standing.violation(Fault.GROUP_TOO_EARLY, found, group_index=index)
        done = group is not None and group.status == "completed"
        if group is not None and done and group.completed + group.failed < group.expected:
            found = (
                f"is closed with {group.completed} results and {group.failed} failures "
                f"of {group.expected} tasks"
            )
            yield standing.violation(Fault.GROUP_CLOSED_TOO_EARLY, found, group_index=index)
        if not done and ahead is None:
            ahead = index
    if wrong := _wrong_current_group(standing, last_begun):
        yield standing.violation(Fault.CURRENT_GROUP_WRONG, wrong)


def _wrong_current_group(standing: Standing, last_begun: int | None) -> str | None:
    status, current = standing.moment.status, standing.current_group
    if status == RequestStatus.RECEIVED and current is not None:
        return f"has a current group, {current}, before it was started"
    if status in {RequestStatus.GROUP_STARTED, RequestStatus.GROUP_COMPLETED} and current is None:
        return "has no current group"
    if current is not None and current != last_begun:
        return f"its current group is {current}, the last one begun {last_begun}"
    if status == RequestStatus.GROUP_COMPLETED:
        group = standing.groups[current] if current is not None else None
        if group is None or group.status != "completed":
            return f"says that group {current} is complete, which is {group and group.status}"
    return None


def integer(value: bytes | None, default: int = 0) -> int:
    """Read a number; what is none counts as absent: damage is to be found, not fallen over."""
    try:
        return int(value) if value is not None else default
    except ValueError:
        return default


def _entry_id(value: bytes | None) -> str:
    text = _text(value)
    return text if re.fullmatch(r"\d{1,20}-\d{1,20}", text, re.ASCII) else "0-0"


def _text(value: bytes | None) -> str:
    return value.decode(errors="replace") if value else ""
