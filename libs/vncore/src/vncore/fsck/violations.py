"""What can be wrong: each kind with its promise and what to do about it; a violation; the report.

Made by the modules that look, gathered by `check`, written for people or as JSON by ``__main__``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """A kind of violation, by the promise (DESIGN §5) that does not hold."""

    # 2: a request that is not terminal has an un-acknowledged ingest entry
    INGEST_ENTRY_MISSING = "INGEST_ENTRY_MISSING"
    INGEST_ENTRY_ACKNOWLEDGED = "INGEST_ENTRY_ACKNOWLEDGED"
    INGEST_ENTRY_STRAY = "INGEST_ENTRY_STRAY"
    INGEST_ENTRY_UNREADABLE = "INGEST_ENTRY_UNREADABLE"
    OPEN_REQUEST_EXPIRES = "OPEN_REQUEST_EXPIRES"
    ENDED_IN_NO_END = "ENDED_IN_NO_END"
    # 4: a group is not dispatched before every task of those before it is done
    GROUP_TOO_EARLY = "GROUP_TOO_EARLY"
    GROUP_CLOSED_TOO_EARLY = "GROUP_CLOSED_TOO_EARLY"
    CURRENT_GROUP_WRONG = "CURRENT_GROUP_WRONG"
    # 5: a task has at most one result, and counts are what they count
    COMPLETED_MISCOUNTED = "COMPLETED_MISCOUNTED"
    FAILED_MISCOUNTED = "FAILED_MISCOUNTED"
    RESULT_AND_FAILURE = "RESULT_AND_FAILURE"
    MORE_DONE_THAN_EXPECTED = "MORE_DONE_THAN_EXPECTED"
    # 6: an unfinished task has a dispatch entry, an unsettled report or a recorded retry
    TASK_LOST = "TASK_LOST"
    # 9: after the time to live nothing of a request is left
    ENDED_KEY_WITHOUT_TTL = "ENDED_KEY_WITHOUT_TTL"
    ORPHAN_KEY_WITHOUT_TTL = "ORPHAN_KEY_WITHOUT_TTL"
    UPDATES_LEFT_BEHIND = "UPDATES_LEFT_BEHIND"
    DISPATCH_ENTRY_LEFT_BEHIND = "DISPATCH_ENTRY_LEFT_BEHIND"

    @property
    def promise(self) -> int:
        """The number of the promise."""
        return _ABOUT[self][0]

    @property
    def advice(self) -> str:
        """What to do, with ``{id}`` and ``{key}`` to be filled in."""
        return _ABOUT[self][1]


_CANCEL_AND_REDRIVE = "vn cancel {id}, then vn redrive {id}: good results are kept"
_SUBMIT_AGAIN = "do not trust this request's numbers: submit it again, and report a fault of VN"
_READ_OR_REMOVED = "an orchestrator takes it off when it reads it; else vn cleanup"
_SKIPPED_OR_REMOVED = "a worker takes it off when it reads it; else vn cleanup"
_CLEAN_UP = "vn cleanup"
_ABOUT: Mapping[Fault, tuple[int, str]] = {
    Fault.INGEST_ENTRY_MISSING: (2, _CANCEL_AND_REDRIVE),
    Fault.INGEST_ENTRY_ACKNOWLEDGED: (2, _CANCEL_AND_REDRIVE),
    Fault.INGEST_ENTRY_STRAY: (2, _READ_OR_REMOVED),
    Fault.INGEST_ENTRY_UNREADABLE: (2, "an orchestrator takes it off when it reads it; else XDEL"),
    Fault.OPEN_REQUEST_EXPIRES: (2, "redis-cli PERSIST {key}"),
    Fault.ENDED_IN_NO_END: (2, _SUBMIT_AGAIN),
    Fault.GROUP_TOO_EARLY: (4, _SUBMIT_AGAIN),
    Fault.GROUP_CLOSED_TOO_EARLY: (4, _SUBMIT_AGAIN),
    Fault.CURRENT_GROUP_WRONG: (4, _SUBMIT_AGAIN),
    Fault.COMPLETED_MISCOUNTED: (5, _SUBMIT_AGAIN),
    Fault.FAILED_MISCOUNTED: (5, _SUBMIT_AGAIN),
    Fault.RESULT_AND_FAILURE: (5, _SUBMIT_AGAIN),
    Fault.MORE_DONE_THAN_EXPECTED: (5, _SUBMIT_AGAIN),
    Fault.TASK_LOST: (6, _CANCEL_AND_REDRIVE),
    Fault.ENDED_KEY_WITHOUT_TTL: (9, _CLEAN_UP),
    Fault.ORPHAN_KEY_WITHOUT_TTL: (9, _CLEAN_UP),
    Fault.UPDATES_LEFT_BEHIND: (9, _CLEAN_UP),
    Fault.DISPATCH_ENTRY_LEFT_BEHIND: (9, _SKIPPED_OR_REMOVED),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a request stood when it was looked at; another moment, another story."""

    status: str
    run: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.status}, run {self.run}, epoch {self.epoch}"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise broken in one place."""

    fault: Fault
    found: str
    request_id: str = ""  # empty: it cannot be told whose
    group_index: int | None = None
    tasks: tuple[int, ...] = ()  # in ascending order
    key: str = ""  # of the key or stream entry to look at
    moment: Moment | None = None  # None: of a request that is gone, or of nobody's

    @property
    def identity(self) -> tuple[Any, ...]:
        """Tell whether two looks have seen the same: all but counts and lists, which move."""
        return (self.fault, self.request_id, self.group_index, self.key, self.moment)

    @property
    def advice(self) -> str:
        """What to do about it."""
        return self.fault.advice.format(id=self.request_id, key=self.key)

    def __str__(self) -> str:
        parts = [f"promise {self.fault.promise}"]
        parts += [f"request {self.request_id}"] if self.request_id else []
        parts += [f"group {self.group_index}"] if self.group_index is not None else []
        parts += [f"task {_ranges(self.tasks)}"] if self.tasks else []
        standing = f" ({self.moment})" if self.moment else ""
        return f"{', '.join(parts)}: {self.found}{standing} -> {self.advice}"

    def to_json(self) -> dict[str, Any]:
        """Give the facts under their wire names; absent ones are left out."""
        facts = {
            "promise": self.fault.promise,
            "fault": self.fault.value,
            "requestId": self.request_id or None,
            "groupIndex": self.group_index,
            "tasks": list(self.tasks) or None,
            "key": self.key or None,
            "status": self.moment.status if self.moment else None,
            "run": self.moment.run if self.moment else None,
            "epoch": self.moment.epoch if self.moment else None,
            "found": self.found,
            "advice": self.advice,
        }
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one check of a server came to."""

    violations: tuple[Violation, ...]
    requests: int  # looked at; one may be counted twice while keys come and go
    tasks: int
    keys: int
    unknown_keys: int  # under the prefix, but not ours: counted, not judged
    seconds: float
    complete: bool = True  # False: there was so much to suspect that the look was cut short

    @property
    def clean(self) -> bool:
        """Whether every promise holds."""
        return not self.violations

    def __str__(self) -> str:
        lines = [str(violation) for violation in self.violations]
        count = len(self.violations)
        verdict = "clean" if self.clean else f"{count} violation{'s' if count > 1 else ''}"
        cut = "" if self.complete else " (too much to suspect: not everything was looked at)"
        looked_at = f"{self.requests} requests, {self.tasks} tasks, {self.keys} keys"
        unknown = f" and {self.unknown_keys} that are not VN's" if self.unknown_keys else ""
        lines.append(f"{verdict}{cut}: {looked_at}{unknown} in {self.seconds:.1f} s")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Give the report as one JSON object."""
        return {
            "clean": self.clean,
            "complete": self.complete,
            "violations": [violation.to_json() for violation in self.violations],
            "requests": self.requests,
            "tasks": self.tasks,
            "keys": self.keys,
            "unknownKeys": self.unknown_keys,
            "seconds": round(self.seconds, 3),
        }


def _ranges(numbers: Sequence[int]) -> str:
    return ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in _runs(numbers))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
