"""Tell the request how attempts ended: keep, count, report, acknowledge, in one atomic step.

In come a worker's entry and what its tasks came to; out goes one call to the store. Called by
`work` for every attempt, good or bad.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from vncore.errors import StoreUnavailable
from vncore.logs import logger
from vncore.tasks import Assignment, Settled, Settlement, TaskStore

_log = logger("vnas")

_WAIT = wait_random_exponential(multiplier=0.1, max=5.0)  # seconds, with full jitter
_PATIENCE_SECONDS = 60.0
"""A result may have cost minutes: a server that restarts meanwhile is waited for."""


async def settle(
    store: TaskStore, assignment: Assignment, settlements: Sequence[Settlement]
) -> list[Settled]:
    """Store how attempts ended; the last one of an entry takes it off the queue.

    A second call changes nothing. Waits up to a minute for a server that does not answer.

    Raises StoreUnavailable after that: the entry is still pending and is delivered again.
    """
    try:
        settled = await store.settle(assignment, settlements)
    except StoreUnavailable:
        settled = await _patiently(partial(store.settle, assignment, settlements))
    for one, outcome in zip(settlements, settled, strict=True):
        _tell(one, outcome)
    return settled


async def _patiently(settle: Callable[[], Awaitable[list[Settled]]]) -> list[Settled]:
    return await AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        wait=_WAIT,
        reraise=True,
    )(settle)


def _tell(one: Settlement, settled: Settled) -> None:
    if one.failure is None and _log.log_level > logging.DEBUG:
        return  # one in a book of 50,000 is no news
    fields: dict[str, str | int] = {
        "task_id": one.task.task_id,
        "duration_ms": one.duration_ms,
        "settled": settled.name.lower(),
    }
    if one.failure is None:
        _log.debug("task_succeeded", extra=fields)
        return
    fields |= {
        "code": one.failure.code,
        "error": one.failure.message,
        "fingerprint": one.failure.fingerprint,
    }
    _log.warning("task_failed", extra=fields)
