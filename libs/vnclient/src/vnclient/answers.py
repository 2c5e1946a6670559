"""What the server answers, as values; `reading` makes them out of HTTP responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TERMINAL = frozenset({"succeeded", "partial", "failed", "cancelled"})
"""The statuses after which nothing comes but a redrive."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has the request whole and will run it."""

    request_id: str
    status: str  # "accepted", or "pending" when a synchronous wait ended first
    replayed: bool = False  # the idempotency key was here before: it is that first request


@dataclass(frozen=True, slots=True)
class Redriven:
    """The server will run the request again."""

    request_id: str
    status: str  # "accepted"
    run: int  # counts from 1; this one is 2 or more


@dataclass(frozen=True, slots=True)
class Completed:
    """A request that has ended with a response."""

    document: bytes  # the response, XML in UTF-8
    request_id: str | None  # where the server told it
    status: str = "succeeded"  # or "partial": there are failures in the document
    replayed: bool = False  # the idempotency key was here before: it is that first request

    @property
    def succeeded(self) -> bool:
        """Whether every valuation has its result."""
        return self.status == "succeeded"


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How far one group is; `expected` is 0 until the group has been split into tasks."""

    index: int  # counts from 0
    name: str
    status: str
    expected: int
    completed: int
    failed: int
    on_failure: str | None = None  # the failure policy that holds for it


@dataclass(frozen=True, slots=True)
class Failure:
    """The report of a failed request, or of one failed task in it; absent facts are None."""

    code: str
    message: str
    category: str | None = None
    retryable: bool = False
    rule: str | None = None  # the VNML rule broken, such as S2
    stage: str | None = None
    group: str | None = None
    group_index: int | None = None  # counts from 0
    valuation: str | None = None
    task: int | None = None  # counts from 1
    element: str | None = None
    line: int | None = None  # counts from 1, in the document as sent
    column: int | None = None
    expression: str | None = None
    uri: str | None = None
    attempts: int | None = None
    exit_status: int | None = None
    stderr: str = ""  # the tail of the script's standard error
    tasks: tuple["Failure", ...] = ()  # every failed task
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Status:
    """Where a request stands."""

    request_id: str
    status: str
    current_group: int | None  # counts from 0; None before the first group
    group_count: int
    groups: tuple[GroupStatus, ...]
    received_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failure: Failure | None
    run: int = 1  # one more with each redrive
    on_failure: str | None = None  # of groups that name no policy; None: stop
    deadline_at: datetime | None = None  # None: it may take as long as it takes
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_terminal(self) -> bool:
        """Whether this run of it is over: nothing can change it any more but a redrive."""
        return self.status in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether every valuation has its result."""
        return self.status == "succeeded"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can take requests; true or false in a condition."""

    ready: bool
    detail: str  # what is missing; empty when nothing is

    def __bool__(self) -> bool:
        return self.ready
