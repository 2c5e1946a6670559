"""A request as vnvs holds it, and workers on it, in this process or in processes of their own."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vnas.ahead import Ahead
from vnas.attempt import Attempts
from vnas.scriptfile import ScriptFile
from vnas.withdrawn import watching
from vnas.work import Worker
from vncore import held
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.logs import logger
from vncore.messages import (
    IngestEntry,
    TaskDispatch,
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
        self,
        *tasks: int,
        deadline_ms: int | None = None,
        attempt: int = 1,
        slice_tasks: int = 1,
    ) -> list[str]:
        """Queue tasks; gives the ids of their entries."""
        new = [
            NewTask(
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
        entries = await self.held.dispatch(new, slice_tasks=slice_tasks)
        return list(dict.fromkeys(entries.values()))

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

    async def deliveries(self, entry_id: str) -> int:
        [row] = await self.connections.commands.xpending_range(
            self.keys.dispatch, WORKERS, min=entry_id, max=entry_id, count=1
        )
        return int(row["times_delivered"])

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


@asynccontextmanager
async def working(
    bench: Bench,
    make_runner,
    script: Path,
    *,
    slots: int = 2,
    idle_ms: int = 10_000,
    name: str = "w1",
    ahead: Ahead | None = None,
    max_deliveries: int = 3,
) -> AsyncIterator[None]:
    """A worker in this process, drained at the end."""
    stop = asyncio.Event()
    ahead = ahead or Ahead(slots)
    store = TaskStore(
        bench.connections.commands, bench.keys, settle_wait_seconds=ahead.settle_wait_seconds
    )
    async with watching(store) as withdrawals:
        worker = Worker(
            store,
            Attempts(
                make_runner(script), ScriptFile(script), output_bytes=10_000_000, clock=now_ms
            ),
            withdrawals,
            ahead,
            worker_id=name,
            max_deliveries=max_deliveries,
        )
        consumer = Consumer(bench.connections, bench.keys.dispatch, WORKERS, name, idle_ms=idle_ms)
        serving = asyncio.ensure_future(
            serve(
                consumer,
                worker.handle,
                slots=ahead.room,
                stop=stop,
                log=logger("vnas"),
                alone_at=max_deliveries,
            )
        )
        try:
            yield
        finally:
            stop.set()
            await serving


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
