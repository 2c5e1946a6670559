"""A request that is ended from outside: by its deadline, or by a cancel."""

import asyncio

import pytest
from orchestration import TWO_GROUPS, House, failure_of, priced, run

from vncore.cancel import cancel
from vncore.ids import new_request_id
from vncore.messages import RequestStatus, TaskDispatch


async def end_by_cancel(house: House, request_id) -> RequestStatus | None:
    return await cancel(
        house.redis, house.keys, request_id, ttl_seconds=60, clock=house.tools.clock
    )


# --- deadline -------------------------------------------------------------------------------------


async def test_a_request_that_is_not_done_in_time_fails_and_its_tasks_are_withdrawn(house: House):
    request_id = await house.submit(TWO_GROUPS, 2, deadline_at_ms=house.tools.clock() + 400)
    await house.run(request_id, working=False)  # nobody works
    report = await failure_of(house, request_id)
    assert (report["code"], report["category"]) == ("REQUEST_DEADLINE_EXCEEDED", "timeout")
    assert (report["stage"], report["group"]) == ("run", "prices")
    await house.assert_nothing_is_left()


async def test_a_deadline_that_has_passed_in_the_queue_ends_the_request_at_once(house: House):
    request_id = await house.submit(TWO_GROUPS, 2, deadline_at_ms=house.tools.clock() - 1)
    await house.run(request_id)
    report = await failure_of(house, request_id)
    assert report["code"] == "REQUEST_DEADLINE_EXCEEDED"
    assert house.worker.taken == []
    await house.assert_nothing_is_left()


async def test_tasks_know_the_deadline_of_their_request(house: House):
    deadline_ms = house.tools.clock() + 60_000
    request_id = await house.submit(TWO_GROUPS, 2, deadline_at_ms=deadline_ms)
    await house.run(request_id)
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED
    assert {task.deadline_ms for task in house.worker.taken} == {deadline_ms}


# --- cancel ---------------------------------------------------------------------------------------


async def test_a_request_that_nobody_has_taken_is_cancelled_for_good(house: House):
    request_id = await house.submit(TWO_GROUPS, 2)
    assert await end_by_cancel(house, request_id) is RequestStatus.CANCELLED
    assert await house.redis.xlen(house.keys.ingest) == 0
    assert await house.redis.ttl(house.keys.xml(request_id)) > 0
    assert await end_by_cancel(house, request_id) is RequestStatus.CANCELLED  # again: no matter
    [*_, (_, event)] = await house.redis.xrange(house.keys.lifecycle)
    assert event[b"status"] == b"cancelled"
    await house.assert_nothing_is_left()


async def test_after_a_cancel_nothing_further_is_dispatched_and_results_are_kept(house: House):
    request_id = await house.submit(TWO_GROUPS, 2)
    begun = await house.begin(*await house.take())
    assert begun is not None
    second = asyncio.Event()

    async def answer(task: TaskDispatch, xml: bytes) -> bytes:
        if task.task_id == 2:
            await end_by_cancel(house, request_id)
            second.set()
        return priced(xml, task)

    house.worker.answer = answer
    async with asyncio.timeout(20), house.worker.working():
        await house.orchestrate(begun)
        await second.wait()
        while await house.redis.xlen(house.keys.dispatch):
            await asyncio.sleep(0.01)
    assert await house.tools.store.status(request_id) is RequestStatus.CANCELLED
    assert {task.group_index for task in house.worker.taken} == {0}
    kept = [await house.redis.exists(house.keys.task_result(request_id, 0, n)) for n in (1, 2, 3)]
    assert kept == [1, 0, 0]  # what was there stays, what came later does not count
    await house.assert_nothing_is_left()


async def test_a_request_that_has_ended_cannot_be_cancelled(house: House):
    request_id = await run(house, TWO_GROUPS, 2)
    assert await end_by_cancel(house, request_id) is RequestStatus.SUCCEEDED
    assert await house.tools.store.status(request_id) is RequestStatus.SUCCEEDED


async def test_an_unknown_request_cannot_be_cancelled(house: House):
    assert await end_by_cancel(house, new_request_id()) is None


@pytest.mark.parametrize("groups_at_submission", [1, 2], ids=["fewer than hydrated", "as many"])
async def test_a_cancel_reaches_every_key_of_a_request(house: House, groups_at_submission: int):
    request_id = await house.submit(TWO_GROUPS, groups_at_submission)
    begun = await house.begin(*await house.take())
    assert begun is not None
    async with asyncio.timeout(20):
        orchestrating = asyncio.create_task(house.orchestrate(begun))
        while await house.redis.xlen(house.keys.dispatch) < 3:
            await asyncio.sleep(0.01)
        await end_by_cancel(house, request_id)
        await orchestrating
    await house.assert_nothing_is_left()
