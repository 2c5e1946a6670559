"""What is left where its request is over or gone: promise 9, and the second half of promise 2.

In come names of keys, or entries of the two queues; out go violations. Key and state are read in
one moment: an end, a redrive and an expiry are each one step. Called by `survey` for every key, and
again for the suspects.
"""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.entries import Entry
from vncore.fsck.standing import integer
from vncore.fsck.violations import Fault, Moment, Violation
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.keyspace import Kind, Name, owners_of
from vncore.messages import IngestEntry, MalformedEntry

_FOREVER = -1  # what TTL says of a key that has none
_STATE = ["status", "completedAt", "run", "epoch", "ingestEntry"]


async def left_behind(redis: Redis, keys: Keys, names: Sequence[Name]) -> list[Violation]:
    """Find keys that will outlive a request that is over or gone."""
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name.key)
        with translated("read times to live"):
            times = await cast("Any", pipe.execute())
    asked = [
        name
        for name, seconds in zip(names, times, strict=True)
        if seconds == _FOREVER or name.kind is Kind.UPDATES
    ]
    owners = await owners_of(redis, asked)
    async with redis.pipeline(transaction=True) as pipe:
        for name, owner in zip(asked, owners, strict=True):
            pipe.ttl(name.key)
            pipe.hmget(keys.state(owner or RequestId("")), _STATE)
        with translated("look whose keys these are"):
            read = await cast("Any", pipe.execute()) if asked else []
    found = zip(asked, owners, read[::2], read[1::2], strict=True)
    return [wrong for one in found if (wrong := _left_behind(*one)) is not None]


def _left_behind(
    name: Name, owner: RequestId | None, seconds: int, state: Sequence[bytes | None]
) -> Violation | None:
    status, completed_at, *_ = state
    if status is not None and completed_at is None:  # its request is open
        return None
    if name.kind is Kind.UPDATES and seconds >= _FOREVER:
        fault, found = Fault.UPDATES_LEFT_BEHIND, "is there although the request is over"
    elif seconds != _FOREVER:
        return None
    elif status is None:
        fault, found = Fault.ORPHAN_KEY_WITHOUT_TTL, "has no time to live, and no request"
    else:
        fault, found = Fault.ENDED_KEY_WITHOUT_TTL, "has no time to live, its request is over"
    return Violation(
        fault,
        f"{name.key} {found}",
        owner or "",
        name.group_index,
        key=name.key,
        moment=_moment(state),
    )


async def stray(
    redis: Redis, keys: Keys, entries: Sequence[Entry], *, transaction: bool
) -> list[Violation]:
    """Find ingest entries that are not the one entry of an open request.

    With `transaction` an entry and its request are read in one moment.
    """
    messages = [_message(entry) for entry in entries]
    async with redis.pipeline(transaction=transaction) as pipe:
        for entry, message in zip(entries, messages, strict=True):
            pipe.xrange(keys.ingest, min=entry.entry_id, max=entry.entry_id)
            pipe.hmget(keys.state(message.request_id if message else RequestId("")), _STATE)
        with translated("look whose ingest entries these are"):
            read = await cast("Any", pipe.execute()) if entries else []
    found = zip(entries, messages, read[::2], read[1::2], strict=True)
    return [wrong for one in found if (wrong := _stray(*one)) is not None]


def _message(entry: Entry) -> IngestEntry | None:
    try:
        return IngestEntry.from_fields(entry.fields)
    except MalformedEntry:
        return None


def _stray(
    entry: Entry, message: IngestEntry | None, still_there: Any, state: Sequence[bytes | None]
) -> Violation | None:
    if not still_there:
        return None
    if message is None:
        found = f"the ingest entry {entry.entry_id} cannot be read"
        return Violation(Fault.INGEST_ENTRY_UNREADABLE, found, key=entry.entry_id)
    status, completed_at, run, _, own_entry = state
    if status is None:
        belongs = "an unknown request"
    elif integer(run, 1) != message.run:
        belongs = f"run {message.run} of a request in another run"
    elif completed_at is not None:
        belongs = "a request that is over"
    elif own_entry is None or own_entry.decode(errors="replace") != entry.entry_id:
        belongs = "a request that has another entry"
    else:
        return None
    return Violation(
        Fault.INGEST_ENTRY_STRAY,
        f"the ingest entry {entry.entry_id} belongs to {belongs}",
        message.request_id,
        key=entry.entry_id,
        moment=_moment(state),
    )


async def forgotten(redis: Redis, keys: Keys, entries: Sequence[Entry]) -> list[Violation]:
    """Find dispatch entries whose request is gone.

    Those of a request that is over, and still kept, are none: it may have been cancelled with all
    its tasks in the queue, and workers skip them when their turn comes.
    """
    request_ids = [RequestId(entry.fields.get("requestId", "")) for entry in entries]
    async with redis.pipeline(transaction=False) as pipe:
        for entry, request_id in zip(entries, request_ids, strict=True):
            pipe.xrange(keys.dispatch, min=entry.entry_id, max=entry.entry_id)
            pipe.exists(keys.state(request_id))
        with translated("look whose dispatch entries these are"):
            read = await cast("Any", pipe.execute()) if entries else []
    return [
        Violation(
            Fault.DISPATCH_ENTRY_LEFT_BEHIND,
            f"the dispatch entry {entry.entry_id} belongs to a request that is gone",
            request_id,
            key=entry.entry_id,
        )
        for entry, request_id, still_there, is_known in zip(
            entries, request_ids, read[::2], read[1::2], strict=True
        )
        if still_there and not is_known
    ]


def _moment(state: Sequence[bytes | None]) -> Moment | None:
    status, _, run, epoch, *_ = state
    if status is None:
        return None
    return Moment(status.decode(errors="replace"), integer(run, 1), integer(epoch))
