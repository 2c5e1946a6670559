"""Workers as they are deployed: killed, drained, and what becomes of their scripts."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
import redis
from processes import is_alive
from workbench import Bench, WorkerProcess, now_ms, open_bench, until

from vnclient.local.valkey import ValkeyServer
from vncore.cancel import cancel
from vncore.keys import WORKERS, Keys
from vncore.messages import RequestStatus, TaskStatus


def pids(note: Path) -> list[int]:
    """Read the process ids that scripts noted in a file, a line each."""
    return [int(pid) for pid in note.read_text().split()] if note.exists() else []


def lines(note: Path) -> int:
    return len(note.read_text().splitlines()) if note.exists() else 0


def alive(note: Path) -> list[int]:
    """Give those of them that run."""
    return [pid for pid in pids(note) if is_alive(pid)]


async def nobody_reads(bench: Bench) -> bool:
    return (await bench.connections.commands.info("clients"))["blocked_clients"] == 0


async def test_another_worker_takes_over_from_one_that_was_killed(
    bench, start_worker, write_script, tmp_path
):
    starts = tmp_path / "starts"
    script = write_script(
        f"echo $$ >> {starts}; [ $(wc -l < {starts}) = 1 ] && exec sleep 30; echo 1"
    )
    await bench.dispatch(1)
    first = start_worker(script)
    await until(starts.exists)
    first.process.kill()
    start_worker(script)
    [update] = await bench.updates(1)
    await until(lambda: not alive(starts))
    assert update.status is TaskStatus.SUCCEEDED
    assert update.worker_id.startswith("vnas-")
    assert len(starts.read_text().splitlines()) == 2
    await until(bench.nothing_left)


async def test_the_first_sigterm_drains(bench, start_worker, write_script, tmp_path):
    started, gate = tmp_path / "started", tmp_path / "gate"
    script = write_script(f": > {started}; while [ ! -e {gate} ]; do sleep 0.01; done; echo 1")
    worker = start_worker(script)
    await bench.dispatch(1)
    await until(started.exists)
    worker.process.terminate()
    await until(lambda: worker.says("draining"))
    await until(lambda: nobody_reads(bench))
    await bench.dispatch(2)
    gate.touch()
    [update] = await bench.updates(1)
    assert update.task_id == 1
    assert await worker.wait() == 0
    assert (await bench.queued(), await bench.pending()) == (1, 0), "task 2 waits for another"
    consumers = await bench.connections.commands.xinfo_consumers(bench.keys.dispatch, WORKERS)
    assert consumers == [], "a drained worker leaves its group"


@pytest.mark.parametrize(
    ("signals", "drain_ms"),
    [
        pytest.param(2, "60000", id="a second SIGTERM"),
        pytest.param(1, "100", id="the end of the grace period"),
    ],
)
async def test_what_does_not_end_in_time_is_killed_and_runs_at_once_elsewhere_uncounted(
    bench, start_worker, write_script, tmp_path, signals, drain_ms
):
    starts = tmp_path / "starts"
    script = write_script(
        f"trap '' TERM; setsid sleep 300 & echo $$ $! >> {starts}; while :; do sleep 1; done"
    )
    # Nobody could take it for silent within this test: it has to be handed back.
    worker = start_worker(script, VNAS_DRAIN_MS=drain_ms, TASK_WAIT_TIMEOUT_MS="60000")
    [entry_id] = await bench.dispatch(1)
    await until(lambda: lines(starts) == 1)
    worker.process.terminate()
    if signals == 2:
        await until(lambda: worker.says("draining"))
        assert pids(starts) == alive(starts), "the first lets it run"
        worker.process.terminate()
    await until(lambda: worker.says("handing_back"))
    await until(lambda: not alive(starts), seconds=1.0)
    assert await worker.wait() == 0
    assert (await bench.queued(), await bench.pending()) == (1, 1), "another will take it"
    assert await bench.result(1) is None

    start_worker(script, TASK_WAIT_TIMEOUT_MS="60000")
    await until(lambda: lines(starts) == 2)
    assert await bench.deliveries(entry_id) == 1


async def test_signals_after_the_second_do_not_disturb_the_handing_back(
    bench, start_worker, write_script, tmp_path
):
    starts = tmp_path / "starts"
    worker = start_worker(write_script(f"echo $$ >> {starts}; sleep 60"), VNAS_DRAIN_MS="60000")
    [entry_id] = await bench.dispatch(1)
    await until(lambda: lines(starts) == 1)
    worker.process.terminate()
    await until(lambda: worker.says("draining"))
    while worker.process.poll() is None:
        worker.process.terminate()
        await asyncio.sleep(0.001)
    # When all is done, and only the interpreter is left to end, a signal ends that.
    assert worker.process.returncode in (0, -signal.SIGTERM)
    assert worker.says("worker_stopped")
    assert not alive(starts)
    assert await bench.deliveries(entry_id) == 0, "handed back: the next one is the first"


# --- workers that die -----------------------------------------------------------------------------


DAEMON = """
import os, sys, time
from pathlib import Path
note = Path({note!r})
for _ in range(2):  # as daemons do
    if os.fork():
        time.sleep(300)
    os.setsid()
os.chdir("/")
with note.open("a") as file:
    file.write(f"{{os.getpid()}} {{os.getppid()}}\\n")
time.sleep(300)
"""


async def test_no_process_of_a_script_survives_its_killed_worker(
    bench, start_worker, write_script, tmp_path
):
    note = tmp_path / "note"
    script = write_script(DAEMON.format(note=str(note)), interpreter=sys.executable)
    worker = start_worker(script)
    await bench.dispatch(1)
    await until(lambda: lines(note) == 1)
    assert len(alive(note)) == 2
    worker.process.kill()
    await until(lambda: not alive(note))


async def test_a_task_that_kills_its_workers_is_refused_and_those_beside_it_end_well(
    bench, start_worker, write_script
):
    script = write_script(
        'if [ "$VN_TASK_ID" = 2 ]; then sleep 0.3; kill -9 $PPID; fi; sleep 0.6; echo $VN_TASK_ID'
    )
    ids = await bench.dispatch(1, 2, 3)
    killed = 0

    async def supervised() -> None:
        nonlocal killed
        while True:
            status = await start_worker(script, VNAS_SLOTS="3").wait()
            assert status == -signal.SIGKILL
            killed += 1

    supervising = asyncio.ensure_future(supervised())
    try:
        updates = {update.task_id: update for update in await bench.updates(3, seconds=40)}
    finally:
        supervising.cancel()
    assert killed == 3
    assert [updates[task].status for task in (1, 3)] == [TaskStatus.SUCCEEDED] * 2
    failure = updates[2].failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("TASK_POISONED", False)
    assert len(ids) == 3
    await until(bench.nothing_left)


# --- requests that are over -----------------------------------------------------------------------


async def test_all_processes_of_a_cancelled_request_are_gone_within_two_seconds(
    bench, start_worker, write_script, tmp_path
):
    note = tmp_path / "note"
    script = write_script(DAEMON.format(note=str(note)), interpreter=sys.executable)
    worker = start_worker(script)
    await bench.dispatch(1, 2)
    await until(lambda: lines(note) == 2)
    status = await cancel(
        bench.connections.commands, bench.keys, bench.request_id, ttl_seconds=60, clock=now_ms
    )
    assert status is RequestStatus.CANCELLED
    await until(lambda: not alive(note), seconds=2.0)
    await until(bench.nothing_left)
    assert worker.says("task_withdrawn")
    assert await bench.connections.commands.exists(bench.keys.updates(bench.request_id)) == 0


# --- the server -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        pytest.param(("--maxmemory-policy", "allkeys-lru"), {}, "allkeys-lru", id="evicting"),
        pytest.param((), {"DURABILITY": "fsync"}, "appendfsync is everysec", id="no fsync"),
    ],
)
async def test_a_worker_does_not_work_on_a_server_that_breaks_promises(
    tmp_path, options, settings, words
):
    with ValkeyServer(tmp_path / "v", options=options) as server:
        worker = WorkerProcess(server.url, Path("/bin/cat"), tmp_path / "log", **settings)
        try:
            assert await worker.wait() == 78
        finally:
            worker.end()
        with redis.Redis.from_url(server.url) as client:
            assert client.keys("*") == [], "nothing was taken, nothing made"
    assert words in worker.log.read_text().splitlines()[-1]


async def test_a_worker_that_waits_for_its_server_ends_at_a_signal(tmp_path):
    worker = WorkerProcess(f"unix://{tmp_path}/none", Path("/bin/cat"), tmp_path / "log")
    try:
        await until(lambda: worker.says("server_awaited"))
        worker.process.terminate()
        assert await worker.wait() == 0
    finally:
        worker.end()


# --- what a script sees ---------------------------------------------------------------------------


async def test_nothing_of_the_workers_environment_reaches_the_script(
    bench, start_worker, write_script
):
    script = write_script(
        "env >&2; tr '\\0' '\\n' < /proc/self/environ >&2; ls -l /proc/$$/fd >&2; exit 65"
    )
    start_worker(script, AWS_SECRET_ACCESS_KEY="do-not-tell", PYTHONUNBUFFERED="1")
    await bench.dispatch(1)
    [update] = await bench.updates(1)
    assert update.failure is not None
    seen = update.failure.stderr_tail
    assert "VN_TASK_ID=1" in seen
    for leak in ("REDIS", "do-not-tell", "VNAS_", "PYTHON", "socket:"):
        assert leak not in seen


async def test_a_worker_of_another_cell_works_on_its_own_keys(connections, start_worker):
    bench = await open_bench(connections, Keys("{vn-3}"))
    start_worker(Path("/bin/cat"), REDIS_KEY_PREFIX="{vn-3}")
    await bench.dispatch(1)
    [update] = await bench.updates(1)
    assert update.status is TaskStatus.SUCCEEDED
    assert all(key.startswith(b"{vn-3}") for key in await connections.commands.keys("*"))
