"""One request after another on a real server, with a worker of the test."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest
from assignments import document_of, settle_only
from orchestration import (
    BROKEN,
    FAILED_TTL_SECONDS,
    ONE_TASK,
    REJECTED,
    TWO_GROUPS,
    House,
    StopsAt,
    failure_of,
    priced,
    prices,
    run,
)

from vncore import held
from vncore.errors import HydrationFailed, StoreUnavailable
from vncore.ids import DEFAULT_TENANT, TaskId
from vncore.messages import RequestStatus, TaskDispatch, TaskStatus, TaskUpdate
from vncore.settling import ReceivedUpdate
from vncore.streams import Consumer, Delivery
from vncore.tasks import TaskStore
from vncore.xml import parse
from vnvs.hydration import Fetched, GroupOutline
from vnvs.hydrator import OpenDocument
from vnvs.ingest import Ingest
from vnvs.orchestrate import orchestrate
from vnvs.source import fetched
from vnvs.sources import Sources

FETCHING = b"""<vnml><project>
  <market name="USD" href="s3://market/usd.xml"/>
  <group name="g"><valuation name="v"><market select="/vnml/project/market"/>
  <analytics><price><amount/></price></analytics></valuation></group></project></vnml>"""


# --- the happy way --------------------------------------------------------------------------------


async def test_two_groups_one_after_the_other(house: House):
    request_id = await run(house, TWO_GROUPS, 2)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    response = await house.tools.store.response(request_id)
    assert response is not None
    assert prices(response) == ["1.001", "1.002", "1.003", "2.001"]
    project = parse(response).find("project")
    assert project.find("portfolio") is None
    assert b"1.001" in house.worker.documents[1, 1]  # the later group saw the earlier one's result
    assert [task.valuation_name for task in house.worker.taken] == ["bond"] * 3 + ["total"]
    await house.assert_nothing_is_left()


async def test_no_task_of_a_group_is_out_before_the_group_before_is_complete(house: House):
    seen: list[tuple[int, str | None]] = []

    async def watch(task: TaskDispatch, document: bytes) -> bytes:
        before = house.keys.group(task.request_id, task.group_index - 1)
        status = await house.redis.hget(before, "status")
        seen.append((task.group_index, status.decode() if status else None))
        return priced(document, task)

    house.worker.answer = watch
    await run(house, TWO_GROUPS, 2)
    assert seen == [(0, None)] * 3 + [(1, "completed")]


async def test_results_stand_in_task_order_whatever_order_they_came_in(house: House):
    consumer = Consumer(house.connections, house.keys.dispatch, "task-workers", "w", idle_ms=60_000)
    store = TaskStore(house.redis, house.keys)

    async def backwards() -> None:
        for expected in (3, 1):
            deliveries: list[Delivery] = []
            while len(deliveries) < expected:
                deliveries += await consumer.read(expected)
            for delivery in reversed(deliveries):
                task = TaskDispatch.from_fields(delivery.fields)
                result = priced(await document_of(store, delivery), task)
                await settle_only(store, delivery, result)

    request_id = await house.submit(TWO_GROUPS, 2)
    request = await house.begin(*await house.take())
    assert request is not None
    async with asyncio.timeout(20), asyncio.TaskGroup() as working:
        working.create_task(backwards())
        await orchestrate(request, house.tools)
    response = await house.tools.store.response(request_id)
    assert response is not None
    assert prices(response) == ["1.001", "1.002", "1.003", "2.001"]


async def test_an_empty_group_completes_at_once(house: House):
    document = TWO_GROUPS.replace(
        b'<group name="totals">', b'<group name="empty"/><group name="totals">'
    )
    request_id = await run(house, document, 3)
    state = await house.tools.store.state(request_id)
    assert state is not None
    assert state.status is RequestStatus.SUCCEEDED
    assert [(group.name, group.status, group.expected) for group in state.groups] == [
        ("prices", "completed", 3),
        ("empty", "completed", 0),
        ("totals", "completed", 1),
    ]
    await house.assert_nothing_is_left()


async def test_the_response_counts_expected_and_failed_tasks(house: House):
    response = await house.tools.store.response(await run(house, TWO_GROUPS, 2))
    assert response is not None
    project = parse(response).find("project")
    counts = {name.rpartition("}")[2].lower(): value for name, value in project.attrib.items()}
    assert "4" in counts.values()
    assert "0" in counts.values()


async def test_twenty_requests_at_once(house: House):
    ids = [await house.submit(TWO_GROUPS, 2) for _ in range(20)]
    requests = [await house.begin(*await house.take()) for _ in ids]
    async with asyncio.timeout(30), house.worker.working(), asyncio.TaskGroup() as running:
        for request in requests:
            assert request is not None
            running.create_task(orchestrate(request, house.tools))
    for request_id in ids:
        response = await house.tools.store.response(request_id)
        assert response is not None
        assert prices(response) == ["1.001", "1.002", "1.003", "2.001"]
    assert (
        max(Counter((t.request_id, t.group_index, t.task_id) for t in house.worker.taken).values())
        == 1
    )
    await house.assert_nothing_is_left()


async def test_a_large_group_is_collected_whole(house: House):
    tasks = 700
    instruments = b"".join(b'<instrument name="I%d"/>' % n for n in range(tasks))
    document = TWO_GROUPS.replace(b"<portfolio>", b"<portfolio>" + instruments)
    house.worker.answer = lambda task, xml: (
        BROKEN if task.attempt == 1 and task.task_id % 100 == 7 else priced(xml, task)
    )
    response = await house.tools.store.response(await run(house, document, 2))
    assert response is not None
    assert prices(response) == [f"1.{n:03d}" for n in range(1, tasks + 4)] + ["2.001"]
    assert len(house.worker.taken) == tasks + 3 + 7 + 1
    await house.assert_nothing_is_left()


# --- failures -------------------------------------------------------------------------------------


async def test_a_failed_attempt_is_made_again_and_may_succeed(house: House):
    house.worker.answer = lambda task, xml: BROKEN if task.attempt < 3 else priced(xml, task)
    request_id = await run(house, TWO_GROUPS, 2)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    attempts = [(t.group_index, t.task_id, t.attempt) for t in house.worker.taken]
    assert sorted(attempts) == [
        (group, task, attempt)
        for group, tasks in ((0, 3), (1, 1))
        for task in range(1, tasks + 1)
        for attempt in (1, 2, 3)
    ]
    await house.assert_nothing_is_left()


async def test_a_retry_waits_for_its_time(house: House):
    now = count(1_000_000, 7)
    policy = replace(house.tools.policy, first_wait_ms=100, cap_ms=1_000)
    house.tools = replace(house.tools, clock=lambda: next(now), policy=policy)
    due: list[bytes] = []

    async def answer(task: TaskDispatch, xml: bytes) -> bytes | object:
        if task.attempt == 1:
            return BROKEN
        due.append(await house.redis.hget(house.keys.group(task.request_id, 0), "retry:1"))
        return priced(xml, task)

    house.worker.answer = answer
    started = asyncio.get_running_loop().time()
    request_id = await run(house, ONE_TASK)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    assert (
        asyncio.get_running_loop().time() - started >= 0.08
    )  # half the window of 200 ms, less ticks
    assert due == [None]  # the recorded time goes with the new entry


async def test_a_task_out_of_attempts_fails_the_request(house: House):
    house.worker.answer = lambda task, xml: BROKEN if task.task_id == 2 else priced(xml, task)
    request_id = await run(house, TWO_GROUPS, 2)
    report = await failure_of(house, request_id)
    assert (report["code"], report["category"], report["stage"]) == (
        "SCRIPT_FAILED",
        "script",
        "run",
    )
    assert (report["group"], report["groupIndex"], report["valuation"]) == ("prices", 0, "bond")
    assert (report["task"], report["attempts"], report["stderr"]) == (2, 3, "boom")
    [task] = report["failedTasks"]
    assert (task["task"], task["attempts"], task["workerId"]) == (2, 3, "w")
    assert max(t.attempt for t in house.worker.taken) == 3
    assert {t.group_index for t in house.worker.taken} == {0}
    state = await house.tools.store.state(request_id)
    assert state is not None
    assert (state.groups[0].status, state.groups[0].failed) == ("failed", 1)
    assert await house.tools.store.response(request_id) is None
    await house.assert_nothing_is_left()


async def test_a_permanent_failure_is_not_tried_again_and_withdraws_the_rest(house: House):
    taking = Consumer(house.connections, house.keys.dispatch, "task-workers", "w", idle_ms=60_000)
    store = TaskStore(house.redis, house.keys)
    request_id = await house.submit(TWO_GROUPS, 2)
    request = await house.begin(*await house.take())
    assert request is not None

    async def reject_the_first() -> None:
        deliveries: list[Delivery] = []
        while not deliveries:
            deliveries = await taking.read(1)
        await settle_only(store, deliveries[0], REJECTED)

    async with asyncio.timeout(20), asyncio.TaskGroup() as working:
        working.create_task(reject_the_first())
        await orchestrate(request, house.tools)
    report = await failure_of(house, request_id)
    assert (report["code"], report["category"], report["attempts"]) == (
        "SCRIPT_REJECTED_DATA",
        "data",
        1,
    )
    await house.assert_nothing_is_left()  # tasks 2 and 3 never started, and are off the queue


async def test_a_reference_that_resolves_to_nothing_fails_the_request_with_its_place(house: House):
    document = TWO_GROUPS.replace(b"valuation[1]/analytics", b"valuation[9]/analytics")
    request_id = await run(house, document, 2)
    report = await failure_of(house, request_id)
    assert (report["stage"], report["group"], report["groupIndex"]) == ("hydrate", "totals", 1)
    assert report["valuation"] == "total"
    assert report["category"] == "reference"
    assert "valuation[9]" in report["expression"]
    assert report["rule"]
    assert report["failedTasks"] == []
    state = await house.tools.store.state(request_id)
    assert state is not None
    assert [group.status for group in state.groups] == ["completed"]
    await house.assert_nothing_is_left()


async def test_a_failed_request_is_kept_longer(house: House):
    request_id = await run(house, TWO_GROUPS.replace(b"portfolio, ", b"absent, "), 2)
    await failure_of(house, request_id)
    assert await house.redis.ttl(house.keys.failure(request_id)) > FAILED_TTL_SECONDS - 10


async def test_a_document_that_is_gone_fails_the_request(house: House):
    request_id = await house.submit(ONE_TASK)
    await house.redis.delete(house.keys.xml(request_id))
    request = await house.begin(*await house.take())
    assert request is not None
    await orchestrate(request, house.tools)
    assert (await failure_of(house, request_id))["code"] == "REQUEST_DOCUMENT_MISSING"
    await house.assert_nothing_is_left()


async def test_a_fault_of_our_own_fails_the_request_and_never_hangs_it(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("vnvs.hydrator.OpenDocument.assemble", broken)
    request_id = await run(house, ONE_TASK)
    report = await failure_of(house, request_id)
    assert (report["code"], report["stage"]) == ("INTERNAL", "assemble")
    assert "on purpose" not in report["message"]
    await house.assert_nothing_is_left()


async def test_when_the_store_does_not_answer_the_request_is_left_for_another_delivery(
    house: House,
):
    request_id = await house.submit(ONE_TASK)
    entry, entry_id = await house.take()
    begun = await house.begin(entry, entry_id)
    assert begun is not None

    class Unreachable:
        def __getattr__(self, name: str):
            return getattr(begun, name)

        async def dispatch(self, *_: object, **__: object) -> None:
            raise StoreUnavailable("dispatch: ConnectionError")

    with pytest.raises(StoreUnavailable):
        await orchestrate(Unreachable(), house.tools)  # type: ignore[arg-type]
    status = await house.tools.store.status(request_id)
    assert status is not None
    assert not status.is_terminal
    assert (await house.redis.xpending(house.keys.ingest, "orchestrator-main"))["pending"] == 1
    again = await house.begin(entry, entry_id)
    assert again is not None
    async with asyncio.timeout(20), house.worker.working():
        await orchestrate(again, house.tools)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("call", "stage"),
    [
        pytest.param("results", "hydrate", id="when a later group looks at it"),
        pytest.param("missing_results", "assemble", id="at the end"),
    ],
)
async def test_a_result_that_is_gone_fails_the_request(house: House, call: str, stage: str):
    request_id = await house.submit(TWO_GROUPS, 2)
    begun = await house.begin(*await house.take())
    assert begun is not None

    class Forgetful:
        def __getattr__(self, name: str):
            return self.forgotten if name == call else getattr(begun, name)

        async def forgotten(self, _: int, task_ids: list[TaskId]) -> object:
            return {} if call == "results" else task_ids

    async with asyncio.timeout(20), house.worker.working():
        await orchestrate(Forgetful(), house.tools)  # type: ignore[arg-type]
    report = await failure_of(house, request_id)
    assert (report["code"], report["stage"]) == ("TASK_RESULT_MISSING", stage)


async def test_a_success_that_came_beside_the_last_failure_wins(house: House):
    """Two workers had one attempt: the slow one's success is there before the failure is read."""
    request_id = await house.submit(ONE_TASK)
    request = await house.begin(*await house.take())
    assert request is not None
    consumer = Consumer(house.connections, house.keys.dispatch, "task-workers", "w", idle_ms=60_000)
    store = TaskStore(house.redis, house.keys)

    async def both() -> None:
        deliveries: list[Delivery] = []
        while not deliveries:
            deliveries = await consumer.read(1)
        task = TaskDispatch.from_fields(deliveries[0].fields)
        result = priced(await document_of(store, deliveries[0]), task)
        async with house.redis.pipeline(transaction=True) as both_at_once:
            failed = TaskUpdate(
                request_id, DEFAULT_TENANT, 0, TaskId(1), 1, TaskStatus.FAILED, 5, "w", REJECTED
            )
            both_at_once.xadd(house.keys.updates(request_id), failed.to_fields(house.keys))
            both_at_once.set(house.keys.task_result(request_id, 0, TaskId(1)), result)
            both_at_once.hincrby(house.keys.group(request_id, 0), "completed", 1)
            await both_at_once.execute()
        await settle_only(store, deliveries[0], result)

    async with asyncio.timeout(20), asyncio.TaskGroup() as working:
        working.create_task(both())
        await orchestrate(request, house.tools)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED


# --- successors -----------------------------------------------------------------------------------


@pytest.fixture
async def expected_response(house: House) -> bytes:
    response = await house.tools.store.response(await run(house, TWO_GROUPS, 2))
    assert response is not None
    await house.redis.flushall()
    await house.worker.join()
    house.worker.taken.clear()
    return response


STEPS = (
    "document",
    "save_hydrated",
    "start_group",
    "dispatch",
    "updates",
    "acknowledge",
    "schedule_retry",
    "retry",
    "complete_group",
    "results",
    "missing_results",
    "succeed",
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_successor_goes_on_where_the_first_one_stopped(
    house: House, expected_response: bytes, step: str, *, after: bool
):
    """Stop the first one before, or after, each of its calls of one kind: the 1st, the 2nd, ..."""
    house.worker.answer = lambda task, xml: (
        BROKEN if (task.attempt, task.task_id) == (1, 2) else priced(xml, task)
    )
    async with asyncio.timeout(50), house.worker.working():
        for nth in count(1):
            house.worker.taken.clear()
            request_id = await house.submit(TWO_GROUPS, 2)
            entry, entry_id = await house.take()
            begun = await house.begin(entry, entry_id)
            assert begun is not None
            first = StopsAt(begun, step, nth, after=after)
            with suppress(asyncio.CancelledError):
                await orchestrate(first, house.tools)  # type: ignore[arg-type]
            successor = await house.begin(entry, entry_id)
            if successor is not None:
                await orchestrate(successor, house.tools)
            assert await house.tools.store.response(request_id) == expected_response, nth
            runs = Counter((t.group_index, t.task_id, t.attempt) for t in house.worker.taken)
            assert set(runs.values()) == {1}, nth  # nothing dispatched twice
            assert len(runs) == 5, nth  # four tasks, one of them twice
            await house.assert_nothing_is_left()
            if not first.has_stopped:
                break
    assert nth > 1


UNEVEN = TWO_GROUPS.replace(
    b'<group name="prices">',
    b'<group name="prices"><valuation name="first"><analytics><price><amount/></price></analytics>'
    b"</valuation>",
)


async def test_results_of_valuations_that_made_unequal_numbers_of_tasks_find_their_places(
    house: House,
):
    response = await house.tools.store.response(await run(house, UNEVEN, 2))
    assert response is not None
    assert prices(response) == ["1.001", "1.002", "1.003", "1.004", "2.001"]
    group = parse(response).find("project/group")
    assert [valuation.get("name") for valuation in group] == ["first", *["bond"] * 3]


@pytest.mark.parametrize("step", ["complete_group", "missing_results"])
async def test_a_successor_does_not_count_tasks_again(
    house: House, step: str, monkeypatch: pytest.MonkeyPatch
):
    expected = await house.tools.store.response(await run(house, UNEVEN, 2))
    await house.submit(UNEVEN, 2)
    entry, entry_id = await house.take()
    begun = await house.begin(entry, entry_id)
    assert begun is not None
    async with asyncio.timeout(20), house.worker.working():
        with suppress(asyncio.CancelledError):
            await orchestrate(StopsAt(begun, step, 1, after=True), house.tools)  # type: ignore[arg-type]
        passes: list[int] = []
        made = OpenDocument.group

        async def counting(document: OpenDocument, group: GroupOutline, *rest, **more):
            passes.append(group.index)
            return await made(document, group, *rest, **more)

        monkeypatch.setattr(OpenDocument, "group", counting)
        successor = await house.begin(entry, entry_id)
        assert successor is not None
        await orchestrate(successor, house.tools)
    assert 0 not in passes
    assert await house.tools.store.response(entry.request_id) == expected


@pytest.mark.parametrize(
    ("step", "after", "known"),
    [
        pytest.param("start_group", False, {b"sources"}, id="stopped before the group was opened"),
        pytest.param(
            "dispatch",
            True,
            {b"document", b"groups", b"trace", b"sources"},
            id="stopped when its tasks were out",
        ),
    ],
)
async def test_a_successor_does_not_fetch_again(
    house: House, step: str, known: set[bytes], *, after: bool
):
    reads: list[str] = []

    class Counting:
        def read(self, uri: str, max_bytes: int) -> Fetched:
            reads.append(uri)
            return fetched(
                uri,
                b"<vnml><project><market name='USD'><a/></market></project></vnml>",
                version="1",
            )

    sources = Sources({"s3://": Counting()}, max_bytes=10_000, timeout_seconds=5)
    house.tools = replace(house.tools, sources=sources)
    request_id = await house.submit(FETCHING)
    entry, entry_id = await house.take()
    begun = await house.begin(entry, entry_id)
    assert begun is not None
    with pytest.raises(asyncio.CancelledError):
        await orchestrate(StopsAt(begun, step, 1, after=after), house.tools)  # type: ignore[arg-type]
    kept = await house.redis.hgetall(house.keys.hydrated(request_id))
    assert known <= kept.keys()
    successor = await house.begin(entry, entry_id)
    assert successor is not None
    async with asyncio.timeout(20), house.worker.working():
        await orchestrate(successor, house.tools)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    assert reads == ["s3://market/usd.xml"]
    await house.assert_nothing_is_left()


async def test_one_that_was_superseded_changes_nothing_and_its_successor_misses_nothing(
    house: House,
):
    """The first one wakes while the second one waits, and takes an update with it."""
    request_id = await house.submit(ONE_TASK)
    entry, entry_id = await house.take()
    begun = await house.begin(entry, entry_id)
    assert begun is not None
    asleep, awake = asyncio.Event(), asyncio.Event()

    class Sleeper:
        def __getattr__(self, name: str):
            return getattr(begun, name)

        async def updates(self) -> list[ReceivedUpdate]:
            asleep.set()
            await awake.wait()
            received: list[ReceivedUpdate] = []
            while not received:
                received = await begun.updates()
            return received

    waiting = asyncio.Event()
    async with asyncio.timeout(30):
        first = asyncio.create_task(orchestrate(Sleeper(), house.tools))  # type: ignore[arg-type]
        await asleep.wait()
        successor = await house.begin(entry, entry_id)
        assert successor is not None

        class Late:
            """Reads only when the first one has taken the update."""

            def __getattr__(self, name: str):
                return getattr(successor, name)

            async def updates(self) -> list[ReceivedUpdate]:
                waiting.set()
                await first
                return await successor.updates()

        second = asyncio.create_task(orchestrate(Late(), house.tools))  # type: ignore[arg-type]
        await waiting.wait()
        awake.set()
        async with house.worker.working():
            await second
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    assert len(house.worker.taken) == 1
    await house.assert_nothing_is_left()


# --- the door -------------------------------------------------------------------------------------


@pytest.fixture
def ingest(house: House) -> Ingest:
    return Ingest(house.connections, house.keys, house.tools, name="w1", max_deliveries=3)


async def delivered(house: House) -> Delivery:
    consumer = Consumer(house.connections, house.keys.ingest, "orchestrator-main", "o", idle_ms=0)
    await consumer.join()
    [delivery] = await consumer.read(1)
    return delivery


async def test_an_entry_that_cannot_be_read_is_taken_off(house: House, ingest: Ingest):
    await house.redis.xadd(house.keys.ingest, {"requestId": "nonsense"})
    await ingest.handle(await delivered(house))
    assert await house.redis.xlen(house.keys.ingest) == 0


async def test_an_entry_of_a_finished_request_is_taken_off(house: House, ingest: Ingest):
    request_id = await run(house, ONE_TASK)
    fields = held.IngestEntry(request_id, DEFAULT_TENANT, 1, 1).to_fields(house.keys)
    await house.redis.xadd(house.keys.ingest, fields)
    await ingest.handle(await delivered(house))
    await house.assert_nothing_is_left()


async def test_a_request_that_ends_its_orchestrators_fails_at_last(house: House, ingest: Ingest):
    request_id = await house.submit(ONE_TASK)
    delivery = await delivered(house)
    await ingest.handle(replace(delivery, deliveries=4))
    report = await failure_of(house, request_id)
    assert (report["code"], report["category"]) == ("REQUEST_POISONED", "poison")
    await house.assert_nothing_is_left()


async def test_a_cancelled_request_stays_pending_and_whole(house: House, ingest: Ingest):
    request_id = await house.submit(ONE_TASK)
    delivery = await delivered(house)
    handling = asyncio.create_task(ingest.handle(delivery))
    async with asyncio.timeout(20):
        while await house.redis.xlen(house.keys.dispatch) == 0:
            await asyncio.sleep(0.01)
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert (await house.redis.xpending(house.keys.ingest, "orchestrator-main"))["pending"] == 1
        async with house.worker.working():
            await ingest.handle(delivery)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    await house.assert_nothing_is_left()


async def test_a_limit_of_the_pool_ends_the_request(house: House, monkeypatch: pytest.MonkeyPatch):
    async def late(*_: object, **__: object) -> None:
        raise HydrationFailed("HYDRATION_TIMED_OUT", "hydration took longer than 30 seconds")

    monkeypatch.setattr("vnvs.hydrator.OpenDocument.group", late)
    report = await failure_of(house, await run(house, ONE_TASK))
    assert (report["code"], report["category"], report["group"]) == (
        "HYDRATION_TIMED_OUT",
        "timeout",
        "g",
    )
