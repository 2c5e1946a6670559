"""The worker on a real server: from a dispatch entry to a settled attempt."""

from pathlib import Path

import pytest
from workbench import TRACE, Bench, document, now_ms, open_bench, until, working

from vnas.ahead import Ahead
from vnas.scriptfile import ScriptFile
from vncore.cancel import cancel
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId
from vncore.keys import WORKERS
from vncore.messages import (
    TaskDispatch,
    TaskStatus,
)
from vncore.redrive import redrive
from vncore.streams import Consumer

# --- one attempt ---------------------------------------------------------------------------------


async def test_a_good_attempt_is_kept_counted_reported_and_taken_off(bench, make_runner):
    await bench.dispatch(1, 2)
    async with working(bench, make_runner, Path("/bin/cat")):
        updates = await bench.updates(2)
    assert {update.task_id for update in updates} == {1, 2}
    for update in updates:
        assert update.status is TaskStatus.SUCCEEDED
        assert (update.attempt, update.worker_id, update.trace) == (1, "w1", TRACE)
        assert update.duration_ms >= 0
    digest = ScriptFile(Path("/bin/cat")).digest()
    assert (
        await bench.result(2)
        == (
            f'<valuation name="bond"><n>2</n><vndb externalId="2" script="{digest}"/></valuation>'
        ).encode()
    )
    group = await bench.connections.commands.hgetall(bench.keys.group(bench.request_id, 0))
    assert group[b"completed"] == b"2"
    assert await bench.nothing_left()


async def test_a_failed_attempt_is_reported_with_its_stderr_and_place(
    bench, make_runner, write_script
):
    await bench.dispatch(1, attempt=2)
    script = write_script("echo 'first line' >&2; echo 'no curve for \"X\"' >&2; exit 3")
    async with working(bench, make_runner, script):
        [update] = await bench.updates(1)
    assert update.status is TaskStatus.FAILED
    assert update.failure is not None
    report = update.failure.report()
    assert report.pop("fingerprint")
    assert report == {
        "code": "SCRIPT_FAILED",
        "category": "script",
        "retryable": True,
        "message": 'the script exited with status 3: no curve for "X"',
        "group": "prices",
        "groupIndex": 0,
        "valuation": "bond",
        "task": 1,
        "attempts": 2,
        "exitStatus": 3,
        "stderr": 'first line\nno curve for "X"\n',
    }
    assert await bench.result(1) is None
    assert await bench.nothing_left()


@pytest.mark.parametrize(
    ("body", "code", "retryable"),
    [
        pytest.param("exit 65", "SCRIPT_REJECTED_DATA", False, id="bad data"),
        pytest.param("echo nonsense", "RESULT_INVALID", False, id="no result"),
        pytest.param("kill -9 $$", "SCRIPT_FAILED", True, id="signal"),
    ],
)
async def test_each_failure_says_whether_a_retry_may_help(
    bench, make_runner, write_script, body, code, retryable
):
    await bench.dispatch(1)
    async with working(bench, make_runner, write_script(body)):
        [update] = await bench.updates(1)
    assert update.failure is not None
    assert (update.failure.code, update.failure.retryable) == (code, retryable)
    assert await bench.nothing_left()


async def test_a_number_becomes_the_amount(bench, make_runner, write_script):
    await bench.dispatch(1)
    async with working(bench, make_runner, write_script("echo 101.25")):
        await bench.updates(1)
    assert b"<price><amount>101.25</amount></price>" in (await bench.result(1) or b"")


async def test_the_script_is_told_its_attempt_deadline_and_trace(bench, make_runner, write_script):
    deadline = now_ms() + 60_000
    await bench.dispatch(4, deadline_ms=deadline, attempt=3)
    script = write_script(
        'echo "$VN_REQUEST_ID $VN_GROUP_INDEX $VN_GROUP_NAME $VN_TASK_ID $VN_VALUATION_NAME'
        ' $VN_ATTEMPT $VN_DEADLINE $TRACEPARENT" >&2; exit 65'
    )
    async with working(bench, make_runner, script):
        [update] = await bench.updates(1)
    assert update.failure is not None
    assert update.failure.stderr_tail == (
        f"{bench.request_id} 0 prices 4 bond 3 {deadline} {TRACE.traceparent}\n"
    )


async def test_the_tasks_deadline_stops_its_script(bench, make_runner, write_script, tmp_path):
    marker = tmp_path / "started"
    await bench.dispatch(1, deadline_ms=now_ms() + 400)
    await bench.dispatch(2, deadline_ms=now_ms() - 1)
    async with working(bench, make_runner, write_script(f"echo >> {marker}; sleep 60")):
        updates = await bench.updates(2)
    assert [update.failure and update.failure.code for update in updates] == (
        ["SCRIPT_TIMED_OUT"] * 2
    )
    assert marker.read_text() == "\n", "the second, late already, was not started"


# --- what is not run -----------------------------------------------------------------------------


async def test_a_task_of_a_request_that_is_over_is_taken_off_and_not_run(
    bench, make_runner, write_script, tmp_path
):
    marker = tmp_path / "ran"
    await bench.dispatch(1)
    await bench.held.fail({"code": "INTERNAL"}, [1], ttl_seconds=60)
    async with working(bench, make_runner, write_script(f": > {marker}; echo 1")):
        await until(bench.nothing_left)
    assert not marker.exists()
    assert await bench.connections.commands.exists(bench.keys.updates(bench.request_id)) == 0


async def test_a_task_without_document_fails_for_good(bench, make_runner):
    await bench.dispatch(1)
    await bench.connections.commands.delete(bench.keys.task_xml(bench.request_id, 0, TaskId(1)))
    async with working(bench, make_runner, Path("/bin/cat")):
        [update] = await bench.updates(1)
    assert update.failure is not None
    assert (update.failure.code, update.failure.retryable) == ("TASK_DOCUMENT_MISSING", False)


@pytest.mark.parametrize("first", [{"nonsense": "1"}, {"requestId": "x", "taskId": "1"}])
async def test_an_entry_that_cannot_be_read_is_taken_off_and_the_next_one_runs(
    bench, make_runner, first
):
    await bench.connections.commands.xadd(bench.keys.dispatch, first)
    await bench.dispatch(1)
    async with working(bench, make_runner, Path("/bin/cat"), slots=1):
        [update] = await bench.updates(1)
    assert update.status is TaskStatus.SUCCEEDED
    assert await bench.nothing_left()


async def test_an_id_that_is_none_touches_no_key(bench, make_runner):
    redis, keys, bad = bench.connections.commands, bench.keys, RequestId("../x")
    await redis.hset(keys.state(bad), "status", "group_started")
    await redis.set(keys.task_xml(bad, 0, TaskId(1)), document(1))
    task = TaskDispatch(bad, DEFAULT_TENANT, 0, "prices", TaskId(1), "bond")
    await redis.xadd(keys.dispatch, task.to_fields(keys))
    async with working(bench, make_runner, Path("/bin/cat")):
        await until(bench.nothing_left)
    assert await redis.exists(keys.task_result(bad, 0, TaskId(1))) == 0


@pytest.mark.parametrize(
    ("died", "runs"), [pytest.param(2, True, id="third"), pytest.param(3, False, id="fourth")]
)
async def test_a_task_that_ended_three_workers_does_not_meet_a_fourth(
    bench, make_runner, write_script, tmp_path, died, runs
):
    marker = tmp_path / "ran"
    [entry_id] = await bench.dispatch(1)
    redis = bench.connections.commands
    await redis.xreadgroup(WORKERS, "dead", {bench.keys.dispatch: ">"})
    for _ in range(died - 1):
        await redis.xclaim(bench.keys.dispatch, WORKERS, "dead", 0, [entry_id])
    script = write_script(f": > {marker}; echo 1")
    async with working(bench, make_runner, script, idle_ms=100):
        [update] = await bench.updates(1)
    assert marker.exists() is runs
    if not runs:
        assert update.failure is not None
        assert (update.failure.code, update.failure.retryable) == ("TASK_POISONED", False)
        assert update.failure.message.startswith("3 workers")
    assert await bench.nothing_left()


# --- several at once -----------------------------------------------------------------------------


async def test_a_worker_takes_no_more_than_it_has_slots(bench, make_runner, write_script, tmp_path):
    gate = tmp_path / "gate"
    running = tmp_path / "running"
    running.mkdir()
    script = write_script(
        f": > {running}/$VN_TASK_ID; while [ ! -e {gate} ]; do sleep 0.01; done; echo 1"
    )
    await bench.dispatch(*range(1, 7))
    async with working(bench, make_runner, script, slots=2):
        await until(lambda: len(list(running.iterdir())) == 2)
        assert await bench.pending() == 2, "what it cannot run stays for others"
        gate.touch()
        assert len(await bench.updates(6)) == 6
    assert await bench.nothing_left()


async def test_a_long_script_is_not_taken_over_while_its_worker_lives(
    bench, make_runner, write_script, tmp_path
):
    starts = tmp_path / "starts"
    script = write_script(f"echo >> {starts}; sleep 1; echo 1")
    await bench.dispatch(1)
    async with (
        working(bench, make_runner, script, idle_ms=300, name="w1"),
        working(bench, make_runner, script, idle_ms=300, name="w2"),
    ):
        await bench.updates(1)
    assert starts.read_text() == "\n"


# --- what is stopped ------------------------------------------------------------------------------


async def test_a_script_is_stopped_when_another_worker_took_its_task_over(
    bench, make_runner, write_script, tmp_path
):
    running = tmp_path / "running"
    script = write_script(f"trap 'rm {running}' EXIT; : > {running}; sleep 60 & wait; echo 1")
    [entry_id] = await bench.dispatch(1)
    runner = make_runner(script)
    async with working(bench, lambda _: runner, script, idle_ms=300):
        await until(running.exists)
        # As after a pause: this worker was silent for too long, and another one has it now.
        redis = bench.connections.commands
        await redis.xclaim(bench.keys.dispatch, WORKERS, "other", 0, [entry_id])
        await until(lambda: runner.running == 0)
    assert await bench.held.updates() == []
    [row] = await redis.xpending_range(bench.keys.dispatch, WORKERS, min="-", max="+", count=9)
    assert (row["consumer"], row["times_delivered"]) == (b"other", 2)


@pytest.mark.parametrize("ending", ["cancelled", "failed", "in another run"])
async def test_scripts_of_a_request_that_is_over_are_stopped_and_others_go_on(
    connections, keys, make_runner, write_script, tmp_path, ending
):
    bench, other = await open_bench(connections, keys), await open_bench(connections, keys)
    running, gate = tmp_path / "running", tmp_path / "gate"
    running.mkdir()
    script = write_script(
        f": > {running}/$VN_REQUEST_ID-$VN_TASK_ID; while [ ! -e {gate} ]; do sleep 0.01; done;"
        " echo 1"
    )
    await bench.dispatch(1, 2)
    await other.dispatch(1)
    runner = make_runner(script)
    async with working(bench, lambda _: runner, script, slots=3):
        await until(lambda: len(list(running.iterdir())) == 3)
        if ending == "failed":
            await bench.held.fail({"code": "INTERNAL"}, [1], ttl_seconds=60)
        else:
            await cancel(connections.commands, keys, bench.request_id, ttl_seconds=60, clock=now_ms)
        if ending == "in another run":
            run = await redrive(
                connections.commands,
                keys,
                bench.request_id,
                deadline_at_ms=None,
                trace=TRACE,
                clock=now_ms,
            )
            assert run == 2
        await until(lambda: runner.running == 1, seconds=2.0)
        await until(lambda: queued_is(bench, 1))
        gate.touch()
        [update] = await other.updates(1)
    assert update.status is TaskStatus.SUCCEEDED
    assert await bench.nothing_left()
    assert await bench.result(1) is None
    assert await connections.commands.exists(keys.updates(bench.request_id)) == 0


async def queued_is(bench: Bench, count: int) -> bool:
    return await bench.queued() == count


# --- taken ahead ----------------------------------------------------------------------------------


def taught(seconds: float, slots: int = 2) -> Ahead:
    """One that has seen many tasks of that duration."""
    ahead = Ahead(slots)
    for _ in range(50):
        ahead._learn(seconds)
    return ahead


async def test_short_tasks_are_read_and_fetched_many_at_a_time(bench, make_runner, monkeypatch):
    ahead = taught(0.01)
    monkeypatch.setattr(ahead, "_learn", lambda _: None)
    brought: list[int] = []
    read = Consumer.read

    async def counted(*arguments):
        brought.append(len(found := await read(*arguments)))
        return found

    monkeypatch.setattr(Consumer, "read", counted)
    await bench.dispatch(*range(1, 201))
    async with working(bench, make_runner, Path("/bin/cat"), slots=2, ahead=ahead):
        updates = await bench.updates(200)
    assert {update.status for update in updates} == {TaskStatus.SUCCEEDED}
    assert len([count for count in brought if count]) < 30
    assert max(brought) == 22
    assert await bench.nothing_left()


async def test_tasks_ahead_of_long_ones_go_to_another_worker_and_count_no_delivery(
    bench, make_runner, write_script, tmp_path
):
    gate = tmp_path / "gate"
    script = write_script(
        "x=$(cat); case $x in *'<n>1</n>'*|*'<n>2</n>'*)"
        f" while [ ! -e {gate} ]; do sleep 0.01; done;; esac; echo 1"
    )
    ahead = taught(0.005)
    await bench.dispatch(*range(1, 9))
    async with working(bench, make_runner, script, slots=2, name="w1", ahead=ahead, idle_ms=2000):
        await until(lambda: held_by(bench, "w1", 8))
        async with working(bench, make_runner, script, slots=2, name="w2", idle_ms=2000):
            updates = await bench.updates(6)
            assert {update.worker_id for update in updates} == {"w2"}
            assert {update.task_id for update in updates} == set(range(3, 9))
            assert {update.attempt for update in updates} == {1}
            gate.touch()
            await bench.updates(2)


async def held_by(bench: Bench, name: str, count: int) -> bool:
    consumers = await bench.connections.commands.xinfo_consumers(bench.keys.dispatch, WORKERS)
    return {one["name"].decode(): one["pending"] for one in consumers}.get(name) == count
