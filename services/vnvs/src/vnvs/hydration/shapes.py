"""What hydration is given and gives back: plain frozen data, safe to send between processes.

Made and read by everybody who calls `vnvs.hydration`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from vncore.errors import HydrationFailed
from vncore.pieces import Fragment

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """One referenced document as it was fetched: the copy that a whole request uses (VNML R4)."""

    uri: str  # canonical, absolute
    body: bytes
    digest: str  # "sha256:<hex>" of the body
    version: str | None  # ETag or modification time, where the store has one


Fetch = Callable[[Sequence[str]], Mapping[str, Fetched | HydrationFailed]]
"""Canonical absolute URIs (``s3://bucket/key``, ``file:///abs/path``) to copies, several at a time.

A failure is a value, so that the rule that asked can add place and line.
"""


@dataclass(frozen=True, slots=True)
class HydrationLimits:
    """What hydrating one request may cost; each limit refuses with a code, none cuts."""

    max_tasks: int = 50_000  # of one group
    max_nodes: int = 3_000_000  # elements, texts and the like, of the hydrated document
    max_bytes: int = 128 * MIB
    """Of the hydrated document with the results in it; of one task document; of all task documents
    of a group as they are stored, which counts what they share once."""
    max_depth: int = 250  # levels of elements: workers must be able to parse the result
    max_passes: int = 32  # references that bring in references, and elements that wait for others
    max_uris: int = 200  # distinct referenced documents
    max_chain: int = 8  # documents that include documents
    max_fetch_bytes: int = 10 * MIB  # of one referenced document
    max_fetched_bytes: int = 64 * MIB  # of all of them
    max_variables: int = 1_000
    max_variable_name: int = 64  # characters
    max_variable_value: int = 64 * 1024  # bytes
    max_attribute: int = 64 * 1024  # bytes of an attribute after expansion
    max_name: int = 256  # characters of a group's or valuation's name
    max_expression: int = 4_096  # characters of an XPath
    max_faults: int = 1_000  # listed by one check


DEFAULT_LIMITS = HydrationLimits()


@dataclass(frozen=True, slots=True)
class Context:
    """What a request is hydrated under, besides its document and `Fetch`."""

    received: date  # what vn:today() gives
    base_uri: str | None = None  # "file:///root/" below which files are read; None: refused
    limits: HydrationLimits = field(default=DEFAULT_LIMITS)
    sent: bytes | None = None
    """The request as it was sent; with it, errors of a group pass know their line."""


@dataclass(frozen=True, slots=True)
class GroupOutline:
    """A group as it is known after the document pass."""

    index: int  # counts from 0
    name: str  # empty where the group has none
    on_failure: str = ""  # its failure policy (F1); empty where it says nothing


@dataclass(frozen=True, slots=True)
class Source:
    """A referenced document that went into a request."""

    uri: str
    digest: str
    version: str | None
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class HydratedDocument:
    """A request after its document pass (T1)."""

    xml: bytes
    groups: tuple[GroupOutline, ...]
    sources: tuple[Source, ...]
    trace: bytes  # JSON: where each value came from


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """One task of a group (K1)."""

    task_id: int  # counts from 1 in document order
    valuation_name: str  # empty where the valuation has none
    pieces: tuple[bytes | Fragment, ...]  # in a row a complete document; fragments are shared
    trace: bytes  # JSON: where each value came from
    failure: HydrationFailed | None = None
    """Why it cannot be run: it refers to a failed valuation (F4); `xml` lacks what did."""

    @property
    def xml(self) -> bytes:
        """The complete document."""
        return b"".join(
            piece.body if isinstance(piece, Fragment) else piece for piece in self.pieces
        )


@dataclass(frozen=True)
class HydratedGroup:
    """What a group asks for."""

    tasks: tuple[TaskDocument, ...]  # in task order
    counts: tuple[int, ...]  # of tasks, for each valuation of the group in document order

    @property
    def are_counts_needed(self) -> bool:
        """Whether the number of tasks alone does not tell; see `GroupResults.counts`."""
        return len(self.counts) > 1 and any(count != 1 for count in self.counts)

    # Between processes column by column: row by row takes three times as long.

    def __getstate__(self) -> tuple[list[Any], ...]:
        rows = self.tasks
        return (
            [row.valuation_name for row in rows],
            [row.pieces for row in rows],
            [row.trace for row in rows],
            [row.failure for row in rows],
            list(self.counts),
        )

    def __setstate__(self, state: tuple[list[Any], ...]) -> None:
        *columns, counts = state
        rows = zip(range(1, len(columns[0]) + 1), *columns, strict=True)
        object.__setattr__(self, "tasks", tuple(TaskDocument(*row) for row in rows))
        object.__setattr__(self, "counts", tuple(counts))


@dataclass(frozen=True, slots=True)
class GroupResults:
    """What stands in the place of a group's valuations once it is complete (K3)."""

    valuations: Sequence[bytes]  # bare valuations in task order
    counts: Sequence[int] | None = None
    """How many of them each valuation made; None where their number alone tells: all are of one
    valuation, or each is of another."""


EarlierResults = Callable[[int], GroupResults]
"""The index of a complete group to what it came to; asked at most once for each."""


@dataclass(frozen=True, slots=True)
class CompleteGroup:
    """What a response needs to know of a group (K4)."""

    task_count: int
    counts: Sequence[int] | None = None  # as in `GroupResults`
    failed: Mapping[int, bytes] = field(default_factory=dict)
    """What stands in the place of failed tasks (F2), by task id."""


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that failed, for the valuation that stands in its place (F2)."""

    xml: bytes  # its task document
    code: str
    attempts: int  # 0: it was never run
    message: str
