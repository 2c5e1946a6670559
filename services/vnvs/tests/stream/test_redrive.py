"""A redrive runs what failed and what depends on it, and keeps every other result."""

import asyncio
from collections import Counter

import pytest
from assignments import assigned
from orchestration import BROKEN, REJECTED, TWO_GROUPS, House, priced, prices, run

from vncore.cancel import cancel
from vncore.errors import InvalidRequest
from vncore.ids import RequestId, TaskId
from vncore.keys import WORKERS
from vncore.messages import RequestStatus, TaskDispatch, Trace
from vncore.redrive import redrive
from vncore.streams import Consumer
from vncore.tasks import Settled, TaskStore
from vncore.xml import parse

TOLERANT = TWO_GROUPS.replace(b"<group ", b'<group onFailure="continue" ')

# The total does not select one valuation but looks at how many prices there are.
COUNTING = TOLERANT.replace(
    b'<first select="//group[1]/valuation[1]/analytics/price/amount/text()"/>',
    b'<book><group select="/vnml/project/group[1]"/></book>',
)


def fails_once(task_id: int):
    """Let a task of the first group fail for good in the first run."""

    def answer(task: TaskDispatch, xml: bytes):
        failing = task.run == 1 and task.group_index == 0 and task.task_id == task_id
        return REJECTED if failing else priced(xml, task)

    return answer


async def again(house: House, request_id: RequestId) -> int:
    number = await redrive(
        house.redis,
        house.keys,
        request_id,
        deadline_at_ms=None,
        trace=Trace(),
        clock=house.tools.clock,
    )
    assert number is not None
    return number


async def whole(house: House, document: bytes) -> bytes:
    """Give the response of a request in which nothing fails."""
    answer, house.worker.answer = house.worker.answer, lambda task, xml: priced(xml, task)
    response = await house.tools.store.response(await run(house, document, 2))
    assert response is not None
    house.worker.answer = answer
    house.worker.taken.clear()
    return response


def runs(house: House) -> Counter[tuple[int, int, int]]:
    return Counter((task.run, task.group_index, task.task_id) for task in house.worker.taken)


async def test_a_failed_request_is_completed_without_running_anything_twice(house: House):
    expected = await whole(house, TWO_GROUPS)
    house.worker.answer = fails_once(2)
    request_id = await run(house, TWO_GROUPS, 2)
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED
    succeeded = {
        key
        for key, task in ((1, 1), (3, 3))
        if await house.redis.exists(house.keys.task_result(request_id, 0, TaskId(task)))
    }
    house.worker.taken.clear()

    assert await again(house, request_id) == 2
    await house.run(request_id)

    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    assert await house.tools.store.response(request_id) == expected
    rerun = {task for run, group, task in runs(house) if group == 0}
    assert rerun == {1, 2, 3} - succeeded
    assert set(runs(house).values()) == {1}
    assert await house.tools.store.failure(request_id) is None
    await house.assert_nothing_is_left()


async def test_a_partial_request_becomes_whole(house: House):
    expected = await whole(house, TOLERANT)
    house.worker.answer = fails_once(1)
    request_id = await run(house, TOLERANT, 2)
    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL
    house.worker.taken.clear()

    await again(house, request_id)
    await house.run(request_id)

    assert await house.tools.store.response(request_id) == expected
    # the failed task, and the total that could not be hydrated without it
    assert runs(house) == Counter({(2, 0, 1): 1, (2, 1, 1): 1})
    await house.assert_nothing_is_left()


async def test_a_result_that_was_made_of_an_incomplete_group_is_made_again(house: House):
    expected = await whole(house, COUNTING)
    house.worker.answer = fails_once(2)
    request_id = await run(house, COUNTING, 2)
    first = await house.tools.store.response(request_id)
    assert first is not None
    assert len(list(parse(first).iter("failure"))) == 2  # in its place, and in the copied group
    house.worker.taken.clear()

    await again(house, request_id)
    await house.run(request_id)

    assert await house.tools.store.response(request_id) == expected
    assert runs(house) == Counter({(2, 0, 2): 1, (2, 1, 1): 1})


async def test_a_later_result_that_does_not_depend_on_the_failed_task_is_kept(house: House):
    expected = await whole(house, TOLERANT)
    house.worker.answer = fails_once(3)  # the total selects the first valuation
    request_id = await run(house, TOLERANT, 2)
    house.worker.taken.clear()

    await again(house, request_id)
    await house.run(request_id)

    assert await house.tools.store.response(request_id) == expected
    assert runs(house) == Counter({(2, 0, 3): 1})


async def test_a_task_that_fails_again_fails_again(house: House):
    house.worker.answer = lambda task, xml: BROKEN if task.task_id == 2 else priced(xml, task)
    request_id = await run(house, TOLERANT, 2)
    first = await house.tools.store.response(request_id)
    await again(house, request_id)
    await house.run(request_id)
    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL
    assert await house.tools.store.response(request_id) == first
    assert await again(house, request_id) == 3


async def test_a_document_that_could_not_be_hydrated_is_tried_again(house: House):
    request_id = await run(house, TWO_GROUPS.replace(b"portfolio, ", b"absent, "), 2)
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED
    await again(house, request_id)
    await house.run(request_id)
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED
    await house.assert_nothing_is_left()


async def test_a_cancelled_request_goes_on_where_it_was_stopped(house: House):
    expected = await whole(house, TWO_GROUPS)
    request_id = await house.submit(TWO_GROUPS, 2)
    seen = asyncio.Event()

    async def answer(task: TaskDispatch, xml: bytes):
        if task.run == 1 and task.task_id == 2:
            seen.set()
            await asyncio.Event().wait()
        return priced(xml, task)

    house.worker.answer = answer
    begun = await house.begin(*await house.take())
    assert begun is not None
    async with asyncio.timeout(20), house.worker.working():
        running = asyncio.create_task(house.orchestrate(begun))
        await seen.wait()
        ended = await cancel(
            house.redis, house.keys, request_id, ttl_seconds=60, clock=house.tools.clock
        )
        assert ended is RequestStatus.CANCELLED
        await running
    house.worker.taken.clear()

    await again(house, request_id)
    await house.take_over_tasks("w")
    await house.run(request_id)
    assert await house.tools.store.response(request_id) == expected
    assert (2, 0, 1) not in runs(house)
    await house.assert_nothing_is_left()


async def test_an_attempt_of_an_earlier_run_settles_nothing(house: House):
    request_id = await house.submit(TWO_GROUPS, 2)
    entry, entry_id = await house.take()
    begun = await house.begin(entry, entry_id)
    assert begun is not None
    consumer = Consumer(house.connections, house.keys.dispatch, WORKERS, "late", idle_ms=60_000)
    orchestrating = asyncio.create_task(house.orchestrate(begun))
    async with asyncio.timeout(20):
        [late, *_] = await consumer.read(10)
        await cancel(house.redis, house.keys, request_id, ttl_seconds=60, clock=house.tools.clock)
        await orchestrating
        await again(house, request_id)
    task = TaskDispatch.from_fields(late.fields)
    store = TaskStore(house.redis, house.keys)
    assert not (await store.fetch(assigned(late))).request_is_open
    assert await store.over({(request_id, 1), (request_id, 2)}) == {(request_id, 1)}
    settled = await house.settle(late, b"<valuation/>")
    assert settled is Settled.REQUEST_OVER
    assert not await house.redis.exists(house.keys.task_result(request_id, 0, task.task_id))


@pytest.mark.parametrize("running", [False, True], ids=["succeeded", "running"])
async def test_what_has_nothing_to_redo_is_refused(house: House, *, running: bool):
    request_id = await house.submit(TWO_GROUPS, 2) if running else await run(house, TWO_GROUPS, 2)
    with pytest.raises(InvalidRequest) as refused:
        await again(house, request_id)
    assert refused.value.code == "REQUEST_NOT_REDRIVABLE"


async def test_of_two_redrives_at_once_one_begins_a_run(house: House):
    house.worker.answer = fails_once(2)
    request_id = await run(house, TWO_GROUPS, 2)
    outcomes = await asyncio.gather(
        *(again(house, request_id) for _ in range(5)), return_exceptions=True
    )
    assert sorted(outcomes, key=str)[0] == 2
    assert sum(isinstance(one, InvalidRequest) for one in outcomes) == 4
    assert await house.redis.xlen(house.keys.ingest) == 1


async def test_the_prices_of_a_redriven_request_are_complete(house: House):
    house.worker.answer = fails_once(1)
    request_id = await run(house, TWO_GROUPS, 2)
    await again(house, request_id)
    await house.run(request_id)
    response = await house.tools.store.response(request_id)
    assert response is not None
    assert prices(response) == ["1.001", "1.002", "1.003", "2.001"]
