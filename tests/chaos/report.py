"""The outcome of a storm as people read it."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .aftermath import ABSENT, CLEAN
from .evidence import Evidence, Record
from .violations import Kind, Violation

_SHOWN = 40


@dataclass(slots=True)
class Report:
    """Figures and violations of one storm."""

    seed: int
    minutes: float
    blows: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and target
    kills: int = 0
    requests: int = 0
    accepted: int = 0
    tasks: int = 0  # of the accepted ones
    ends: Counter[str] = field(default_factory=Counter)
    redriven: int = 0
    script_runs: int = 0
    script_repeats: int = 0
    slowest: Record | None = None  # from acceptance to the end
    calm_seconds: float = 0.0  # from the end of the storm until all had ended
    missing: list[str] = field(default_factory=list)  # features that the house does not offer
    fsck: str = "not run"  # what it printed; CLEAN when it was content
    violations: list[Violation] = field(default_factory=list)
    folder: Path | None = None  # kept when something was found

    def take(self, evidence: Evidence, violations: list[Violation]) -> None:
        """Take the figures from what was seen, and what the judge made of it."""
        records = evidence.records
        accepted = [record for record in records if record.accepted]
        self.requests, self.accepted = len(records), len(accepted)
        self.tasks = sum(record.plan.tasks for record in accepted)
        self.ends = Counter(r.final.status if r.final else "not ended" for r in accepted)
        self.redriven = sum(len(record.runs) > 1 for record in accepted)
        self.script_runs, self.script_repeats = evidence.trace.runs, evidence.trace.repeated
        ended = [record for record in accepted if record.seconds is not None]
        self.slowest = max(ended, key=lambda record: record.seconds or 0.0, default=None)
        self.violations = violations

    def count(self, kind: Kind) -> int:
        """Give how many violations of a kind there are."""
        return sum(violation.kind is kind for violation in self.violations)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, doubled or left, and fsck is content; poison is only told."""
        grave = [one for one in self.violations if one.kind is not Kind.POISONED]
        return not grave and self.fsck in {CLEAN, ABSENT}

    def told(self) -> str:
        """Write it."""
        ends = ", ".join(f"{count} {status}" for status, count in sorted(self.ends.items()))
        lines = [
            f"seed {self.seed}, {self.minutes:g} minutes",
            f"kills        {self.kills} (kill -9); all blows: {self._blows()}",
            f"requests     {self.requests} sent, {self.accepted} accepted, {self.tasks} tasks",
            f"ended        {ends}; {self.redriven} run again",
            f"scripts      {self.script_runs} runs, {self.script_repeats} of them repeated",
            f"longest      {self._longest()}",
            f"calm         {self.calm_seconds:.1f} s after the last blow",
            f"lost         {self.count(Kind.LOST)}",
            f"doubled      {self.count(Kind.DOUBLED)}",
            f"poisoned     {self.count(Kind.POISONED)} innocents",
            f"left, fallen {self.count(Kind.UNTIDY)}",
            f"fsck         {self.fsck}",
        ]
        if self.missing:
            lines.append(f"NOT TRIED: the house does not offer {', '.join(self.missing)}")
        lines += [str(one) for one in self.violations[:_SHOWN]]
        if len(self.violations) > _SHOWN:
            lines.append(f"... and {len(self.violations) - _SHOWN} more")
        if self.folder is not None:
            lines.append(f"logs and data: {self.folder}")
            lines.append(f"again: make chaos MINUTES={self.minutes:g} SEED={self.seed}")
        return "\n".join(lines) + "\n"

    def _longest(self) -> str:
        if self.slowest is None:
            return "none has ended"
        [first, *_] = sorted(self.slowest.request_ids)
        return (
            f"{self.slowest.seconds:.1f} s from acceptance to the end:"
            f" request {self.slowest.plan.number} ({first})"
        )

    def _blows(self) -> str:
        return ", ".join(
            f"{count} {kind} {target}" for (kind, target), count in sorted(self.blows.items())
        )
