"""What one request of a storm asks for; everything about it follows from the seed.

Made by `mix`, written as VNML by `document`, sent by `outsider`, and understood by `model`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

Place = tuple[int, int]
"""A task of a request: index of its group (from 0), its number (from 1)."""


class Kind(StrEnum):
    """What the script does with a task; see `script`."""

    FAST = "fast"  # a result at once
    SLOW = "slow"  # a result after `param` seconds
    FLAKY = "flaky"  # the first `param` attempts fail
    BAD = "bad"  # exits with 65 until the request is mended: not tried again
    BROKEN = "broken"  # exits with 1 until the request is mended: tried again


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task."""

    kind: Kind
    param: str = "0"
    sees: tuple[Place, ...] = ()  # earlier tasks whose nonces its document selects


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One group."""

    tasks: tuple[TaskPlan, ...]
    policy: str = ""  # its own onFailure; empty: it says nothing
    linked: bool = False  # one valuation with `use` instead of one for each task


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """One request, and what its client does with it."""

    number: int
    groups: tuple[GroupPlan, ...]
    on_failure: str = ""  # parameter of the submission
    key: str = ""  # Idempotency-Key; empty: none
    copies: tuple[float, ...] = ()  # seconds after which it is sent again, by the same key
    clash: bool = False  # the key is also tried with another document
    sync: bool = False
    cancel_after: float | None = None  # seconds after it was accepted
    deadline_ms: int | None = None
    redrive: bool = False  # if it ends without all of its results
    mend: bool = False  # before that, whatever makes its scripts fail is cured

    @property
    def tasks(self) -> int:
        """How many tasks it has in all."""
        return sum(len(group.tasks) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Features:
    """What the house offers; an older one has not all of it."""

    keys: bool = True
    cancel: bool = True
    policies: bool = True
    deadlines: bool = True
    redrive: bool = True

    def missing(self) -> list[str]:
        """Name what is not there."""
        return [name for name in self.__slots__ if not getattr(self, name)]


def limited(plan: RequestPlan, features: Features) -> RequestPlan:
    """Give the plan without what the house does not offer."""
    if not features.keys:
        plan = replace(plan, key="", copies=(), clash=False)
    if not features.cancel:
        plan = replace(plan, cancel_after=None)
    if not features.deadlines:
        plan = replace(plan, deadline_ms=None)
    if not features.redrive:
        plan = replace(plan, redrive=False, mend=False)
    if not features.policies:
        groups = tuple(replace(group, policy="") for group in plan.groups)
        plan = replace(plan, on_failure="", groups=groups)
    return plan
