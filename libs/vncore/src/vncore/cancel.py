"""End a request at its client's wish, whoever has it.

In comes an id; afterwards nothing of the request is dispatched any more, its orchestrator can
change nothing, and workers stop its scripts when they next look (`tasks.TaskStore.over`). Called by
vnapi.
"""

from contextlib import suppress

from redis.asyncio import Redis

from vncore.clock import Clock
from vncore.ending import expire_tasks, group_keys, owned_keys
from vncore.errors import Superseded
from vncore.ids import RequestId
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import LifecycleEvent, RequestStatus
from vncore.requests import LIFECYCLE_LENGTH, RequestState, RequestStore
from vncore.scripts import Scripts, flattened


async def cancel(
    redis: Redis, keys: Keys, request_id: RequestId, *, ttl_seconds: int, clock: Clock
) -> RequestStatus | None:
    """Cancel a request; gives the terminal status that it has then, None when it is unknown.

    CANCELLED also when it was cancelled before; another one when its end came first. Results that
    are there are kept, as everything else of the request, for `ttl_seconds`. A second call changes
    nothing. Raises StoreUnavailable: call again.
    """
    store, scripts = RequestStore(redis, keys), Scripts(redis)
    epoch = _MOVED_ON
    while epoch == _MOVED_ON:  # it has more groups than when we looked
        state = await store.state(request_id)
        if state is None or state.status.is_terminal:
            return state.status if state else None
        epoch = await _cancel(scripts, keys, state, ttl_seconds, clock())
    if epoch == _OVER:  # somebody else was faster
        return await store.status(request_id)
    # Only now, when nothing new can be dispatched; the counts are read again for the same reason.
    ended = await store.state(request_id)
    if ended is not None:
        task_counts = [group.expected for group in ended.groups]
        with suppress(Superseded):  # redriven already: its keys are wanted again
            await expire_tasks(scripts, keys, request_id, epoch, task_counts, ttl_seconds)
    return RequestStatus.CANCELLED


_MOVED_ON, _OVER = -1, 0  # see the script's contract


async def _cancel(
    scripts: Scripts, keys: Keys, state: RequestState, ttl_seconds: int, now: int
) -> int:
    """Give the epoch that the request was cancelled under, or why it was not."""
    request_id = state.request_id
    event = LifecycleEvent(request_id, state.tenant, RequestStatus.CANCELLED, now, run=state.run)
    epoch: int = await scripts.call(
        "cancel_request",
        [
            keys.state(request_id),
            keys.updates(request_id),
            keys.ingest,
            keys.lifecycle,
            *owned_keys(keys, request_id, state.tenant, state.idempotency),
            *group_keys(keys, request_id, state.group_count),
        ],
        [
            state.group_count,
            now,
            ttl_seconds,
            ORCHESTRATORS,
            LIFECYCLE_LENGTH,
            *flattened(event.to_fields()),
        ],
    )
    return epoch
