"""Entries of several tasks on a real server: cut, settled in parts, moved, and never half lost."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import pytest
from assignments import WORKER, Answer, assigned, numbers, settle

from vncore import dispatching, held, tasks
from vncore.cancel import cancel
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.failures import Failure
from vncore.fsck import Fault, check
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys, done_field
from vncore.messages import IngestEntry, TaskDispatch, TaskStatus, TaskUpdate, Trace, tasks_of
from vncore.pieces import Fragment, packed
from vncore.redrive import redrive
from vncore.requests import RequestStore, Submission
from vncore.settling import FinalFailure
from vncore.streams import Delivery, ensure_group, read_group
from vncore.tasks import Assignment, Settled, TaskStore

BROKEN = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True)
KEPT, DUPLICATE, OVER, NOT_HELD = (
    Settled.KEPT,
    Settled.DUPLICATE,
    Settled.REQUEST_OVER,
    Settled.NOT_HELD,
)
GOOD = b"<valuation/>"


@dataclass
class House:
    """A request with one open group, an orchestrator that has it, and workers of any name."""

    connections: Connections
    keys: Keys
    request: held.HeldRequest
    store: TaskStore

    @property
    def redis(self):
        return self.connections.commands

    @property
    def request_id(self) -> RequestId:
        return self.request.request_id

    @property
    def group(self) -> str:
        return self.keys.group(self.request_id, 0)

    async def dispatch(self, *tasks: int, slice_tasks: int, **changes) -> dict[TaskId, str]:
        new = [self.a_task(task, **changes) for task in tasks]
        return await self.request.dispatch(new, slice_tasks=slice_tasks)

    def a_task(
        self, task: int, *, size: int = 0, failing: Sequence[int] = (), changed: Sequence[int] = ()
    ) -> NewTask:
        dispatch = TaskDispatch(
            self.request_id,
            DEFAULT_TENANT,
            0,
            "prices",
            TaskId(task),
            f'bond "{task}" €',
            run=self.request.entry.run,
        )
        version = self.request.entry.run if task in changed else 1
        document = f"<task n='{task}' v='{version}'/>".encode().ljust(size)
        return NewTask(dispatch, document, b"[]", BROKEN if task in failing else None)

    async def take(self, worker: str = WORKER, most: int = 100) -> list[Delivery]:
        return await read_group(
            self.redis, self.keys.dispatch, WORKERS, worker, count=most, block_ms=None
        )

    async def held_by(self, worker: str = WORKER) -> Assignment:
        """Let a worker take the next entry."""
        [delivery] = await self.take(worker, 1)
        return assigned(delivery, worker)

    async def taken_over(self, assignment: Assignment, worker: str) -> Assignment:
        """Let the entry pass on to another worker, as of one that died."""
        await self.redis.xclaim(self.keys.dispatch, WORKERS, worker, 0, [assignment.entry_id])
        return Assignment(assignment.entry_id, worker, assignment.tasks)

    async def settle(self, assignment: Assignment, *tasks: int, answer: Answer = GOOD):
        return await settle(self.store, assignment, dict.fromkeys(tasks, answer))

    async def put_off(self, assignment: Assignment, *tasks: int) -> bool:
        moved = [task for task in assignment.tasks if task.task_id in tasks]
        return await self.store.put_off(assignment, moved)

    async def queued(self) -> list[list[int]]:
        """Give the tasks of each entry that is there."""
        entries = await self.redis.xrange(self.keys.dispatch)
        return [
            [task.task_id for task in tasks_of({k.decode(): v.decode() for k, v in fields.items()})]
            for _, fields in entries
        ]

    async def pending(self) -> dict[str, tuple[str, int]]:
        """Give who has which entry, and how often it was delivered."""
        rows = await self.redis.xpending_range(
            self.keys.dispatch, WORKERS, min="-", max="+", count=100
        )
        return {
            row["message_id"].decode(): (row["consumer"].decode(), row["times_delivered"])
            for row in rows
        }

    async def done(self, assignment: Assignment) -> str | None:
        """Give the tasks of an entry that are listed as done."""
        listed = await self.redis.hget(self.group, done_field(assignment.entry_id))
        return listed and listed.decode()

    async def counts(self) -> tuple[int, int]:
        """Give how many tasks are counted as completed, and how many as failed."""
        read = await self.redis.hmget(self.group, ["completed", "failed"])
        return int(read[0]), int(read[1])

    async def told(self) -> list[tuple[str, list[TaskUpdate]]]:
        """Give what is newly told on the update stream, by entry."""
        self.request.block_ms = 1
        by_entry: dict[str, list[TaskUpdate]] = {}
        for received in await self.request.updates():
            by_entry.setdefault(received.entry_id, []).append(received.update)
        return list(by_entry.items())

    async def everything(self) -> dict[bytes, object]:
        names = sorted(await self.redis.keys())
        return {
            name: await (
                self.redis.hgetall(name) if name.startswith(b"state:") else self.redis.dump(name)
            )
            for name in names
        }

    async def assert_clean(self) -> None:
        report = await check(self.redis, self.keys, pause_seconds=0, grace_seconds=-1)
        assert report.violations == (), str(report)

    async def lost(self) -> list[tuple[int, ...]]:
        report = await check(self.redis, self.keys, pause_seconds=0, grace_seconds=-1)
        assert {one.fault for one in report.violations} <= {Fault.TASK_LOST}, str(report)
        return [one.tasks for one in report.violations]

    async def another_run(self) -> None:
        """End the run, and begin another one whose group is open again."""
        ticks = count(9_000)
        clock = lambda: next(ticks)  # noqa: E731
        await cancel(self.redis, self.keys, self.request_id, ttl_seconds=60, clock=clock)
        await redrive(
            self.redis,
            self.keys,
            self.request_id,
            deadline_at_ms=None,
            trace=Trace(),
            clock=clock,
        )
        self.request = await begun(self.connections, self.keys)


async def begun(connections: Connections, keys: Keys) -> held.HeldRequest:
    await ensure_group(connections.commands, keys.ingest, ORCHESTRATORS)
    [delivery] = await read_group(
        connections.commands, keys.ingest, ORCHESTRATORS, "orchestrator", count=1, block_ms=None
    )
    entry = IngestEntry.from_fields(delivery.fields)
    ticks = count(2_000)
    request = await held.begin(connections, keys, entry, delivery.entry_id, lambda: next(ticks))
    assert request is not None
    await request.save_hydrated({"document": b"<vnml/>"}, 1)
    await request.start_group(0, "prices", 12)
    return request


@pytest.fixture
async def house(connections: Connections, keys: Keys) -> House:
    submission = Submission(new_request_id(), b"<vnml/>", group_count=1, received_at_ms=1_000)
    await RequestStore(connections.commands, keys).submit(submission)
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    request = await begun(connections, keys)
    return House(connections, keys, request, TaskStore(connections.commands, keys))


# --- cut ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slice_tasks", "entries"),
    [
        pytest.param(1, [[1], [2], [3], [4], [5]], id="each by itself"),
        pytest.param(2, [[1, 2], [3, 4], [5]], id="pairs"),
        pytest.param(5, [[1, 2, 3, 4, 5]], id="all"),
        pytest.param(64, [[1, 2, 3, 4, 5]], id="more than there are"),
    ],
)
async def test_neighbours_share_an_entry_in_task_order(house: House, slice_tasks, entries):
    queued = await house.dispatch(*range(1, 6), slice_tasks=slice_tasks)
    assert await house.queued() == entries
    assert list(queued) == [1, 2, 3, 4, 5]
    ids = list(dict.fromkeys(queued.values()))
    assert [[task for task in queued if queued[task] == one] for one in ids] == entries
    read = [task for delivery in await house.take() for task in tasks_of(delivery.fields)]
    assert read == [house.a_task(task).dispatch for task in range(1, 6)]
    await house.assert_clean()


async def test_an_entry_carries_no_more_than_so_many_bytes_of_documents(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatching, "_SLICE_BYTES", 1_000)
    large = {1: 400, 2: 400, 3: 400, 4: 1_500, 5: 500, 6: 500, 7: 1}
    new = [house.a_task(task, size=size) for task, size in large.items()]
    await house.request.dispatch(
        [NewTask(one.dispatch, one.document[: large[one.dispatch.task_id]], b"[]") for one in new],
        slice_tasks=64,
    )
    assert await house.queued() == [[1, 2], [3], [4], [5, 6], [7]]


async def test_a_slice_does_not_reach_over_the_end_of_a_batch(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatching, "_BATCH_TASKS", 5)
    await house.dispatch(*range(1, 13), slice_tasks=3)
    assert await house.queued() == [[1, 2, 3], [4, 5], [6, 7, 8], [9, 10], [11, 12]]


async def test_a_task_that_has_failed_is_in_no_entry(house: House):
    queued = await house.dispatch(*range(1, 10), slice_tasks=3, failing=(2, 3, 4, 5, 6))
    assert await house.queued() == [[1], [7, 8, 9]]
    assert list(queued) == [1, 7, 8, 9]
    assert await house.counts() == (0, 5)
    await house.assert_clean()


async def test_a_slice_of_one_is_a_plain_entry(house: House):
    await house.dispatch(1, 2, slice_tasks=2, failing=[1])
    [(_, fields)] = await house.redis.xrange(house.keys.dispatch)
    plain = house.a_task(2).dispatch.to_fields(house.keys)
    assert {name.decode(): value.decode() for name, value in fields.items()} == plain


async def test_dispatching_again_appends_nothing(house: House):
    first = await house.dispatch(1, 2, 3, slice_tasks=2)
    before = await house.everything()
    assert await house.dispatch(1, 2, 3, slice_tasks=3) == {}
    assert await house.everything() == before
    assert list(await house.dispatch(*range(1, 8), slice_tasks=3)) == [4, 5, 6, 7]
    assert await house.queued() == [[1, 2], [3], [4, 5, 6], [7]]
    assert len(set(first.values())) == 2
    await house.assert_clean()


async def test_another_run_queues_in_slices_what_has_changed_or_has_no_result(house: House):
    await house.dispatch(*range(1, 9), slice_tasks=4)
    for assignment in [assigned(one) for one in await house.take()]:
        ended = [task.task_id for task in assignment.tasks if task.task_id != 6]
        await house.settle(assignment, *ended)
    await house.another_run()
    await house.store.discard((await house.pending()).popitem()[0])  # as its worker would

    queued = await house.dispatch(*range(1, 9), slice_tasks=4, changed=(1, 3, 4, 7))
    assert await house.queued() == [[1, 3, 4], [6, 7]]
    assert list(queued) == [1, 3, 4, 6, 7]
    assert await house.counts() == (3, 0)
    await house.assert_clean()
    for assignment in [assigned(one) for one in await house.take()]:
        assert set(await house.settle(assignment, *[t.task_id for t in assignment.tasks])) == {KEPT}
    assert await house.counts() == (8, 0)
    assert await house.queued() == []


# --- settled --------------------------------------------------------------------------------------


async def test_an_entry_stays_until_each_of_its_tasks_is_settled_whoever_settles_it(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    first = await house.held_by("w1")
    assert await house.settle(first, 2) == [KEPT]
    assert await house.done(first) == ",2,"
    assert await house.pending() == {first.entry_id: ("w1", 1)}
    await house.assert_clean()

    second = await house.taken_over(first, "w2")
    assert list((await house.store.fetch(second)).documents) == [1, 3]
    assert await house.settle(second, 1) == [KEPT]
    assert await house.done(first) == ",2,1,"
    await house.assert_clean()
    assert await house.settle(second, 3) == [KEPT]
    assert await house.done(first) is None
    assert (await house.pending(), await house.queued()) == ({}, [])
    assert await house.counts() == (3, 0)
    await house.assert_clean()


@pytest.mark.parametrize("flushed", [False, True], ids=["", "on a server that forgot the script"])
@pytest.mark.parametrize("ended", [False, True], ids=["of an open entry", "of one that has ended"])
async def test_settling_again_changes_nothing(house: House, *, ended: bool, flushed: bool):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    assert await house.settle(assignment, 1, 2) == [KEPT, KEPT]
    if ended:
        assert await house.settle(assignment, 3) == [KEPT]
    before = await house.everything()
    if flushed:
        await house.redis.script_flush()
    assert await house.settle(assignment, 1, 2, answer=b"<other/>") == [DUPLICATE, DUPLICATE]
    assert await house.settle(assignment, 2) == [DUPLICATE]
    assert await house.everything() == before


async def test_all_of_an_entry_settled_at_once_after_some_of_it_leaves_no_list(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    slow = await house.held_by("slow")
    await house.settle(await house.taken_over(slow, "fast"), 2)
    assert await house.settle(slow, 1, 2) == [KEPT, DUPLICATE]
    assert (await house.queued(), await house.done(slow)) == ([], None)


async def test_a_failure_told_again_is_not_told_twice(house: House):
    """The answer was lost, and the entry is still there for the others of its slice."""
    await house.dispatch(1, 2, slice_tasks=2)
    assignment = await house.held_by()
    assert await house.settle(assignment, 1, answer=BROKEN) == [KEPT]
    before = await house.everything()
    await house.redis.script_flush()
    assert await house.settle(assignment, 1, answer=BROKEN) == [NOT_HELD]
    assert await house.everything() == before
    answers = {1: BROKEN, 2: GOOD}
    assert await settle(house.store, assignment, answers) == [NOT_HELD, KEPT]
    assert [numbers(updates) for _, updates in await house.told()] == [[1], [2]]
    await house.assert_clean()


async def test_successes_of_one_call_are_told_in_one_entry(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    settlements = [
        tasks.Settlement(task, 10 * task.task_id, f"<n>{task.task_id}</n>".encode())
        for task in assignment.tasks
    ]
    assert await house.store.settle(assignment, settlements) == [KEPT] * 3
    assert await house.redis.xlen(house.keys.updates(house.request_id)) == 1
    received = await house.request.updates()
    assert len({one.entry_id for one in received}) == 1
    assert [one.update for one in received] == [
        TaskUpdate(
            house.request_id,
            DEFAULT_TENANT,
            0,
            TaskId(task),
            1,
            TaskStatus.SUCCEEDED,
            10 * task,
            WORKER,
        )
        for task in (1, 2, 3)
    ]
    assert await house.request.unsettled_updates() == received
    await house.request.acknowledge([one.entry_id for one in received])
    assert await house.request.unsettled_updates() == []
    results = await house.request.results(0, [TaskId(1), TaskId(2), TaskId(3)])
    assert results == {1: b"<n>1</n>", 2: b"<n>2</n>", 3: b"<n>3</n>"}
    await house.assert_clean()


async def test_a_duplicate_among_them_is_not_counted_twice_and_not_told(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    slow = await house.held_by("slow")
    fast = await house.taken_over(slow, "fast")
    assert await house.settle(fast, 2, answer=b"<first/>") == [KEPT]
    assert await house.settle(slow, 1, 2, 3, answer=b"<late/>") == [KEPT, DUPLICATE, KEPT]
    assert [numbers(updates) for _, updates in await house.told()] == [[2], [1, 3]]
    assert await house.counts() == (3, 0)
    results = await house.request.results(0, [TaskId(1), TaskId(2)])
    assert results == {1: b"<late/>", 2: b"<first/>"}
    assert await house.queued() == []
    await house.assert_clean()


async def test_a_result_of_a_task_given_up_meanwhile_is_neither_kept_nor_told(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    slow = await house.held_by("slow")
    fast = await house.taken_over(slow, "fast")
    assert await house.settle(fast, 1, answer=BROKEN) == [KEPT]
    [failed] = await house.request.updates()
    await house.request.fail_tasks(0, [FinalFailure(failed, BROKEN)])
    assert await house.settle(slow, 1, 2) == [DUPLICATE, KEPT]
    assert await house.counts() == (1, 1)
    assert [numbers(updates) for _, updates in await house.told()] == [[2]]
    await house.assert_clean()


async def test_a_failure_is_told_by_itself_and_by_none_but_who_has_the_entry(house: House):
    await house.dispatch(1, 2, 3, 4, slice_tasks=4)
    slow = await house.held_by("slow")
    fast = await house.taken_over(slow, "fast")
    answers: dict[int, Answer] = {1: GOOD, 2: BROKEN, 3: GOOD}
    assert await settle(house.store, slow, answers) == [KEPT, NOT_HELD, KEPT]
    assert await house.done(slow) == ",1,3,"
    await house.assert_clean()
    answers = {1: BROKEN, 2: BROKEN, 4: GOOD}
    assert await settle(house.store, fast, answers) == [NOT_HELD, KEPT, KEPT]
    told = [(numbers(updates), updates[0].failure) for _, updates in await house.told()]
    assert told == [([1, 3], None), ([2], BROKEN), ([4], None)]
    assert await house.queued() == []
    await house.assert_clean()


async def test_a_failed_task_of_a_slice_is_tried_again_by_itself(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    assignment = await house.held_by()
    await settle(house.store, assignment, {1: GOOD, 2: BROKEN})
    [failed] = [one for one in await house.request.updates() if one.update.failure]
    await house.request.schedule_retry(failed, due_ms=5_000)
    await house.assert_clean()
    assert await house.request.retry(replace(house.a_task(2).dispatch, attempt=2))
    assert await house.queued() == [[2]]
    await house.assert_clean()
    assert await house.settle(await house.held_by(), 2) == [KEPT]
    assert await house.counts() == (2, 0)


@pytest.mark.parametrize("again", [False, True], ids=["over", "in another run"])
async def test_a_request_that_is_over_settles_nothing_and_the_entry_goes(house: House, *, again):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    await house.settle(assignment, 1)
    if again:
        await house.another_run()
    else:
        await house.request.fail({"code": "X"}, [3], 60, failed_group=0)
    assert not (await house.store.fetch(assignment)).request_is_open
    assert await settle(house.store, assignment, {2: GOOD, 3: BROKEN}) == [OVER, OVER]
    assert (await house.queued(), await house.pending()) == ([], {})
    for task in (2, 3):
        at = (house.request_id, 0, TaskId(task))
        assert not await house.redis.exists(house.keys.task_result(*at))
    assert await house.redis.exists(house.keys.updates(house.request_id)) == again
    if again:
        assert await house.told() == []
    await house.assert_clean()


async def test_results_of_many_megabytes_are_settled_in_several_calls(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "_SETTLED_BYTES", 1_000)
    await house.dispatch(*range(1, 7), slice_tasks=6)
    assignment = await house.held_by()
    sizes = {1: 400, 2: 600, 3: 1, 4: 5_000, 5: 0, 6: 999}
    answers: dict[int, Answer] = {task: b"x" * size or BROKEN for task, size in sizes.items()}
    assert await settle(house.store, assignment, answers) == [KEPT] * 6
    told = [numbers(updates) for _, updates in await house.told()]
    assert told == [[1, 2], [3], [4], [5], [6]]
    assert await house.counts() == (5, 0)
    assert (await house.queued(), await house.done(assignment)) == ([], None)


async def test_what_one_call_settles_holds_the_server_up_for_two_mebibytes_at_most(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    mebibyte = 1024 * 1024
    assert await house.settle(assignment, 1, 2, 3, answer=b"x" * mebibyte) == [KEPT] * 3
    assert [numbers(updates) for _, updates in await house.told()] == [[1, 2], [3]]


async def test_slices_that_are_settled_at_once_are_each_settled_by_itself(house: House):
    await house.dispatch(*range(1, 7), slice_tasks=2)
    held_ones = [assigned(one) for one in await house.take()]
    settled = await asyncio.gather(
        *(house.settle(one, *[task.task_id for task in one.tasks]) for one in held_ones)
    )
    assert settled == [[KEPT, KEPT]] * 3
    assert [numbers(updates) for _, updates in await house.told()] == [[1, 2], [3, 4], [5, 6]]
    assert await house.queued() == []


# --- put off --------------------------------------------------------------------------------------


async def test_tasks_put_off_are_another_entry_that_nobody_has_had(house: House):
    await house.dispatch(1, 2, 3, 4, slice_tasks=4)
    first = await house.held_by("w1")
    await house.settle(first, 1)
    assert await house.put_off(first, 3, 4)
    assert await house.queued() == [[1, 2, 3, 4], [3, 4]]
    assert await house.done(first) == ",1,3,4,"
    assert list((await house.store.fetch(first)).documents) == [2]
    await house.assert_clean()

    second = await house.held_by("w2")
    assert second.tasks == first.tasks[2:]
    assert (await house.pending())[second.entry_id] == ("w2", 1)
    assert list((await house.store.fetch(second)).documents) == [3, 4]
    assert await house.settle(first, 2) == [KEPT]
    assert await house.queued() == [[3, 4]]
    assert await house.done(first) is None
    await house.assert_clean()
    assert await house.settle(second, 3, 4) == [KEPT, KEPT]
    assert await house.queued() == []
    assert await house.counts() == (4, 0)
    await house.assert_clean()


async def test_one_task_put_off_is_a_plain_entry(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    await house.put_off(await house.held_by(), 2)
    _, (_, fields) = await house.redis.xrange(house.keys.dispatch)
    assert TaskDispatch.from_fields({k.decode(): v.decode() for k, v in fields.items()}) == (
        house.a_task(2).dispatch
    )


@pytest.mark.parametrize("what", [(3, 4), (4,), (2, 3)], ids=["the same", "of them", "some other"])
async def test_putting_off_again_moves_nothing(house: House, what: Sequence[int]):
    await house.dispatch(1, 2, 3, 4, slice_tasks=4)
    assignment = await house.held_by()
    assert await house.put_off(assignment, 3, 4)
    before = await house.everything()
    await house.redis.script_flush()
    assert not await house.put_off(assignment, *what)
    assert await house.everything() == before


async def test_what_is_settled_is_not_put_off(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    await house.settle(assignment, 2)
    before = await house.everything()
    assert not await house.put_off(assignment, 2, 3)
    assert await house.everything() == before


async def test_who_does_not_have_the_entry_puts_nothing_off(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    slow = await house.held_by("slow")
    fast = await house.taken_over(slow, "fast")
    before = await house.everything()
    assert not await house.put_off(slow, 2)
    assert await house.everything() == before
    await house.settle(fast, 1, 2)
    before = await house.everything()
    assert not await house.put_off(fast, 2)
    assert await house.everything() == before


async def test_an_entry_all_of_whose_tasks_are_put_off_goes(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by("w1")
    await house.settle(assignment, 1)
    assert await house.put_off(assignment, 2, 3)
    assert await house.queued() == [[2, 3]]
    assert (await house.pending(), await house.done(assignment)) == ({}, None)
    await house.assert_clean()


async def test_nothing_is_put_off_for_a_request_that_is_over(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    assignment = await house.held_by()
    await house.request.fail({"code": "X"}, [2], 60, failed_group=0)
    before = await house.everything()
    assert not await house.put_off(assignment, 2)
    assert await house.everything() == before


async def test_a_task_that_was_put_off_fails_for_none_but_who_has_it_now(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    first = await house.held_by("w1")
    await house.put_off(first, 2)
    second = await house.held_by("w2")
    assert await house.settle(first, 2, answer=BROKEN) == [NOT_HELD]
    assert await house.told() == []
    assert await house.settle(first, 2, answer=b"<early/>") == [KEPT], "a result always counts"
    assert await house.settle(second, 2, answer=BROKEN) == [DUPLICATE]
    assert await house.settle(first, 1) == [KEPT]
    assert [numbers(updates) for _, updates in await house.told()] == [[2], [1]]
    assert await house.counts() == (2, 0)
    assert await house.queued() == []
    await house.assert_clean()


# --- fetched --------------------------------------------------------------------------------------


async def test_a_document_that_is_gone_is_none_and_the_others_are_there(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    await house.redis.delete(house.keys.task_xml(house.request_id, 0, TaskId(2)))
    payload = await house.store.fetch(assignment)
    assert payload.request_is_open
    texts = {task: text and text.xml for task, text in payload.documents.items()}
    assert texts == {1: house.a_task(1).document, 2: None, 3: house.a_task(3).document}


async def test_documents_are_put_together_and_one_whose_fragment_is_gone_is_none(house: House):
    here, gone = Fragment.of(b"<market>here</market>"), Fragment.of(b"<market>gone</market>")
    await house.request.save_fragments([here, gone])
    pieces = {1: (b"<a>", here, b"</a>"), 2: (b"<b>", gone, b"</b>"), 3: (b"<c/>",)}
    await house.request.dispatch(
        [NewTask(house.a_task(task).dispatch, packed(one), b"[]") for task, one in pieces.items()],
        slice_tasks=3,
    )
    await house.redis.hdel(house.keys.fragments(house.request_id), gone.digest)
    documents = (await house.store.fetch(await house.held_by())).documents
    assert documents == {
        1: tasks.TaskText(b"<a><market>here</market></a>", (here,)),
        2: None,
        3: tasks.TaskText(b"<c/>"),
    }


async def test_entries_that_are_fetched_at_once_get_each_their_own(house: House):
    await house.dispatch(*range(1, 6), slice_tasks=2)
    held_ones = [assigned(one) for one in await house.take()]
    await house.settle(held_ones[1], 3)
    payloads = await asyncio.gather(*map(house.store.fetch, held_ones))
    assert [list(payload.documents) for payload in payloads] == [[1, 2], [4], [5]]


# --- lost -----------------------------------------------------------------------------------------


async def test_a_task_that_its_entry_calls_done_and_nothing_knows_of_is_lost(house: House):
    await house.dispatch(1, 2, 3, slice_tasks=3)
    assignment = await house.held_by()
    await house.settle(assignment, 1)
    await house.assert_clean()
    await house.redis.hset(house.group, done_field(assignment.entry_id), ",1,3,")
    assert await house.lost() == [(3,)]


async def test_a_task_that_was_put_off_and_whose_new_entry_is_gone_is_lost(house: House):
    await house.dispatch(1, 2, 3, 4, slice_tasks=4)
    first = await house.held_by()
    await house.put_off(first, 3, 4)
    second = await house.held_by()
    await house.settle(second, 3)
    await house.assert_clean()
    await house.redis.xdel(house.keys.dispatch, second.entry_id)
    assert await house.lost() == [(4,)]


async def test_all_open_tasks_of_a_deleted_slice_are_lost(house: House):
    await house.dispatch(1, 2, 3, 4, 5, slice_tasks=4)
    assignment = await house.held_by()
    await settle(house.store, assignment, {1: GOOD, 2: BROKEN})
    await house.redis.xdel(house.keys.dispatch, assignment.entry_id)
    assert await house.lost() == [(3, 4)]
    [one] = (await check(house.redis, house.keys, pause_seconds=0)).violations
    assert one.fault.promise == 6


async def test_a_report_of_several_that_is_gone_misses_none_that_has_a_result(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    await house.settle(await house.held_by(), 1, 2)
    [(entry_id, _)] = await house.told()
    await house.redis.xdel(house.keys.updates(house.request_id), entry_id)
    await house.assert_clean()


async def test_what_is_written_in_an_entry_is_its_tasks_and_names(house: House):
    await house.dispatch(1, 2, slice_tasks=2)
    [(_, fields)] = await house.redis.xrange(house.keys.dispatch)
    assert json.loads(fields[b"tasks"]) == [[1, 'bond "1" €'], [2, 'bond "2" €']]
    assert not fields.keys() & {b"taskId", b"valuationName", b"payloadKey", b"resultKey"}
