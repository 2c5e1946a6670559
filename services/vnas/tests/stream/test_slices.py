"""Entries of several short tasks: run side by side, settled together, put off, taken over."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from workbench import Bench, now_ms, until, working

from vnas import slices
from vncore.cancel import cancel
from vncore.ids import TaskId
from vncore.keys import WORKERS, done_field
from vncore.messages import TaskStatus
from vncore.tasks import TaskStore

ECHO = "echo $VN_TASK_ID"


def begun(note: Path) -> list[int]:
    """Read the tasks that scripts noted when they began, a line each."""
    return [int(task) for task in note.read_text().split()] if note.exists() else []


async def entries_told(bench: Bench) -> int:
    return int(await bench.connections.commands.xlen(bench.keys.updates(bench.request_id)))


class Watched:
    """A runner that notes, for each task that begins, which tasks had a result by then."""

    def __init__(self, bench: Bench, runner, tasks: int) -> None:
        self._bench = bench
        self._runner = runner
        self._tasks = [TaskId(task) for task in range(1, tasks + 1)]
        self.begun: list[tuple[int, list[int]]] = []

    def __getattr__(self, name: str):
        return getattr(self._runner, name)

    async def run(self, task_xml, facts, *, timeout_ms=None):
        results = await self._bench.held.results(0, self._tasks)
        self.begun.append((facts.task_id, list(results)))
        return await self._runner.run(task_xml, facts, timeout_ms=timeout_ms)


async def died_with(bench: Bench, entry_id: str, times: int = 1) -> None:
    """Let so many workers, who did nothing, have had the entry."""
    redis = bench.connections.commands
    await redis.xreadgroup(WORKERS, "dead", {bench.keys.dispatch: ">"})
    for _ in range(times - 1):
        await redis.xclaim(bench.keys.dispatch, WORKERS, "dead", 0, [entry_id])


# --- in lanes -------------------------------------------------------------------------------------


async def test_as_many_scripts_run_at_once_as_there_are_slots(
    bench, make_runner, write_script, tmp_path
):
    note, gate = tmp_path / "begun", tmp_path / "gate"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; while [ ! -e {gate} ]; do sleep 0.01; done; {ECHO}"
    )
    runner = make_runner(script)
    await bench.dispatch(*range(1, 8), slice_tasks=7)
    async with working(bench, lambda _: runner, script, slots=3):
        await until(lambda: len(begun(note)) == 3)
        assert runner.running == 3
        gate.touch()
        updates = await bench.updates(7)
    assert {update.status for update in updates} == {TaskStatus.SUCCEEDED}
    assert sorted(begun(note)) == list(range(1, 8)), "each began once"
    for task in range(1, 8):
        assert f"<amount>{task}</amount>".encode() in await bench.result(task)
    assert await bench.nothing_left()


async def test_what_has_ended_together_is_settled_together(bench, make_runner, monkeypatch):
    monkeypatch.setattr(slices, "SETTLE_SECONDS", 30.0)
    calls = []
    settle = TaskStore.settle

    async def counted(store, assignment, settlements):
        calls.append(len(settlements))
        return await settle(store, assignment, settlements)

    monkeypatch.setattr(TaskStore, "settle", counted)
    await bench.dispatch(*range(1, 31), slice_tasks=15)
    async with working(bench, make_runner, Path("/bin/cat"), slots=2):
        updates = await bench.updates(30)
    assert sorted(update.task_id for update in updates) == list(range(1, 31))
    assert calls == [15, 15]
    assert await entries_told(bench) == 2
    assert await bench.nothing_left()


async def test_what_has_ended_does_not_wait_for_a_long_one_beside_it(
    bench, make_runner, write_script, tmp_path
):
    gate, note = tmp_path / "gate", tmp_path / "begun"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; [ $VN_TASK_ID != 1 ] ||"
        f" while [ ! -e {gate} ]; do sleep 0.01; done; {ECHO}"
    )
    [entry_id] = await bench.dispatch(1, 2, 3, slice_tasks=3)
    async with working(bench, make_runner, script, slots=2):
        updates = await bench.updates(2)
        assert {update.task_id for update in updates} == {2, 3}
        assert await bench.deliveries(entry_id) == 1, "the entry is there for the first task"
        gate.touch()
        await bench.updates(1)
    assert sorted(begun(note)) == [1, 2, 3], "each began once"
    assert await bench.nothing_left()


async def test_a_failure_in_a_slice_is_its_tasks_own(bench, make_runner, write_script):
    script = write_script(f'[ $VN_TASK_ID != 2 ] || {{ echo "no curve" >&2; exit 3; }}; {ECHO}')
    await bench.dispatch(1, 2, 3, slice_tasks=3)
    async with working(bench, make_runner, script, slots=1):
        updates = {update.task_id: update for update in await bench.updates(3)}
    assert [updates[task].status for task in (1, 3)] == [TaskStatus.SUCCEEDED] * 2
    failure = updates[2].failure
    assert failure is not None
    assert (failure.code, failure.place["task"], failure.place["valuation"]) == (
        "SCRIPT_FAILED",
        2,
        "bond",
    )
    assert await bench.nothing_left()


async def test_a_document_that_is_gone_fails_its_own_task_only(bench, make_runner):
    await bench.dispatch(1, 2, 3, slice_tasks=3)
    await bench.connections.commands.delete(bench.keys.task_xml(bench.request_id, 0, TaskId(2)))
    async with working(bench, make_runner, Path("/bin/cat")):
        updates = {update.task_id: update for update in await bench.updates(3)}
    failure = updates.pop(TaskId(2)).failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("TASK_DOCUMENT_MISSING", False)
    assert {update.status for update in updates.values()} == {TaskStatus.SUCCEEDED}
    assert await bench.nothing_left()


async def test_an_entry_whose_tasks_are_all_done_is_taken_off_and_nothing_runs(
    bench, make_runner, write_script, tmp_path
):
    note = tmp_path / "begun"
    [entry_id] = await bench.dispatch(1, 2, slice_tasks=2)
    group = bench.keys.group(bench.request_id, 0)
    await bench.connections.commands.hset(group, done_field(entry_id), ",1,2,")
    async with working(bench, make_runner, write_script(f"echo $VN_TASK_ID >> {note}; echo 1")):
        await until(bench.nothing_left)
    assert begun(note) == []


# --- put off --------------------------------------------------------------------------------------


async def test_what_was_not_begun_goes_to_another_worker_when_tasks_turn_out_long(
    bench, make_runner, write_script, tmp_path, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.1)
    gate, note = tmp_path / "gate", tmp_path / "begun"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; [ $VN_TASK_ID -gt 2 ] ||"
        f" while [ ! -e {gate} ]; do sleep 0.01; done; {ECHO}"
    )
    [entry_id] = await bench.dispatch(*range(1, 7), slice_tasks=6)
    async with working(bench, make_runner, script, slots=2, name="w1"):
        await until(lambda: queued_is(bench, 2))
        assert sorted(begun(note)) == [1, 2]
        async with working(bench, make_runner, script, slots=2, name="w2"):
            updates = await bench.updates(4)
            assert {update.task_id for update in updates} == {3, 4, 5, 6}
            assert {update.worker_id for update in updates} == {"w2"}
            assert {update.attempt for update in updates} == {1}
            assert await bench.deliveries(entry_id) == 1
            gate.touch()
            updates = await bench.updates(2)
    assert {update.worker_id for update in updates} == {"w1"}
    assert sorted(begun(note)) == [1, 2, 3, 4, 5, 6], "each began once"
    assert await bench.nothing_left()


async def queued_is(bench: Bench, count: int) -> bool:
    return await bench.queued() == count


async def test_a_worker_whose_script_starts_no_more_puts_the_rest_of_a_slice_off(
    bench, start_worker, write_script, tmp_path
):
    serving = "from vnas import sdk\nimport os\nsdk.serve_documents(lambda document: {})"
    script = write_script(serving.format("os._exit(3)"), interpreter=sys.executable)
    worker = start_worker(script, VNAS_SCRIPT_MODE="persistent", VNAS_SLOTS="1")
    await until(lambda: worker.says("worker_started"))
    write_script("exit 4")  # in the place of the first
    await bench.dispatch(*range(1, 9), slice_tasks=8)
    assert await worker.wait() == 78
    assert worker.says("tasks_put_off")
    failed = await bench.updates(3)
    assert {update.failure.code for update in failed} == {"SCRIPT_NOT_READY"}
    good = write_script(serving.format("b'1'"), interpreter=sys.executable, name="good")
    start_worker(good, VNAS_SCRIPT_MODE="persistent")
    others = await bench.updates(8 - len(failed))
    assert {update.status for update in others} == {TaskStatus.SUCCEEDED}
    assert {update.task_id for update in [*failed, *others]} == set(range(1, 9))
    await until(bench.nothing_left)


# --- one by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("died", "max_deliveries"),
    [
        pytest.param(1, 3, id="that one worker died with"),
        pytest.param(2, 3, id="that two workers died with"),
        pytest.param(0, 1, id="that no second worker may have"),
    ],
)
async def test_each_task_of_an_entry_under_suspicion_is_settled_before_the_next_begins(
    bench, make_runner, died, max_deliveries
):
    [entry_id] = await bench.dispatch(1, 2, 3, 4, slice_tasks=4)
    if died:
        await died_with(bench, entry_id, died)
    script = Path("/bin/cat")
    runner = Watched(bench, make_runner(script), 4)
    async with working(
        bench, lambda _: runner, script, slots=3, idle_ms=100, max_deliveries=max_deliveries
    ):
        await bench.updates(4)
    assert runner.begun == [(1, []), (2, [1]), (3, [1, 2]), (4, [1, 2, 3])]
    assert await bench.nothing_left()


async def test_a_slice_that_nobody_died_with_does_not_wait_so(bench, make_runner, monkeypatch):
    """The test above would pass with one slot; this one tells that there are more."""
    monkeypatch.setattr(slices, "SETTLE_SECONDS", 30.0)
    await bench.dispatch(1, 2, 3, 4, slice_tasks=4)
    script = Path("/bin/cat")
    runner = Watched(bench, make_runner(script), 4)
    async with working(bench, lambda _: runner, script, slots=3, idle_ms=100):
        await bench.updates(4)
    assert [done for _, done in runner.begun] == [[]] * 4


async def test_the_next_worker_does_what_a_killed_one_had_not_settled(
    bench, start_worker, write_script, tmp_path
):
    note, gate = tmp_path / "begun", tmp_path / "gate"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; [ $VN_TASK_ID != 3 ] || [ -e {gate} ] || exec sleep 60;"
        f" {ECHO}"
    )
    await bench.dispatch(*range(1, 6), slice_tasks=5)
    worker = start_worker(script, VNAS_SLOTS="1")
    first = await bench.updates(2)
    assert {update.task_id for update in first} == {1, 2}
    await until(lambda: begun(note) == [1, 2, 3])
    worker.process.kill()
    gate.touch()
    start_worker(script, VNAS_SLOTS="2")
    others = await bench.updates(3)
    assert [update.task_id for update in others] == [3, 4, 5]
    assert {update.attempt for update in others} == {1}
    assert begun(note) == [1, 2, 3, 3, 4, 5]
    await until(bench.nothing_left)


async def test_of_a_slice_the_task_that_kills_its_workers_is_refused_and_it_alone(
    bench, start_worker, write_script, tmp_path
):
    note = tmp_path / "begun"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; [ $VN_TASK_ID != 3 ] || kill -9 $PPID; {ECHO}"
    )
    await bench.dispatch(*range(1, 7), slice_tasks=6)
    killed = 0

    async def supervised() -> None:
        nonlocal killed
        while True:
            status = await start_worker(script, VNAS_SLOTS="2").wait()
            assert status == -signal.SIGKILL
            killed += 1

    supervising = asyncio.ensure_future(supervised())
    try:
        updates = {update.task_id: update for update in await bench.updates(6, seconds=40)}
        await until(bench.nothing_left)
    finally:
        supervising.cancel()
    assert killed == 3
    assert begun(note).count(3) == 3
    failure = updates.pop(TaskId(3)).failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("TASK_POISONED", False)
    assert failure.message.startswith("3 workers")
    assert updates.keys() == {1, 2, 4, 5, 6}
    assert {update.status for update in updates.values()} == {TaskStatus.SUCCEEDED}


async def test_the_others_of_a_slice_with_a_poisoned_task_begin_anew(
    bench, make_runner, write_script, tmp_path
):
    note = tmp_path / "begun"
    [entry_id] = await bench.dispatch(1, 2, 3, 4, slice_tasks=4)
    await died_with(bench, entry_id, times=3)
    group = bench.keys.group(bench.request_id, 0)
    await bench.connections.commands.hset(group, done_field(entry_id), ",1,")
    script = write_script(f"echo $VN_TASK_ID >> {note}; {ECHO}")
    async with working(bench, make_runner, script, slots=1, idle_ms=100):
        updates = {update.task_id: update for update in await bench.updates(3)}
    assert [task for task in updates if updates[task].status is TaskStatus.FAILED] == [2]
    assert begun(note) == [3, 4]
    assert await bench.nothing_left()


# --- what is stopped ------------------------------------------------------------------------------


async def test_the_scripts_of_a_cancelled_slice_are_killed_and_the_entry_goes(
    bench, make_runner, write_script, tmp_path
):
    note = tmp_path / "begun"
    script = write_script(f"echo $VN_TASK_ID >> {note}; sleep 60 & wait; {ECHO}")
    await bench.dispatch(*range(1, 6), slice_tasks=5)
    runner = make_runner(script)
    async with working(bench, lambda _: runner, script, slots=2):
        await until(lambda: runner.running == 2 and len(begun(note)) == 2)
        await cancel(
            bench.connections.commands, bench.keys, bench.request_id, ttl_seconds=60, clock=now_ms
        )
        await until(lambda: runner.running == 0, seconds=2.0)
        await until(bench.nothing_left)
    assert sorted(begun(note)) == [1, 2]
    assert [await bench.result(task) for task in range(1, 6)] == [None] * 5
    assert await bench.connections.commands.exists(bench.keys.updates(bench.request_id)) == 0


async def test_the_scripts_of_a_slice_are_stopped_when_another_worker_took_it_over(
    bench, make_runner, write_script, tmp_path
):
    note = tmp_path / "begun"
    script = write_script(f"echo $VN_TASK_ID >> {note}; sleep 60 & wait; {ECHO}")
    [entry_id] = await bench.dispatch(1, 2, 3, slice_tasks=3)
    runner = make_runner(script)
    async with working(bench, lambda _: runner, script, slots=2, idle_ms=300):
        await until(lambda: len(begun(note)) == 2)
        redis = bench.connections.commands
        await redis.xclaim(bench.keys.dispatch, WORKERS, "other", 0, [entry_id])
        await until(lambda: runner.running == 0)
    assert await bench.held.updates() == []
    assert len(begun(note)) == 2
    assert await bench.queued() == 1, "nothing of it was put off"


async def test_a_worker_that_drains_hands_a_slice_back_uncounted_and_the_next_does_the_rest(
    bench, start_worker, write_script, tmp_path
):
    note, gate = tmp_path / "begun", tmp_path / "gate"
    script = write_script(
        f"echo $VN_TASK_ID >> {note}; [ $VN_TASK_ID != 3 ] || [ -e {gate} ] || exec sleep 60;"
        f" {ECHO}"
    )
    settings = {"VNAS_SLOTS": "1", "TASK_WAIT_TIMEOUT_MS": "60000"}  # nobody is silent for so long
    worker = start_worker(script, VNAS_DRAIN_MS="100", **settings)
    [entry_id] = await bench.dispatch(*range(1, 5), slice_tasks=4)
    await bench.updates(2)
    await until(lambda: begun(note) == [1, 2, 3])
    worker.process.terminate()
    assert await worker.wait() == 0
    assert worker.says("handing_back")
    assert await bench.deliveries(entry_id) == 0
    gate.touch()
    start_worker(script, **settings)
    others = await bench.updates(2)
    assert {update.task_id for update in others} == {3, 4}
    assert begun(note) == [1, 2, 3, 3, 4]
    await until(bench.nothing_left)
