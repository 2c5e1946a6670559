"""One look at everything, and a second one at what was suspicious: the table of contents of fsck.

In come a server and the keys of a cell; out goes a report. Only reads. The first look is pipelined
and takes a while, in which the house goes on working; so a suspicion only counts when it is there
again after a pause, with the request at the same point of the same run. Called by ``__main__``, and
by whoever wants to know whether all is well.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.entries import PAGE, Entry, walk
from vncore.fsck.leftovers import forgotten, left_behind, stray
from vncore.fsck.lost import Queued, lost, suspects
from vncore.fsck.standing import out_of_order, standing_of, without_entry
from vncore.fsck.tally import miscounted
from vncore.fsck.violations import Fault, Report, Violation
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.keyspace import OF_A_REQUEST, KeySpace, Kind, Name

PAUSE_SECONDS = 1.0
"""Between the two looks."""

GRACE_SECONDS = 60.0
"""How long an entry of nobody may lie in a queue before it counts: its consumers take those off."""

_AT_ONCE = 16  # requests looked at side by side
_MOST_SUSPICIONS = 10_000  # more need no list: something fundamental is wrong
_COUNTS = frozenset(fault for fault in Fault if fault.promise == 5)

T = TypeVar("T")


async def check(
    redis: Redis,
    keys: Keys,
    *,
    pause_seconds: float = PAUSE_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
) -> Report:
    """Look whether promises 2, 4, 5, 6 and 9 hold on a live server; changes nothing.

    Takes a few commands for each key and memory for each queued task. Raises StoreUnavailable.
    """
    began = time.monotonic()
    survey = _Survey(redis, keys, grace_seconds)
    await survey.first_look()
    violations: list[Violation] = []
    if survey.suspicions:
        await asyncio.sleep(pause_seconds)
        violations = await survey.second_look()
    return Report(
        violations=tuple(sorted(violations, key=_in_order)),
        requests=survey.requests,
        tasks=survey.tasks,
        keys=survey.names,
        unknown_keys=survey.unknown_names,
        seconds=time.monotonic() - began,
        complete=survey.complete,
    )


class _Survey:
    """What was seen so far."""

    def __init__(self, redis: Redis, keys: Keys, grace_seconds: float) -> None:
        self.redis = redis
        self.keys = keys
        self.grace_ms = int(grace_seconds * 1000)
        self.queued = Queued.of(keys)
        self.suspicions: dict[tuple[Any, ...], Violation] = {}
        self.entries: dict[str, Entry] = {}  # suspicious ones of the ingest stream, by id
        self.dispatched: dict[str, Entry] = {}  # of the dispatch stream, likewise
        self.leftovers: dict[str, Name] = {}  # likewise, by key
        self.requests = self.tasks = self.names = self.unknown_names = 0
        self.complete = True

    # --- the first look ---------------------------------------------------------------------------

    async def first_look(self) -> None:
        await self.queued.catch_up(self.redis)
        old = await self.before_the_grace()
        await self.look_at_ingest(old)
        await self.look_at_dispatch(old)
        async for names in KeySpace(self.keys).walk(self.redis):
            self.names += len(names)
            self.unknown_names += sum(name.kind is Kind.UNKNOWN for name in names)
            await self.look_at_keys([name for name in names if name.kind in OF_A_REQUEST])
            await self.look_at_requests(name for name in names if name.kind is Kind.STATE)
            if self.too_much():
                return

    async def before_the_grace(self) -> str:
        """Give the newest id of entries that are old enough to count."""
        with translated("ask for the time"):
            seconds, _ = await cast("Any", self.redis.time())
        return str(max(0, seconds * 1000 - self.grace_ms))

    async def look_at_ingest(self, old: str) -> None:
        async for entries in walk(self.redis, self.keys.ingest, until=old):
            wrong = await stray(self.redis, self.keys, entries, transaction=False)
            self.entries |= self.suspected(wrong, entries)
            if self.too_much():
                return

    async def look_at_dispatch(self, old: str) -> None:
        async for entries in walk(self.redis, self.keys.dispatch, until=old):
            wrong = await forgotten(self.redis, self.keys, entries)
            self.dispatched |= self.suspected(wrong, entries)
            if self.too_much():
                return

    def suspected(
        self, violations: Sequence[Violation], entries: Sequence[Entry]
    ) -> dict[str, Entry]:
        self.suspect(violations)
        by_id = {entry.entry_id: entry for entry in entries}
        return {one.key: by_id[one.key] for one in violations}

    async def look_at_keys(self, names: Sequence[Name]) -> None:
        wrong = await left_behind(self.redis, self.keys, names)
        self.suspect(wrong)
        by_key = {name.key: name for name in names}
        self.leftovers |= {one.key: by_key[one.key] for one in wrong}

    async def look_at_requests(self, states: Iterable[Name]) -> None:
        request_ids = (state.request_id for state in states if state.request_id)
        while batch := list(islice(request_ids, _AT_ONCE)):
            for wrong in await asyncio.gather(*map(self.look_at_request, batch)):
                self.suspect(wrong)

    async def look_at_request(self, request_id: RequestId) -> list[Violation]:
        standing = await standing_of(self.redis, self.keys, request_id)
        if standing is None:
            return []
        self.requests += 1
        wrong = [*without_entry(standing), *out_of_order(standing)]
        for index, group in enumerate(standing.groups):
            self.tasks += group.dispatched if group else 0
            wrong += await miscounted(self.redis, self.keys, standing, index)
            missing = await suspects(self.redis, self.keys, standing, index, self.queued)
            if missing:
                wrong.append(standing.violation(Fault.TASK_LOST, "perhaps", group_index=index))
        return wrong

    def suspect(self, violations: Iterable[Violation]) -> None:
        self.suspicions |= {one.identity: one for one in violations}

    def too_much(self) -> bool:
        """Tell whether there is so much to suspect that looking on would only fill the memory."""
        if len(self.suspicions) < _MOST_SUSPICIONS:
            return False
        self.complete = False
        return True

    # --- the second look --------------------------------------------------------------------------

    async def second_look(self) -> list[Violation]:
        """Look at the suspects alone; gives what is seen again."""
        again: list[Violation] = []
        for entries in _pages(list(self.entries.values())):
            again += await stray(self.redis, self.keys, entries, transaction=True)
        for entries in _pages(list(self.dispatched.values())):
            again += await forgotten(self.redis, self.keys, entries)
        for names in _pages(list(self.leftovers.values())):
            again += await left_behind(self.redis, self.keys, names)
        for request_id, suspected in self.suspects().items():
            again += await self.look_closely(request_id, suspected)
        return [one for one in again if one.identity in self.suspicions]

    def suspects(self) -> dict[RequestId, list[Violation]]:
        by_request: dict[RequestId, list[Violation]] = defaultdict(list)
        for one in self.suspicions.values():
            if one.request_id:
                by_request[RequestId(one.request_id)].append(one)
        return by_request

    async def look_closely(
        self, request_id: RequestId, suspected: Sequence[Violation]
    ) -> list[Violation]:
        standing = await standing_of(self.redis, self.keys, request_id)
        if standing is None:
            return []
        again = [*without_entry(standing), *out_of_order(standing)]
        for index in _groups(suspected, _COUNTS):
            again += await miscounted(self.redis, self.keys, standing, index)
        for index in _groups(suspected, {Fault.TASK_LOST}):
            again += await lost(self.redis, self.keys, standing, index, self.queued)
        return again


def _groups(violations: Iterable[Violation], faults: Collection[Fault]) -> list[int]:
    """Give the groups that have one of the faults."""
    found = {one.group_index for one in violations if one.fault in faults}
    return sorted(index for index in found if index is not None)


def _pages(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(items), PAGE):
        yield items[at : at + PAGE]


def _in_order(violation: Violation) -> tuple[int, str, int, str, str]:
    return (
        violation.fault.promise,
        violation.request_id,
        -1 if violation.group_index is None else violation.group_index,
        violation.fault.value,
        violation.key,
    )
