"""The one failure model: what is kept, reported and shown of a fault (DESIGN §9).

Made from a `VnError` where the fault is met; travels as JSON in task updates and failure reports.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from vncore.errors import AttemptFailed, VnError

_VARYING = re.compile(r"\d+(\.\d+)?|'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True, slots=True)
class Failure:
    """One fault with its cause, its place and what was tried."""

    code: str
    category: str
    message: str
    retryable: bool = False
    rule: str | None = None
    place: dict[str, str | int] = field(default_factory=dict)  # wire names, see errors.Place
    attempts: int = 0  # 0: not the fault of a task
    exit_status: int | None = None
    stderr_tail: str = ""
    duration_ms: int | None = None  # of the last attempt; None: not known, or no task
    worker_id: str = ""  # who made the last attempt

    @classmethod
    def of(cls, error: VnError, *, attempts: int = 0) -> "Failure":
        """Describe an error."""
        exit_status = error.exit_status if isinstance(error, AttemptFailed) else None
        stderr_tail = error.stderr_tail if isinstance(error, AttemptFailed) else ""
        return cls(
            code=error.code,
            category=error.category.value,
            message=error.message,
            retryable=error.retryable,
            rule=error.rule,
            place=error.place.fields(),
            attempts=attempts,
            exit_status=exit_status,
            stderr_tail=stderr_tail,
        )

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that are the same for failures of one cause.

        Numbers and quoted names in the message do not count: a book of 500 trades that all lack
        one curve has one fingerprint.
        """
        cause = "\0".join((self.code, self.rule or "", _VARYING.sub("#", self.message)))
        return hashlib.sha256(cause.encode()).hexdigest()[:12]

    def at(self, **place: str | int) -> "Failure":
        """Give the same failure with more of its place known (wire names)."""
        return replace(self, place={**place, **self.place})

    def report(self) -> dict[str, Any]:
        """Give the failure under its wire names; absent facts are left out."""
        facts: dict[str, Any] = {
            "code": self.code,
            "category": self.category,
            "retryable": self.retryable,
            "rule": self.rule,
            "message": self.message,
            **self.place,
            "attempts": self.attempts or None,
            "exitStatus": self.exit_status,
            "stderr": self.stderr_tail or None,
            "durationMs": self.duration_ms,
            "workerId": self.worker_id or None,
            "fingerprint": self.fingerprint,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def to_json(self) -> str:
        """Write the report as compact JSON."""
        return json.dumps(self.report(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Failure":
        """Read what `to_json` wrote."""
        facts = json.loads(text)
        facts.pop("fingerprint", None)
        return cls(
            code=facts.pop("code"),
            category=facts.pop("category"),
            retryable=facts.pop("retryable"),
            message=facts.pop("message"),
            rule=facts.pop("rule", None),
            attempts=facts.pop("attempts", 0),
            exit_status=facts.pop("exitStatus", None),
            stderr_tail=facts.pop("stderr", ""),
            duration_ms=facts.pop("durationMs", None),
            worker_id=facts.pop("workerId", ""),
            place=facts,  # what is left names the place
        )
