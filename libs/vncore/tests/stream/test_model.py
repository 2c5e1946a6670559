"""Any order of any calls: the scripts on a real server against a model of what must be true.

Several requests, each with several orchestrators that go on trying with old epochs, entries of
several tasks, workers of any run that settle parts of them, put tasks off, die, are late or taken
over, clients that repeat, cancel and redrive. After each step the server is read whole: it must be
what the model says, and the promises must hold of it.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import hypothesis
import pytest
from assignments import ended
from hypothesis import HealthCheck, note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from vnclient.local.valkey import ValkeyServer
from vncore import held
from vncore.cancel import cancel
from vncore.cleanup import clean_up
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.errors import InvalidRequest, Superseded
from vncore.failures import Failure
from vncore.fsck import Fault, check
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import (
    DONE,
    FAILURE,
    ORCHESTRATORS,
    RETRY,
    WORKERS,
    Keys,
    done_field,
    update_readers,
)
from vncore.messages import (
    TERMINAL,
    IngestEntry,
    LifecycleEvent,
    RequestStatus,
    TaskDispatch,
    TaskStatus,
    TaskUpdate,
    Trace,
    tasks_of,
    updates_of,
)
from vncore.redrive import redrive
from vncore.requests import Idempotency, RequestStore, Submission
from vncore.settling import FinalFailure, ReceivedUpdate
from vncore.streams import ensure_group, read_group
from vncore.tasks import Assignment, Settled, TaskStore

KEYS = Keys()
TTL_SECONDS, FAILED_TTL_SECONDS = 600, 6_000
BROKEN = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True)
LEFT_IN_THE_QUEUE = {Fault.DISPATCH_ENTRY_LEFT_BEHIND}  # until a worker skips it
ENDS = {"succeed", "end_partial", "fail"}  # calls of an orchestrator
CLIENT_KEYS = ("", "", "key-1", "key-2")
MOST_REQUESTS = 3

SIZES = st.lists(st.sampled_from([2, 3, 1, 4, 0]), min_size=1, max_size=2)  # tasks of each group

SLICES = st.sampled_from([2, 1, 4, 3])  # tasks that may share an entry

Draw = st.DataObject
T = TypeVar("T")


# --- what must be true ----------------------------------------------------------------------------


@dataclass
class Group:
    size: int
    status: str = ""  # empty: there is none yet
    dispatched: int = 0
    documents: dict[int, bytes] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    failures: set[int] = field(default_factory=set)
    retries: dict[int, int] = field(default_factory=dict)  # the next attempt by task

    @property
    def completed(self) -> int:
        """A result of an earlier run only counts once its task is dispatched again."""
        return sum(task <= self.dispatched for task in self.results)

    @property
    def is_done(self) -> bool:
        return self.completed + len(self.failures) == self.size


@dataclass
class Request:
    request_id: RequestId
    key: str  # of its client; empty: none
    groups: list[Group]
    sent_groups: int  # as many as the document had before its hydration
    status: RequestStatus = RequestStatus.RECEIVED
    run: int = 1
    epoch: int = 0
    current_group: int | None = None
    hydrated: bool = False
    reports: dict[str, tuple[TaskUpdate, ...]] = field(default_factory=dict)
    """What is told on its stream, by entry."""
    deliveries: list[tuple[str, IngestEntry]] = field(default_factory=list)  # one for each run
    plan: dict[tuple[int, int, int], tuple[bytes, bool]] = field(default_factory=dict)
    """Document of a task in a run, and whether it can be run: the same for every successor."""

    def __repr__(self) -> str:
        return f"{self.request_id[:4]} {self.status} run {self.run} epoch {self.epoch}"

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL

    @property
    def group_count(self) -> int:
        return len(self.groups) if self.hydrated else self.sent_groups

    @property
    def task_counts(self) -> list[int]:
        return [group.size for group in self.groups if group.status]

    def next_group(self) -> int | None:
        for index, group in enumerate(self.groups):
            if group.status != "completed":
                return index
        return None


@dataclass
class Orchestrator:
    """Somebody who holds, or once held, a request."""

    held: held.HeldRequest
    request: Request

    def __repr__(self) -> str:
        return f"epoch {self.held.epoch} of {self.request}"

    @property
    def is_current(self) -> bool:
        return self.request.is_open and self.held.epoch == self.request.epoch


@dataclass
class Entry:
    """A dispatch entry, and who has had it."""

    entry_id: str
    tasks: tuple[TaskDispatch, ...]
    workers: list[str] = field(default_factory=list)  # the last one has it
    done: set[TaskId] = field(default_factory=set)  # settled, or moved to another entry

    def __repr__(self) -> str:
        task = self.tasks[0]
        at = f"run {task.run} group {task.group_index} tasks {self.numbers}"
        return f"{task.request_id[:4]} {at} but {self.done or None}, had by {self.workers}"

    @property
    def owner(self) -> str:
        return self.workers[-1] if self.workers else ""

    @property
    def numbers(self) -> list[TaskId]:
        return [task.task_id for task in self.tasks]

    @property
    def open(self) -> list[TaskId]:
        return [number for number in self.numbers if number not in self.done]

    @property
    def work(self) -> tuple[RequestId, int, int]:
        task = self.tasks[0]
        return task.request_id, task.run, task.group_index

    def held_by(self, worker: str) -> Assignment:
        return Assignment(self.entry_id, worker, self.tasks)


# --- what there is --------------------------------------------------------------------------------


@dataclass
class Seen:
    """Everything that the server has."""

    values: dict[str, Any]
    ttl: dict[str, int]  # seconds; -1: for ever
    outstanding: dict[str, set[str]]  # entry ids by stream: pending, or still to be delivered


GROUPS = {KEYS.ingest: ORCHESTRATORS, KEYS.dispatch: WORKERS}


async def look(redis: Any) -> Seen:
    names = sorted(name.decode() for name in await redis.keys())
    async with redis.pipeline() as pipe:
        for name in names:
            pipe.type(name)
            pipe.ttl(name)
        read = await pipe.execute()
    types = dict(zip(names, (kind.decode() for kind in read[::2]), strict=True))
    async with redis.pipeline() as pipe:
        for name, kind in types.items():
            if kind == "hash":
                pipe.hgetall(name)
            elif kind == "string":
                pipe.get(name)
            elif kind == "zset":
                pipe.zcard(name)
            else:
                pipe.xrange(name)
        streams = [
            name for name, kind in types.items() if kind == "stream" and name != KEYS.lifecycle
        ]
        for name in streams:
            group = GROUPS.get(name) or update_readers(RequestId(name.rpartition(":")[2]))
            pipe.xpending_range(name, group, min="-", max="+", count=10_000)
            pipe.xinfo_groups(name)
        answers = await pipe.execute()
    values = dict(zip(names, map(decoded, answers[: len(names)]), strict=True))
    pending, groups = answers[len(names) :: 2], answers[len(names) + 1 :: 2]
    outstanding = {}
    for name, rows, [group] in zip(streams, pending, groups, strict=True):
        held_ids = {row["message_id"].decode() for row in rows}
        last = order(group["last-delivered-id"].decode())
        outstanding[name] = {
            entry_id for entry_id in values[name] if entry_id in held_ids or order(entry_id) > last
        }
    return Seen(values, dict(zip(names, read[1::2], strict=True)), outstanding)


def decoded(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name.decode(): value.decode() for name, value in answer.items()}
    if isinstance(answer, list):  # a stream
        return {entry_id.decode(): decoded(fields) for entry_id, fields in answer}
    return answer


def order(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))


# --- the machine ----------------------------------------------------------------------------------


class House(RuleBasedStateMachine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.connections = self.wait(connected(url))
        self.redis = self.connections.commands
        self.store = RequestStore(self.redis, KEYS)
        self.tasks = TaskStore(self.redis, KEYS)
        ticks = count(1_000_000)
        self.clock = lambda: next(ticks)
        self.requests: list[Request] = []
        self.gone: list[Request] = []
        self.orchestrators: list[Orchestrator] = []
        self.entries: dict[str, Entry] = {}  # every one there ever was
        self.queued: set[str] = set()  # those that are still there
        self.results = count(1)  # makes each result one of its kind
        self.ends: Counter[tuple[RequestId, int]] = Counter()  # of runs
        self.seen = self.wait(look(self.redis))

    def wait(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    def teardown(self) -> None:
        try:
            self.wait(self.finally_clean())
        finally:
            self.wait(self.connections.aclose())
            self.runner.close()

    async def finally_clean(self) -> None:
        """Nothing to complain of as it stands; nor once everything has ended."""
        await self.assert_clean()
        for request in self.requests:
            await cancel(
                self.redis, KEYS, request.request_id, ttl_seconds=TTL_SECONDS, clock=self.clock
            )
        await self.assert_clean()
        assert await self.redis.xlen(KEYS.ingest) == 0
        await self.clean_up()
        assert await self.redis.xlen(KEYS.dispatch) == 0
        shared = {KEYS.ingest, KEYS.dispatch, KEYS.lifecycle}
        for name, seconds in (await look(self.redis)).ttl.items():
            assert seconds > 0 or name in shared, name

    async def assert_clean(self) -> None:
        """fsck has nothing to say but of tasks that are queued although their request is gone."""
        gone = {request.request_id for request in self.gone}
        queued = await self.redis.xrange(KEYS.dispatch)
        left = {entry_id.decode() for entry_id, f in queued if f[b"requestId"].decode() in gone}
        report = await check(self.redis, KEYS, pause_seconds=0, grace_seconds=-1)
        told = {one.key for one in report.violations if one.fault in LEFT_IN_THE_QUEUE}
        assert told == left, str(report)
        assert len(report.violations) == len(left), str(report)

    async def clean_up(self) -> None:
        await clean_up(
            self.redis,
            KEYS,
            request_ttl_seconds=TTL_SECONDS,
            failed_ttl_seconds=FAILED_TTL_SECONDS,
            task_wait_timeout_ms=0,
            clock=self.clock,
        )

    async def digest(self) -> dict[bytes, Any]:
        """Everything there is, byte by byte, in one look."""
        names = sorted(await self.redis.keys())
        async with self.redis.pipeline() as pipe:
            for name in names:
                # A large hash is dumped in whatever order its fields are just then.
                is_hash = name.startswith(b"state:") or name.endswith((b":hydrated", b":traces"))
                _ = pipe.hgetall(name) if is_hash else pipe.dump(name)
                pipe.pexpiretime(name)
            read = await pipe.execute()
        return dict(zip(names, zip(read[::2], read[1::2], strict=True), strict=True))

    async def repeated(self, call: Callable[[], Awaitable[Any]], *, twice: bool) -> Any:
        """Make a call, and again if its answer was lost: the second one changes nothing."""
        answer = await call()
        if twice:
            await self.repeated_in_vain(call)
        return answer

    async def refused(self, call: Callable[[], Awaitable[Any]], error: type[Exception]) -> None:
        """Make a call that must be refused, and change nothing."""
        before = await self.digest()
        with pytest.raises(error):
            await call()
        assert_same(await self.digest(), before)

    # --- clients ------------------------------------------------------------------------------

    @initialize(data=st.data(), sizes=SIZES, grows=st.booleans())
    def begin_with_one(self, data: Draw, sizes: list[int], grows: bool) -> None:
        """Not with an empty house: its first tasks are out."""
        self.submit("key-1", "d1", sizes, grows)
        self.orchestrate(self.requests[0], data, 3)

    @rule(
        key=st.sampled_from(CLIENT_KEYS),
        digest=st.sampled_from(["d1", "d1", "d2"]),
        sizes=SIZES,
        grows=st.booleans(),
    )
    def submit(self, key: str, digest: str, sizes: list[int], grows: bool) -> None:
        known = [request for request in self.requests if key and request.key.startswith(key)]
        if not known and len(self.requests) >= MOST_REQUESTS:
            return
        sent_groups = 1 if grows else len(sizes)
        request = Request(
            new_request_id(),
            key and f"{key} {digest}",
            [Group(size) for size in sizes],
            sent_groups,
        )
        submission = Submission(
            request.request_id,
            b"<vnml/>",
            group_count=sent_groups,
            received_at_ms=self.clock(),
            idempotency=Idempotency(key, digest) if key else None,
        )
        self.wait(self._submit(submission, request, known))

    async def _submit(self, submission: Submission, request: Request, known: list[Request]) -> None:
        if known:
            [first] = known
            if first.key != request.key:
                await self.refused(lambda: self.store.submit(submission), InvalidRequest)
                return
            before = await self.digest()
            submitted = await self.store.submit(submission)
            assert (submitted.request_id, submitted.replayed) == (first.request_id, True)
            assert_same(await self.digest(), before)
            return
        submitted = await self.repeated(lambda: self.store.submit(submission), twice=True)
        assert (submitted.request_id, submitted.replayed) == (request.request_id, False)
        self.requests.append(request)
        await self.delivered(request)

    async def delivered(self, request: Request) -> None:
        """Note the entry that a new run waits with."""
        entry_id = (await self.redis.hget(KEYS.state(request.request_id), "ingestEntry")).decode()
        [(_, fields)] = await self.redis.xrange(KEYS.ingest, entry_id, entry_id)
        entry = IngestEntry.from_fields(decoded(fields))
        assert (entry.request_id, entry.run) == (request.request_id, request.run)
        request.deliveries.append((entry_id, entry))

    def known(self) -> list[Request]:
        return self.requests + self.gone

    @precondition(lambda self: self.known())
    @rule(data=st.data(), how=st.sampled_from(["cancel", "fail", "time to live"]))
    def end_it(self, data: Draw, how: str) -> None:
        """An end that can come at any time."""
        request = pick(data, self.known())
        if how == "cancel":
            self.cancel(request)
        elif how == "fail":
            self.fail(request)
        elif not request.is_open and request not in self.gone:
            self.expire(request)

    def cancel(self, request: Request) -> None:

        async def call() -> RequestStatus | None:
            return await cancel(
                self.redis, KEYS, request.request_id, ttl_seconds=TTL_SECONDS, clock=self.clock
            )

        if request in self.gone or not request.is_open:
            expected = None if request in self.gone else request.status
            assert self.wait(self.unchanged(call)) is expected
            return
        assert self.wait(self.repeated(call, twice=True)) is RequestStatus.CANCELLED
        request.epoch += 1
        self.end(request, RequestStatus.CANCELLED)

    async def unchanged(self, call: Callable[[], Awaitable[Any]]) -> Any:
        before = await self.digest()
        answer = await call()
        assert_same(await self.digest(), before)
        return answer

    def end(self, request: Request, status: RequestStatus) -> None:
        request.status = status
        request.reports.clear()
        self.ends[request.request_id, request.run] += 1

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def ask_for_another_run(self, data: Draw) -> None:
        """Whatever became of it."""
        self.redrive(pick(data, self.known()))

    @precondition(lambda self: self.worth_another_run())
    @rule(data=st.data(), steps=st.integers(1, 4))
    def run_again(self, data: Draw, steps: int) -> None:
        """A request that has not come to all of its results begins again."""
        request = pick(data, self.worth_another_run())
        self.redrive(request)
        self.as_the_model_says()
        self.orchestrate(request, data, steps)

    def worth_another_run(self) -> list[Request]:
        return [
            request
            for request in self.requests
            if not request.is_open
            and request.status is not RequestStatus.SUCCEEDED
            and any(group.documents for group in request.groups)
        ]

    def redrive(self, request: Request) -> None:
        async def call() -> int | None:
            return await redrive(
                self.redis,
                KEYS,
                request.request_id,
                deadline_at_ms=None,
                trace=Trace(),
                clock=self.clock,
            )

        if request in self.gone:
            assert self.wait(self.unchanged(call)) is None
            return
        if request.is_open or request.status is RequestStatus.SUCCEEDED:
            self.wait(self.refused(call, InvalidRequest))
            return
        request.run += 1
        assert self.wait(call()) == request.run
        request.epoch += 1
        request.status = RequestStatus.RECEIVED
        request.current_group = None
        reopen = False
        for group in request.groups:
            reopen = reopen or group.status != "completed" or bool(group.failures)
            if reopen and group.status:
                group.status, group.dispatched = "reopened", 0
                group.failures.clear()
                group.retries.clear()
        self.wait(self.delivered(request))

    def expire(self, request: Request) -> None:
        names = [name for name in self.seen.values if request.request_id in name]
        if request.key:
            names.append(KEYS.idempotency(DEFAULT_TENANT, request.key.split()[0]))
        self.wait(self.redis.delete(*names))
        self.requests.remove(request)
        self.gone.append(request)

    # --- orchestrators ------------------------------------------------------------------------

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def begin(self, data: Draw) -> None:
        """Somebody takes, or takes over, an entry; of an earlier run, perhaps."""
        request = pick(data, self.known())
        entry_id, entry = pick(data, request.deliveries[::-1])
        self.wait(self._begin(request, entry_id, entry))

    async def _begin(self, request: Request, entry_id: str, entry: IngestEntry) -> None:
        await read_group(
            self.redis, KEYS.ingest, ORCHESTRATORS, "orchestrator", count=100, block_ms=None
        )

        async def call() -> held.HeldRequest | None:
            return await held.begin(self.connections, KEYS, entry, entry_id, self.clock)

        if not request.is_open or entry.run != request.run:
            assert await self.unchanged(call) is None
            return
        one = await call()
        assert one is not None
        request.epoch += 1
        assert one.epoch == request.epoch
        one.block_ms = 1
        if request.status is RequestStatus.RECEIVED:
            request.status = RequestStatus.STARTED
        self.orchestrators.append(Orchestrator(one, request))

    def current(self) -> list[Orchestrator]:
        return [one for one in self.orchestrators if one.is_current]

    @precondition(lambda self: any(request.is_open for request in self.requests))
    @rule(data=st.data(), steps=st.integers(1, 8))
    def go_on(self, data: Draw, steps: int) -> None:
        """The orchestrator of a request does what is next, each call perhaps twice."""
        request = pick(data, [request for request in self.requests if request.is_open])
        self.orchestrate(request, data, steps)

    def orchestrate(self, request: Request, data: Draw, steps: int) -> None:
        if not any(one.request is request for one in self.current()):
            self.wait(self._begin(request, *request.deliveries[-1]))
        one = next(one for one in self.current() if one.request is request)
        for _ in range(steps):
            if one.is_current:
                self.wait(self._go_on(one, data))
                self.as_the_model_says()

    async def _go_on(self, one: Orchestrator, data: Draw) -> None:
        request, twice = one.request, data.draw(st.booleans(), label="twice")
        index = request.next_group()
        if not request.hydrated:
            fields = {"document": b"<vnml/>"}
            await self.repeated(
                lambda: one.held.save_hydrated(fields, len(request.groups)), twice=twice
            )
            request.hydrated = True
        elif index is None:
            await self.finish(one, twice=twice)
        elif request.groups[index].status != "started":
            await self.start_group(one, index, twice=twice)
        elif request.groups[index].dispatched < request.groups[index].size:
            await self.dispatch(one, index, data, twice=twice)
        elif request.reports:
            await self.act_on_a_report(one, data, twice=twice)
        elif request.groups[index].retries:
            await self.retry(one, index, data, twice=twice)
        elif request.groups[index].is_done:
            await self.complete_group(one, index, twice=twice)
        else:
            size = request.groups[index].size
            await self.refused(lambda: one.held.complete_group(index, size), RuntimeError)
            await self.work(data, "w1", data.draw(st.integers(0, 3), label="reports"))

    async def start_group(self, one: Orchestrator, index: int, *, twice: bool) -> None:
        request, group = one.request, one.request.groups[index]
        await self.repeated(lambda: one.held.start_group(index, "g", group.size), twice=twice)
        group.status, group.dispatched = "started", 0
        request.status, request.current_group = RequestStatus.GROUP_STARTED, index

    async def dispatch(self, one: Orchestrator, index: int, data: Draw, *, twice: bool) -> None:
        request, group = one.request, one.request.groups[index]
        last = data.draw(st.integers(group.dispatched + 1, group.size), label="last")
        first = data.draw(st.integers(1, group.dispatched + 1), label="first")
        new = [self.new_task(request, index, task, data) for task in range(first, last + 1)]
        most = data.draw(SLICES, label="slice")

        async def call() -> dict[TaskId, str]:
            return await one.held.dispatch(new, slice_tasks=most)

        entries = await call()
        if twice:
            assert await self.unchanged(call) == {}
        slices: dict[int, list[TaskDispatch]] = {}
        for at, task in enumerate(new):
            number = task.dispatch.task_id
            if number <= group.dispatched:
                continue
            kept = group.documents.get(number) == task.document and number in group.results
            group.documents[number] = task.document
            if task.failure or not kept:
                group.results.pop(number, None)
            if task.failure:
                group.failures.add(number)
            elif not kept:
                slices.setdefault(at // most, []).append(task.dispatch)
        group.dispatched = last
        expected = [[task.task_id for task in tasks] for tasks in slices.values()]
        ids = dict.fromkeys(entries.values())  # in task order
        assert [[task for task in entries if entries[task] == one] for one in ids] == expected
        for entry_id, tasks in zip(ids, slices.values(), strict=True):
            self.queue(entry_id, *tasks)

    def new_task(self, request: Request, index: int, task: int, data: Draw) -> NewTask:
        at = (request.run, index, task)
        if at not in request.plan:
            changed = data.draw(st.integers(0, 3), label="changed") == 0
            broken = data.draw(st.integers(0, 5), label="broken") == 0
            version = request.run if changed else 0
            request.plan[at] = (f"<task n='{task}' v='{version}'/>".encode(), broken)
        document, broken = request.plan[at]
        dispatch = self.attempt(request, index, task, 1)
        return NewTask(dispatch, document, b"[]", BROKEN if broken else None)

    def attempt(self, request: Request, index: int, task: int, number: int) -> TaskDispatch:
        return TaskDispatch(
            request.request_id,
            DEFAULT_TENANT,
            index,
            "g",
            TaskId(task),
            "v",
            attempt=number,
            run=request.run,
        )

    def queue(self, entry_id: str, *tasks: TaskDispatch) -> None:
        self.entries[entry_id] = Entry(entry_id, tasks)
        self.queued.add(entry_id)

    async def act_on_a_report(self, one: Orchestrator, data: Draw, *, twice: bool) -> None:
        request = one.request
        fresh, before = await one.held.updates(), await one.held.unsettled_updates()
        told: dict[str, tuple[TaskUpdate, ...]] = {}
        for received in before:  # what was read just now is among it
            told[received.entry_id] = (*told.get(received.entry_id, ()), received.update)
        assert told == request.reports
        assert all(received in before for received in fresh)
        entry_id = pick(data, sorted(request.reports), "report")
        update, *others = request.reports.pop(entry_id)
        if others:
            assert {one.status for one in (update, *others)} == {TaskStatus.SUCCEEDED}
        received = ReceivedUpdate(entry_id, update)
        group, task = request.groups[update.group_index], update.task_id
        done = task in group.results or task in group.failures
        # Who has not heard yet that the task is done acts on a failure all the same.
        what = data.draw(st.sampled_from(["acknowledge", "give up", "retry"]), label="what")
        if update.failure is None or (done and what == "acknowledge"):
            await self.repeated(lambda: one.held.acknowledge([entry_id]), twice=twice)
        elif what == "retry":
            await self.repeated(lambda: one.held.schedule_retry(received, 5_000), twice=twice)
            group.retries[task] = update.attempt + 1
        else:
            final = [FinalFailure(received, BROKEN)]
            failed = await self.repeated(
                lambda: one.held.fail_tasks(update.group_index, final), twice=twice
            )
            assert failed == (set() if task in group.results else {task})
            group.failures |= failed

    async def retry(self, one: Orchestrator, index: int, data: Draw, *, twice: bool) -> None:
        request, group = one.request, one.request.groups[index]
        task = pick(data, sorted(group.retries), "task")
        again = self.attempt(request, index, task, group.retries.pop(task))
        entry_id = await self.repeated(lambda: one.held.retry(again), twice=twice)
        self.queue(entry_id, again)

    async def complete_group(self, one: Orchestrator, index: int, *, twice: bool) -> None:
        request, group = one.request, one.request.groups[index]
        failed = len(group.failures)
        await self.repeated(lambda: one.held.complete_group(index, group.size, failed), twice=twice)
        group.status, request.status = "completed", RequestStatus.GROUP_COMPLETED

    async def finish(self, one: Orchestrator, *, twice: bool) -> None:
        request, sizes = one.request, one.request.task_counts
        partial = any(group.failures for group in request.groups)

        async def call() -> None:
            if partial:
                await one.held.end_partial(b"<a/>", {}, sizes, FAILED_TTL_SECONDS)
            else:
                await one.held.succeed(b"<a/>", sizes, TTL_SECONDS)

        await self.repeated(call, twice=twice)
        self.end(request, RequestStatus.PARTIAL if partial else RequestStatus.SUCCEEDED)
        request.epoch += 1

    def fail(self, request: Request) -> None:
        """Its orchestrator gives up, if it has one."""
        at = request.current_group
        one = next((one for one in self.current() if one.request is request), None)
        if one is None:
            return

        async def call() -> None:
            sizes = request.task_counts
            await one.held.fail({"code": "X"}, sizes, FAILED_TTL_SECONDS, failed_group=at)

        self.wait(self.repeated(call, twice=True))
        request.epoch += 1
        if at is not None:
            request.groups[at].status = "failed"
        self.end(request, RequestStatus.FAILED)

    def superseded(self) -> list[Orchestrator]:
        return [
            one
            for one in self.orchestrators
            if one.held.epoch != one.request.epoch or one.request in self.gone
        ]

    @precondition(lambda self: self.superseded())
    @rule(data=st.data())
    def try_in_vain(self, data: Draw) -> None:
        """One who lost its request does anything: nothing changes."""
        one = pick(data, self.superseded())
        index = data.draw(st.integers(0, len(one.request.groups) - 1), label="group")
        what = pick(data, sorted(self.in_vain(one, index)), "what")
        call = self.in_vain(one, index)[what]
        if what in ENDS and one.held.epoch + 1 == one.request.epoch:
            # Who ended it may send the same end again: its answer may have been lost.
            self.wait(self.repeated_in_vain(call))
        else:
            self.wait(self.refused(call, Superseded))

    async def repeated_in_vain(self, call: Callable[[], Awaitable[Any]]) -> None:
        """A call that was heard before, refused or not, changes nothing."""
        before = await self.digest()
        with contextlib.suppress(Superseded):
            await call()
        assert_same(await self.digest(), before)

    def in_vain(self, one: Orchestrator, index: int) -> dict[str, Callable[[], Awaitable[Any]]]:
        request, mine = one.request, one.held
        size = request.groups[index].size
        dispatch = self.attempt(request, index, 1, 1)
        entry_id, (update, *_) = next(
            iter(request.reports.items()), ("1-1", (update_of(dispatch, "w1", BROKEN),))
        )
        received = ReceivedUpdate(entry_id, update)
        return {
            "save_hydrated": lambda: mine.save_hydrated({"document": b"<old/>"}, 9),
            "start_group": lambda: mine.start_group(index, "old", size),
            "dispatch": lambda: mine.dispatch([NewTask(dispatch, b"<old/>", b"[]")]),
            "acknowledge": lambda: mine.acknowledge([entry_id]),
            "fail_tasks": lambda: mine.fail_tasks(index, [FinalFailure(received, BROKEN)]),
            "schedule_retry": lambda: mine.schedule_retry(received, 5_000),
            "retry": lambda: mine.retry(dispatch),
            "complete_group": lambda: mine.complete_group(index, size),
            "succeed": lambda: mine.succeed(b"<old/>", request.task_counts, TTL_SECONDS),
            "end_partial": lambda: mine.end_partial(b"<o/>", {}, request.task_counts, TTL_SECONDS),
            "fail": lambda: mine.fail({"code": "OLD"}, request.task_counts, TTL_SECONDS),
        }

    # --- workers ------------------------------------------------------------------------------

    @precondition(lambda self: self.queued)
    @rule(data=st.data(), worker=st.sampled_from(["w1", "w2"]), most=st.integers(0, 3))
    def take_and_report(self, data: Draw, worker: str, most: int) -> None:
        """A worker takes up to four entries, and settles some of what is in anybody's hands."""
        self.wait(self.work(data, worker, most))

    async def work(self, data: Draw, worker: str, most: int) -> None:
        taken = await read_group(self.redis, KEYS.dispatch, WORKERS, worker, count=4, block_ms=None)
        for delivery in taken:
            entry = self.entries[delivery.entry_id]
            assert tasks_of(delivery.fields) == entry.tasks
            entry.workers.append(worker)
        for entry_id in self.at_work()[:most]:
            entry = self.entries[entry_id]
            await self.fetch(entry)
            await self.settle(entry, entry.owner, self.outcomes(data, entry.open))

    def at_work(self) -> list[str]:
        return sorted(one for one in self.queued if self.entries[one].workers)

    def outcomes(self, data: Draw, tasks: Sequence[TaskId]) -> dict[TaskId, bool]:
        """Choose some of the tasks, and whether they fail."""
        return {
            task: data.draw(st.integers(0, 2), label="failed") == 2
            for task in some(data, tasks, "settled")
        }

    def request_of(self, entry: Entry) -> Request:
        return next(one for one in self.known() if one.request_id == entry.work[0])

    def is_over(self, entry: Entry) -> bool:
        """Whether the run of the request is over that the entry belongs to."""
        request = self.request_of(entry)
        return not request.is_open or entry.work[1] != request.run

    async def fetch(self, entry: Entry) -> None:
        """A worker reads what is open of an entry."""
        payload = await self.tasks.fetch(entry.held_by(entry.owner))
        assert payload.request_is_open is not self.is_over(entry)
        if payload.request_is_open:
            documents = self.request_of(entry).groups[entry.work[2]].documents
            texts = {task: text and text.xml for task, text in payload.documents.items()}
            assert texts == {task: documents[task] for task in entry.open}

    @precondition(lambda self: self.queued)
    @rule(data=st.data(), reports=st.lists(st.booleans(), max_size=3))
    def take_over(self, data: Draw, reports: list[bool]) -> None:
        """A worker that has done some of an entry dies, or seems to: another one has the entry.

        Both of them report, in any order.
        """
        self.wait(self.work(data, "w2", 0))
        entry = self.entries[pick(data, self.at_work())]
        workers = [entry.owner, f"{entry.owner}'"]
        if len(entry.open) > 1:
            self.wait(self.settle(entry, entry.owner, self.outcomes(data, entry.open[1:])))
        self.wait(self.redis.xclaim(KEYS.dispatch, WORKERS, workers[1], 0, [entry.entry_id]))
        entry.workers.append(workers[1])
        self.wait(self.fetch(entry))
        for first in reports:
            outcomes = self.outcomes(data, entry.numbers)
            self.wait(self.settle(entry, workers[0 if first else 1], outcomes))
            self.as_the_model_says()

    @precondition(lambda self: any(one.workers for one in self.entries.values()))
    @rule(data=st.data(), times=st.integers(1, 3))
    def report_late(self, data: Draw, times: int) -> None:
        """Anybody who ever had an entry of any run settles some of it, again perhaps."""
        for _ in range(times):
            entry = pick(data, [one for one in self.entries.values() if one.workers])
            worker = pick(data, entry.workers)
            self.wait(self.settle(entry, worker, self.outcomes(data, entry.numbers)))
            self.as_the_model_says()

    async def settle(self, entry: Entry, worker: str, failing: dict[TaskId, bool]) -> None:
        """Settle tasks of an entry in one call, each as failed or not."""
        request, group = self.request_of(entry), self.request_of(entry).groups[entry.work[2]]
        held_by_worker = entry.entry_id in self.queued and entry.owner == worker
        tasks = [task for task in entry.tasks if task.task_id in failing]
        expected: dict[TaskId, Settled] = {}
        for number, failed in failing.items():
            if failed and (not held_by_worker or number in entry.done):
                expected[number] = Settled.NOT_HELD
            elif self.is_over(entry):
                expected[number] = Settled.REQUEST_OVER
            elif number in group.failures or number in group.results:
                expected[number] = Settled.DUPLICATE
            else:
                expected[number] = Settled.KEPT
        results = {
            number: f"<valuation n='{next(self.results)}'/>".encode() for number in sorted(failing)
        }
        settlements = [
            ended(task, BROKEN if failing[task.task_id] else results[task.task_id])
            for task in tasks
        ]

        async def call() -> list[Settled]:
            return await self.tasks.settle(entry.held_by(worker), settlements)

        ends = {number for number, one in expected.items() if one is not Settled.NOT_HELD}
        news = [task for task in tasks if expected[task.task_id] is Settled.KEPT]
        if news or (entry.entry_id in self.queued and (ends - entry.done or self.is_over(entry))):
            settled = await self.repeated(call, twice=True)
        else:
            settled = await self.unchanged(call)
        assert settled == [expected[task.task_id] for task in tasks]
        if entry.entry_id in self.queued:
            self.end_tasks(entry, ends)
        told = [(update_of(task, worker, BROKEN),) for task in news if failing[task.task_id]]
        kept = [task for task in news if not failing[task.task_id]]
        group.results |= {task.task_id: results[task.task_id] for task in kept}
        told += [tuple(update_of(task, worker, None) for task in kept)] if kept else []
        if told:
            stream = KEYS.updates(request.request_id)
            latest = await self.redis.xrevrange(stream, count=len(told))
            request.reports |= {
                raw_id.decode(): updates
                for (raw_id, _), updates in zip(reversed(latest), told, strict=True)
            }

    def end_tasks(self, entry: Entry, tasks: set[TaskId]) -> None:
        """The entry is needed no more for these tasks, and in the end not at all."""
        entry.done |= tasks
        if not entry.open or (tasks and self.is_over(entry)):
            self.queued.discard(entry.entry_id)

    @precondition(lambda self: self.at_work())
    @rule(data=st.data(), late=st.booleans())
    def put_off(self, data: Draw, *, late: bool) -> None:
        """Whoever has an entry moves some of its tasks to another one; or who had it once."""
        entry = self.entries[pick(data, self.at_work())]
        worker = entry.workers[0] if late else entry.owner
        self.wait(self.put_some_off(entry, worker, some(data, entry.numbers, "put off")))

    async def put_some_off(self, entry: Entry, worker: str, numbers_: Sequence[TaskId]) -> None:
        tasks = [task for task in entry.tasks if task.task_id in numbers_]

        async def call() -> bool:
            return await self.tasks.put_off(entry.held_by(worker), tasks)

        if entry.owner != worker or self.is_over(entry) or entry.done & set(numbers_):
            assert await self.unchanged(call) is False
            return
        assert await call() is True
        [(raw_id, _)] = await self.redis.xrevrange(KEYS.dispatch, count=1)
        self.queue(raw_id.decode(), *tasks)
        self.end_tasks(entry, set(numbers_))
        assert await self.unchanged(call) is False

    # --- operators ----------------------------------------------------------------------------

    @rule()
    def look_after_it(self) -> None:
        """Cleaning up touches nothing that is still wanted."""
        self.wait(self.clean_up())
        self.wait(self.assert_clean())
        self.queued = {
            entry_id for entry_id in self.queued if not self.is_over(self.entries[entry_id])
        }

    # --- what must be true --------------------------------------------------------------------

    @invariant()
    def as_the_model_says(self) -> None:
        self.seen = seen = self.wait(look(self.redis))
        for request in self.requests:
            assert_is(request, seen)
            assert_promises(request, seen)
            self.assert_done(request, seen)
        assert seen.values.get(KEYS.dispatch, {}).keys() == self.queued
        self.assert_entries(seen)
        self.assert_ends(seen)
        for request in self.gone:
            assert not [name for name in seen.values if request.request_id in name]

    def assert_done(self, request: Request, seen: Seen) -> None:
        """Of each entry that is there it is told which tasks are settled, and of no other."""
        for index, group in enumerate(request.groups):
            if request.is_open and group.status == "started":
                fields = seen.values[KEYS.group(request.request_id, index)]
                told = {
                    name.removeprefix(DONE): listed(value)
                    for name, value in fields.items()
                    if name.startswith(DONE)
                }
                work = (request.request_id, request.run, index)
                entries = [self.entries[one] for one in self.queued]
                assert told == {e.entry_id: e.done for e in entries if e.work == work and e.done}

    def assert_entries(self, seen: Seen) -> None:
        """Promise 2, the other way round: each entry belongs to an open request."""
        open_ones = {request.deliveries[-1][0] for request in self.requests if request.is_open}
        assert seen.values.get(KEYS.ingest, {}).keys() == open_ones

    def assert_ends(self, seen: Seen) -> None:
        """No run ends twice; one request for each key of a client."""
        ended: Counter[tuple[RequestId, int]] = Counter()
        for fields in seen.values.get(KEYS.lifecycle, {}).values():
            event = LifecycleEvent.from_fields(fields)
            ended[event.request_id, event.run] += event.status in TERMINAL
        assert +ended == self.ends
        assert max(self.ends.values(), default=1) == 1
        by_key = {request.key.split()[0]: request for request in self.requests if request.key}
        assert len(by_key) == sum(bool(request.key) for request in self.requests)
        for key, request in by_key.items():
            record = seen.values[KEYS.idempotency(DEFAULT_TENANT, key)]
            assert record == f"{request.request_id} {request.key.split()[1]}".encode()


def assert_same(after: dict[bytes, Any], before: dict[bytes, Any]) -> None:
    changed = {
        name: (before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    assert not changed, changed


def pick(data: Draw, choices: Sequence[T], label: str = "who") -> T:
    """Choose one of several; a failing example then shows it in short."""
    chosen = choices[data.draw(st.integers(0, len(choices) - 1), label=f"which {label}")]
    note(f"{label}: {chosen!r}")
    return chosen


def some(data: Draw, tasks: Sequence[TaskId], label: str) -> list[TaskId]:
    """Choose some of the tasks, one at least, in their order."""
    if data.draw(st.booleans(), label=f"all {label}"):
        return list(tasks)
    chosen = data.draw(
        st.sets(st.integers(0, len(tasks) - 1), min_size=1, max_size=len(tasks)), label=label
    )
    return [tasks[at] for at in sorted(chosen)]


async def connected(url: str) -> Connections:
    connections = Connections(url, block_ms=100)
    await connections.commands.flushall()
    await ensure_group(connections.commands, KEYS.ingest, ORCHESTRATORS)
    await ensure_group(connections.commands, KEYS.dispatch, WORKERS)
    return connections


def update_of(task: TaskDispatch, worker: str, failure: Failure | None) -> TaskUpdate:
    return TaskUpdate(
        task.request_id,
        task.tenant,
        task.group_index,
        task.task_id,
        task.attempt,
        TaskStatus.FAILED if failure else TaskStatus.SUCCEEDED,
        5,
        worker,
        failure,
        run=task.run,
    )


def assert_is(request: Request, seen: Seen) -> None:
    """The server has of a request what the model has."""
    state = seen.values[KEYS.state(request.request_id)]
    current = state.get("currentGroup")
    assert state["status"] == request.status
    assert int(state["run"]) == request.run
    assert int(state["epoch"]) == request.epoch
    assert ("completedAt" in state) is not request.is_open
    assert int(state["groupCount"]) == request.group_count
    assert (None if current is None else int(current)) == request.current_group
    for index, group in enumerate(request.groups):
        there = seen.values.get(KEYS.group(request.request_id, index), {})
        assert there.get("status", "") == group.status
        if there:
            counts = [int(there[name]) for name in ("completed", "failed", "dispatched")]
            assert counts == [group.completed, len(group.failures), group.dispatched]
            assert by_task(there, FAILURE).keys() == group.failures
            retries = {task: int(at.split(":")[0]) for task, at in by_task(there, RETRY).items()}
            assert retries == group.retries
        for task in range(1, group.size + 1):
            at = (request.request_id, index, TaskId(task))
            assert seen.values.get(KEYS.task_result(*at)) == group.results.get(task)
            assert seen.values.get(KEYS.task_xml(*at)) == group.documents.get(task)
    reports = seen.values.get(KEYS.updates(request.request_id), {})
    assert {one: updates_of(fields) for one, fields in reports.items()} == request.reports
    assert (KEYS.response(request.request_id) in seen.values) is (
        request.status in {RequestStatus.SUCCEEDED, RequestStatus.PARTIAL}
    )


def by_task(fields: dict[str, str], kind: str) -> dict[int, str]:
    return {
        int(name.removeprefix(kind)): value
        for name, value in fields.items()
        if name.startswith(kind)
    }


def assert_promises(request: Request, seen: Seen) -> None:
    """The promises, read from the server alone, but for which request it is."""
    request_id = request.request_id
    state = seen.values[KEYS.state(request_id)]
    is_open = "completedAt" not in state
    groups = {
        index: fields
        for index in range(int(state["groupCount"]))
        if (fields := seen.values.get(KEYS.group(request_id, index)))
    }

    # 2: somebody will pick it up
    if is_open:
        assert state["ingestEntry"] in seen.outstanding[KEYS.ingest]

    # 4: a group is begun once all before it are complete
    begun = [index for index, fields in groups.items() if fields["status"] != "reopened"]
    assert begun == list(range(len(begun)))
    for index in begun[:-1]:
        assert groups[index]["status"] == "completed"

    # 5: results are counted, and exclude failures
    for index, fields in groups.items():
        failures = by_task(fields, FAILURE).keys()
        results = {
            task
            for task in range(1, int(fields["dispatched"]) + 1)
            if KEYS.task_result(request_id, index, TaskId(task)) in seen.values
        }
        assert int(fields["completed"]) == len(results)
        assert int(fields["failed"]) == len(failures)
        assert not results & failures
        assert len(results | failures) <= int(fields["expected"])

        # 6: what is unfinished waits somewhere
        if is_open and fields["status"] == "started":
            waiting = results | failures | by_task(fields, RETRY).keys()
            waiting |= outstanding_tasks(seen, KEYS.updates(request_id), request_id, state, index)
            waiting |= outstanding_tasks(seen, KEYS.dispatch, request_id, state, index)
            assert waiting >= set(range(1, int(fields["dispatched"]) + 1))

    # 9: everything ends with it; until then its keys stay, and what an earlier run left for a week
    owned = {name: seconds for name, seconds in seen.ttl.items() if request_id in name}
    if "idempotency" in state:
        record = KEYS.idempotency(DEFAULT_TENANT, state["idempotency"])
        owned[record] = seen.ttl[record]
    again = is_open and state["run"] != "1"
    old = {name for name in owned if again and name.startswith("cache:task:")}
    for index, fields in groups.items():
        if fields["status"] == "started":
            for task in range(1, int(fields["dispatched"]) + 1):
                at = (request_id, index, TaskId(task))
                old -= {KEYS.task_xml(*at), KEYS.task_result(*at)}
    for name, seconds in owned.items():
        assert (seconds > 0) is not is_open or name in old, name
    if not is_open:
        assert KEYS.updates(request_id) not in seen.values


def outstanding_tasks(
    seen: Seen, stream: str, request_id: RequestId, state: dict[str, str], index: int
) -> set[int]:
    """Give the tasks that outstanding entries are for, but for those that an entry calls done."""
    wanted = (request_id, state["run"], str(index))
    group = seen.values[KEYS.group(request_id, index)]
    return {
        task
        for entry_id, fields in seen.values.get(stream, {}).items()
        if entry_id in seen.outstanding[stream]
        and (fields["requestId"], fields["run"], fields["groupIdx"]) == wanted
        for task in told_tasks(fields) - listed(group.get(done_field(entry_id), ""))
    }


def told_tasks(fields: dict[str, str]) -> set[int]:
    several = json.loads(fields.get("tasks", "[]"))
    return {task for task, _ in several} or {int(fields["taskId"])}


def listed(tasks: str) -> set[int]:
    return {int(task) for task in tasks.split(",") if task}


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_whatever_is_called_in_whatever_order_the_promises_hold(server: ValkeyServer):
    run_state_machine_as_test(
        lambda: House(server.url),
        settings=hypothesis.settings(
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
