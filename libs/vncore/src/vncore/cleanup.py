"""Remove what times to live cannot: what the dead left behind, and nothing of a request that runs.

In come a server and the keys of a cell; out goes a report of what was removed. May be called at any
time, by several at once, while everything runs; a second call finds nothing more. Called by
``__main__`` and on a schedule.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.clock import Clock
from vncore.connection import translated
from vncore.entries import Entry, walk
from vncore.ids import RequestId
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.keyspace import OF_A_REQUEST, KeySpace, Kind, owners_of
from vncore.messages import IngestEntry, MalformedEntry, RequestStatus, tasks_of
from vncore.requests import REMEMBERED_SECONDS
from vncore.scripts import Scripts
from vncore.streams import FORGOTTEN_MS, acknowledge, consumers_seen
from vncore.tasks import Run, TaskStore

_FOREVER = -1  # what PEXPIRETIME says of a key without a time to live
_NOBODY = RequestId("")  # whose keys belong to no request: there is none of that name
_LATE_MS = 60_000  # keys of tasks get their end in calls of their own, a moment after the others
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupReport:
    """What was removed, or would be."""

    dry_run: bool
    consumers: int = 0  # that hold nothing and have been silent for an hour
    update_streams: int = 0  # of requests that are over or gone
    dispatch_entries: int = 0  # likewise, or of an earlier run
    ingest_entries: int = 0  # likewise
    keys: int = 0  # of such requests, that now end with them
    index_entries: int = 0  # of requests that came more than 14 days ago

    def __str__(self) -> str:
        done = {
            "silent consumers removed": self.consumers,
            "update streams deleted": self.update_streams,
            "dispatch entries taken off": self.dispatch_entries,
            "ingest entries taken off": self.ingest_entries,
            "keys given an end": self.keys,
            "old ids forgotten": self.index_entries,
        }
        lines = [f"{count:>8}  {what}" for what, count in done.items()]
        return "\n".join(["would be:", *lines] if self.dry_run else lines)

    def to_json(self) -> dict[str, Any]:
        """Give the report as one JSON object."""
        facts = asdict(self)
        names = {
            "dry_run": "dryRun",
            "consumers": "consumers",
            "update_streams": "updateStreams",
            "dispatch_entries": "dispatchEntries",
            "ingest_entries": "ingestEntries",
            "keys": "keys",
            "index_entries": "indexEntries",
        }
        return {wire: facts[name] for name, wire in names.items()}


async def clean_up(
    redis: Redis,
    keys: Keys,
    *,
    request_ttl_seconds: int,
    failed_ttl_seconds: int,
    task_wait_timeout_ms: int,
    clock: Clock,
    dry_run: bool = False,
) -> CleanupReport:
    """Remove what nobody will come for; `dry_run` only counts it.

    Keys of requests that are over get the end of their request; where that has none, and where the
    request is gone, the time to live of its kind. Entries are left to a consumer that has touched
    them within `task_wait_timeout_ms`: it is about to find out itself. Raises StoreUnavailable:
    some is done, call again.
    """
    ttl_ms = _TimesToLive(request_ttl_seconds * 1000, failed_ttl_seconds * 1000)
    cleaner = _Cleaner(redis, keys, ttl_ms, task_wait_timeout_ms, clock(), dry_run=dry_run)
    update_streams, ended_keys = await cleaner.keys_of_ended_requests()
    return CleanupReport(
        dry_run=dry_run,
        consumers=await cleaner.consumers(),
        update_streams=update_streams,
        dispatch_entries=await cleaner.entries(keys.dispatch, WORKERS, _run_of_tasks),
        ingest_entries=await cleaner.entries(keys.ingest, ORCHESTRATORS, _run_of_request),
        keys=ended_keys,
        index_entries=await cleaner.old_ids(),
    )


@dataclass(frozen=True, slots=True)
class _TimesToLive:
    request_ms: int  # of a request that succeeded or was cancelled, or is gone
    failed_ms: int  # of one that failed or is partial

    def of(self, status: bytes | None) -> int:
        failed = {RequestStatus.FAILED.encode(), RequestStatus.PARTIAL.encode()}
        return self.failed_ms if status in failed else self.request_ms


@dataclass(frozen=True, slots=True)
class _End:
    """When the keys of a request that is over have to end."""

    at_ms: int  # server time
    ttl_ms: int  # the same from now on, for a request that has no end itself


class _Cleaner:
    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        ttl: _TimesToLive,
        patience_ms: int,
        now_ms: int,
        *,
        dry_run: bool,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.ttl = ttl
        self.patience_ms = patience_ms
        self.now_ms = now_ms
        self.dry_run = dry_run
        self.scripts = Scripts(redis)
        self.tasks = TaskStore(redis, keys)

    # --- consumers ----------------------------------------------------------------------------

    async def consumers(self) -> int:
        removed = 0
        for stream, group in ((self.keys.ingest, ORCHESTRATORS), (self.keys.dispatch, WORKERS)):
            for seen in await consumers_seen(self.redis, stream, group):
                if seen.pending or seen.idle_ms <= FORGOTTEN_MS:
                    continue
                # One that comes back is made anew by its next read.
                leave = [group, seen.name]
                removed += (
                    1 if self.dry_run else await self.scripts.call("leave_group", [stream], leave)
                )
        return removed

    # --- entries --------------------------------------------------------------------------------

    async def entries(
        self, stream: str, group: str, run_of: Callable[[Mapping[str, str]], Run]
    ) -> int:
        """Take entries off whose run of their request is over.

        A run that is over stays so, and an entry belongs to one run: nothing can change between
        the look and the deed. What cannot be read is left to those who read it.
        """
        removed = 0
        async for page in walk(self.redis, stream):
            runs = dict(_runs(page, run_of))
            over = await self.tasks.over(set(runs.values()))
            ended = [entry_id for entry_id, run in runs.items() if run in over]
            if ended:
                held = await self.held(stream, group, ended)
                ended = [entry_id for entry_id in ended if entry_id not in held]
            if not self.dry_run:
                await acknowledge(self.redis, stream, group, ended)
            removed += len(ended)
        return removed

    async def held(self, stream: str, group: str, entry_ids: Sequence[str]) -> set[str]:
        """Give those of the entries that a living consumer has."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for entry_id in entry_ids:
                pipe.xpending_range(stream, group, min=entry_id, max=entry_id, count=1)
            with translated(f"look who holds entries of {stream}"):
                answers = await cast("Any", pipe.execute(raise_on_error=False))
        rows = [row for answer in answers if isinstance(answer, list) for row in answer]
        return {
            row["message_id"].decode()
            for row in rows
            if row["time_since_delivered"] < self.patience_ms
        }

    # --- keys -----------------------------------------------------------------------------------

    async def keys_of_ended_requests(self) -> tuple[int, int]:
        """Give how many update streams were deleted, and how many keys were given an end."""
        streams = ended = 0
        async for page in KeySpace(self.keys).walk(self.redis):
            names = [name for name in page if name.kind in OF_A_REQUEST]
            owners = [one or _NOBODY for one in await owners_of(self.redis, names)]
            ends = await self.ends_of(set(owners))
            over = [
                (name, owner) for name, owner in zip(names, owners, strict=True) if owner in ends
            ]
            streams += await self.drop_updates(
                [owner for name, owner in over if name.kind is Kind.UPDATES]
            )
            ended += await self.end_keys(
                [(name.key, owner) for name, owner in over if name.kind is not Kind.UPDATES], ends
            )
        return streams, ended

    async def ends_of(self, request_ids: Iterable[RequestId]) -> dict[RequestId, _End]:
        """Tell when requests end, or should; those that are open are left out."""
        asked = list(request_ids)
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for request_id in asked:
                pipe.hmget(self.keys.state(request_id), ["status", "completedAt"])
                pipe.pexpiretime(self.keys.state(request_id))
            with translated("look which requests are over"):
                (seconds, _), *read = await cast("Any", pipe.execute())
        ends: dict[RequestId, _End] = {}
        for request_id, (status, completed_at), at_ms in zip(
            asked, read[::2], read[1::2], strict=True
        ):
            if status is None or completed_at is not None:
                ttl_ms = self.ttl.of(status)
                ends[request_id] = _End(at_ms if at_ms > 0 else seconds * 1000 + ttl_ms, ttl_ms)
        return ends

    async def drop_updates(self, request_ids: Sequence[RequestId]) -> int:
        dropped = 0
        for request_id in request_ids:
            names = [self.keys.state(request_id), self.keys.updates(request_id)]
            dropped += 1 if self.dry_run else await self.scripts.call("drop_updates", names, [])
        return dropped

    async def end_keys(
        self, owned: Sequence[tuple[str, RequestId]], ends: Mapping[RequestId, _End]
    ) -> int:
        """Let keys end that would outlive their request."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for key, _ in owned:
                pipe.pexpiretime(key)
            with translated("read times to live"):
                times = await cast("Any", pipe.execute()) if owned else []
        late: dict[RequestId, list[str]] = defaultdict(list)
        for (key, owner), at_ms in zip(owned, times, strict=True):
            if at_ms == _FOREVER or at_ms > ends[owner].at_ms + _LATE_MS:
                late[owner].append(key)
        ended = 0
        for request_id, outliving in late.items():
            ended += await self.end(request_id, outliving, ends[request_id])
        return ended

    async def end(self, request_id: RequestId, names: Sequence[str], end: _End) -> int:
        if self.dry_run:
            return len(names)
        ended: int = await self.scripts.call(
            "end_keys", [self.keys.state(request_id), *names], [end.ttl_ms]
        )
        return ended

    # --- the index ------------------------------------------------------------------------------

    async def old_ids(self) -> int:
        """Forget ids that nobody is told about any more."""
        oldest = f"({self.now_ms - 1_000 * REMEMBERED_SECONDS}"
        index, removed = self.keys.index, 0
        if self.dry_run:
            with translated("count old ids"):
                return await self.redis.zcount(index, "-inf", oldest)
        while True:
            with translated("forget old ids"):
                old = await cast(
                    "Any", self.redis.zrangebyscore(index, "-inf", oldest, start=0, num=_BATCH)
                )
                if not old:
                    return removed
                removed += await cast("Any", self.redis.zrem(index, *old))


def _runs(
    entries: Iterable[Entry], run_of: Callable[[Mapping[str, str]], Run]
) -> Iterator[tuple[str, Run]]:
    """Give entries with the run that they belong to; without those that cannot be read."""
    for entry in entries:
        with suppress(MalformedEntry):
            yield entry.entry_id, run_of(entry.fields)


def _run_of_request(fields: Mapping[str, str]) -> Run:
    entry = IngestEntry.from_fields(fields)
    return entry.request_id, entry.run


def _run_of_tasks(fields: Mapping[str, str]) -> Run:
    first = tasks_of(fields)[0]
    return first.request_id, first.run
