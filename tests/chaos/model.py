"""What must come of a request, whatever dies meanwhile. Pure.

In comes a plan and what its client did; out go the endings that are permitted. Deaths of services
are no argument: they may cost time, and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from .plan import Kind, Place, RequestPlan, TaskPlan

ATTEMPTS = 3
"""MAX_TASK_RETRIES of the house."""

REFERENCE_FAILED = "REFERENCE_FAILED_VALUATION"
"""Code of a task that was not run because it selects what failed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands in the response in a task's place."""

    code: str = ""  # of its failure; empty: a result
    attempts: int = 0  # of a failure

    @property
    def has_failed(self) -> bool:
        """Whether it is no result."""
        return self.code != ""


@dataclass(frozen=True, slots=True)
class Ending:
    """One way in which a run may end."""

    status: str
    codes: frozenset[str] = frozenset()  # of a failed one: what its report may be headed by
    groups: tuple[tuple[Slot, ...], ...] = ()  # of one with a response

    def slots(self) -> Iterator[tuple[Place, Slot]]:
        """Give every task's place and what stands there."""
        for index, group in enumerate(self.groups):
            for number, slot in enumerate(group, start=1):
                yield (index, number), slot

    @property
    def failed(self) -> int:
        """How many tasks have failed."""
        return sum(slot.has_failed for _, slot in self.slots())


CANCELLED = Ending("cancelled")
TOO_LATE = Ending("failed", frozenset({"REQUEST_DEADLINE_EXCEEDED"}))


def permitted(plan: RequestPlan, *, run: int, mended: bool, cancelled: bool) -> list[Ending]:
    """Give the endings that run `run` (from 1) may have.

    `cancelled`: a DELETE was answered 202 during it. TOO_LATE is permitted only at or after the
    deadline; that is for who knows the times to check.
    """
    if cancelled:
        return [CANCELLED]
    endings = [ending_of(plan, mended=mended)]
    if plan.deadline_ms is not None and run == 1:  # a redrive has no deadline
        endings.append(TOO_LATE)
    return endings


def ending_of(plan: RequestPlan, *, mended: bool) -> Ending:
    """Give the ending of a run that nobody cancels and no deadline cuts short."""
    groups: list[tuple[Slot, ...]] = []
    codes: set[str] = set()
    for group in plan.groups:
        slots = tuple(_slot(task, groups, mended=mended) for task in group.tasks)
        failures = [slot for slot in slots if slot.has_failed]
        codes |= {slot.code for slot in failures}
        policy = group.policy or plan.on_failure or "stop"
        if len(failures) > allowed(policy, len(slots)):
            return Ending("failed", _heading(slots, codes, policy))
        groups.append(slots)
    return Ending("partial" if codes else "succeeded", groups=tuple(groups))


def allowed(policy: str, tasks: int) -> int:
    """Give how many of a group's tasks may fail."""
    kind, _, amount = policy.partition(":")
    if kind == "tolerate":
        share = amount.endswith("%")
        return floor(tasks * float(amount[:-1]) / 100) if share else min(int(amount), tasks)
    return {"stop": 0, "continue": tasks}[kind]


def _slot(task: TaskPlan, earlier: list[tuple[Slot, ...]], *, mended: bool) -> Slot:
    if any(earlier[group][number - 1].has_failed for group, number in task.sees):
        return Slot(REFERENCE_FAILED)
    if task.kind is Kind.BAD and not mended:
        return Slot("SCRIPT_REJECTED_DATA", 1)
    if task.kind is Kind.BROKEN and not mended:
        return Slot("SCRIPT_FAILED", ATTEMPTS)
    return Slot()


def _heading(slots: tuple[Slot, ...], codes: set[str], policy: str) -> frozenset[str]:
    """Say what the report may be headed by: which task failed last is a matter of time."""
    unsound = any(slot.code == REFERENCE_FAILED for slot in slots)
    if policy == "stop" and unsound:  # known before any of the group's tasks ran
        return frozenset({REFERENCE_FAILED})
    return frozenset(codes)
