"""What was seen from outside during a storm, for `judge`. Plain data, filled by `outsider`."""

from collections import Counter
from dataclasses import dataclass, field

from .plan import Place, RequestPlan
from .script import Trace

TERMINAL = frozenset({"succeeded", "partial", "failed", "cancelled"})
"""How a run may end."""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """How one run of a request ended, as its status and results told."""

    run: int
    status: str
    code: str = ""  # of the failure report
    body: bytes | None = None  # the response, where there is one
    groups: tuple[tuple[int, int, int], ...] = ()  # expected, completed, failed
    received_ms: int = 0
    completed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A task as the server keeps it."""

    document: bytes
    result: bytes | None


@dataclass(slots=True)
class Record:
    """One request of the storm: its plan, and what its client was told of it."""

    plan: RequestPlan
    request_ids: set[str] = field(default_factory=set)  # every id that an answer gave it
    fresh: int = 0  # accepting answers without Idempotency-Replayed
    unknown: int = 0  # submissions without a key whose fate the client was not told
    doubtful_ids: set[str] = field(default_factory=set)  # named in a 503: perhaps taken
    cancelled: bool = False  # a DELETE was answered 202; always during run 1
    stray_cancel: bool = False
    """A DELETE was not answered: it may come through whenever its door is back, in any run."""

    mended_before: int | None = None  # the run before which its scripts were mended
    runs: dict[int, RunSeen] = field(default_factory=dict)
    final: RunSeen | None = None  # at the very end; None: not terminal, or not there
    final_answer: str = ""  # what the last look at its status said
    seconds: float | None = None  # from acceptance to the first end
    kept: dict[Place, Kept] = field(default_factory=dict)  # before it was redriven
    kept_finally: dict[Place, Kept] = field(default_factory=dict)  # at the very end
    oddities: list[str] = field(default_factory=list)  # answers that contradict each other
    lies: list[str] = field(default_factory=list)  # answers that contradict a promise

    @property
    def accepted(self) -> bool:
        """Whether the client was told that the request is in."""
        return bool(self.request_ids)

    def mended(self, run: int) -> bool:
        """Whether its scripts were mended before a run began."""
        return self.mended_before is not None and run >= self.mended_before


@dataclass(slots=True)
class Evidence:
    """Everything that the judge gets."""

    records: list[Record]
    trace: Trace
    terminal_events: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How often the lifecycle stream told the end of a request's run."""

    strangers: dict[str, str] = field(default_factory=dict)
    """Requests on the server that no client was told of, with their status."""

    backlog: dict[str, int] = field(default_factory=dict)
    """What is left on the queues when all is over."""

    fallen: list[str] = field(default_factory=list)
    """Services that ended though nobody had ended them."""

    survivors: list[str] = field(default_factory=list)
    """Processes and folders that are left when everything was stopped."""
