"""Workers in persistent mode, as they are deployed: killed, stopped, with scripts that break."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from processes import is_alive
from workbench import WorkerProcess, now_ms, until

from vncore.cancel import cancel
from vncore.messages import TaskStatus

ECHO = """
import os, re, sys, time
from pathlib import Path
from vnas import sdk

NOTES = Path({notes!r})
(NOTES / f"process-{{os.getpid()}}").touch()

def value(document):
    task = re.search(rb"<n>(\\d+)</n>", document)[1].decode()
    (NOTES / f"task-{{task}}-{{os.getpid()}}").touch()
    {body}
    return task.encode()

sdk.serve_documents(value)
"""


class Notes:
    """What the scripts noted: which processes there were, and which task was begun in which."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def processes(self) -> list[int]:
        return [int(path.name.split("-")[1]) for path in self.folder.glob("process-*")]

    def begun(self, task: int) -> list[int]:
        return [int(path.name.split("-")[2]) for path in self.folder.glob(f"task-{task}-*")]


@pytest.fixture
def notes(tmp_path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def start(start_worker, write_script, notes):
    def started(body: str = "pass", **settings: str) -> WorkerProcess:
        text = ECHO.format(notes=str(notes.folder), body=body)
        script = write_script(text, interpreter=sys.executable)
        return start_worker(script, VNAS_SCRIPT_MODE="persistent", **settings)

    return started


async def test_a_process_for_each_slot_serves_all_tasks_in_parallel(bench, start, notes):
    meet = "while len(list(NOTES.glob('task-[12]-*'))) < 2: time.sleep(0.01)"
    start(meet, VNAS_SLOTS="2")
    await bench.dispatch(*range(1, 31))
    updates = await bench.updates(30)
    assert {update.status for update in updates} == {TaskStatus.SUCCEEDED}
    assert len(notes.processes()) == 2
    assert b"<amount>30</amount>" in await bench.result(30)
    await until(bench.nothing_left)


async def test_a_crash_costs_one_attempt_of_one_task(bench, start, notes):
    start("task == '3' and os.abort()", VNAS_SLOTS="2")
    await bench.dispatch(*range(1, 11))
    updates = {update.task_id: update for update in await bench.updates(10)}
    failed = [task for task, update in updates.items() if update.status is TaskStatus.FAILED]
    assert failed == [3]
    assert updates[3].failure.code == "SCRIPT_FAILED"
    assert "SIGABRT" in updates[3].failure.message
    assert len(notes.begun(3)) == 1
    await until(lambda: len(notes.processes()) == 3)


async def test_no_script_outlives_a_worker_that_was_killed(bench, start, notes):
    worker = start("time.sleep(300)", VNAS_SLOTS="2")
    await bench.dispatch(1)
    await until(lambda: notes.begun(1))
    worker.process.kill()
    assert len(notes.processes()) == 2
    await until(lambda: not any(map(is_alive, notes.processes())))


async def test_a_task_of_a_killed_worker_is_done_by_another(bench, start, notes):
    first = start("len(list(NOTES.glob('task-1-*'))) == 1 and time.sleep(300)")
    await bench.dispatch(1)
    await until(lambda: notes.begun(1))
    first.process.kill()
    start()
    [update] = await bench.updates(1)
    assert update.status is TaskStatus.SUCCEEDED
    await until(bench.nothing_left)


async def test_a_cancelled_request_ends_its_process_and_the_slot_goes_on(bench, start, notes):
    start("task == '1' and time.sleep(300)", VNAS_SLOTS="1")
    await bench.dispatch(1)
    await until(lambda: notes.begun(1))
    [process] = notes.begun(1)
    await cancel(
        bench.connections.commands, bench.keys, bench.request_id, ttl_seconds=60, clock=now_ms
    )
    await until(lambda: not is_alive(process))
    await until(bench.nothing_left)
    await until(lambda: len(notes.processes()) == 2)


async def test_sigterm_ends_worker_and_scripts_when_the_running_tasks_are_done(bench, start, notes):
    gate = notes.folder / "gate"
    worker = start(f"while not Path({str(gate)!r}).exists(): time.sleep(0.01)")
    await bench.dispatch(1)
    await until(lambda: notes.begun(1))
    worker.process.terminate()
    await until(lambda: worker.says("draining"))
    gate.touch()
    [update] = await bench.updates(1)
    assert update.status is TaskStatus.SUCCEEDED
    assert await worker.wait() == 0
    assert not any(map(is_alive, notes.processes()))


async def test_a_worker_whose_script_is_not_ready_says_why_and_takes_nothing(
    bench, start_worker, write_script
):
    await bench.dispatch(1)
    script = write_script("echo no library >&2; exit 3")
    worker = start_worker(script, VNAS_SCRIPT_MODE="persistent")
    assert await worker.wait() == 78
    said = worker.log.read_text()
    assert "VNAS_SCRIPT" in said
    assert "status 3 before it was ready: no library" in said
    assert (await bench.queued(), await bench.pending()) == (1, 0)


async def test_a_worker_whose_script_starts_no_more_stops_and_leaves_the_rest_to_others(
    bench, start, write_script
):
    worker = start("os._exit(3)", VNAS_SLOTS="1")
    await until(lambda: worker.says("worker_started"))
    write_script("exit 4")  # in the place of the first
    await bench.dispatch(*range(1, 9))
    assert await worker.wait() == 78
    assert "cannot be started any more" in worker.log.read_text()
    failed = await bench.updates(3)
    assert {update.failure.code for update in failed} == {"SCRIPT_NOT_READY"}
    start()  # another worker, whose script starts
    others = await bench.updates(8 - len(failed))
    assert {update.status for update in others} == {TaskStatus.SUCCEEDED}
    assert len(others) >= 4, "what was taken ahead was handed back"
    await until(bench.nothing_left)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_the_scripts_start_ends_the_worker(
    start_worker, write_script, tmp_path, number
):
    note = tmp_path / "pid"
    script = write_script(f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 300")
    worker = start_worker(script, VNAS_SCRIPT_MODE="persistent", VNAS_SLOTS="1")
    await until(note.exists)
    worker.process.send_signal(number)
    await asyncio.wait_for(worker.wait(), timeout=10)
    await until(lambda: not is_alive(int(note.read_text())))
