"""Tell the request how an attempt ended: keep, count, report, acknowledge, in one atomic step.

In come the dispatched task and its outcome; out goes one call to the store. Called by `work` for
every attempt, good or bad.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from vncore.errors import StoreUnavailable
from vncore.failures import Failure
from vncore.logs import logger
from vncore.messages import TaskDispatch, TaskStatus, TaskUpdate
from vncore.tasks import Settled, TaskStore

_log = logger("vnas")

_WAIT = wait_random_exponential(multiplier=0.1, max=5.0)  # seconds, with full jitter
_PATIENCE_SECONDS = 60.0
"""A result may have cost minutes: a server that restarts meanwhile is waited for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended: a result, or a failure."""

    duration_ms: int  # from the start of the script to the checked result
    result: bytes = b""  # a bare valuation; empty when it failed
    failure: Failure | None = None


async def settle(
    store: TaskStore, entry_id: str, task: TaskDispatch, outcome: Outcome, *, worker_id: str
) -> Settled:
    """Store the outcome of an attempt and take its entry off the queue.

    A second call changes nothing. Waits up to a minute for a server that does not answer.

    Raises StoreUnavailable after that: the entry is still pending and is delivered again.
    """
    update = TaskUpdate(
        request_id=task.request_id,
        tenant=task.tenant,
        group_index=task.group_index,
        task_id=task.task_id,
        attempt=task.attempt,
        status=TaskStatus.FAILED if outcome.failure else TaskStatus.SUCCEEDED,
        duration_ms=outcome.duration_ms,
        worker_id=worker_id,
        failure=outcome.failure,
        trace=task.trace,
        run=task.run,
    )
    try:
        settled = await store.settle(entry_id, update, outcome.result)
    except StoreUnavailable:
        settled = await _patiently(partial(store.settle, entry_id, update, outcome.result))
    _tell(outcome, settled)
    return settled


async def _patiently(settle: Callable[[], Awaitable[Settled]]) -> Settled:
    return await AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        wait=_WAIT,
        reraise=True,
    )(settle)


def _tell(outcome: Outcome, settled: Settled) -> None:
    fields: dict[str, str | int] = {
        "duration_ms": outcome.duration_ms,
        "settled": settled.name.lower(),
    }
    if outcome.failure is None:
        _log.debug("task_succeeded", extra=fields)  # one in a book of 50,000 is no news
        return
    fields |= {
        "code": outcome.failure.code,
        "error": outcome.failure.message,
        "fingerprint": outcome.failure.fingerprint,
    }
    _log.warning("task_failed", extra=fields)
