"""A pool of hydration children: hydration off the event loop, each pass under a deadline.

In come module-level functions with their arguments, called by `hydrator`; out goes what they
return or raise. A child that died is replaced; children are started when first needed, several at
a time, and kept.
"""

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from vncore.errors import HydrationFailed
from vncore.logs import logger
from vnvs.child import ChildEnded, ChildStuck, Fetch, HydrationChild
from vnvs.frames import EXIT_OUT_OF_MEMORY

T = TypeVar("T")

_log = logger("vnvs")

_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT})
"""Deaths that the document did not cause, as a rule: hydration is pure, so it is done again."""


class HydrationPool:
    """Runs functions in child processes, at most `processes` at once."""

    def __init__(self, *, processes: int, seconds: float, memory_bytes: int) -> None:
        """Give each call `seconds`, fetches not counted, and `memory_bytes` (0: no limit)."""
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(processes)
        self._idle: list[HydrationChild] = []
        self._ending: set[asyncio.Task[int]] = set()

    async def run(
        self, function: Callable[..., T], *, fetch: Fetch | None = None, **arguments: Any
    ) -> T:
        """Call `function` by keywords in a child; with `fetch` it gets one more of that name.

        Waits for a free child. A child that was killed from outside costs one more try.

        Raises what the function raises if that is a VnError, and HydrationFailed with
        ``HYDRATION_TIMED_OUT``, ``HYDRATION_OUT_OF_MEMORY`` or ``HYDRATION_CRASHED`` when the
        child was ended by its deadline, its memory limit, or otherwise; none of these is retried.
        Raises `child.ChildCrashed` for a fault in the function itself. Cancelled: the child is
        killed.
        """
        async with self._free:
            try:
                return await self._once(function, arguments, fetch)
            except ChildEnded as err:
                if err.status not in _FROM_OUTSIDE:
                    raise self._fault(err.status) from err
                _log.warning("hydration_done_again", extra={"ended_by": str(err)})
            try:
                return await self._once(function, arguments, fetch)
            except ChildEnded as err:
                raise self._fault(err.status) from err

    @property
    def idle_pids(self) -> list[int]:
        """The process ids of the children that wait for work."""
        return [child.pid for child in self._idle]

    async def aclose(self) -> None:
        """End the children that are idle; those at work end with their calls."""
        while self._idle:
            self._let_end(self._idle.pop())
        while self._ending:
            await asyncio.gather(*self._ending)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _once(
        self, function: Callable[..., T], arguments: dict[str, Any], fetch: Fetch | None
    ) -> T:
        child = await self._take()
        try:
            result: T = await child.call(function, arguments, fetch=fetch, seconds=self._seconds)
        except ChildStuck as err:
            raise self._fault(-signal.SIGALRM) from err
        finally:
            if child.in_step:
                self._idle.append(child)
            else:
                child.kill()
                self._let_end(child)
        return result

    async def _take(self) -> HydrationChild:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            self._let_end(child)
        return await HydrationChild.start(self._memory_bytes)

    def _let_end(self, child: HydrationChild) -> None:
        ending = asyncio.create_task(child.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _fault(self, status: int) -> HydrationFailed:
        if status == -signal.SIGALRM:
            return HydrationFailed(
                "HYDRATION_TIMED_OUT", f"hydration took longer than {self._seconds:g} seconds"
            )
        if status == EXIT_OUT_OF_MEMORY:
            return HydrationFailed(
                "HYDRATION_OUT_OF_MEMORY", f"hydration needed more than {self._memory_bytes} bytes"
            )
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        return HydrationFailed("HYDRATION_CRASHED", f"the hydration process ended by {how}")
