"""What stream tests of vnvs stand on: a submitted request, a worker, an orchestrator to stop."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from assignments import Answer, assigned, ended, settle_only

from vncore import held
from vncore.connection import Connections
from vncore.failures import Failure
from vncore.ids import RequestId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.messages import IngestEntry, RequestStatus, TaskDispatch
from vncore.requests import RequestStore, Submission
from vncore.streams import Consumer, Delivery, ensure_group, read_group
from vncore.tasks import Assignment, Settled, Settlement, TaskStore
from vncore.xml import parse, serialise
from vnvs.durations import Durations
from vnvs.hydration import HydrationLimits
from vnvs.hydrator import Hydrator
from vnvs.orchestrate import orchestrate
from vnvs.retry import RetryPolicy
from vnvs.sources import Sources
from vnvs.steps import Tools
from vnvs.workforce import Workforce

TTL_SECONDS, FAILED_TTL_SECONDS = 60, 600
RECEIVED_MS = 1_789_600_000_000  # 2026-09-16

BROKEN = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True, stderr_tail="boom")
REJECTED = Failure("SCRIPT_REJECTED_DATA", "data", "no such curve", exit_status=65)

TWO_GROUPS = b"""<?xml version="1.0" encoding="UTF-8"?>
<vnml><project>
  <market name="USD" date="2026-09-17"/>
  <portfolio>
    <instrument name="B1"/><instrument name="B2"/><instrument name="B3"/>
  </portfolio>
  <group name="prices">
    <valuation name="bond" use="vn:link(/vnml/project/portfolio, instrument)">
      <analytics><price><amount/></price></analytics>
      <instrument select="."/>
    </valuation>
  </group>
  <group name="totals">
    <valuation name="total">
      <analytics><price><amount/></price></analytics>
      <first select="//group[1]/valuation[1]/analytics/price/amount/text()"/>
    </valuation>
  </group>
</project></vnml>"""

ONE_TASK = b"""<vnml><project><group name="g"><valuation name="v">
  <analytics><price><amount/></price></analytics></valuation></group></project></vnml>"""


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


class InThread:
    """Runs hydration in a thread of the test: the stand-in for the pool where only the order of
    steps matters."""

    async def run(
        self, function: Callable[..., Any], *, asked=None, near: str = "", **arguments: Any
    ) -> Any:
        loop = asyncio.get_running_loop()

        def asking(answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Any]:
            return lambda question: asyncio.run_coroutine_threadsafe(answer(question), loop).result(
                10
            )

        for name, answer in (asked or {}).items():
            arguments[name] = asking(answer)
        return await asyncio.to_thread(function, **arguments)


@dataclass
class House:
    """One cell: an empty server and the parts of an orchestrator on it."""

    connections: Connections
    keys: Keys
    tools: Tools
    worker: "Worker"

    @property
    def redis(self):
        return self.connections.commands

    async def submit(self, document: bytes, groups: int = 1, **more: Any) -> RequestId:
        request_id = new_request_id()
        await self.tools.store.submit(
            Submission(request_id, document, group_count=groups, received_at_ms=RECEIVED_MS, **more)
        )
        return request_id

    async def run(self, request_id: RequestId, *, working: bool = True) -> None:
        """Take the one request that waits, and bring it to its end."""
        request = await self.begin(*await self.take())
        assert request is not None
        assert request.request_id == request_id
        async with asyncio.timeout(20), self.worker.working() if working else nullcontext():
            await self.orchestrate(request)

    async def orchestrate(self, request: held.HeldRequest) -> None:
        await orchestrate(request, self.tools)

    async def settle(self, delivery: Delivery, answer: Answer) -> Settled:
        return await settle_only(TaskStore(self.redis, self.keys), delivery, answer)

    async def take_over_tasks(self, name: str) -> None:
        """Let a worker skip what an earlier one of its name had read and not finished."""
        store = TaskStore(self.redis, self.keys)
        for delivery in await read_group(
            self.redis, self.keys.dispatch, WORKERS, name, count=None, block_ms=None, pending=True
        ):
            assert not (await store.fetch(assigned(delivery, name))).request_is_open
            await store.discard(delivery.entry_id)

    async def take(self, name: str = "orchestrator") -> tuple[IngestEntry, str]:
        """Take the oldest request off the ingest stream."""
        consumer = Consumer(self.connections, self.keys.ingest, ORCHESTRATORS, name, idle_ms=60_000)
        await consumer.join()
        [delivery] = await consumer.read(1)
        return IngestEntry.from_fields(delivery.fields), delivery.entry_id

    async def begin(self, entry: IngestEntry, entry_id: str) -> held.HeldRequest | None:
        return await held.begin(self.connections, self.keys, entry, entry_id, self.tools.clock)

    async def assert_nothing_is_left(self) -> None:
        """Check that queues are empty and that each key a request left has an expiry."""
        assert await self.redis.xlen(self.keys.ingest) == 0
        assert await self.redis.xlen(self.keys.dispatch) == 0
        for stream, group in (
            (self.keys.ingest, ORCHESTRATORS),
            (self.keys.dispatch, WORKERS),
        ):
            assert (await self.redis.xpending(stream, group))["pending"] == 0
        permanent = {self.keys.ingest, self.keys.dispatch, self.keys.lifecycle}
        for key in await self.redis.keys():
            name = key.decode()
            assert "updates" not in name
            assert name in permanent or await self.redis.ttl(key) > 0, name


def tools(connections: Connections, keys: Keys, pool: Any, **changes: Any) -> Tools:
    parts: dict[str, Any] = {
        "store": RequestStore(connections.commands, keys),
        "hydrator": Hydrator(pool, HydrationLimits(), None),
        "sources": Sources({}, max_bytes=1_000_000, timeout_seconds=5),
        "fetched_bytes": 10_000_000,
        "workforce": Workforce(connections.commands, keys),
        "policy": RetryPolicy(3, jitter=lambda: 0.5, first_wait_ms=10, cap_ms=20),
        "durations": Durations(slice_seconds=0.02),
        "request_ttl_seconds": TTL_SECONDS,
        "failed_ttl_seconds": FAILED_TTL_SECONDS,
        "clock": epoch_ms,
    }
    return Tools(**{**parts, **changes})


def priced(document: bytes, task: TaskDispatch) -> bytes:
    """Give a task's valuation back with a price in it: its group, task and instrument."""
    valuation = parse(document).find("project/group/valuation")
    for amount in valuation.iterfind("analytics/price/amount"):
        amount.text = f"{task.group_index + 1}.{task.task_id:03d}"
    return serialise(valuation, declaration=False)


@dataclass
class Worker:
    """Works on tasks as vnas does, with a function of the test in place of the script."""

    connections: Connections
    keys: Keys
    answer: Callable[[TaskDispatch, bytes], Answer | Awaitable[Answer]] = lambda task, xml: priced(
        xml, task
    )
    taken: list[TaskDispatch] = field(default_factory=list)
    documents: dict[tuple[int, int], bytes] = field(default_factory=dict)
    entries: list[int] = field(default_factory=list)  # how many tasks each had
    duration_ms: int = 5  # as it is told, of each attempt

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Worker"]:
        stopping = asyncio.Event()
        loop = asyncio.create_task(self._work(stopping))
        try:
            yield self
        finally:
            stopping.set()  # the client may swallow a cancellation while it connects
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            if not loop.cancelled() and loop.exception():
                raise loop.exception()

    async def join(self) -> None:
        await ensure_group(self.connections.commands, self.keys.dispatch, WORKERS)

    async def _work(self, stopping: asyncio.Event) -> None:
        consumer = Consumer(self.connections, self.keys.dispatch, WORKERS, "w", idle_ms=60_000)
        store = TaskStore(self.connections.commands, self.keys)
        await consumer.join()
        while not stopping.is_set():
            for delivery in await consumer.read(100):
                await self._work_on(store, assigned(delivery))

    async def _work_on(self, store: TaskStore, assignment: Assignment) -> None:
        self.entries.append(len(assignment.tasks))
        payload = await store.fetch(assignment)
        if not payload.request_is_open:
            await store.discard(assignment.entry_id)
            return
        settlements: list[Settlement] = []
        for task in assignment.tasks:
            text = payload.documents[task.task_id]
            assert text is not None
            self.taken.append(task)
            self.documents[task.group_index, task.task_id] = text.xml
            answer = self.answer(task, text.xml)
            if inspect.isawaitable(answer):  # what has ended does not wait for it
                await store.settle(assignment, settlements)
                settlements = []
                answer = await answer
            settlements.append(ended(task, answer, self.duration_ms))
        await store.settle(assignment, settlements)


class StopsAt:
    """A request whose orchestrator is stopped dead before or after its nth call of one kind."""

    def __init__(self, request: held.HeldRequest, step: str, nth: int, *, after: bool) -> None:
        self._request = request
        self._step = step
        self._nth = nth
        self._after = after
        self._count = count(1)
        self.has_stopped = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._request, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.has_stopped:
                raise asyncio.CancelledError
            if name != self._step or next(self._count) != self._nth:
                return await value(*args, **kwargs)
            self.has_stopped = True
            if self._after:
                await value(*args, **kwargs)
            raise asyncio.CancelledError

        return call


async def run(house: House, document: bytes, groups: int = 1) -> RequestId:
    """Bring one request to its end."""
    request_id = await house.submit(document, groups)
    await house.run(request_id)
    return request_id


async def failure_of(house: House, request_id: RequestId) -> dict:
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED
    report = await house.tools.store.failure(request_id)
    assert report is not None
    return report


def prices(response: bytes) -> list[str]:
    return [amount.text or "" for amount in parse(response).iter("amount")]
