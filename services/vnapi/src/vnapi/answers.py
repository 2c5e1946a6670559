"""What vnapi answers, as models: the JSON bodies and their place in the API's description."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vncore.ids import RequestId
from vncore.messages import RequestStatus
from vncore.requests import RequestState


class _Answer(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
    )


class Accepted(_Answer):
    """The request is kept whole and will be run."""

    request_id: RequestId
    """Names the request in every other call."""

    status: Literal["accepted", "pending"]
    """``pending``: a synchronous wait ended before the request did."""


class Cancelled(_Answer):
    """The request is over: nothing further of it is run."""

    request_id: RequestId
    status: Literal["cancelled"] = "cancelled"


class Redriven(_Answer):
    """The request will be run again, keeping every good result."""

    request_id: RequestId
    status: Literal["accepted"] = "accepted"
    run: int
    """Counts the runs of the request; the first one was 1."""


class GroupProgress(_Answer):
    """How far one group is."""

    index: int
    """Counts from 0, in document order."""

    name: str
    status: str
    """``started``, ``completed`` or ``failed``; ``reopened``: waits for its turn in a new run."""

    expected: int
    """Tasks in all."""

    completed: int
    """Tasks with a result."""

    failed: int
    """Tasks out of attempts."""

    on_failure: str | None
    """The failure policy that holds for it; null before one does."""


class Status(_Answer):
    """Where a request stands."""

    request_id: RequestId
    status: RequestStatus
    group_count: int
    run: int
    """Counts from 1; one more with each redrive."""

    current_group: int | None
    """Counts from 0; null before the first group."""

    groups: list[GroupProgress]
    """Those that have started, in order."""

    received_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    deadline_at: datetime | None
    """When this run ends at the latest; null: it may take as long as it takes."""

    on_failure: str | None
    """The failure policy of groups that name none themselves; null: ``stop``."""

    retry_count: int
    """How often an orchestrator took the request over from another."""

    failure: dict[str, Any] | None
    """The failure report: code, category, message, place, and the failed tasks."""

    @classmethod
    def of(cls, state: RequestState, failure: dict[str, Any] | None) -> "Status":
        """Describe a state."""
        return cls(
            request_id=state.request_id,
            status=state.status,
            run=state.run,
            group_count=state.group_count,
            current_group=state.current_group,
            groups=[
                GroupProgress(
                    index=group.index,
                    name=group.name,
                    status=group.status,
                    expected=group.expected,
                    completed=group.completed,
                    failed=group.failed,
                    on_failure=group.on_failure or None,
                )
                for group in state.groups
            ],
            received_at=_moment(state.received_at_ms),
            started_at=_optional_moment(state.started_at_ms),
            completed_at=_optional_moment(state.completed_at_ms),
            deadline_at=_optional_moment(state.deadline_at_ms),
            on_failure=state.on_failure or None,
            retry_count=state.retry_count,
            failure=failure,
        )


class Health(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(_Answer):
    """Everything that requests depend on is there."""

    status: Literal["ready"] = "ready"
    checks: dict[str, str]
    """What was looked at, and what was found."""


class Problem(BaseModel):
    """A problem document (RFC 9457); members that do not apply are absent."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """``urn:vn:error:`` and the code."""

    title: str
    """What the code means, the same every time."""

    status: int
    """The HTTP status."""

    detail: str
    """What is wrong this time."""

    code: str
    """Stable; see docs/ERRORS.md."""

    category: str
    """Where the cause lies: document, reference, data, script, timeout, capacity, internal..."""

    retryable: bool
    """Whether the same call may succeed later."""

    rule: str | None = None
    """The VNML rule broken."""

    line: int | None = None
    """In the document as it was sent; counts from 1."""

    column: int | None = None
    """In that line; counts from 1."""

    requestId: str | None = None  # noqa: N815  # a wire name
    """The request, where one exists."""

    requestStatus: str | None = None  # noqa: N815
    """Where that request stands."""

    correlationId: str | None = None  # noqa: N815
    """What to look for in the log."""

    failure: dict[str, Any] | None = Field(default=None)
    """The failure report of a request that ended without a result."""

    setting: str | None = None
    """The limit that was reached, where one was: the name of the setting."""

    limit: int | None = None
    """Its value."""

    found: int | None = None
    """What there is now."""


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _optional_moment(ms: int | None) -> datetime | None:
    return None if ms is None else _moment(ms)
