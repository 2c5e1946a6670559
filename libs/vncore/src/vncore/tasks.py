"""Tasks as vnas sees them: documents to fetch, attempts to settle, tasks to put off.

An entry of the dispatch stream is for one task, or for a slice of short ones. What is done about it
is done by task: an entry stays until each of its tasks is settled or moved to another entry.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.failures import Failure
from vncore.fragments import Fragments
from vncore.ids import RequestId, TaskId
from vncore.keys import WORKERS, Keys, done_field, failure_field
from vncore.messages import TaskDispatch, TaskStatus, TaskUpdate, fields_of_tasks
from vncore.pieces import Fragment, NotPieces, composed, digests_in
from vncore.scripts import Argument, Call, Scripts, flattened
from vncore.streams import acknowledge
from vncore.together import Together, at_once

Run = tuple[RequestId, int]
"""A request and the number of its run: 1, and one more with each redrive."""

_SETTLE = "settle_tasks"
_STANDING = ["status", "completedAt", "run"]
_SETTLED_BYTES = 2 * 1024 * 1024
"""Of results in one script call, which holds up the server: a few milliseconds."""


def _is_open(standing: list[bytes | None], run: int) -> bool:
    status, completed_at, current_run = standing
    return status is not None and completed_at is None and int(current_run or 1) == run


class Settled(IntEnum):
    """What became of a settled attempt."""

    KEPT = 1  # the result was stored, or the failure reported
    DUPLICATE = 0  # another attempt's result was there already
    REQUEST_OVER = -1  # the request, or this run of it, is over: nothing to report to
    NOT_HELD = -2  # a failure of an attempt that is in other hands, or told: nothing is changed


@dataclass(frozen=True, slots=True)
class Assignment:
    """A dispatch entry in a worker's hands."""

    entry_id: str
    worker_id: str
    tasks: tuple[TaskDispatch, ...]  # all that the entry was made for

    @property
    def request_id(self) -> RequestId:
        """The request that all of them belong to."""
        return self.tasks[0].request_id

    @property
    def run(self) -> Run:
        """The run of the request that they belong to."""
        return self.tasks[0].request_id, self.tasks[0].run


@dataclass(frozen=True, slots=True)
class TaskText:
    """A task document, put together."""

    xml: bytes
    shared: tuple[Fragment, ...] = ()  # which of it other documents of the request have too


@dataclass(frozen=True, slots=True)
class Payload:
    """What a worker needs before it starts the script."""

    documents: Mapping[TaskId, TaskText | None]
    """Of the tasks that are still to be done, in task order; None: the key is gone."""
    request_is_open: bool  # False: terminal, unknown or in another run; do not start


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt at a task ended: with a result, or with a failure."""

    task: TaskDispatch
    duration_ms: int
    result: bytes = b""  # in the form of `pieces`; empty when it failed
    failure: Failure | None = None


class TaskStore:
    """Fetches task documents and settles attempts."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        settle_wait_seconds: Callable[[], float] = at_once,
    ) -> None:
        """`settle_wait_seconds` tells, for an attempt that has ended, how long others may join."""
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._fragments = Fragments(redis, keys)
        self._fetching = Together(self._fetch_all)
        self._settling = Together(self._settle_all, settle_wait_seconds)
        self._settling_slices = Together(self._settle_all)  # which have waited for each other

    # --- fetching ---------------------------------------------------------------------------------

    async def fetch(self, assignment: Assignment) -> Payload:
        """Read the documents of an entry's open tasks, and whether the request still wants them.

        What is asked for in one turn of the event loop is read in one round trip. Raises
        StoreUnavailable.
        """
        return await self._fetching.ask(assignment)

    async def _fetch_all(self, assignments: Sequence[Assignment]) -> Sequence[Payload]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for one in assignments:
                first = one.tasks[0]
                at = (first.request_id, first.group_index)
                pipe.mget([self._keys.task_xml(*at, task.task_id) for task in one.tasks])
                pipe.hmget(self._keys.state(first.request_id), _STANDING)
                if len(one.tasks) > 1:
                    pipe.hget(self._keys.group(*at), done_field(one.entry_id))
            with translated("fetch tasks"):
                answers = iter(cast("Any", await pipe.execute()))
        payloads = []
        for one in assignments:
            documents, standing = next(answers), next(answers)
            done = next(answers) if len(one.tasks) > 1 else None
            left = set((done or b"").decode().split(","))
            stored = {
                task.task_id: document
                for task, document in zip(one.tasks, documents, strict=True)
                if str(task.task_id) not in left
            }
            texts = await self._texts(one.request_id, stored)
            payloads.append(Payload(texts, _is_open(standing, one.run[1])))
        return payloads

    async def _texts(
        self, request_id: RequestId, stored: Mapping[TaskId, bytes | None]
    ) -> dict[TaskId, TaskText | None]:
        named = {task: digests_in(one) for task, one in stored.items() if one}
        wanted = set().union(*named.values())
        bodies = await self._fragments.get(request_id, wanted) if wanted else {}
        fragments = {digest: Fragment(digest, body) for digest, body in bodies.items()}
        texts: dict[TaskId, TaskText | None] = {}
        for task, one in stored.items():
            try:
                shared = tuple(fragments[digest] for digest in named[task]) if one else ()
                texts[task] = TaskText(composed(one, bodies), shared) if one else None
            except (NotPieces, KeyError):  # a fragment is gone, as a document may be
                texts[task] = None
        return texts

    async def over(self, runs: Collection[Run]) -> set[Run]:
        """Tell which runs of requests are over: terminal, gone, or followed by another run."""
        asked = list(runs)
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id, _ in asked:
                pipe.hmget(self._keys.state(request_id), _STANDING)
            with translated("look for ended requests"):
                standings = cast("Any", await pipe.execute()) if asked else []
        return {
            run
            for run, standing in zip(asked, standings, strict=True)
            if not _is_open(standing, run[1])
        }

    # --- settling ---------------------------------------------------------------------------------

    async def settle(
        self, assignment: Assignment, settlements: Sequence[Settlement]
    ) -> list[Settled]:
        """Keep results and report failures, count, and take the entry off when all is settled.

        Each task by itself, and calling it again changes nothing; those of one call that are not
        too large go in one atomic step, several calls that come together in one round trip. Raises
        StoreUnavailable: some may be settled; the entry is pending as long as any is not.
        """
        calls = [self._call(assignment, batch) for batch in _batches(settlements)]
        together = self._settling if len(assignment.tasks) == 1 else self._settling_slices
        answers = await asyncio.gather(*map(together.ask, calls))
        return [settled for answer in answers for settled in answer]

    async def _settle_all(self, calls: Sequence[Call]) -> Sequence[list[Settled]]:
        answers = await self._scripts.call_all(_SETTLE, calls)
        return [[Settled(outcome) for outcome in answer] for answer in answers]

    def _call(self, assignment: Assignment, settlements: Sequence[Settlement]) -> Call:
        first = settlements[0].task
        request_id, group_index = first.request_id, first.group_index
        common = flattened(self._update(assignment, settlements[0]).common_fields())
        keys = [
            self._keys.state(request_id),
            self._keys.group(request_id, group_index),
            self._keys.updates(request_id),
            self._keys.dispatch,
        ]
        arguments: list[Argument] = [
            WORKERS,
            assignment.worker_id,
            assignment.entry_id,
            first.run,
            len(assignment.tasks),
            done_field(assignment.entry_id),
            len(common),
            *common,
        ]
        for one in settlements:
            task_id = one.task.task_id
            keys.append(self._keys.task_result(request_id, group_index, task_id))
            arguments += [
                task_id,
                one.result,
                failure_field(task_id),
                one.duration_ms,
                one.failure.to_json() if one.failure else "",
            ]
        return keys, arguments

    def _update(self, assignment: Assignment, one: Settlement) -> TaskUpdate:
        task = one.task
        return TaskUpdate(
            task.request_id,
            task.tenant,
            task.group_index,
            task.task_id,
            task.attempt,
            TaskStatus.FAILED if one.failure else TaskStatus.SUCCEEDED,
            one.duration_ms,
            assignment.worker_id,
            one.failure,
            task.trace,
            task.run,
        )

    async def put_off(self, assignment: Assignment, tasks: Sequence[TaskDispatch]) -> bool:
        """Move tasks that were not begun into an entry of their own; nothing counts as an attempt.

        False: they are in other hands, or the request is over. Raises StoreUnavailable.
        """
        first = tasks[0]
        moved = await self._scripts.call(
            "put_off_tasks",
            [
                self._keys.state(first.request_id),
                self._keys.group(first.request_id, first.group_index),
                self._keys.dispatch,
            ],
            [
                WORKERS,
                assignment.worker_id,
                assignment.entry_id,
                first.run,
                len(assignment.tasks),
                done_field(assignment.entry_id),
                len(tasks),
                *(task.task_id for task in tasks),
                *flattened(fields_of_tasks(tasks, self._keys)),
            ],
        )
        return bool(moved)

    async def discard(self, entry_id: str) -> None:
        """Take an entry off the queue whose request is over or that cannot be read."""
        await acknowledge(self._redis, self._keys.dispatch, WORKERS, [entry_id])


def _batches(settlements: Sequence[Settlement]) -> list[list[Settlement]]:
    batches: list[list[Settlement]] = []
    size = 0
    for one in settlements:
        if not batches or size + len(one.result) > _SETTLED_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(one)
        size += len(one.result)
    return batches
