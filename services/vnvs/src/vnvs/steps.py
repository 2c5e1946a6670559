"""The steps of one request, each with what it remembers of those before it.

Called by `orchestrate`, in its order. What a predecessor has done is taken over from the store, not
done again: its hydrated document, its fetched sources, its finished groups, its dispatched tasks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from vncore.clock import Clock
from vncore.errors import VnError
from vncore.failure_policy import STOP, FailurePolicy
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.logs import logger
from vncore.requests import RequestStore
from vnvs.collect import collect
from vnvs.dispatch import OpenGroup, dispatch
from vnvs.hydration import FailedTask, GroupOutline, TaskDocument
from vnvs.hydrator import Hydrator
from vnvs.pins import PinnedSources
from vnvs.report import Stage, report_of_tasks
from vnvs.retry import RetryPolicy
from vnvs.sources import Sources

_log = logger("vnvs")

# Fields of the request's `hydrated` hash, beside those of `pins`.
_DOCUMENT, _GROUPS, _TRACE = "document", "groups", "trace"


@dataclass(frozen=True, slots=True)
class Tools:
    """What running a request takes; built once, in `main`."""

    store: RequestStore
    hydrator: Hydrator
    sources: Sources
    fetched_bytes: int  # of all documents that one request fetches
    policy: RetryPolicy
    request_ttl_seconds: int  # of a succeeded request
    failed_ttl_seconds: int
    clock: Clock  # epoch milliseconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do."""

    sent: bytes  # the document as it came
    document: bytes  # after its own hydration
    groups: tuple[GroupOutline, ...]
    pins: PinnedSources
    done: Mapping[int, "DoneGroup"] = field(default_factory=dict)
    """By index: the groups that a predecessor, or an earlier run, has completed."""


@dataclass(frozen=True, slots=True)
class DoneGroup:
    """What a group came to, each of whose tasks has a result or has failed."""

    task_count: int
    failures: Mapping[TaskId, Failure]


class Steps:
    """One request on its way."""

    def __init__(self, request: HeldRequest, tools: Tools) -> None:
        self.request = request
        self.tools = tools
        self.stage = Stage.HYDRATE
        self.group: GroupOutline | None = None  # at hand; None during the document pass
        self.opened: OpenGroup | None = None  # the last one whose tasks are, or were, out
        self.task_counts: list[int] = []  # of the groups that are done
        self.failures: dict[int, Mapping[TaskId, Failure]] = {}  # by index, of those groups

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
            return Plan(sent, kept[_DOCUMENT], tuple(outlines), pins, await self.done())
        return await self.hydrate_document(sent, pins)

    async def hydrate_document(self, sent: bytes, pins: PinnedSources) -> Plan:
        """Do the document pass and keep what it made."""
        hydrated = await self.tools.hydrator.document(sent, self.received, pins.fetch)
        await self.keep(pins, len(hydrated.groups))
        outlines = [asdict(group) for group in hydrated.groups]
        fields = {
            _GROUPS: json.dumps(outlines, ensure_ascii=False).encode(),
            _TRACE: hydrated.trace,
            _DOCUMENT: hydrated.xml,
        }
        await self.request.save_hydrated(fields, len(hydrated.groups))
        _log.info(
            "request_hydrated", extra={"groups": len(hydrated.groups), "bytes": len(hydrated.xml)}
        )
        return Plan(sent, hydrated.xml, hydrated.groups, pins)

    async def hydrate(
        self, plan: Plan, document: bytes, group: GroupOutline
    ) -> Sequence[TaskDocument]:
        """Make the group's task documents of the document with all earlier results."""
        self.stage = Stage.HYDRATE
        tasks = await self.tools.hydrator.group(
            document,
            group.index,
            self.received,
            plan.pins.fetch,
            sent=plan.sent,
            tolerant=self.policy_of(group).tolerates,
        )
        await self.keep(plan.pins, len(plan.groups))
        return tasks

    async def dispatch(self, group: GroupOutline, tasks: Sequence[TaskDocument]) -> OpenGroup:
        """Open the group and queue its tasks."""
        self.stage = Stage.RUN
        self.opened = await dispatch(self.request, group, self.policy_of(group), tasks)
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
            look_first=len(group.entries) < len(group.valuations),
        )
        await self.request.complete_group(group.index, len(group.valuations), len(failures))
        _log.info(
            "group_completed", extra={"tasks": len(group.valuations), "failed": len(failures)}
        )
        return failures

    async def place(self, document: bytes, group: GroupOutline, done: DoneGroup) -> bytes:
        """Put results, and failures in place of those missing, where the valuations are."""
        self.stage = Stage.ASSEMBLE
        self.task_counts.append(done.task_count)
        if done.failures:
            self.failures[group.index] = done.failures
        if done.task_count == 0:
            return document
        task_ids = [TaskId(number) for number in range(1, done.task_count + 1)]
        found = await self.request.results(group.index, task_ids)
        found |= await self.failed_valuations(group, done.failures)
        missing = [task_id for task_id in task_ids if task_id not in found]
        if missing:
            raise VnError("TASK_RESULT_MISSING", f"the result of task {missing[0]} is gone")
        in_order = [found[task_id] for task_id in task_ids]
        return await self.tools.hydrator.place(document, group.index, in_order)

    async def failed_valuations(
        self, group: GroupOutline, failures: Mapping[TaskId, Failure]
    ) -> dict[TaskId, bytes]:
        """Make what stands in the response for tasks that have failed."""
        if not failures:
            return {}
        task_ids = sorted(failures)
        documents = await self.request.documents(group.index, task_ids)
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

    async def assemble(self, document: bytes) -> bytes:
        """Make the response of the document that has all results."""
        self.stage = Stage.ASSEMBLE
        return await self.tools.hydrator.assemble(
            document, expected=sum(self.task_counts), failed=self.failed_count
        )

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

    async def done(self) -> dict[int, DoneGroup]:
        """Read what the groups came to that are complete."""
        state = await self.tools.store.state(self.request.request_id)
        done: dict[int, DoneGroup] = {}
        for group in state.groups if state else ():
            if group.status == "completed":
                failures = (
                    (await self.request.recorded(group.index)).failures if group.failed else {}
                )
                done[group.index] = DoneGroup(group.expected, failures)
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
