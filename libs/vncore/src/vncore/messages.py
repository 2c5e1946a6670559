"""What travels on the streams, typed; camelCase exists here and nowhere else.

Each message turns itself into stream fields and is read back by `from_fields`. Payloads never
travel, only ids; the key names on the wire are for people who look at the streams.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from vncore.failures import Failure
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, Tenant
from vncore.keys import Keys

Fields = dict[str, str | bytes]

T = TypeVar("T")


class RequestStatus(StrEnum):
    """Where a request stands; the last four are terminal: only a redrive, a new run, follows."""

    RECEIVED = "received"  # whole in Redis, no orchestrator yet
    STARTED = "started"  # an orchestrator hydrates it
    GROUP_STARTED = "group_started"  # tasks of `currentGroup` are out
    GROUP_COMPLETED = "group_completed"  # every task of `currentGroup` has a result
    SUCCEEDED = "succeeded"  # the response is there
    PARTIAL = "partial"  # the response is there, with typed failures in it
    FAILED = "failed"  # the failure report is there
    CANCELLED = "cancelled"  # ended by its client; the results that are there are kept

    @property
    def is_terminal(self) -> bool:
        """Whether this run of the request is over."""
        return self in TERMINAL


TERMINAL = frozenset(
    (
        RequestStatus.SUCCEEDED,
        RequestStatus.PARTIAL,
        RequestStatus.FAILED,
        RequestStatus.CANCELLED,
    )
)


class TaskStatus(StrEnum):
    """How one attempt at a task ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class MalformedEntry(ValueError):
    """A stream entry lacks a field or holds nonsense; the caller says which entry."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What ties log lines and messages of one call together."""

    traceparent: str = ""  # W3C; empty when nothing traces
    correlation_id: str = ""  # X-Request-Id as the client sent or vnapi made it


@dataclass(frozen=True, slots=True)
class IngestEntry:
    """A request that waits for, or is held by, an orchestrator."""

    request_id: RequestId
    tenant: Tenant
    group_count: int  # as submitted
    submitted_at_ms: int
    trace: Trace = Trace()
    run: int = 1  # one more with each redrive
    on_failure: str = ""  # of groups that say nothing themselves; empty: stop
    deadline_ms: int | None = None  # epoch milliseconds; None: it may take as long as it takes
    idempotency: str = ""  # digest of the client's key; empty: it sent none

    def to_fields(self, keys: Keys) -> Fields:
        """Give the entry as stream fields."""
        return {
            "requestId": self.request_id,
            "tenant": self.tenant,
            "run": str(self.run),
            "xmlKey": keys.xml(self.request_id),
            "responseKey": keys.response(self.request_id),
            "metadataKey": keys.metadata(self.request_id),
            "groupCount": str(self.group_count),
            "submittedAt": str(self.submitted_at_ms),
            "onFailure": self.on_failure,
            "deadline": _optional(self.deadline_ms),
            "idempotency": self.idempotency,
            **_trace_fields(self.trace),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read an entry; raises MalformedEntry."""
        read = _Reader(fields)
        return cls(
            request_id=RequestId(read.text("requestId")),
            tenant=Tenant(read.text("tenant")),
            group_count=read.integer("groupCount"),
            submitted_at_ms=read.integer("submittedAt"),
            trace=read.trace(),
            run=read.run(),
            on_failure=fields.get("onFailure", ""),
            deadline_ms=read.optional_integer("deadline"),
            idempotency=fields.get("idempotency", ""),
        )


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One step of a request, the same shape in the stream, over HTTP and later in webhooks."""

    request_id: RequestId
    tenant: Tenant
    status: RequestStatus
    timestamp_ms: int
    group_index: int | None = None
    expected: int | None = None
    completed: int | None = None
    failed: int | None = None
    run: int = 1

    def to_fields(self) -> Fields:
        """Give the event as stream fields; absent facts are left out."""
        counts = {
            "groupIdx": self.group_index,
            "expected": self.expected,
            "completed": self.completed,
            "failed": self.failed,
        }
        return {
            "requestId": self.request_id,
            "tenant": self.tenant,
            "status": self.status.value,
            "timestamp": str(self.timestamp_ms),
            "run": str(self.run),
            **{name: str(count) for name, count in counts.items() if count is not None},
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read an event; raises MalformedEntry."""
        read = _Reader(fields)
        return cls(
            request_id=RequestId(read.text("requestId")),
            tenant=Tenant(fields.get("tenant", DEFAULT_TENANT)),
            status=read.status(),
            timestamp_ms=read.integer("timestamp"),
            group_index=read.optional_integer("groupIdx"),
            expected=read.optional_integer("expected"),
            completed=read.optional_integer("completed"),
            failed=read.optional_integer("failed"),
            run=read.run(),
        )


@dataclass(frozen=True, slots=True)
class TaskDispatch:
    """One attempt at one task, waiting for a worker."""

    request_id: RequestId
    tenant: Tenant
    group_index: int  # counts from 0
    group_name: str
    task_id: TaskId
    valuation_name: str
    attempt: int = 1  # counts from 1
    deadline_ms: int | None = None  # epoch milliseconds; None: only the script's own limit
    trace: Trace = Trace()
    run: int = 1  # of its request

    def to_fields(self, keys: Keys) -> Fields:
        """Give the entry as stream fields."""
        at = (self.request_id, self.group_index, self.task_id)
        return {
            **self.common_fields(keys),
            "taskId": str(self.task_id),
            "valuationName": self.valuation_name,
            "payloadKey": keys.task_xml(*at),
            "resultKey": keys.task_result(*at),
        }

    def common_fields(self, keys: Keys) -> Fields:
        """Give those that it shares with other first attempts of its group."""
        return {
            "requestId": self.request_id,
            "tenant": self.tenant,
            "groupIdx": str(self.group_index),
            "groupName": self.group_name,
            "updatesKey": keys.updates(self.request_id),
            "attempt": str(self.attempt),
            "deadline": _optional(self.deadline_ms),
            "run": str(self.run),
            **_trace_fields(self.trace),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read an entry; raises MalformedEntry."""
        read = _Reader(fields)
        return cls(
            request_id=RequestId(read.text("requestId")),
            tenant=Tenant(read.text("tenant")),
            group_index=read.integer("groupIdx"),
            group_name=fields.get("groupName", ""),
            task_id=TaskId(read.integer("taskId")),
            valuation_name=fields.get("valuationName", ""),
            attempt=read.integer("attempt"),
            deadline_ms=read.optional_integer("deadline"),
            trace=read.trace(),
            run=read.run(),
        )


def fields_of_tasks(tasks: Sequence[TaskDispatch], keys: Keys) -> Fields:
    """Give one dispatch entry for tasks that differ in number and valuation name only."""
    if len(tasks) == 1:
        return tasks[0].to_fields(keys)
    told = [[task.task_id, task.valuation_name] for task in tasks]
    return {**tasks[0].common_fields(keys), "tasks": json.dumps(told, ensure_ascii=False)}


def tasks_of(fields: Mapping[str, str]) -> tuple[TaskDispatch, ...]:
    """Read a dispatch entry, of one task or several; raises MalformedEntry."""
    told = fields.get("tasks")
    if not told:
        return (TaskDispatch.from_fields(fields),)
    pairs = _told(told, str)
    first = TaskDispatch.from_fields({**fields, "taskId": "1"})
    return tuple(
        TaskDispatch(
            first.request_id,
            first.tenant,
            first.group_index,
            first.group_name,
            TaskId(number),
            name,
            first.attempt,
            first.deadline_ms,
            first.trace,
            first.run,
        )
        for number, name in pairs
    )


def _told(text: str, kind: type[T]) -> list[tuple[int, T]]:
    """Read pairs of a task's number and what is told of it."""
    try:
        pairs = [(number, what) for number, what in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as err:
        raise MalformedEntry(f"field tasks cannot be read: {err}") from err
    told = all(type(number) is int and number > 0 and type(what) is kind for number, what in pairs)
    if not pairs or not told:
        raise MalformedEntry(f"field tasks names no tasks: {text[:80]}")
    return pairs


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """How one attempt at a task ended, as carried on the request's update stream."""

    request_id: RequestId
    tenant: Tenant
    group_index: int
    task_id: TaskId
    attempt: int
    status: TaskStatus
    duration_ms: int
    worker_id: str
    failure: Failure | None = None  # present exactly when status is FAILED
    trace: Trace = Trace()
    run: int = 1  # of its request

    def to_fields(self, keys: Keys) -> Fields:
        """Give the update as stream fields."""
        return {
            **self.common_fields(),
            "taskId": str(self.task_id),
            "status": self.status.value,
            "resultKey": keys.task_result(self.request_id, self.group_index, self.task_id),
            "durationMs": str(self.duration_ms),
            "error": self.failure.to_json() if self.failure else "",
        }

    def common_fields(self) -> Fields:
        """Give those that it shares with other attempts settled with it."""
        return {
            "requestId": self.request_id,
            "tenant": self.tenant,
            "groupIdx": str(self.group_index),
            "attempt": str(self.attempt),
            "workerId": self.worker_id,
            "run": str(self.run),
            **_trace_fields(self.trace),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Read an update; raises MalformedEntry."""
        read = _Reader(fields)
        status, error = read.text("status"), fields.get("error", "")
        known = status in {member.value for member in TaskStatus}
        if not known or (status == TaskStatus.FAILED) != bool(error):
            raise MalformedEntry(f"status {status!r} does not go with error {error!r}")
        return cls(
            request_id=RequestId(read.text("requestId")),
            tenant=Tenant(read.text("tenant")),
            group_index=read.integer("groupIdx"),
            task_id=TaskId(read.integer("taskId")),
            attempt=read.integer("attempt"),
            status=TaskStatus(status),
            duration_ms=read.integer("durationMs"),
            worker_id=fields.get("workerId", ""),
            failure=read.failure("error") if error else None,
            trace=read.trace(),
            run=read.run(),
        )


def updates_of(fields: Mapping[str, str]) -> tuple[TaskUpdate, ...]:
    """Read an entry of an update stream: one attempt, or several that succeeded.

    Raises MalformedEntry.
    """
    told = fields.get("tasks")
    if not told:
        return (TaskUpdate.from_fields(fields),)
    first = TaskUpdate.from_fields({**fields, "taskId": "1", "durationMs": "0"})
    return tuple(
        TaskUpdate(
            first.request_id,
            first.tenant,
            first.group_index,
            TaskId(number),
            first.attempt,
            first.status,
            duration_ms,
            first.worker_id,
            first.failure,
            first.trace,
            first.run,
        )
        for number, duration_ms in _told(told, int)
    )


def _optional(number: int | None) -> str:
    return "" if number is None else str(number)


def _trace_fields(trace: Trace) -> Fields:
    return {"traceparent": trace.traceparent, "correlationId": trace.correlation_id}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads fields and says which one is wrong."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.fields.get(name, "")
        if not value:
            raise MalformedEntry(f"field {name} is missing")
        return value

    def integer(self, name: str) -> int:
        text = self.text(name)
        try:
            return int(text)
        except ValueError as err:
            raise MalformedEntry(f"field {name} is no integer: {text[:80]!r}") from err

    def optional_integer(self, name: str) -> int | None:
        return self.integer(name) if self.fields.get(name) else None

    def run(self) -> int:
        return self.optional_integer("run") or 1

    def status(self) -> RequestStatus:
        text = self.text("status")
        try:
            return RequestStatus(text)
        except ValueError as err:
            raise MalformedEntry(f"unknown status {text[:80]!r}") from err

    def failure(self, name: str) -> Failure:
        try:
            return Failure.from_json(self.text(name))
        except (ValueError, KeyError) as err:
            raise MalformedEntry(f"field {name} is no failure report") from err

    def trace(self) -> Trace:
        return Trace(self.fields.get("traceparent", ""), self.fields.get("correlationId", ""))
