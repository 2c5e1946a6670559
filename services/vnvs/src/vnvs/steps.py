"""The steps of one request, each with what it remembers of those before it.

Called by `orchestrate`, in its order. What a predecessor has done is taken over from the store, not
done again: its hydrated document, its fetched sources, its finished groups, its dispatched tasks.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from vncore.clock import Clock
from vncore.errors import HydrationFailed, VnError
from vncore.failure_policy import STOP, FailurePolicy
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.logs import logger
from vncore.pieces import packed
from vncore.requests import RequestStore
from vnvs.collect import collect
from vnvs.dispatch import OpenGroup, dispatch
from vnvs.durations import Durations
from vnvs.hydration import (
    CompleteGroup,
    FailedTask,
    GroupOutline,
    GroupResults,
    HydratedGroup,
    TaskDocument,
)
from vnvs.hydrator import Hydrator, OpenDocument
from vnvs.pins import PinnedSources
from vnvs.report import Stage, report_of_tasks
from vnvs.retry import RetryPolicy
from vnvs.sources import Sources
from vnvs.workforce import Workforce

_log = logger("vnvs")

# Fields of the request's `hydrated` hash, beside those of `pins`.
_DOCUMENT, _GROUPS, _TRACE, _COUNTS = "document", "groups", "trace", "counts:"

_READ_AT_ONCE = 500  # results, whose sizes are then looked at before more are read
_AHEAD_BYTES = 4 * 1024 * 1024  # of documents whose next group is hydrated while one runs


@dataclass(frozen=True, slots=True)
class Tools:
    """What running a request takes; built once, in `main`."""

    store: RequestStore
    hydrator: Hydrator
    sources: Sources
    fetched_bytes: int  # of all documents that one request fetches
    policy: RetryPolicy
    durations: Durations
    workforce: Workforce
    request_ttl_seconds: int  # of a succeeded request
    failed_ttl_seconds: int
    clock: Clock  # epoch milliseconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do."""

    document: OpenDocument  # after its own hydration
    groups: tuple[GroupOutline, ...]
    pins: PinnedSources
    done: Mapping[int, "DoneGroup"] = field(default_factory=dict)
    """By index: the groups that a predecessor, or an earlier run, has completed."""

    def open_after(self, group: GroupOutline) -> GroupOutline | None:
        """Give the group that comes next, unless it is complete."""
        following = self.groups[group.index + 1 : group.index + 2]
        return next((one for one in following if one.index not in self.done), None)


@dataclass(frozen=True, slots=True)
class DoneGroup:
    """What a group came to, each of whose tasks has a result or has failed."""

    task_count: int
    failures: Mapping[TaskId, Failure]
    counts: Sequence[int] | None = None  # of tasks, as in `hydration.GroupResults`
    failed: Mapping[TaskId, bytes] = field(default_factory=dict)
    """What stands in the place of failed tasks, once it is made."""

    @property
    def task_ids(self) -> list[TaskId]:
        """The tasks that have results."""
        numbers = map(TaskId, range(1, self.task_count + 1))
        return [task_id for task_id in numbers if task_id not in self.failures]


class Steps:
    """One request on its way."""

    def __init__(self, request: HeldRequest, tools: Tools) -> None:
        self.request = request
        self.tools = tools
        self.stage = Stage.HYDRATE
        self.group: GroupOutline | None = None  # at hand; None during the document pass
        self.opened: OpenGroup | None = None  # the last one whose tasks are, or were, out
        self.ahead: asyncio.Future[HydratedGroup | None] | None = None  # of the next group
        self.done: list[DoneGroup] = []  # those so far, in order

    async def plan(self) -> Plan:
        """Do the document pass, or take over what a predecessor made of it."""
        kept = await self.request.hydrated() if self.resumed else {}
        sent = await self.request.document()
        if sent is None:
            raise VnError("REQUEST_DOCUMENT_MISSING", "the request's document is gone")
        pins = PinnedSources(
            self.tools.sources,
            total_bytes=self.tools.fetched_bytes,
            kept=kept,
            reload=self.request.hydrated,
        )
        if _DOCUMENT in kept:
            _log.info("request_resumed")
            outlines = (GroupOutline(**group) for group in json.loads(kept[_GROUPS]))
            document = self.tools.hydrator.reopened(kept[_DOCUMENT], sent, self.received)
            return Plan(document, tuple(outlines), pins, await self.completed(kept))
        return await self.hydrate_document(sent, pins)

    async def hydrate_document(self, sent: bytes, pins: PinnedSources) -> Plan:
        """Do the document pass and keep what it made."""
        hydrated, document = await self.tools.hydrator.document(sent, self.received, pins.fetch)
        await self.keep(pins, len(hydrated.groups))
        outlines = [asdict(group) for group in hydrated.groups]
        fields = {
            _GROUPS: json.dumps(outlines, ensure_ascii=False).encode(),
            _TRACE: hydrated.trace,
            _DOCUMENT: hydrated.xml,
        }
        await self.request.save_hydrated(fields, len(hydrated.groups), at_once=False)
        _log.info(
            "request_hydrated", extra={"groups": len(hydrated.groups), "bytes": len(hydrated.xml)}
        )
        return Plan(document, hydrated.groups, pins)

    async def hydrate(self, plan: Plan, group: GroupOutline) -> HydratedGroup:
        """Make the group's task documents; paths see the results of the groups before it."""
        self.stage = Stage.HYDRATE
        hydrated = await self.made_ahead()
        if hydrated is None:
            hydrated = await plan.document.group(
                group, self.results, plan.pins.fetch, tolerant=self.policy_of(group).tolerates
            )
        await self.keep(plan.pins, len(plan.groups))
        if hydrated.are_counts_needed:
            fields = {f"{_COUNTS}{group.index}": json.dumps(hydrated.counts).encode()}
            await self.request.save_hydrated(fields, len(plan.groups), at_once=False)
        return hydrated

    def hydrate_ahead(self, plan: Plan, group: GroupOutline) -> None:
        """Begin to hydrate the next group while workers are busy with this one.

        It is used only where no path of it may lead to a result. Large documents wait for their
        turn: two groups of theirs would be in memory.
        """
        if len(plan.document.xml) <= _AHEAD_BYTES:
            tolerant = self.policy_of(group).tolerates
            self.ahead = asyncio.ensure_future(
                plan.document.group_ahead(group, plan.pins.fetch, tolerant=tolerant)
            )

    async def made_ahead(self) -> HydratedGroup | None:
        """Give what `hydrate_ahead` made; None when it made nothing, or failed: it is done again.

        What is wrong with a group is told in its turn, when it is known whether it comes to that.
        """
        ahead, self.ahead = self.ahead, None
        if ahead is None:
            return None
        try:
            return await ahead
        except VnError as err:
            _log.debug("hydration_ahead_failed", extra={"error": err.message})
            return None

    async def stop_ahead(self) -> None:
        """Let go of a group that was hydrated ahead in vain."""
        if self.ahead is not None:
            self.ahead.cancel()
            await asyncio.wait([self.ahead])
            self.ahead = None

    async def dispatch(self, group: GroupOutline, tasks: Sequence[TaskDocument]) -> OpenGroup:
        """Open the group and queue its tasks."""
        self.stage = Stage.RUN
        self.opened = await dispatch(
            self.request,
            group,
            self.policy_of(group),
            tasks,
            self.tools.durations,
            self.tools.workforce,
        )
        dispatched = len(self.opened.entries)
        _log.info("group_started", extra={"tasks": len(tasks), "dispatched": dispatched})
        return self.opened

    async def collect(self, group: OpenGroup) -> Mapping[TaskId, Failure]:
        """Wait until every task is done, then close the group; gives those that have failed."""
        failures = await collect(
            self.request,
            group,
            self.tools.policy,
            self.tools.clock,
            self.tools.durations,
            look_first=len(group.entries) < len(group.valuations),
        )
        await self.request.complete_group(group.index, len(group.valuations), len(failures))
        _log.info(
            "group_completed", extra={"tasks": len(group.valuations), "failed": len(failures)}
        )
        return failures

    async def close(self, done: DoneGroup) -> None:
        """Take a complete group to those that later ones see."""
        self.stage = Stage.ASSEMBLE
        index = len(self.done)
        # Now and not when somebody looks: that is in the midst of a pass, which has a child.
        failed = await self.failed_valuations(index, done.failures)
        self.done.append(replace(done, failed=failed))

    async def failed_valuations(
        self, group_index: int, failures: Mapping[TaskId, Failure]
    ) -> dict[TaskId, bytes]:
        """Make what stands in the response for tasks that have failed."""
        if not failures:
            return {}
        task_ids = sorted(failures)
        documents = await self.request.documents(group_index, task_ids)
        if b"" in documents:
            gone = task_ids[documents.index(b"")]
            raise VnError("TASK_DOCUMENT_MISSING", f"the document of task {gone} is gone")
        made = await self.tools.hydrator.failed_valuations(
            [
                FailedTask(document, failure.code, failure.attempts, failure.message)
                for document, failure in zip(
                    documents, (failures[task_id] for task_id in task_ids), strict=True
                )
            ]
        )
        return dict(zip(task_ids, made, strict=True))

    async def results(self, group_index: int) -> GroupResults:
        """Give what a complete group came to, for a later one that looks."""
        done = self.done[group_index]
        found: dict[TaskId, bytes] = {**done.failed}
        size = sum(map(len, found.values()))
        wanted = done.task_ids
        for at in range(0, len(wanted), _READ_AT_ONCE):
            some = wanted[at : at + _READ_AT_ONCE]
            read = await self.request.results(group_index, some)
            if len(read) < len(some):
                raise _missing(next(task_id for task_id in some if task_id not in read))
            found.update(read)
            size += sum(map(len, read.values()))
            if size > self.tools.hydrator.max_bytes:
                raise HydrationFailed(
                    "HYDRATION_TOO_LARGE",
                    f"a later group looks at the results of group {group_index}, which have more"
                    f" than {self.tools.hydrator.max_bytes} bytes",
                    rule="T4",
                )
        in_order = [found[TaskId(number)] for number in range(1, done.task_count + 1)]
        return GroupResults(in_order, done.counts)

    async def assemble(self, plan: Plan) -> bytes:
        """Make the response, in which the results are only named; all of them are there."""
        self.stage = Stage.ASSEMBLE
        for index, done in enumerate(self.done):
            for task_id in await self.request.missing_results(index, done.task_ids):
                raise _missing(task_id)
        complete = [
            CompleteGroup(done.task_count, done.counts, {int(t): x for t, x in done.failed.items()})
            for done in self.done
        ]
        pieces = await plan.document.assemble(
            complete, expected=sum(self.task_counts), failed=self.failed_count
        )
        return packed(pieces)

    async def finish(self, response: bytes) -> None:
        """End the request with its response: succeeded, or partial where tasks have failed."""
        if not self.failures:
            await self.request.succeed(response, self.task_counts, self.tools.request_ttl_seconds)
            _log.info("request_succeeded", extra={"tasks": sum(self.task_counts)})
            return
        await self.request.end_partial(
            response,
            report_of_tasks(self.failures),
            self.task_counts,
            self.tools.failed_ttl_seconds,
        )
        _log.warning(
            "request_partial",
            extra={"tasks": sum(self.task_counts), "failed": self.failed_count},
        )

    async def fail(self, report: Mapping[str, Any], *, failed_group: int | None = None) -> None:
        """End the request with its failure report."""
        # Groups as they stand in the store: a predecessor may have opened one that we did not.
        state = await self.tools.store.state(self.request.request_id)
        started = [group.expected for group in state.groups] if state else []
        await self.request.fail(
            report, started, self.tools.failed_ttl_seconds, failed_group=failed_group
        )
        _log.warning(
            "request_failed",
            extra={
                "code": report["code"],
                "error": report["message"],
                "stage": report["stage"],
                "fingerprint": report["fingerprint"],
            },
        )
        # Only now: entries withdrawn by one who is superseded would be missing.
        await self.withdraw()

    async def withdraw(self) -> None:
        """Take what is still queued of the open group off the queue; workers would skip it."""
        if self.opened is not None:
            await self.request.withdraw(list(self.opened.entries.values()))

    async def withdraw_if_over(self) -> None:
        """Do so when the request was ended by somebody else: cancelled."""
        state = await self.tools.store.state(self.request.request_id)
        if state is None or state.status.is_terminal or state.run != self.request.entry.run:
            await self.withdraw()

    async def keep(self, pins: PinnedSources, group_count: int) -> None:
        """Store what was fetched, before anything is made of it that a successor would see."""
        for fields in pins.unsaved():
            await self.request.save_hydrated(fields, group_count)
        pins.saved()

    async def completed(self, kept: Mapping[str, bytes]) -> dict[int, DoneGroup]:
        """Read what the groups came to that are complete."""
        state = await self.tools.store.state(self.request.request_id)
        done: dict[int, DoneGroup] = {}
        for group in state.groups if state else ():
            if group.status == "completed":
                failures = (
                    (await self.request.recorded(group.index)).failures if group.failed else {}
                )
                counts = json.loads(kept.get(f"{_COUNTS}{group.index}", b"[]"))
                # An earlier run may have had others, and this one none that are needed.
                is_known = sum(counts) == group.expected
                done[group.index] = DoneGroup(
                    group.expected, failures, counts if is_known else None
                )
        return done

    def policy_of(self, group: GroupOutline) -> FailurePolicy:
        """Give what holds for a group: its own word, else the request's, else the default."""
        said = group.on_failure or self.request.entry.on_failure
        return FailurePolicy.parse(said) if said else STOP

    def seconds_left(self) -> float | None:
        """Give how long the request may still take; None: as long as it takes."""
        deadline_ms = self.request.entry.deadline_ms
        return None if deadline_ms is None else (deadline_ms - self.tools.clock()) / 1000

    @property
    def task_counts(self) -> list[int]:
        """How many tasks each group had that is done."""
        return [done.task_count for done in self.done]

    @property
    def failures(self) -> dict[int, Mapping[TaskId, Failure]]:
        """The tasks that have failed for good, by the index of their groups."""
        return {index: done.failures for index, done in enumerate(self.done) if done.failures}

    @property
    def failed_count(self) -> int:
        """How many tasks of the groups done so far have failed."""
        return sum(map(len, self.failures.values()))

    @property
    def resumed(self) -> bool:
        """Whether another orchestrator, or this one earlier, has had the request."""
        return self.request.epoch > 1

    @property
    def received(self) -> date:
        """The day on which the request came, in UTC: the same for whoever asks."""
        return datetime.fromtimestamp(self.request.entry.submitted_at_ms / 1000, UTC).date()

    def placed(self, failure: Failure) -> Failure:
        """Add the group at hand, where the failure does not name one."""
        if self.group is None:
            return failure
        return failure.at(group=self.group.name, groupIndex=self.group.index)


def _missing(task_id: TaskId) -> VnError:
    return VnError("TASK_RESULT_MISSING", f"the result of task {task_id} is gone")
