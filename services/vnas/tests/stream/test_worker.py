"""The worker on a real server: from a dispatch entry to a settled attempt."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnas.scriptfile import ScriptFile
from vnas.work import Worker
from vncore import held
from vncore.connection import Connections
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.logs import logger
from vncore.messages import (
    IngestEntry,
    TaskDispatch,
    TaskStatus,
    TaskUpdate,
    Trace,
)
from vncore.requests import RequestStore, Submission
from vncore.serving import serve
from vncore.streams import Consumer, ensure_group
from vncore.tasks import TaskStore

TRACE = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "client-1")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition (plain or awaitable) with a deadline."""
    deadline = time.monotonic() + seconds
    while True:
        met = condition()
        if asyncio.iscoroutine(met):
            met = await met
        if met:
            return
        assert time.monotonic() < deadline, "the condition was not met in time"
        await asyncio.sleep(0.01)


def document(task: int) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<vnml><project><group name="prices">'
        f'<valuation name="bond"><n>{task}</n><vndb externalId="{task}"/></valuation>'
        "</group></project></vnml>"
    ).encode()


@dataclass
class Bench:
    """One request with an open group, as vnvs holds it."""

    connections: Connections
    keys: Keys
    held: held.HeldRequest

    @property
    def request_id(self) -> RequestId:
        return self.held.request_id

    async def dispatch(
        self, *tasks: int, deadline_ms: int | None = None, attempt: int = 1
    ) -> list[str]:
        new = [
            held.NewTask(
                TaskDispatch(
                    self.request_id,
                    DEFAULT_TENANT,
                    0,
                    "prices",
                    TaskId(task),
                    "bond",
                    attempt,
                    deadline_ms,
                    TRACE,
                ),
                document(task),
                b"[]",
            )
            for task in tasks
        ]
        return list((await self.held.dispatch(new)).values())

    async def updates(self, count: int, seconds: float = 20.0) -> list[TaskUpdate]:
        found: list[TaskUpdate] = []
        deadline = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {found} arrived in time"
            found += [received.update for received in await self.held.updates()]
        return found

    async def queued(self) -> int:
        return int(await self.connections.commands.xlen(self.keys.dispatch))

    async def pending(self) -> int:
        summary = await self.connections.commands.xpending(self.keys.dispatch, WORKERS)
        return int(summary["pending"])

    async def result(self, task: int) -> bytes | None:
        return (await self.held.results(0, [TaskId(task)])).get(TaskId(task))

    async def nothing_left(self) -> bool:
        return await self.queued() == 0 and await self.pending() == 0


async def open_bench(connections: Connections, keys: Keys) -> Bench:
    request_id = new_request_id()
    store = RequestStore(connections.commands, keys)
    await store.submit(Submission(request_id, b"<vnml/>", group_count=1, received_at_ms=now_ms()))
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    orchestrator = Consumer(connections, keys.ingest, ORCHESTRATORS, "o", idle_ms=60_000)
    await orchestrator.join()
    [delivery] = await orchestrator.read(1)
    entry = IngestEntry.from_fields(delivery.fields)
    request = await held.begin(connections, keys, entry, delivery.entry_id, now_ms)
    assert request is not None
    await request.start_group(0, "prices", 10)
    return Bench(connections, keys, request)


@pytest.fixture
async def bench(connections: Connections, keys: Keys) -> Bench:
    return await open_bench(connections, keys)


@asynccontextmanager
async def working(
    bench: Bench, make_runner, script: Path, *, slots: int = 2, idle_ms: int = 10_000, name="w1"
) -> AsyncIterator[None]:
    """A worker in this process, drained at the end."""
    stop = asyncio.Event()
    worker = Worker(
        TaskStore(bench.connections.commands, bench.keys),
        make_runner(script),
        ScriptFile(script),
        worker_id=name,
        max_deliveries=3,
        output_bytes=10_000_000,
        clock=now_ms,
    )
    consumer = Consumer(bench.connections, bench.keys.dispatch, WORKERS, name, idle_ms=idle_ms)
    serving = asyncio.ensure_future(
        serve(consumer, worker.handle, slots=slots, stop=stop, log=logger("vnas"))
    )
    try:
        yield
    finally:
        stop.set()
        await serving


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


# --- worker processes ----------------------------------------------------------------------------


class WorkerProcess:
    """``vnas`` as it is deployed: a process of its own with its own environment."""

    def __init__(self, redis_url: str, script: Path, log: Path, **settings: str) -> None:
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [Path(sys.executable).parent / "vnas"],
                env={
                    "PATH": os.environ["PATH"],
                    "REDIS_URL": redis_url,
                    "VNAS_SCRIPT": str(script),
                    "VNAS_SLOTS": "2",
                    "TASK_WAIT_TIMEOUT_MS": "600",
                    "DEFAULT_BLOCK_MS": "200",
                    **settings,
                },
                stderr=stderr,
            )

    def says(self, event: str) -> bool:
        return any(
            json.loads(line)["message"] == event for line in self.log.read_text().splitlines()
        )

    async def wait(self) -> int:
        await until(lambda: self.process.poll() is not None)
        return self.process.returncode

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def start_worker(redis_url, tmp_path) -> Iterator[Callable[..., WorkerProcess]]:
    """Give a function that starts worker processes, ended with the test."""
    started: list[WorkerProcess] = []

    def start(script: Path, **settings: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(WorkerProcess(redis_url, script, log, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.end()


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
    left = int(starts.read_text().split()[0])
    await until(lambda: not Path(f"/proc/{left}").exists())
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
async def test_what_does_not_end_in_time_is_killed_and_handed_back(
    bench, start_worker, write_script, tmp_path, signals, drain_ms
):
    started = tmp_path / "started"
    script = write_script(
        f"trap '' TERM; echo $$ > {started}.new; mv {started}.new {started};"
        " while :; do sleep 1; done"
    )
    worker = start_worker(script, VNAS_DRAIN_MS=drain_ms)
    await bench.dispatch(1)
    await until(started.exists)
    worker.process.terminate()
    if signals == 2:
        await until(lambda: worker.says("draining"))
        worker.process.terminate()
    assert await worker.wait() == 0
    assert worker.says("handing_back")
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert (await bench.queued(), await bench.pending()) == (1, 1), "pending: another will take it"
    assert await bench.result(1) is None


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
