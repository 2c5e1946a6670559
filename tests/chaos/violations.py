"""What the judge finds."""

from dataclasses import dataclass
from enum import StrEnum

POISON = frozenset({"TASK_POISONED", "REQUEST_POISONED"})
"""Codes of what was given up because it seemed to kill those who work on it."""


class Kind(StrEnum):
    """What a violation is counted as."""

    LOST = "lost"
    DOUBLED = "doubled"
    POISONED = "poisoned"  # an innocent task or request was given up
    UNTIDY = "untidy"  # something is left, or fell by itself


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was not kept."""

    kind: Kind
    request_id: str  # empty: it is about no single request
    number: int | None
    what: str

    def __str__(self) -> str:
        about = f"request {self.number} " if self.number is not None else ""
        about += f"({self.request_id}) " if self.request_id else ""
        return f"{self.kind}: {about}{self.what}"
