"""The end of a request: what its terminal change is told, and the time to live of all its keys.

In comes an `Ending`; out go the script's keys and arguments. Called by `held` and `cancel`, which
alone may end a request, and by `redrive`, which undoes an end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vncore.errors import Superseded
from vncore.ids import RequestId, TaskId, Tenant
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import Argument, Scripts, flattened

_BATCH_KEYS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a request ends."""

    status: RequestStatus  # a terminal one
    task_counts: tuple[int, ...]  # one number for each group that was started
    ttl_seconds: int  # how long everything of the request is kept from now on
    response: bytes = b""  # empty for none
    report: bytes = b""  # JSON; empty for none
    failed_group: int | None = None  # index of the group that ended the request; None: none did


def finish_call(
    keys: Keys, entry: IngestEntry, entry_id: str, ending: Ending, now_ms: int
) -> tuple[list[str], list[Argument]]:
    """Give the keys and arguments of ``finish_request``, but for the state and the epoch."""
    request_id = entry.request_id
    groups = group_keys(keys, request_id, len(ending.task_counts))
    names = [
        keys.response(request_id),
        keys.failure(request_id),
        keys.updates(request_id),
        keys.ingest,
        keys.lifecycle,
        *owned_keys(keys, request_id, entry.tenant, entry.idempotency),
        *groups,
    ]
    first_group = 2 + len(names) - len(groups)  # KEYS count from 1, and the state comes first
    failed = ending.failed_group
    event = LifecycleEvent(request_id, entry.tenant, ending.status, now_ms, run=entry.run)
    arguments: list[Argument] = [
        ending.status.value,
        now_ms,
        ending.ttl_seconds,
        ending.response,
        ending.report,
        ORCHESTRATORS,
        entry_id,
        0 if failed is None or failed >= len(groups) else first_group + failed,
        LIFECYCLE_LENGTH,
        *flattened(event.to_fields()),
    ]
    return names, arguments


def owned_keys(keys: Keys, request_id: RequestId, tenant: Tenant, idempotency: str) -> list[str]:
    """Give the keys that live as long as the request, beside its state, groups and tasks."""
    return [
        keys.xml(request_id),
        keys.metadata(request_id),
        keys.hydrated(request_id),
        keys.fragments(request_id),
        *([keys.idempotency(tenant, idempotency)] if idempotency else []),
    ]


def group_keys(keys: Keys, request_id: RequestId, count: int) -> list[str]:
    """Give the keys of the request's first `count` groups."""
    return [keys.group(request_id, index) for index in range(count)]


def task_keys(keys: Keys, request_id: RequestId, group_index: int, task_id: TaskId) -> list[str]:
    """Give the keys of one task: its document, its result."""
    at = (request_id, group_index, task_id)
    return [keys.task_xml(*at), keys.task_result(*at)]


async def expire_tasks(
    scripts: Scripts,
    keys: Keys,
    request_id: RequestId,
    epoch: int,
    task_counts: Sequence[int],
    ttl_seconds: int,
) -> None:
    """Give every key of a request's tasks its time to live; a group each number of tasks.

    Raises Superseded when the request's epoch is another one; StoreUnavailable.
    """
    for batch in batches_of_task_keys(keys, request_id, task_counts):
        outcome = await scripts.call(
            "expire_tasks", [keys.state(request_id), *batch], [epoch, ttl_seconds]
        )
        if outcome == -1:
            raise Superseded(request_id)


def batches_of_task_keys(
    keys: Keys, request_id: RequestId, task_counts: Sequence[int]
) -> Iterator[list[str]]:
    """Give every key of a request's tasks, as many at once as one script call takes."""
    names = _all_task_keys(keys, request_id, task_counts)
    while batch := list(islice(names, _BATCH_KEYS)):
        yield batch


def _all_task_keys(keys: Keys, request_id: RequestId, task_counts: Sequence[int]) -> Iterator[str]:
    for group_index, count in enumerate(task_counts):
        if count:
            yield keys.task_traces(request_id, group_index)
        for task_id in range(1, count + 1):
            yield from task_keys(keys, request_id, group_index, TaskId(task_id))
