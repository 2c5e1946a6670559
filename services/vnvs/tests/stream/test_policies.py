"""What a failed task means for its request: `onFailure` of groups and of the submission."""

import asyncio

import pytest
from orchestration import (
    BROKEN,
    FAILED_TTL_SECONDS,
    REJECTED,
    TWO_GROUPS,
    House,
    StopsAt,
    failure_of,
    priced,
    prices,
    run,
)

from vncore.messages import RequestStatus, TaskDispatch
from vncore.xml import parse
from vnvs.orchestrate import orchestrate


def with_policies(first: str = "", second: str = "") -> bytes:
    document = TWO_GROUPS
    for name, policy in ((b"prices", first), (b"totals", second)):
        if policy:
            said = b'<group name="%s" onFailure="%s">' % (name, policy.encode())
            document = document.replace(b'<group name="%s">' % name, said)
    return document


def fails(*tasks: int):
    """Let these tasks of the first group fail for good, with two attempts each."""

    def answer(task: TaskDispatch, xml: bytes):
        failing = task.group_index == 0 and task.task_id in tasks
        return REJECTED if failing else priced(xml, task)

    return answer


async def test_a_tolerated_failure_stands_in_its_place_and_the_request_ends_partial(house: House):
    house.worker.answer = fails(2)
    request_id = await run(house, with_policies("continue"), 2)

    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL
    response = await house.tools.store.response(request_id)
    assert response is not None
    project = parse(response).find("project")
    assert (project.get("expected"), project.get("failed")) == ("4", "1")
    valuations = project.findall("group[1]/valuation")
    assert [valuation.find("failure") is not None for valuation in valuations] == [0, 1, 0]
    failure = valuations[1].find("failure")
    assert (failure.get("code"), failure.get("attempts")) == ("SCRIPT_REJECTED_DATA", "1")
    assert failure.text == "no such curve"
    assert valuations[1].find("analytics") is None
    assert valuations[1].find("instrument").get("name") == "B2"
    assert prices(response) == ["1.001", "1.003", "2.001"]

    report = await house.tools.store.failure(request_id)
    assert report is not None
    assert (report["group"], report["task"], report["failedTaskCount"]) == ("prices", 2, 1)
    state = await house.tools.store.state(request_id)
    assert state is not None
    assert [(group.completed, group.failed, group.status) for group in state.groups] == [
        (2, 1, "completed"),
        (1, 0, "completed"),
    ]
    assert await house.redis.ttl(house.keys.response(request_id)) > FAILED_TTL_SECONDS - 10
    await house.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("policy", "failing", "ends"),
    [
        pytest.param("tolerate:1", (2,), RequestStatus.PARTIAL, id="as many as tolerated"),
        pytest.param("tolerate:1", (1, 2), RequestStatus.FAILED, id="one more than tolerated"),
        pytest.param("tolerate:34%", (2,), RequestStatus.PARTIAL, id="one of three is 33 percent"),
        pytest.param("tolerate:33%", (2,), RequestStatus.FAILED, id="a share is rounded down"),
        pytest.param("tolerate:0", (2,), RequestStatus.FAILED, id="none tolerated"),
        pytest.param("stop", (2,), RequestStatus.FAILED, id="stop, written out"),
        pytest.param("continue", (1, 2, 3), RequestStatus.FAILED, id="all failed, so the total"),
    ],
)
async def test_a_policy_says_how_many_tasks_may_fail(
    house: House, policy: str, failing: tuple[int, ...], ends: RequestStatus
):
    house.worker.answer = fails(*failing)
    request_id = await run(house, with_policies(policy), 2)
    assert await house.tools.store.status(request_id) is ends
    await house.assert_nothing_is_left()


async def test_the_requests_policy_holds_for_groups_that_say_nothing(house: House):
    house.worker.answer = fails(2)
    request_id = await house.submit(TWO_GROUPS, 2, on_failure="continue")
    await house.run(request_id)
    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL


async def test_a_groups_own_policy_wins_over_the_requests(house: House):
    house.worker.answer = fails(2)
    request_id = await house.submit(with_policies("stop"), 2, on_failure="continue")
    await house.run(request_id)
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED


async def test_a_later_group_that_selects_a_failed_valuation_ends_the_request_by_name(house: House):
    house.worker.answer = fails(1)
    report = await failure_of(house, await run(house, with_policies("continue"), 2))
    assert report["code"] == "REFERENCE_FAILED_VALUATION"
    assert (report["group"], report["valuation"]) == ("totals", "total")
    assert "B1" in report["message"]


async def test_under_a_policy_of_its_own_such_a_valuation_fails_alone(house: House):
    house.worker.answer = fails(1)
    request_id = await run(house, with_policies("continue", "continue"), 2)
    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL
    response = await house.tools.store.response(request_id)
    assert response is not None
    [total] = parse(response).findall("project/group[2]/valuation")
    assert total.find("failure").get("code") == "REFERENCE_FAILED_VALUATION"
    assert {task.group_index for task in house.worker.taken} == {0}  # it was never dispatched
    report = await house.tools.store.failure(request_id)
    assert report is not None
    assert [(task["group"], task["task"]) for task in report["failedTasks"]] == [
        ("prices", 1),
        ("totals", 1),
    ]
    await house.assert_nothing_is_left()


async def test_a_task_out_of_attempts_is_tolerated_too(house: House):
    house.worker.answer = lambda task, xml: BROKEN if task.task_id == 2 else priced(xml, task)
    request_id = await run(house, with_policies("tolerate:1"), 2)
    assert await house.tools.store.status(request_id) is RequestStatus.PARTIAL
    response = await house.tools.store.response(request_id)
    assert response is not None
    [failure] = parse(response).iter("failure")
    assert (failure.get("code"), failure.get("attempts")) == ("SCRIPT_FAILED", "3")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["fail_tasks", "complete_group", "documents", "end_partial"])
async def test_a_successor_keeps_recorded_failures(house: House, step: str, *, after: bool):
    house.worker.answer = fails(2)
    expected = await house.tools.store.response(await run(house, with_policies("continue"), 2))
    house.worker.taken.clear()
    async with asyncio.timeout(30), house.worker.working():
        request_id = await house.submit(with_policies("continue"), 2)
        entry, entry_id = await house.take()
        begun = await house.begin(entry, entry_id)
        assert begun is not None
        first = StopsAt(begun, step, 1, after=after)
        with pytest.raises(asyncio.CancelledError):
            await orchestrate(first, house.tools)  # type: ignore[arg-type]
        successor = await house.begin(entry, entry_id)
        if successor is not None:
            await orchestrate(successor, house.tools)
    assert await house.tools.store.response(request_id) == expected
    assert len(house.worker.taken) == 4  # nothing ran twice
    await house.assert_nothing_is_left()


async def test_a_report_lists_a_thousand_failed_tasks_and_counts_all(house: House):
    tasks = 1_200
    instruments = b"".join(b'<instrument name="I%d"/>' % n for n in range(tasks))
    document = with_policies("continue", "continue").replace(
        b"<portfolio>", b"<portfolio>" + instruments
    )
    house.worker.answer = lambda task, xml: REJECTED
    request_id = await run(house, document, 2)
    report = await house.tools.store.failure(request_id)
    assert report is not None
    assert len(report["failedTasks"]) == 1_000
    assert report["failedTaskCount"] == tasks + 3 + 1
    await house.assert_nothing_is_left()
