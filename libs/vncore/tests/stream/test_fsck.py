"""A promise broken by hand on a real server is found; a busy healthy house is not accused."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import pytest
from assignments import assigned
from assignments import settle as settle_all

from vnclient.local.valkey import ValkeyServer
from vncore import held
from vncore.__main__ import main
from vncore.cancel import cancel
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.errors import InvalidRequest, StoreUnavailable, Superseded
from vncore.failures import Failure
from vncore.fsck import Fault, Report, check, standing, tally
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys, retry_field, update_readers
from vncore.messages import IngestEntry, TaskDispatch, Trace
from vncore.redrive import redrive
from vncore.requests import Idempotency, RequestStore, Submission
from vncore.settling import FinalFailure, ReceivedUpdate
from vncore.streams import Delivery, ensure_group, read_group
from vncore.tasks import Settled, TaskStore

TTL_SECONDS = 600
BROKEN = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True)


@dataclass
class House:
    """A request at work: group 0 of two, three tasks, each in a place of its own.

    Task 1 has a result, task 2 a recorded retry, task 3 is still queued.
    """

    connections: Connections
    keys: Keys
    request: held.HeldRequest

    @property
    def redis(self):
        return self.connections.commands

    @property
    def request_id(self) -> RequestId:
        return self.request.request_id

    @property
    def state(self) -> str:
        return self.keys.state(self.request_id)

    def group(self, index: int = 0) -> str:
        return self.keys.group(self.request_id, index)

    def result(self, task: int, group_index: int = 0) -> str:
        return self.keys.task_result(self.request_id, group_index, TaskId(task))

    async def entry_id(self) -> str:
        return (await self.redis.hget(self.state, "ingestEntry")).decode()

    async def work(self, failing: set[int] = frozenset(), group_index: int = 0) -> list[Settled]:
        """Let a worker take everything that is queued and settle it."""
        return [
            settled
            for one in await take(self.connections, self.keys.dispatch, WORKERS)
            for settled in await settle(self.connections, self.keys, one, failing)
        ]

    async def check(self, grace_seconds: float = 60) -> Report:
        return await check(self.redis, self.keys, pause_seconds=0, grace_seconds=grace_seconds)

    async def faults(self, grace_seconds: float = 60) -> list[Fault]:
        return [one.fault for one in (await self.check(grace_seconds)).violations]


async def take(connections: Connections, stream: str, group: str) -> list[Delivery]:
    return await read_group(
        connections.commands, stream, group, f"{group}-1", count=100, block_ms=None
    )


async def settle(
    connections: Connections, keys: Keys, delivery: Delivery, failing: set[int] = frozenset()
) -> list[Settled]:
    """Settle all of an entry's tasks, as the worker that took it."""
    assignment = assigned(delivery, f"{WORKERS}-1")
    return await settle_all(
        TaskStore(connections.commands, keys),
        assignment,
        {
            task.task_id: BROKEN if task.task_id in failing else b"<valuation/>"
            for task in assignment.tasks
        },
    )


def a_task(request: held.HeldRequest, task: int, group_index: int = 0) -> NewTask:
    dispatch = TaskDispatch(
        request.request_id,
        DEFAULT_TENANT,
        group_index,
        "prices",
        TaskId(task),
        "bond",
        run=request.entry.run,
    )
    return NewTask(dispatch, f"<task n='{task}'/>".encode(), b"[]")


async def begun(connections: Connections, keys: Keys) -> held.HeldRequest:
    await ensure_group(connections.commands, keys.ingest, ORCHESTRATORS)
    [delivery] = await take(connections, keys.ingest, ORCHESTRATORS)
    entry = IngestEntry.from_fields(delivery.fields)
    request = await held.begin(connections, keys, entry, delivery.entry_id, epoch_ms)
    assert request is not None
    return request


@pytest.fixture(params=["", "{vn-0}:[x]*"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(request.param)


@pytest.fixture
async def house(connections: Connections, keys: Keys) -> House:
    submission = Submission(
        new_request_id(),
        b"<vnml/>",
        group_count=2,
        received_at_ms=epoch_ms(),
        idempotency=Idempotency("a1b2", "c3d4"),
    )
    await RequestStore(connections.commands, keys).submit(submission)
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    house = House(connections, keys, await begun(connections, keys))
    await house.request.save_hydrated({"document": b"<vnml/>"}, 2)
    await house.request.start_group(0, "prices", 3)
    await house.request.dispatch([a_task(house.request, 1), a_task(house.request, 2)])
    await house.work(failing={2})
    for received in await house.request.updates():
        if received.update.failure:
            await house.request.schedule_retry(received, due_ms=5_000)
        else:
            await house.request.acknowledge([received.entry_id])
    await house.request.dispatch([a_task(house.request, 3)])
    return house


async def ended(house: House) -> House:
    """Bring the request to its end: two results, one failure."""
    second = a_task(house.request, 2).dispatch
    await house.request.retry(replace(second, attempt=2))
    await house.work(failing={2})
    updates = await house.request.updates()
    final = [FinalFailure(one, BROKEN) for one in updates if one.update.failure]
    await house.request.fail_tasks(0, final)
    await house.request.complete_group(0, 3, 1)
    await house.request.start_group(1, "totals", 0)
    await house.request.complete_group(1, 0)
    await house.request.end_partial(b"<answer/>", {"code": "X"}, [3, 0], TTL_SECONDS)
    return house


# --- nothing is wrong -----------------------------------------------------------------------------


async def test_an_empty_server_is_clean(connections: Connections, keys: Keys):
    report = await check(connections.commands, keys)
    assert (report.clean, report.requests, report.keys) == (True, 0, 0)


async def test_a_running_request_is_clean(house: House):
    report = await house.check()
    assert report.violations == ()
    assert (report.requests, report.tasks, report.unknown_keys) == (1, 3, 0)


async def test_an_ended_request_is_clean(house: House):
    report = await (await ended(house)).check()
    assert report.violations == ()


async def test_checking_changes_nothing(house: House):
    names = sorted(await house.redis.keys())
    before = [await house.redis.dump(name) for name in names]
    await house.check()
    assert sorted(await house.redis.keys()) == names
    assert [await house.redis.dump(name) for name in names] == before


async def test_keys_of_others_are_counted_and_not_judged(house: House):
    await house.redis.set(f"{house.keys.prefix}somebody:else", "1")
    report = await house.check()
    assert report.clean
    assert report.unknown_keys == 1


# --- promise 2 ------------------------------------------------------------------------------------


async def without_its_ingest_entry(house: House) -> None:
    await house.redis.xdel(house.keys.ingest, await house.entry_id())


async def with_its_ingest_entry_acknowledged_only(house: House) -> None:
    await house.redis.xack(house.keys.ingest, ORCHESTRATORS, await house.entry_id())


async def with_its_orchestrator_thrown_out_of_the_group(house: House) -> None:
    await house.redis.xgroup_delconsumer(house.keys.ingest, ORCHESTRATORS, f"{ORCHESTRATORS}-1")


async def with_a_state_that_will_expire(house: House) -> None:
    await house.redis.expire(house.state, 1_000)


async def with_a_document_that_will_expire(house: House) -> None:
    await house.redis.expire(house.keys.xml(house.request_id), 1_000)


async def with_an_ingest_entry_of_an_unknown_request(house: House) -> None:
    entry = replace(house.request.entry, request_id=new_request_id())
    await house.redis.xadd(house.keys.ingest, entry.to_fields(house.keys))


async def with_a_second_ingest_entry(house: House) -> None:
    await house.redis.xadd(house.keys.ingest, house.request.entry.to_fields(house.keys))


async def with_an_ingest_entry_that_cannot_be_read(house: House) -> None:
    await house.redis.xadd(house.keys.ingest, {"requestId": house.request_id})


async def with_an_ingest_entry_after_its_end(house: House) -> None:
    await ended(house)
    await house.redis.xadd(house.keys.ingest, house.request.entry.to_fields(house.keys))


async def with_a_status_that_says_it_runs_after_its_end(house: House) -> None:
    await ended(house)
    await house.redis.hset(house.state, "status", "group_started")


# --- promise 4 ------------------------------------------------------------------------------------


async def with_a_later_group_started(house: House) -> None:
    await house.request.start_group(1, "totals", 1)


async def with_its_group_closed_by_hand(house: House) -> None:
    await house.redis.hset(house.group(), "status", "completed")


async def with_another_current_group(house: House) -> None:
    await house.redis.hset(house.state, "currentGroup", 1)


async def without_a_current_group(house: House) -> None:
    await house.redis.hdel(house.state, "currentGroup")


# --- promise 5 ------------------------------------------------------------------------------------


async def with_a_result_counted_twice(house: House) -> None:
    await house.redis.hincrby(house.group(), "completed", 1)


async def with_a_result_that_is_gone(house: House) -> None:
    await house.redis.delete(house.result(1))


async def with_a_result_put_there_by_hand(house: House) -> None:
    await house.redis.set(house.result(3), "<valuation/>", ex=1_000)


async def with_a_failure_counted_twice(house: House) -> None:
    await house.redis.hincrby(house.group(), "failed", 1)


async def with_a_failure_that_is_not_counted(house: House) -> None:
    await house.redis.hset(house.group(), "failure:3", BROKEN.to_json())


async def with_a_result_lost_after_the_end(house: House) -> None:
    await ended(house)
    await house.redis.delete(house.result(1))


async def with_a_result_and_a_failure_after_the_end(house: House) -> None:
    await ended(house)
    await house.redis.set(house.result(2), "<valuation/>", ex=1_000)
    await house.redis.hincrby(house.group(), "completed", 1)


# --- promise 6 ------------------------------------------------------------------------------------


async def with_a_dispatch_entry_deleted(house: House) -> None:
    [entry] = await house.redis.xrange(house.keys.dispatch)
    await house.redis.xdel(house.keys.dispatch, entry[0])


async def with_its_worker_thrown_out_of_the_group(house: House) -> None:
    await take(house.connections, house.keys.dispatch, WORKERS)
    await house.redis.xgroup_delconsumer(house.keys.dispatch, WORKERS, f"{WORKERS}-1")


async def with_a_recorded_retry_deleted(house: House) -> None:
    await house.redis.hdel(house.group(), retry_field(TaskId(2)))


async def with_a_report_deleted(house: House) -> None:
    await house.work(failing={3})
    [entry] = await house.redis.xrange(house.keys.updates(house.request_id))
    await house.redis.xdel(house.keys.updates(house.request_id), entry[0])


async def with_a_report_acknowledged_and_not_acted_on(house: House) -> None:
    await house.work(failing={3})
    [received] = await house.request.updates()
    readers = update_readers(house.request_id)
    await house.redis.xack(house.keys.updates(house.request_id), readers, received.entry_id)


async def with_all_queues_deleted(house: House) -> None:
    await house.redis.delete(house.keys.ingest, house.keys.dispatch)


# --- promise 9 ------------------------------------------------------------------------------------


def persistent_after_the_end(name: Callable[[House], str]) -> Callable[[House], Awaitable[None]]:
    async def breach(house: House) -> None:
        await ended(house)
        assert await house.redis.persist(name(house))

    return breach


async def with_an_update_stream_after_the_end(house: House) -> None:
    await ended(house)
    await house.redis.xadd(house.keys.updates(house.request_id), {"a": "b"})


async def with_an_update_stream_of_nobody(house: House) -> None:
    await house.redis.xadd(house.keys.updates(new_request_id()), {"a": "b"})


async def with_a_dispatch_entry_of_nobody(house: House) -> None:
    task = TaskDispatch(new_request_id(), DEFAULT_TENANT, 0, "prices", TaskId(1), "bond")
    await house.redis.xadd(house.keys.dispatch, task.to_fields(house.keys))


async def with_a_group_of_nobody(house: House) -> None:
    await house.redis.hset(house.keys.group(new_request_id(), 0), "status", "started")


async def with_a_document_of_nobody(house: House) -> None:
    await house.redis.set(house.keys.xml(new_request_id()), "<vnml/>")


async def with_a_result_of_nobody(house: House) -> None:
    await house.redis.set(house.keys.task_result(new_request_id(), 0, TaskId(1)), "<valuation/>")


async def with_a_fragment_of_a_state(house: House) -> None:
    await house.redis.hset(house.keys.state(new_request_id()), "retryCount", 1)


async def with_an_idempotency_record_of_nobody(house: House) -> None:
    name = house.keys.idempotency(DEFAULT_TENANT, "5e6f")
    await house.redis.set(name, f"{new_request_id()} 7a8b")


BREACHES = [
    (without_its_ingest_entry, [Fault.INGEST_ENTRY_MISSING]),
    (with_its_ingest_entry_acknowledged_only, [Fault.INGEST_ENTRY_ACKNOWLEDGED]),
    (with_its_orchestrator_thrown_out_of_the_group, [Fault.INGEST_ENTRY_ACKNOWLEDGED]),
    (with_a_state_that_will_expire, [Fault.OPEN_REQUEST_EXPIRES]),
    (with_a_document_that_will_expire, [Fault.OPEN_REQUEST_EXPIRES]),
    (with_an_ingest_entry_of_an_unknown_request, [Fault.INGEST_ENTRY_STRAY]),
    (with_a_second_ingest_entry, [Fault.INGEST_ENTRY_STRAY]),
    (with_an_ingest_entry_that_cannot_be_read, [Fault.INGEST_ENTRY_UNREADABLE]),
    (with_an_ingest_entry_after_its_end, [Fault.INGEST_ENTRY_STRAY]),
    (with_a_status_that_says_it_runs_after_its_end, [Fault.ENDED_IN_NO_END]),
    (with_a_later_group_started, [Fault.GROUP_TOO_EARLY]),
    (with_its_group_closed_by_hand, [Fault.GROUP_CLOSED_TOO_EARLY]),
    (with_another_current_group, [Fault.CURRENT_GROUP_WRONG]),
    (without_a_current_group, [Fault.CURRENT_GROUP_WRONG]),
    (with_a_result_counted_twice, [Fault.COMPLETED_MISCOUNTED]),
    (with_a_result_that_is_gone, [Fault.COMPLETED_MISCOUNTED, Fault.TASK_LOST]),
    (with_a_result_put_there_by_hand, [Fault.COMPLETED_MISCOUNTED]),
    (with_a_failure_counted_twice, [Fault.FAILED_MISCOUNTED]),
    (with_a_failure_that_is_not_counted, [Fault.FAILED_MISCOUNTED]),
    (with_a_result_lost_after_the_end, [Fault.COMPLETED_MISCOUNTED]),
    (
        with_a_result_and_a_failure_after_the_end,
        [Fault.MORE_DONE_THAN_EXPECTED, Fault.RESULT_AND_FAILURE],
    ),
    (with_a_dispatch_entry_deleted, [Fault.TASK_LOST]),
    (with_its_worker_thrown_out_of_the_group, [Fault.TASK_LOST]),
    (with_a_recorded_retry_deleted, [Fault.TASK_LOST]),
    (with_a_report_deleted, [Fault.TASK_LOST]),
    (with_a_report_acknowledged_and_not_acted_on, [Fault.TASK_LOST]),
    (with_all_queues_deleted, [Fault.INGEST_ENTRY_MISSING, Fault.TASK_LOST]),
    (with_an_update_stream_after_the_end, [Fault.UPDATES_LEFT_BEHIND]),
    (with_an_update_stream_of_nobody, [Fault.UPDATES_LEFT_BEHIND]),
    (with_a_dispatch_entry_of_nobody, [Fault.DISPATCH_ENTRY_LEFT_BEHIND]),
    (with_a_group_of_nobody, [Fault.ORPHAN_KEY_WITHOUT_TTL]),
    (with_a_document_of_nobody, [Fault.ORPHAN_KEY_WITHOUT_TTL]),
    (with_a_result_of_nobody, [Fault.ORPHAN_KEY_WITHOUT_TTL]),
    (with_a_fragment_of_a_state, [Fault.ORPHAN_KEY_WITHOUT_TTL]),
    (with_an_idempotency_record_of_nobody, [Fault.ORPHAN_KEY_WITHOUT_TTL]),
]


@pytest.mark.parametrize(
    ("breach", "faults"), [pytest.param(*one, id=one[0].__name__) for one in BREACHES]
)
async def test_a_broken_promise_is_found(
    house: House, breach: Callable[[House], Awaitable[None]], faults: list[Fault]
):
    assert (await house.check()).clean
    await breach(house)
    assert await house.faults(grace_seconds=-1) == faults


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(lambda house: house.state, id="state"),
        pytest.param(lambda house: house.group(0), id="group"),
        pytest.param(lambda house: house.keys.xml(house.request_id), id="document"),
        pytest.param(lambda house: house.keys.metadata(house.request_id), id="metadata"),
        pytest.param(lambda house: house.keys.hydrated(house.request_id), id="hydrated"),
        pytest.param(lambda house: house.keys.response(house.request_id), id="response"),
        pytest.param(lambda house: house.keys.failure(house.request_id), id="report"),
        pytest.param(lambda house: house.result(1), id="result"),
        pytest.param(lambda house: house.keys.task_traces(house.request_id, 0), id="traces"),
        pytest.param(
            lambda house: house.keys.idempotency(DEFAULT_TENANT, "a1b2"), id="idempotency"
        ),
    ],
)
async def test_a_key_that_outlives_its_request_is_found(house: House, name: Callable[[House], str]):
    await persistent_after_the_end(name)(house)
    [found] = (await house.check()).violations
    assert (found.fault, found.request_id) == (Fault.ENDED_KEY_WITHOUT_TTL, house.request_id)
    assert found.key == name(house)


async def test_a_violation_names_everything(house: House):
    await with_a_dispatch_entry_deleted(house)
    await with_a_recorded_retry_deleted(house)
    report = await house.check()
    [found] = report.violations
    assert found.to_json() == {
        "promise": 6,
        "fault": "TASK_LOST",
        "requestId": house.request_id,
        "groupIndex": 0,
        "tasks": [2, 3],
        "status": "group_started",
        "run": 1,
        "epoch": 1,
        "found": "has neither a result nor a failure, a retry, a report or a dispatch entry",
        "advice": f"vn cancel {house.request_id}, then vn redrive {house.request_id}: "
        "good results are kept",
    }
    line, summary = str(report).splitlines()
    assert line.startswith(f"promise 6, request {house.request_id}, group 0, task 2-3: has neither")
    assert summary.startswith("1 violation: 1 requests, 3 tasks, ")


async def test_what_to_do_about_a_lost_task_does_help(house: House):
    await with_a_dispatch_entry_deleted(house)
    redis, keys = house.redis, house.keys
    await cancel(redis, keys, house.request_id, ttl_seconds=TTL_SECONDS, clock=epoch_ms)
    assert (await house.check()).clean
    run = await redrive(
        redis, keys, house.request_id, deadline_at_ms=None, trace=Trace(), clock=epoch_ms
    )
    assert run == 2
    house.request = await begun(house.connections, keys)
    await house.request.start_group(0, "prices", 3)
    await house.request.dispatch([a_task(house.request, task) for task in (1, 2, 3)])
    assert (await house.check()).clean
    assert await house.work() == [Settled.KEPT] * 2


async def test_a_young_ingest_entry_of_nobody_is_left_to_orchestrators(house: House):
    await with_an_ingest_entry_of_an_unknown_request(house)
    assert (await house.check(grace_seconds=60)).clean


async def test_results_that_expire_before_their_request_are_not_missed(house: House):
    await ended(house)
    for task in (1, 2, 3):
        at = (house.request_id, 0, TaskId(task))
        await house.redis.delete(house.keys.task_xml(*at), house.keys.task_result(*at))
    assert (await house.check()).clean


async def test_a_lost_task_is_found_behind_pages_of_others(house: House):
    tasks = range(4, 2_504)
    await house.redis.hset(house.group(), "expected", 2_503)
    await house.request.dispatch([a_task(house.request, task) for task in tasks])
    queued = await house.redis.xrange(house.keys.dispatch)
    await house.redis.xdel(house.keys.dispatch, queued[1_700][0])
    [found] = (await house.check()).violations
    assert (found.fault, found.tasks) == (Fault.TASK_LOST, (1_703,))


async def test_a_server_that_does_not_answer_is_no_clean_one():
    async with Connections("unix:///nowhere/v.sock", block_ms=500) as nobody:
        with pytest.raises(StoreUnavailable):
            await check(nobody.commands, Keys())


async def test_a_task_that_moves_on_while_we_look_is_not_taken_for_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    """It is always where we have just looked: only one look at all places at once can tell."""
    await house.work()
    await house.request.acknowledge([one.entry_id for one in await house.request.updates()])
    looks = moved = 0

    async def standing_of(*about):
        nonlocal looks
        looks += 1
        if looks > 1:  # the second look: back from the queue to a recorded retry
            await house.work(failing={2})
            [received] = await house.request.updates()
            await house.request.schedule_retry(received, due_ms=5_000)
        return await standing.standing_of(*about)

    async def recorded_tasks(redis, group_key):
        nonlocal moved
        if await house.request.retry(a_task(house.request, 2).dispatch):
            moved += 1  # into the queue, which was read before
        return await tally.recorded_tasks(redis, group_key)

    monkeypatch.setattr("vncore.fsck.survey.standing_of", standing_of)
    monkeypatch.setattr("vncore.fsck.lost.recorded_tasks", recorded_tasks)
    assert (await house.check()).violations == ()
    assert (looks, moved) == (2, 2)


# --- the command ----------------------------------------------------------------------------------


async def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = await asyncio.to_thread(main, arguments)
    return status, capsys.readouterr().out


async def test_the_command_says_whether_all_is_well(
    house: House,
    server: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("REDIS_KEY_PREFIX", house.keys.prefix)
    status, text = await said(capsys, "fsck")
    assert status == 0
    assert text.startswith("clean: 1 requests, 3 tasks, ")
    await with_a_dispatch_entry_deleted(house)
    status, text = await said(capsys, "fsck", "--json")
    assert status == 1
    found = json.loads(text)
    assert found["clean"] is False
    assert [one["tasks"] for one in found["violations"]] == [[3]]
    await with_an_update_stream_of_nobody(house)
    status, text = await said(capsys, "cleanup", "--dry-run", "--json")
    assert (status, json.loads(text)["updateStreams"]) == (0, 1)
    status, text = await said(capsys, "cleanup")
    assert status == 0
    assert "1  update streams deleted" in text
    status, text = await said(capsys, "cleanup", "--json")
    assert (status, json.loads(text)["updateStreams"]) == (0, 0)


# --- a busy house ---------------------------------------------------------------------------------


class Traffic:
    """Requests that run, fail, are taken over, cancelled and run again, as fast as they can."""

    def __init__(self, connections: Connections, keys: Keys, seed: int) -> None:
        self.connections = connections
        self.keys = keys
        self.random = random.Random(seed)
        self.known: list[RequestId] = []
        self.ended = 0

    async def client(self) -> None:
        redis, keys = self.connections.commands, self.keys
        for number in count():
            submission = Submission(
                new_request_id(),
                b"<vnml/>",
                group_count=2,
                received_at_ms=epoch_ms(),
                idempotency=Idempotency(f"key{number}", "d") if number % 2 else None,
            )
            await RequestStore(redis, keys).submit(submission)
            self.known.append(submission.request_id)
            chosen = self.random.choice(self.known[-6:])
            if self.random.random() < 0.3:
                await cancel(redis, keys, chosen, ttl_seconds=TTL_SECONDS, clock=epoch_ms)
            if self.random.random() < 0.3:
                with suppress(InvalidRequest):
                    await redrive(
                        redis, keys, chosen, deadline_at_ms=None, trace=Trace(), clock=epoch_ms
                    )
            await asyncio.sleep(0.01)

    async def worker(self) -> None:
        while True:
            for delivery in await take(self.connections, self.keys.dispatch, WORKERS):
                await self.work_on(delivery)
            await asyncio.sleep(0.002)

    async def work_on(self, delivery: Delivery) -> None:
        """Put some tasks of an entry off, and settle the others a few at a time."""
        store = TaskStore(self.connections.commands, self.keys)
        assignment = assigned(delivery, f"{WORKERS}-1")
        left = list(assignment.tasks)
        if len(left) > 1 and self.random.random() < 0.3:
            at = self.random.randrange(len(left))
            if await store.put_off(assignment, left[at:]):
                left = left[:at]
        while left:
            count = self.random.randint(1, len(left))
            answers = {
                task.task_id: BROKEN if self.random.random() < 0.3 else b"<valuation/>"
                for task in left[:count]
            }
            await settle_all(store, assignment, answers)
            left = left[count:]

    async def orchestrator(self) -> None:
        while True:
            for delivery in await take(self.connections, self.keys.ingest, ORCHESTRATORS):
                entry = IngestEntry.from_fields(delivery.fields)
                for _ in range(20):
                    request = await held.begin(
                        self.connections, self.keys, entry, delivery.entry_id, epoch_ms
                    )
                    if request is None:
                        break
                    with suppress(Superseded, TimeoutError):
                        # Now and then it dies in the middle, and a successor goes on.
                        async with asyncio.timeout(self.random.choice([0.02, 5.0])):
                            await self.run(request)
                self.ended += 1
            await asyncio.sleep(0.002)

    async def run(self, request: held.HeldRequest) -> None:
        await request.save_hydrated({"document": b"<vnml/>"}, 2)
        state = await RequestStore(request.redis, self.keys).state(request.request_id)
        done = {group.index for group in state.groups if group.status == "completed"}
        failed = 0
        for index in range(2):
            if index not in done:
                await request.start_group(index, "g", 12)
                tasks = [a_task(request, task, index) for task in range(1, 13)]
                await request.dispatch(tasks, slice_tasks=self.random.choice([1, 3, 12]))
                await self.collect(request, index)
            failures = (await request.recorded(index)).failures
            failed += len(failures)
            if index not in done:
                await request.complete_group(index, 12, len(failures))
        if failed:
            await request.end_partial(b"<a/>", {"code": "X"}, [12, 12], TTL_SECONDS)
        else:
            await request.succeed(b"<a/>", [12, 12], TTL_SECONDS)

    async def collect(self, request: held.HeldRequest, index: int) -> None:
        tasks = [TaskId(task) for task in range(1, 13)]
        while True:
            for one in await self.reports(request):
                if one.update.failure is None or one.update.group_index != index:
                    await request.acknowledge([one.entry_id])
                elif one.update.attempt == 3:
                    await request.fail_tasks(index, [FinalFailure(one, BROKEN)])
                else:
                    await request.schedule_retry(one, epoch_ms())
            recorded = await request.recorded(index)
            for retry in recorded.retries:
                await request.retry(
                    replace(a_task(request, retry.task_id, index).dispatch, attempt=retry.attempt)
                )
            done = (await request.results(index, tasks)).keys() | recorded.failures.keys()
            if len(done) == len(tasks):
                return
            await asyncio.sleep(0.001)

    async def reports(self, request: held.HeldRequest) -> list[ReceivedUpdate]:
        request.block_ms = 1
        try:
            return [*await request.unsettled_updates(), *await request.updates()]
        except StoreUnavailable:  # the stream goes when the request ends
            await request.assert_held()
            raise


async def test_a_busy_house_is_never_accused(connections: Connections):
    keys = Keys()
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    await ensure_group(connections.commands, keys.ingest, ORCHESTRATORS)
    traffic = Traffic(connections, keys, seed=3)
    busy = [
        asyncio.create_task(job)
        for job in (
            traffic.client(),
            *(traffic.worker() for _ in range(2)),
            *(traffic.orchestrator() for _ in range(4)),
        )
    ]
    checks = requests = 0
    try:
        async with asyncio.timeout(30):
            while traffic.ended < 20 or checks < 15:
                report = await check(connections.commands, keys, pause_seconds=0.01)
                assert report.violations == (), str(report)
                checks, requests = checks + 1, max(requests, report.requests)
                assert not any(job.done() for job in busy)
    finally:
        while running := [job for job in busy if not job.done()]:
            for job in running:  # again: the client library may eat a cancellation
                job.cancel()
            await asyncio.wait(running, timeout=0.2)
    assert all(job.cancelled() for job in busy)
    assert requests > 10
