"""When a storm is over and the house whole again: everything is looked at once more, from outside.

Called by `storm`; what it gives goes to `judge`.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from .door import Door, Unanswered, facts_of
from .evidence import TERMINAL, Evidence
from .outsider import Outsider
from .script import Trace
from .watcher import Watcher

CLEAN = "clean"
ABSENT = "NOT RUN: there is no `python -m vncore fsck`"

_LOOKS_AT_ONCE = 16
_FSCK_SECONDS = 120.0


async def look(
    outsiders: Sequence[Outsider], door: Door, watcher: Watcher, *, patience_seconds: float
) -> Evidence:
    """Gather all that was and is told of every request; the trace is added when scripts are gone.

    What has not ended within `patience_seconds` is left as it is.
    """
    slots = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def look_at(outsider: Outsider) -> None:
        async with slots:
            await outsider.look_again()

    looks = [asyncio.create_task(look_at(outsider)) for outsider in outsiders]
    if looks:
        _, late = await asyncio.wait(looks, timeout=patience_seconds)
        await end(late)
        raise_faults(looks)
    records = [outsider.record for outsider in outsiders]
    known = frozenset[str]().union(*(record.request_ids for record in records))
    strangers = {
        request_id: await _last_status(door, request_id)
        for request_id in await watcher.known_ids() - known
    }
    await watcher.catch_up()
    return Evidence(
        records,
        trace=Trace(),
        terminal_events=watcher.terminal_events,
        strangers=strangers,
        backlog=await watcher.backlog(),
    )


async def fsck(redis_url: str) -> str:
    """Have `vn fsck` check the server; gives CLEAN, ABSENT, or what it said."""
    if find_spec("vncore.__main__") is None:
        return ABSENT
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "vncore", "fsck"],
        env=os.environ | {"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=_FSCK_SECONDS,
    )
    return (
        CLEAN if done.returncode == 0 else f"status {done.returncode}\n{done.stdout}{done.stderr}"
    )


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for them; again where redis-py took the cancellation for its own."""
    tasks = list(tasks)
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1.0)


def raise_faults(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what went wrong in tasks that have ended: a fault of this suite."""
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _last_status(door: Door, request_id: str) -> str:
    """Ask for the status of a request until it is terminal, for some seconds at most."""
    status = ""
    for _ in range(20):
        try:
            status = facts_of(await door.call("GET", f"/valuation/{request_id}/status"))["status"]
        except (Unanswered, KeyError) as err:
            status = repr(err)
        if status in TERMINAL:
            break
        await asyncio.sleep(0.5)
    return status
