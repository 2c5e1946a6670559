"""One request under its lease, its groups in order: the table of contents of vnvs.

In comes a request that nobody else may change (`vncore.held`); at the end it is terminal, or in
other hands. Called by `ingest`. What a predecessor has done is taken over from the store, not done
again: its hydrated document, its fetched sources, its finished groups, its dispatched tasks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from vncore.clock import Clock
from vncore.errors import StoreUnavailable, Superseded, VnError
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.logs import bound, logger
from vncore.requests import RequestStore
from vnvs.collect import TasksFailed, collect
from vnvs.dispatch import OpenGroup, dispatch
from vnvs.hydration import GroupOutline, TaskDocument
from vnvs.hydrator import Hydrator
from vnvs.pins import PinnedSources
from vnvs.report import Stage, failure_report, report_of_tasks
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
    task_counts: Mapping[int, int] = field(default_factory=dict)
    """By group index: the tasks of the groups that a predecessor has completed."""


async def orchestrate(request: HeldRequest, tools: Tools) -> None:
    """Bring a request to its end: succeeded, or failed with a report.

    Returns quietly when the request turns out to be in other hands. Raises StoreUnavailable: the
    request can be taken up again by anybody. Cancelled: likewise.
    """
    with bound(_log, request_id=request.request_id, epoch=request.epoch):
        run = _Run(request, tools)
        try:
            await _to_its_end(run)
        except Superseded:
            _log.info("request_superseded")


async def give_up(request: HeldRequest, tools: Tools, deliveries: int) -> None:
    """Fail a request that several orchestrators took and none brought to its end."""
    error = VnError(
        "REQUEST_POISONED", f"{deliveries - 1} orchestrators took the request and left it"
    )
    run = _Run(request, tools)
    try:
        await run.fail(failure_report(Failure.of(error), Stage.RUN))
    except Superseded:
        _log.info("request_superseded")


async def _to_its_end(run: "_Run") -> None:
    try:
        response = await run.value()
        await run.succeed(response)
    except (Superseded, StoreUnavailable):
        raise
    except TasksFailed as err:
        await run.fail(report_of_tasks(err.tasks), failed_tasks=len(err.tasks))
        # Only now: entries withdrawn by one who is superseded would be missing.
        await run.request.withdraw(list(err.group.entries.values()))
    except VnError as err:
        await run.fail(failure_report(run.placed(Failure.of(err)), run.stage))
    except Exception as err:  # noqa: BLE001 - a request never hangs on a fault of ours
        _log.exception("orchestrator_crashed")
        fault = Failure.of(VnError("INTERNAL", f"a fault in vnvs: {type(err).__name__}"))
        await run.fail(failure_report(run.placed(fault), run.stage))


class _Run:
    """One request on its way."""

    def __init__(self, request: HeldRequest, tools: Tools) -> None:
        self.request = request
        self.tools = tools
        self.stage = Stage.HYDRATE
        self.group: GroupOutline | None = None  # at hand; None during the document pass
        self.task_counts: list[int] = []  # of the groups done so far

    async def value(self) -> bytes:
        """Do everything that is left to do; gives the response."""
        plan = await self.plan()
        document = plan.document
        for group in plan.groups:  # in order: a group may use results of those before it
            self.group = group
            with bound(_log, group_index=group.index):
                task_count = plan.task_counts.get(group.index)
                if task_count is None:
                    tasks = await self.hydrate(plan, document, group)
                    await self.run_tasks(await self.dispatch(group, tasks))
                    task_count = len(tasks)
                document = await self.place(document, group, task_count)
            self.task_counts.append(task_count)
        self.group = None
        return await self.assemble(document)

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
            return Plan(sent, kept[_DOCUMENT], tuple(outlines), pins, await self.completed())
        return await self.hydrate_document(sent, pins)

    async def hydrate_document(self, sent: bytes, pins: PinnedSources) -> Plan:
        hydrated = await self.tools.hydrator.document(sent, self.received, pins.fetch)
        await self.keep(pins, len(hydrated.groups))
        outlines = [{"index": group.index, "name": group.name} for group in hydrated.groups]
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
            document, group.index, self.received, plan.pins.fetch, sent=plan.sent
        )
        await self.keep(plan.pins, len(plan.groups))
        return tasks

    async def dispatch(self, group: GroupOutline, tasks: Sequence[TaskDocument]) -> OpenGroup:
        self.stage = Stage.RUN
        opened = await dispatch(self.request, group, tasks)
        _log.info("group_started", extra={"tasks": len(tasks), "dispatched": len(opened.entries)})
        return opened

    async def run_tasks(self, group: OpenGroup) -> None:
        """Wait for a result of every task, then close the group."""
        await collect(
            self.request, group, self.tools.policy, self.tools.clock, resumed=self.resumed
        )
        await self.request.complete_group(group.index, len(group.valuations))
        _log.info("group_completed", extra={"tasks": len(group.valuations)})

    async def place(self, document: bytes, group: GroupOutline, task_count: int) -> bytes:
        """Put the stored results in the place of the group's valuations."""
        self.stage = Stage.ASSEMBLE
        if task_count == 0:
            return document
        task_ids = [TaskId(number) for number in range(1, task_count + 1)]
        results = await self.request.results(group.index, task_ids)
        missing = [task_id for task_id in task_ids if task_id not in results]
        if missing:
            raise VnError("TASK_RESULT_MISSING", f"the result of task {missing[0]} is gone")
        in_order = [results[task_id] for task_id in task_ids]
        return await self.tools.hydrator.place(document, group.index, in_order)

    async def assemble(self, document: bytes) -> bytes:
        self.stage = Stage.ASSEMBLE
        return await self.tools.hydrator.assemble(
            document, expected=sum(self.task_counts), failed=0
        )

    async def succeed(self, response: bytes) -> None:
        await self.request.succeed(response, self.task_counts, self.tools.request_ttl_seconds)
        _log.info("request_succeeded", extra={"tasks": sum(self.task_counts)})

    async def fail(self, report: Mapping[str, Any], *, failed_tasks: int = 0) -> None:
        # Groups as they stand in the store: a predecessor may have opened one that we did not.
        state = await self.tools.store.state(self.request.request_id)
        started = [group.expected for group in state.groups] if state else []
        await self.request.fail(
            report, started, self.tools.failed_ttl_seconds, failed_tasks=failed_tasks
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

    async def keep(self, pins: PinnedSources, group_count: int) -> None:
        """Store what was fetched, before anything is made of it that a successor would see."""
        for fields in pins.unsaved():
            await self.request.save_hydrated(fields, group_count)
        pins.saved()

    async def completed(self) -> dict[int, int]:
        """Read the task counts of the groups that are complete."""
        state = await self.tools.store.state(self.request.request_id)
        groups = state.groups if state else ()
        return {group.index: group.expected for group in groups if group.status == "completed"}

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
