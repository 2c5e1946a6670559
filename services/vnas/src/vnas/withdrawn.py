"""End the scripts of requests that are over: cancelled, failed, past their deadline, run anew.

The worker tells which request each of its scripts works for; twice a second the store is asked
which of these requests are over. Made in `main`, used by `work`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from vncore.errors import StoreUnavailable
from vncore.logs import logger
from vncore.serving import raise_if_cancelled
from vncore.tasks import Run, TaskStore

_log = logger("vnas")

LOOK_SECONDS = 0.5
"""From one look to the next: a cancelled request's scripts are to be gone within two seconds."""

T = TypeVar("T")


class Withdrawn(Exception):
    """The request of the work is over; the work was cancelled and has ended."""


class Withdrawals:
    """Knows for which runs of requests something is done here, and ends that when they are over."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self._scopes: dict[asyncio.Timeout, Run] = {}

    async def unless_over(self, run: Run, work: Awaitable[T]) -> T:
        """Do `work`, which is cancelled once the run of its request is over: raises Withdrawn."""
        scope = asyncio.timeout(None)
        self._scopes[scope] = run
        try:
            async with scope:
                return await work
        except TimeoutError:
            if not scope.expired():
                raise
            raise Withdrawn from None
        finally:
            del self._scopes[scope]

    async def look(self) -> None:
        """Ask once, for all that is done here now; nothing is asked when nothing is."""
        asked = set(self._scopes.values())
        over = await self._store.over(asked) if asked else set()
        now = asyncio.get_running_loop().time()
        for scope, run in self._scopes.items():
            if run in over and not scope.expired():
                scope.reschedule(now)

    async def watch(self) -> None:
        """Look for ever; a server that does not answer is asked again."""
        loop = asyncio.get_running_loop()
        answered = True
        while True:
            due = loop.time() + LOOK_SECONDS
            raise_if_cancelled()
            try:
                await self.look()
                answered = True
            except StoreUnavailable as err:
                if answered:
                    _log.warning("withdrawals_not_seen", extra={"error": err.message})
                answered = False
            except Exception:  # noqa: BLE001 - else scripts of cancelled requests would run on
                _log.exception("withdrawals_crashed")
            await asyncio.sleep(max(0.0, due - loop.time()))


@asynccontextmanager
async def watching(store: TaskStore) -> AsyncIterator[Withdrawals]:
    """Give withdrawals that are looked for until the end of the context."""
    withdrawals = Withdrawals(store)
    looking = asyncio.create_task(withdrawals.watch())
    try:
        yield withdrawals
    finally:
        looking.cancel()
        await asyncio.wait([looking])
