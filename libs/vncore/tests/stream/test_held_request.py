"""The request's scripts on a real server: each change once, by the one orchestrator."""

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from assignments import document_of, settle_only

from vncore import held
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.ending import Ending, finish_call
from vncore.errors import Superseded
from vncore.failures import Failure
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.messages import (
    IngestEntry,
    RequestStatus,
    TaskDispatch,
    TaskStatus,
    TaskUpdate,
)
from vncore.requests import RequestStore, Submission
from vncore.scripts import source
from vncore.settling import FinalFailure, ReceivedUpdate, Retry
from vncore.streams import Consumer, ensure_group
from vncore.tasks import Settled, TaskStore

TTL_SECONDS = 60


def clock_from(start_ms: int):
    ticks = count(start_ms)
    return lambda: next(ticks)


@pytest.fixture
async def submitted(connections: Connections, keys: Keys) -> RequestId:
    """A submitted request whose ingest entry nobody has read."""
    request_id = new_request_id()
    store = RequestStore(connections.commands, keys)
    await store.submit(
        Submission(request_id, b"<vnml/>", group_count=2, received_at_ms=1_000, metadata={"a": 1})
    )
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    return request_id


async def take(connections: Connections, keys: Keys) -> tuple[IngestEntry, str]:
    consumer = Consumer(connections, keys.ingest, ORCHESTRATORS, "orchestrator", idle_ms=10_000)
    await consumer.join()
    [delivery] = await consumer.read(1)
    return IngestEntry.from_fields(delivery.fields), delivery.entry_id


@pytest.fixture
async def request_held(
    connections: Connections, keys: Keys, submitted: RequestId
) -> held.HeldRequest:
    entry, entry_id = await take(connections, keys)
    request = await held.begin(connections, keys, entry, entry_id, clock_from(2_000))
    assert request is not None
    return request


def a_task(request_id: RequestId, task: int, group_index: int = 0) -> NewTask:
    dispatch = TaskDispatch(request_id, DEFAULT_TENANT, group_index, "prices", TaskId(task), "bond")
    return NewTask(dispatch, f"<task n='{task}'/>".encode(), b"[]")


BROKEN = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True)


def failure(request_id: RequestId, task: int, attempt: int = 1) -> TaskUpdate:
    return TaskUpdate(
        request_id, DEFAULT_TENANT, 0, TaskId(task), attempt, TaskStatus.FAILED, 5, "w", BROKEN
    )


async def worker(connections: Connections, keys: Keys) -> Consumer:
    consumer = Consumer(connections, keys.dispatch, WORKERS, "w", idle_ms=10_000)
    await consumer.join()
    return consumer


async def test_a_submitted_request_is_whole(
    connections: Connections, keys: Keys, submitted: RequestId
):
    store = RequestStore(connections.commands, keys)
    state = await store.state(submitted)
    assert state is not None
    assert state.status is RequestStatus.RECEIVED
    assert (state.group_count, state.current_group, state.groups) == (2, None, ())
    assert await connections.commands.get(keys.xml(submitted)) == b"<vnml/>"
    assert await connections.commands.xlen(keys.ingest) == 1
    assert await connections.commands.xlen(keys.lifecycle) == 1


async def test_submitting_twice_queues_once(
    connections: Connections, keys: Keys, submitted: RequestId
):
    again = Submission(submitted, b"<other/>", group_count=9, received_at_ms=2_000)
    await RequestStore(connections.commands, keys).submit(again)
    assert await connections.commands.xlen(keys.ingest) == 1
    assert await connections.commands.get(keys.xml(submitted)) == b"<vnml/>"


async def test_attempts_settled_together_are_settled_each_by_itself_also_on_a_new_server(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 3)
    await request_held.dispatch([a_task(request_id, number) for number in (1, 2, 3)])
    entries = await (await worker(connections, keys)).read(10)
    tasks = TaskStore(connections.commands, keys, settle_wait_seconds=lambda: 0.01)
    await settle_only(tasks, entries[0], b"<first/>")
    await connections.commands.script_flush()
    outcomes = await asyncio.gather(
        settle_only(tasks, entries[0], b"<late/>"),
        settle_only(tasks, entries[1], b"<second/>"),
        settle_only(tasks, entries[2], b"<third/>"),
    )
    assert outcomes == [Settled.DUPLICATE, Settled.KEPT, Settled.KEPT]
    results = await request_held.results(0, [TaskId(1), TaskId(2), TaskId(3)])
    assert list(results.values()) == [b"<first/>", b"<second/>", b"<third/>"]
    assert await connections.commands.xlen(keys.dispatch) == 0


async def test_the_happy_way_leaves_expiring_keys_and_empty_queues(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.save_hydrated({"document": b"<vnml/>"}, 1)
    await request_held.start_group(0, "prices", 2)
    entries = await request_held.dispatch([a_task(request_id, 1), a_task(request_id, 2)])
    assert list(entries) == [1, 2]

    tasks = TaskStore(connections.commands, keys)
    for delivery in await (await worker(connections, keys)).read(10):
        document = await document_of(tasks, delivery)
        assert await settle_only(tasks, delivery, document) is Settled.KEPT

    updates = await request_held.updates()
    assert [received.update.task_id for received in updates] == [1, 2]
    await request_held.acknowledge([received.entry_id for received in updates])
    results = await request_held.results(0, [TaskId(1), TaskId(2)])
    assert results == {1: b"<task n='1'/>", 2: b"<task n='2'/>"}
    await request_held.complete_group(0, 2)
    await request_held.succeed(b"<answer/>", [2], TTL_SECONDS)

    store = RequestStore(connections.commands, keys)
    assert await store.status(request_id) is RequestStatus.SUCCEEDED
    assert await store.response(request_id) == b"<answer/>"
    assert await connections.commands.xlen(keys.ingest) == 0
    assert await connections.commands.xlen(keys.dispatch) == 0
    assert not await connections.commands.exists(keys.updates(request_id))
    permanent = {keys.ingest.encode(), keys.dispatch.encode(), keys.lifecycle.encode()}
    left = set(await connections.commands.keys()) - permanent
    assert left
    for key in left:
        assert await connections.commands.ttl(key) > 0, key


async def test_a_superseded_orchestrator_can_change_nothing(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    successor = await held.begin(connections, keys, request_held.entry, "0-1", clock_from(3_000))
    assert successor is not None
    assert successor.epoch > request_held.epoch
    before = await connections.commands.hgetall(keys.state(request_id))

    stale_failure = ReceivedUpdate("0-1", failure(request_id, 1))
    for change in (
        lambda: request_held.save_hydrated({"document": b"<old/>"}, 1),
        lambda: request_held.start_group(1, "old", 1),
        lambda: request_held.dispatch([a_task(request_id, 1)]),
        lambda: request_held.schedule_retry(stale_failure, 4_000),
        lambda: request_held.fail_tasks(0, [FinalFailure(stale_failure, BROKEN)]),
        lambda: request_held.acknowledge(["0-1"]),
        request_held.assert_held,
        lambda: request_held.retry(a_task(request_id, 1).dispatch),
        lambda: request_held.complete_group(0, 1),
        lambda: request_held.succeed(b"<old/>", [1], TTL_SECONDS),
        lambda: request_held.end_partial(b"<old/>", {"code": "OLD"}, [1], TTL_SECONDS),
        lambda: request_held.fail({"code": "OLD"}, [1], TTL_SECONDS),
    ):
        with pytest.raises(Superseded):
            await change()

    assert await connections.commands.hgetall(keys.state(request_id)) == before
    assert await connections.commands.xlen(keys.dispatch) == 0
    assert not await connections.commands.exists(keys.response(request_id))


async def test_dispatching_again_appends_only_what_is_new(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 3)
    await request_held.dispatch([a_task(request_id, 1), a_task(request_id, 2)])
    entries = await request_held.dispatch([a_task(request_id, task) for task in (1, 2, 3)])
    assert list(entries) == [3]
    assert await connections.commands.xlen(keys.dispatch) == 3


async def test_the_first_result_stays(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    [delivery] = await (await worker(connections, keys)).read(1)
    tasks = TaskStore(connections.commands, keys)
    settled = [await settle_only(tasks, delivery, result) for result in (b"first", b"second")]
    assert settled == [Settled.KEPT, Settled.DUPLICATE]
    assert await request_held.results(0, [TaskId(1)]) == {1: b"first"}
    assert await connections.commands.hget(keys.group(request_id, 0), "completed") == b"1"
    assert len(await request_held.updates()) == 1


async def test_a_failure_of_an_attempt_settled_by_another_is_not_reported(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    [delivery] = await (await worker(connections, keys)).read(1)
    tasks = TaskStore(connections.commands, keys)
    assert await settle_only(tasks, delivery, BROKEN) is Settled.KEPT
    assert await settle_only(tasks, delivery, BROKEN) is Settled.NOT_HELD
    assert len(await request_held.updates()) == 1


async def test_a_late_result_of_a_finished_request_is_dropped(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    [delivery] = await (await worker(connections, keys)).read(1)
    await request_held.fail({"code": "SCRIPT_FAILED"}, [1], TTL_SECONDS, failed_group=0)
    settled = await settle_only(TaskStore(connections.commands, keys), delivery, b"late")
    assert settled is Settled.REQUEST_OVER
    assert not await connections.commands.exists(keys.task_result(request_id, 0, TaskId(1)))
    assert await connections.commands.xlen(keys.dispatch) == 0
    state = await RequestStore(connections.commands, keys).state(request_id)
    assert state is not None
    assert state.status is RequestStatus.FAILED
    assert (state.groups[0].status, state.groups[0].failed) == ("failed", 0)


async def test_a_recorded_retry_is_queued_once_with_its_attempt(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    consumer = await worker(connections, keys)
    [delivery] = await consumer.read(1)
    await settle_only(TaskStore(connections.commands, keys), delivery, BROKEN)
    [received] = await request_held.updates()
    await request_held.schedule_retry(received, due_ms=5_000)
    recorded = await request_held.recorded(0)
    assert recorded.retries == (Retry(TaskId(1), attempt=2, due_ms=5_000),)
    assert await request_held.unsettled_updates() == []

    second = replace(a_task(request_id, 1).dispatch, attempt=2)
    assert await request_held.retry(second)
    assert await request_held.retry(second) is None
    assert (await request_held.recorded(0)).retries == ()
    [again] = await consumer.read(5)
    assert TaskDispatch.from_fields(again.fields).attempt == 2


async def test_a_successor_sees_updates_that_nobody_acknowledged(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    [delivery] = await (await worker(connections, keys)).read(1)
    await settle_only(TaskStore(connections.commands, keys), delivery, b"<r/>")
    assert len(await request_held.updates()) == 1  # read, not acknowledged
    successor = await held.begin(connections, keys, request_held.entry, "0-1", clock_from(3_000))
    assert successor is not None
    assert [u.update.task_id for u in await successor.unsettled_updates()] == [1]


async def test_a_group_with_open_tasks_cannot_be_completed(request_held: held.HeldRequest):
    await request_held.start_group(0, "prices", 2)
    with pytest.raises(RuntimeError, match="open tasks"):
        await request_held.complete_group(0, 2)


async def test_a_terminal_request_is_not_begun_again_and_its_entry_goes(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    await request_held.succeed(b"<answer/>", [], TTL_SECONDS)
    entry_id = (
        await connections.commands.xadd(keys.ingest, request_held.entry.to_fields(keys))  # type: ignore[arg-type]
    ).decode()
    again = await held.begin(connections, keys, request_held.entry, entry_id, clock_from(9_000))
    assert again is None
    assert await connections.commands.xlen(keys.ingest) == 0


async def test_a_large_group_is_dispatched_in_order(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 450)
    entries = await request_held.dispatch([a_task(request_id, n) for n in range(1, 451)])
    assert list(entries) == list(range(1, 451))
    queued = await connections.commands.xrange(keys.dispatch)
    assert [int(fields[b"taskId"]) for _, fields in queued] == list(range(1, 451))


async def test_scripts_survive_a_server_that_forgot_them(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    await request_held.start_group(0, "prices", 1)
    await connections.commands.script_flush()
    await asyncio.wait_for(request_held.start_group(0, "prices", 1), 5)


async def test_a_result_that_is_there_wins_over_a_final_failure(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 2)
    await request_held.dispatch([a_task(request_id, 1), a_task(request_id, 2)])
    tasks = TaskStore(connections.commands, keys)
    one, two = await (await worker(connections, keys)).read(2)
    await settle_only(tasks, one, b"<valuation/>")
    await settle_only(tasks, two, BROKEN)
    [good, bad] = await request_held.updates()

    late = ReceivedUpdate(good.entry_id, failure(request_id, 1))
    final = [FinalFailure(late, BROKEN), FinalFailure(bad, BROKEN)]
    assert await request_held.fail_tasks(0, final) == {TaskId(2)}
    assert await request_held.fail_tasks(0, final) == {TaskId(2)}  # again: counted once
    recorded = await request_held.recorded(0)
    assert recorded.failures == {TaskId(2): BROKEN}
    assert await request_held.unsettled_updates() == []
    await request_held.complete_group(0, expected=2, failed=1)


async def test_a_late_result_of_a_task_that_has_failed_for_good_does_not_count(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    tasks = TaskStore(connections.commands, keys)
    [delivery] = await (await worker(connections, keys)).read(1)
    await settle_only(tasks, delivery, BROKEN)
    [received] = await request_held.updates()
    await request_held.fail_tasks(0, [FinalFailure(received, BROKEN)])

    settled = await settle_only(tasks, delivery, b"<valuation/>")
    assert settled is Settled.DUPLICATE
    assert not await connections.commands.exists(keys.task_result(request_id, 0, TaskId(1)))
    state = await RequestStore(connections.commands, keys).state(request_id)
    assert state is not None
    assert (state.groups[0].completed, state.groups[0].failed) == (0, 1)


async def test_a_late_result_of_a_request_that_is_gone_leaves_nothing(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    [delivery] = await (await worker(connections, keys)).read(1)
    await connections.commands.delete(keys.state(request_id), keys.group(request_id, 0))
    settled = await settle_only(TaskStore(connections.commands, keys), delivery, b"late")
    assert settled is Settled.REQUEST_OVER
    assert not await connections.commands.exists(keys.group(request_id, 0))
    assert not await connections.commands.exists(keys.task_result(request_id, 0, TaskId(1)))


async def test_who_ended_a_request_can_change_nothing_more(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    await request_held.fail({"code": "X"}, [], TTL_SECONDS)
    before = await connections.commands.hgetall(keys.state(request_held.request_id))
    for change in (
        lambda: request_held.start_group(0, "prices", 1),
        lambda: request_held.save_hydrated({"document": b"<new/>"}, 1),
        lambda: request_held.succeed(b"<new/>", [], TTL_SECONDS),
    ):
        with pytest.raises(Superseded):
            await change()
    assert await connections.commands.hgetall(keys.state(request_held.request_id)) == before
    assert not await connections.commands.exists(keys.group(request_held.request_id, 0))


async def test_an_end_whose_answer_was_lost_may_be_sent_again(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    ending = Ending(
        status=RequestStatus.SUCCEEDED, task_counts=(), ttl_seconds=60, response=b"<a/>"
    )
    names, arguments = finish_call(keys, request_held.entry, request_held.entry_id, ending, 9_000)
    events = await connections.commands.xlen(keys.lifecycle)
    outcomes = [await request_held.change("finish_request", names, arguments) for _ in range(3)]
    assert outcomes == [1, 0, 0]
    assert await connections.commands.xlen(keys.lifecycle) == events + 1


async def test_a_group_whose_opening_waits_is_not_there_after_the_end(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    """A deadline may pass between a group's opening and its first task, which it goes with."""
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 0)
    await request_held.complete_group(0, 0)
    await request_held.start_group(1, "totals", 2, at_once=False)
    await request_held.fail({"code": "REQUEST_DEADLINE_EXCEEDED"}, [0], TTL_SECONDS)
    assert await RequestStore(connections.commands, keys).status(request_id) is RequestStatus.FAILED
    assert await connections.commands.ttl(keys.group(request_id, 0)) > 0
    assert not await connections.commands.exists(keys.group(request_id, 1))


async def test_changes_made_together_keep_their_order_on_a_server_that_knows_only_the_last(
    connections: Connections, keys: Keys, request_held: held.HeldRequest
):
    request_id = request_held.request_id
    await request_held.start_group(0, "prices", 1)
    await request_held.dispatch([a_task(request_id, 1)])
    await connections.commands.script_flush()
    await connections.commands.script_load(source("finish_request"))
    await request_held.fail({"code": "X"}, [1], TTL_SECONDS, failed_group=0)
    assert await connections.commands.ttl(keys.task_xml(request_id, 0, TaskId(1))) > 0
