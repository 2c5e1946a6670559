"""Tasks that nobody has, waits for, or will ever run: promise 6.

A task moves on while we look: from its dispatch entry to a report, from there to a recorded retry,
and back to a dispatch entry. `suspects` looks at one place after the other and may miss it;
`lost` looks at all of them in one moment. It can, because streams only grow: entries that were
passed once need no second look, and what was added since is short. Called by `survey`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.entries import Entry
from vncore.fsck.outstanding import Outstanding
from vncore.fsck.standing import Standing, integer
from vncore.fsck.tally import listed, recorded_tasks, with_result
from vncore.fsck.violations import Fault, Violation
from vncore.ids import RequestId, TaskId
from vncore.keys import WORKERS, Keys, done_field, failure_field, retry_field, update_readers
from vncore.messages import MalformedEntry, tasks_of, updates_of

_BATCH = 200  # tasks looked at in one moment
_ATTEMPTS = 20  # pages that may be added while we come to the end of a stream

Work = tuple[RequestId, int, int]
"""A request, the number of its run, the index of a group."""


@dataclass(slots=True)
class Queued:
    """The tasks that have an outstanding dispatch entry, as far as the stream was read."""

    stream: Outstanding
    entries: dict[Work, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    """By task: the entries that it is in."""

    @classmethod
    def of(cls, keys: Keys) -> "Queued":
        """Begin at the beginning of the dispatch stream."""
        return cls(Outstanding(keys.dispatch, WORKERS))

    async def catch_up(self, redis: Redis) -> None:
        """Read on to the end of the stream."""
        self.add(await self.stream.page(redis))
        while not self.stream.at_end:
            self.add(await self.stream.page(redis))

    def add(self, entries: Iterable[Entry]) -> None:
        """Note the tasks of dispatch entries; what cannot be read is nobody's: workers drop it."""
        for entry in entries:
            try:
                tasks = tasks_of(entry.fields)
            except MalformedEntry:
                continue
            for task in tasks:
                queued = self.entries[task.request_id, task.run, task.group_index]
                queued.setdefault(task.task_id, set()).add(entry.entry_id)

    def tasks(self, work: Work, done: Mapping[str, frozenset[int]]) -> set[int]:
        """Give the tasks of a group that are in an entry which does not call them `done`."""
        return {
            task
            for task, entries in self.entries.get(work, {}).items()
            if any(task not in done.get(entry, ()) for entry in entries)
        }


async def suspects(
    redis: Redis, keys: Keys, standing: Standing, group_index: int, queued: Queued
) -> set[int]:
    """Find dispatched tasks of a group for which nothing was found where one may be."""
    group = standing.groups[group_index]
    if group is None or group.status != "started" or standing.over:
        return set()
    work = (standing.request_id, standing.moment.run, group_index)
    group_key = keys.group(standing.request_id, group_index)
    done = (await recorded_tasks(redis, group_key)).done
    missing = set(range(1, group.dispatched + 1)) - queued.tasks(work, done)
    if not missing:
        return missing
    reports = _reports(keys, standing.request_id)
    while missing:
        missing -= _reported(await reports.page(redis), work)
        if reports.at_end:
            break
    records = await recorded_tasks(redis, group_key)
    return await _without_result(
        redis, keys, standing, group_index, missing - records.failed - records.retried
    )


async def lost(
    redis: Redis, keys: Keys, standing: Standing, group_index: int, queued: Queued
) -> list[Violation]:
    """Find the tasks of a group for which there is nothing in one and the same moment."""
    await queued.catch_up(redis)
    missing = sorted(await suspects(redis, keys, standing, group_index, queued))
    if not missing:
        return []
    reports = _reports(keys, standing.request_id)
    found: list[int] = []
    for at in range(0, len(missing), _BATCH):
        found += await _lost(
            redis, keys, standing, group_index, missing[at : at + _BATCH], queued, reports
        )
    what = "has neither a result nor a failure, a retry, a report or a dispatch entry"
    return (
        [standing.violation(Fault.TASK_LOST, what, group_index=group_index, tasks=tuple(found))]
        if found
        else []
    )


async def _lost(
    redis: Redis,
    keys: Keys,
    standing: Standing,
    group_index: int,
    tasks: Sequence[int],
    queued: Queued,
    reports: Outstanding,
) -> list[int]:
    request_id = standing.request_id
    work = (request_id, standing.moment.run, group_index)
    reported: set[int] = set()
    entries = sorted(set().union(*(queued.entries.get(work, {}).get(one, ()) for one in tasks)))
    for _ in range(_ATTEMPTS):
        async with redis.pipeline(transaction=True) as pipe:
            queued.stream.ask(pipe)
            reports.ask(pipe)
            pipe.hmget(keys.state(request_id), ["run", "completedAt"])
            pipe.hmget(
                keys.group(request_id, group_index),
                ["status", *(place(TaskId(task)) for task in tasks for place in _PLACES)],
            )
            pipe.hmget(keys.group(request_id, group_index), ["", *map(done_field, entries)])
            for task in tasks:
                pipe.exists(keys.task_result(request_id, group_index, TaskId(task)))
            with translated("look for a task in all places"):
                answers = await cast("Any", pipe.execute(raise_on_error=False))
                queued.add(queued.stream.hear(answers[:3]))
                reported |= _reported(reports.hear(answers[3:6]), work)
        for answer in answers[6:]:
            if isinstance(answer, Exception):
                raise answer
        (run, completed_at), (status, *recorded), (_, *lists), *results = answers[6:]
        if completed_at or integer(run, 1) != standing.moment.run or status != b"started":
            return []
        if queued.stream.at_end and reports.at_end:
            waiting = queued.tasks(work, dict(zip(entries, map(listed, lists), strict=True)))
            return [
                task
                for at, task in enumerate(tasks)
                if not results[at]
                and not any(recorded[at * len(_PLACES) : (at + 1) * len(_PLACES)])
                and task not in waiting
                and task not in reported
            ]
    return []  # so much is added that no moment can be looked at: somebody is at work


_PLACES = (failure_field, retry_field)


def _reports(keys: Keys, request_id: RequestId) -> Outstanding:
    return Outstanding(keys.updates(request_id), update_readers(request_id))


def _reported(entries: Iterable[Entry], work: Work) -> set[int]:
    """Give the tasks of a group that updates tell of."""
    tasks: set[int] = set()
    for entry in entries:
        try:
            updates = updates_of(entry.fields)
        except MalformedEntry:
            continue
        tasks |= {
            update.task_id
            for update in updates
            if (update.request_id, update.run, update.group_index) == work
        }
    return tasks


async def _without_result(
    redis: Redis, keys: Keys, standing: Standing, group_index: int, tasks: Iterable[int]
) -> set[int]:
    in_order = sorted(tasks)
    names = [keys.task_result(standing.request_id, group_index, TaskId(task)) for task in in_order]
    found = await with_result(redis, names)
    return {task for task, exists in zip(in_order, found, strict=True) if not exists}
