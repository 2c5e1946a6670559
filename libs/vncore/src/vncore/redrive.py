"""Run a request again that ended without all of its results, keeping every good one.

In comes the id of a failed, partial or cancelled request; out goes a new run of it, waiting for an
orchestrator. Called by vnapi.
"""

import secrets

from redis.asyncio import Redis

from vncore.clock import Clock
from vncore.ending import expire_tasks, group_keys, owned_keys
from vncore.errors import InvalidRequest, Superseded
from vncore.ids import RequestId
from vncore.keys import Keys
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus, Trace
from vncore.requests import LIFECYCLE_LENGTH, RequestState, RequestStore
from vncore.scripts import Scripts, flattened

_KEPT_SECONDS = 604_800
"""Results that a new run takes over are there for a week, at least; its end decides anew."""

_REDRIVABLE = frozenset((RequestStatus.FAILED, RequestStatus.PARTIAL, RequestStatus.CANCELLED))


async def redrive(
    redis: Redis,
    keys: Keys,
    request_id: RequestId,
    *,
    deadline_at_ms: int | None,
    trace: Trace,
    clock: Clock,
) -> int | None:
    """Begin a new run of a request; gives its number, None when the request is unknown.

    Groups that are complete without failures are kept as they are; from the first other one on,
    results are kept wherever the task's document comes out the same again. The earlier answer and
    report are gone. Raises InvalidRequest (``REQUEST_NOT_REDRIVABLE``), also when somebody else
    was faster; StoreUnavailable: it may have begun, ask for its status.
    """
    scripts = Scripts(redis)
    state = await RequestStore(redis, keys).state(request_id)
    if state is None:
        return None
    if state.status not in _REDRIVABLE:
        raise _refused(state.status.value)
    task_counts = [group.expected for group in state.groups]
    try:
        # First: results must not expire in the middle of the new run.
        await expire_tasks(scripts, keys, request_id, state.epoch, task_counts, _KEPT_SECONDS)
    except Superseded:
        raise _refused("running again") from None
    run = await _redrive(scripts, keys, state, deadline_at_ms, trace, clock())
    if run == 0:
        raise _refused("running again")
    return run


def _refused(what: str) -> InvalidRequest:
    return InvalidRequest(
        "REQUEST_NOT_REDRIVABLE",
        f"the request is {what}; only a failed, partial or cancelled one can be redriven",
    )


async def _redrive(
    scripts: Scripts,
    keys: Keys,
    state: RequestState,
    deadline_at_ms: int | None,
    trace: Trace,
    now: int,
) -> int:
    request_id, new_run = state.request_id, state.run + 1
    entry = IngestEntry(
        request_id,
        state.tenant,
        state.group_count,
        state.received_at_ms,  # not now: what vn:today() gives must stay the same
        trace,
        run=new_run,
        on_failure=state.on_failure,
        deadline_ms=deadline_at_ms,
        idempotency=state.idempotency,
    )
    event = LifecycleEvent(request_id, state.tenant, RequestStatus.RECEIVED, now, run=new_run)
    names = [
        keys.state(request_id),
        keys.response(request_id),
        keys.failure(request_id),
        keys.ingest,
        keys.lifecycle,
        *owned_keys(keys, request_id, state.tenant, state.idempotency),
    ]
    ingest_fields = flattened(entry.to_fields(keys))
    run: int = await scripts.call(
        "redrive_request",
        [*names, *group_keys(keys, request_id, state.group_count)],
        [
            state.run,
            secrets.token_hex(8),  # the client repeats a call whose answer was lost
            "" if deadline_at_ms is None else deadline_at_ms,
            len(names) + 1,
            LIFECYCLE_LENGTH,
            len(ingest_fields),
            *ingest_fields,
            *flattened(event.to_fields()),
        ],
    )
    return run
