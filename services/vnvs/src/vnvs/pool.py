"""A pool of hydration children: hydration off the event loop, each pass under a deadline.

In come module-level functions with their arguments, called by `hydrator`; out goes what they
return or raise. A child that died is replaced; children are started when first needed, several at
a time, and kept.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from vncore.errors import HydrationFailed
from vncore.logs import logger
from vnvs.child import Asked, ChildEnded, ChildStuck, HydrationChild
from vnvs.frames import EXIT_OUT_OF_MEMORY

T = TypeVar("T")

_log = logger("vnvs")

_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT})
"""Deaths that the document did not cause, as a rule: hydration is pure, so it is done again."""


NOTHING_ASKED: Mapping[str, Asked] = {}


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    asked: Mapping[str, Asked]
    near: str


class HydrationPool:
    """Runs functions in child processes, at most `processes` at once."""

    def __init__(self, *, processes: int, seconds: float, memory_bytes: int) -> None:
        """Give each call `seconds`, time to ask not counted, and `memory_bytes` (0: no limit)."""
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._free = asyncio.Semaphore(processes)
        self._idle: list[HydrationChild] = []
        self._ending: set[asyncio.Task[int]] = set()

    async def run(
        self,
        function: Callable[..., T],
        *,
        asked: Mapping[str, Asked] = NOTHING_ASKED,
        near: str = "",
        **arguments: Any,
    ) -> T:
        """Call `function` by keywords in a child; it gets one more for each of `asked`.

        Waits for a free child; among those that are free it prefers one that was called with the
        same `near` before. A child that was killed from outside costs one more try, and so does
        one that ran out of memory with documents of others in it: that is made in a new child.

        Raises what the function raises if that is a VnError, and HydrationFailed with
        ``HYDRATION_TIMED_OUT``, ``HYDRATION_OUT_OF_MEMORY`` or ``HYDRATION_CRASHED`` when the
        child was ended by its deadline, its memory limit, or otherwise; none of these is retried.
        Raises `child.ChildCrashed` for a fault in the function itself. Cancelled: the child is
        killed.
        """
        call = _Call(function, arguments, asked, near)
        async with self._free:
            child = await self._take(near)
            had_others = child.remembers
            try:
                return cast("T", await self._once(child, call))
            except ChildEnded as err:
                crowded = err.status == EXIT_OUT_OF_MEMORY and had_others
                if err.status not in _FROM_OUTSIDE and not crowded:
                    raise self._fault(err.status) from err
                _log.warning("hydration_done_again", extra={"ended_by": str(err)})
            try:
                child = await HydrationChild.start(self._memory_bytes)
                return cast("T", await self._once(child, call))
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

    async def _once(self, child: HydrationChild, call: _Call) -> Any:
        try:
            result = await child.call(
                call.function, call.arguments, asked=call.asked, seconds=self._seconds
            )
        except ChildStuck as err:
            raise self._fault(-signal.SIGALRM) from err
        finally:
            if child.in_step:
                if call.near:
                    child.remember(call.near)
                self._idle.append(child)
            else:
                child.kill()
                self._let_end(child)
        return result

    async def _take(self, near: str) -> HydrationChild:
        for child in [child for child in self._idle if not child.is_alive]:
            self._idle.remove(child)
            self._let_end(child)
        for child in reversed(self._idle):
            if near and child.had(near):
                self._idle.remove(child)
                return child
        return self._idle.pop() if self._idle else await HydrationChild.start(self._memory_bytes)

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
