"""Whether a group's counts are what they count: promise 5.

A live request counts while we do, so the counts are read before and after: within one run they only
grow, and what is counted in between must lie between them. Called by `survey`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.fsck.standing import GROUP, GroupRecord, Standing, integer
from vncore.fsck.violations import Fault, Violation
from vncore.ids import RequestId, TaskId
from vncore.keys import DONE, FAILURE, RETRY, Keys

_BATCH = 500  # keys that one EXISTS is given; a page of a hash
_ROUND = 20  # batches in one round trip


@dataclass(frozen=True, slots=True)
class TaskRecords:
    """What a group's hash records of single tasks."""

    failed: frozenset[int]
    retried: frozenset[int]
    done: Mapping[str, frozenset[int]]
    """By dispatch entry: which of its tasks it is no more needed for."""


async def recorded_tasks(redis: Redis, group_key: str) -> TaskRecords:
    """Read what a group's hash records of single tasks."""
    numbers: dict[str, set[int]] = {FAILURE: set(), RETRY: set()}
    done: dict[str, frozenset[int]] = {}
    cursor = 0
    while True:
        with translated("read group"):
            cursor, page = await cast("Any", redis.hscan(group_key, cursor, count=_BATCH))
        for field, value in page.items():
            kind, separator, what = field.decode(errors="replace").partition(":")
            if f"{kind}{separator}" == DONE:
                done[what] = listed(value)
            elif f"{kind}{separator}" in numbers and what.isdecimal():
                numbers[f"{kind}{separator}"].add(int(what))
        if cursor == 0:
            return TaskRecords(frozenset(numbers[FAILURE]), frozenset(numbers[RETRY]), done)


def listed(tasks: bytes | None) -> frozenset[int]:
    """Read a list of tasks as `vncore.keys.done_field` describes it."""
    return frozenset(int(task) for task in (tasks or b"").split(b",") if task.isdigit())


async def with_result(redis: Redis, names: Sequence[str]) -> list[bool]:
    """Tell which of the keys exist."""
    found: list[bool] = []
    for at in range(0, len(names), _BATCH):
        async with redis.pipeline(transaction=False) as pipe:
            for name in names[at : at + _BATCH]:
                pipe.exists(name)
            with translated("look for results"):
                found += [bool(one) for one in await pipe.execute()]
    return found


async def miscounted(
    redis: Redis, keys: Keys, standing: Standing, group_index: int
) -> list[Violation]:
    """Find counts of a group that are not what they count."""
    before = standing.groups[group_index]
    if before is None:
        return []
    request_id, group_key = standing.request_id, keys.group(standing.request_id, group_index)
    tasks = range(1, before.dispatched + 1)
    records = await recorded_tasks(redis, group_key)
    results = await _existing(redis, _results(keys, request_id, group_index, tasks))
    failed = sorted(records.failed)
    twice = await with_result(redis, _results(keys, request_id, group_index, failed))
    after = await _after(redis, keys, standing, group_index)
    if after is None:
        return []  # another run has begun, or it has all expired meanwhile

    def violation(fault: Fault, found: str, tasks: tuple[int, ...] = ()) -> Violation:
        return standing.violation(fault, found, group_index=group_index, tasks=tasks)

    wrong: list[Violation] = []
    if not before.completed <= results <= after.completed:
        # Results may expire a moment before their request; their documents go with them.
        documents = [keys.task_xml(request_id, group_index, TaskId(task)) for task in tasks]
        if not standing.over or await _existing(redis, documents) == len(documents):
            found = f"{before.completed} tasks are counted as completed, {results} have a result"
            wrong.append(violation(Fault.COMPLETED_MISCOUNTED, found))
    if not before.failed <= len(failed) <= after.failed:
        found = f"{before.failed} tasks are counted as failed, of {len(failed)} it is recorded"
        wrong.append(violation(Fault.FAILED_MISCOUNTED, found))
    if both := tuple(task for task, has_both in zip(failed, twice, strict=True) if has_both):
        wrong.append(violation(Fault.RESULT_AND_FAILURE, "has a result and a failure", both))
    if before.completed + before.failed > before.expected:
        found = f"{before.completed} completed and {before.failed} failed of {before.expected}"
        wrong.append(violation(Fault.MORE_DONE_THAN_EXPECTED, found))
    return wrong


async def _after(
    redis: Redis, keys: Keys, standing: Standing, group_index: int
) -> GroupRecord | None:
    """Read the counts again, unless the request is in another run by now."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hget(keys.state(standing.request_id), "run")
        pipe.hmget(keys.group(standing.request_id, group_index), GROUP)
        with translated("read counts"):
            run, counts = await cast("Any", pipe.execute())
    same_run = run is not None and integer(run, 1) == standing.moment.run
    return GroupRecord.of(counts) if same_run else None


async def _existing(redis: Redis, names: Sequence[str]) -> int:
    """Count which of the keys exist."""
    count = 0
    for first in range(0, len(names), _BATCH * _ROUND):
        async with redis.pipeline(transaction=False) as pipe:
            for at in range(first, min(first + _BATCH * _ROUND, len(names)), _BATCH):
                pipe.exists(*names[at : at + _BATCH])
            with translated("count results"):
                count += sum(await pipe.execute())
    return count


def _results(
    keys: Keys, request_id: RequestId, group_index: int, tasks: Sequence[int]
) -> list[str]:
    return [keys.task_result(request_id, group_index, TaskId(task)) for task in tasks]
