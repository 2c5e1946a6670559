"""Warm processes of the valuation script, one for each slot (persistent mode, DESIGN §7).

In comes what `script.ScriptRunner` takes, out goes the same: a worker does not see how its script
runs. A process that failed, was changed on disk, or has served long enough is replaced while the
others go on. Made in `main`; what happens within one process is `warm`.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from vnas import warm
from vnas.environment import TaskFacts
from vnas.launch import Launcher
from vnas.scriptfile import ScriptFile
from vnas.strays import StrayChildren
from vnas.warm import Recipe, WarmProcess
from vncore.errors import Misconfigured, ScriptFailed
from vncore.logs import logger

_log = logger("vnas")

_GIVE_UP_AFTER = 3
"""Starts that fail one after another, in the whole pool, until the script is called broken."""


class WarmScripts:
    """As many processes as slots, for one script; belongs to one event loop.

    async with WarmScripts(...) as scripts: ...     # all of them are ready
    """

    def __init__(
        self, script: ScriptFile, recipe: Recipe, *, slots: int, strays: StrayChildren | None
    ) -> None:
        """Take the parts; `strays` as in `ScriptRunner`."""
        self._script = script
        self._recipe = recipe
        self._launcher = Launcher(strays)
        self._seats = [_Seat() for _ in range(slots)]
        self._free = list(self._seats)
        self._turn = asyncio.Semaphore(slots)
        self._failed_in_a_row = 0
        self._broken = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start all processes at once.

        Raises Misconfigured when one of them does not become ready; nothing is left then.
        """
        for seat in self._seats:
            self._fill(seat)
        try:
            await asyncio.gather(*(seat.filling for seat in self._seats if seat.filling))
        except ScriptFailed as err:
            await self.close()
            raise Misconfigured(f"VNAS_SCRIPT: {self._script.path}: {err.message}") from err
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def sweeps(self) -> bool:
        """Whether processes that left a script's group are found and ended."""
        return self._launcher.sweeps

    @property
    def running(self) -> int:
        """How many processes of the script run now, busy or not."""
        return self._launcher.running

    @property
    def is_broken(self) -> bool:
        """Whether the script cannot be started any more: running it would only fail."""
        return self._broken.is_set()

    async def broken(self) -> None:
        """Wait until it `is_broken`: then no task should be taken."""
        await self._broken.wait()

    async def run(
        self, task_xml: bytes, facts: TaskFacts, *, timeout_ms: int | None = None
    ) -> bytes:
        """Let a free process value the document, and give what it answers.

        `timeout_ms` shortens the limit of this run, which starts when the process gets the task.

        Raises as `WarmProcess.value` does, and ScriptFailed (``SCRIPT_NOT_READY``, may be retried)
        when no process could be started. When this is cancelled the process has ended.
        """
        most_ms = self._recipe.limits.timeout_ms
        async with self._turn:
            # One that is ready if there is any; the last to be given back is the warmest.
            seat = next((s for s in reversed(self._free) if s.filling is None), self._free[-1])
            self._free.remove(seat)
            try:
                process = await self._process_in(seat)
                return await process.value(task_xml, facts, min(most_ms, timeout_ms or most_ms))
            finally:
                self._free.append(seat)
                self._look_at(seat)

    async def close(self) -> None:
        """End every process: those at rest by themselves, within a grace."""
        await asyncio.gather(*map(_emptied, self._seats))

    def _look_at(self, seat: "_Seat") -> None:
        """Replace the process of a free seat when there is a reason; look again if need be."""
        process = seat.process
        if process is None or seat not in self._free:
            return  # its next task's end is the next chance
        if why := process.why_replace():
            self._fill(seat, why)
        elif process.looked_lately and not seat.will_look:
            seat.will_look = True
            asyncio.get_running_loop().call_later(warm.LOOK_SECONDS, self._look_again, seat)

    def _look_again(self, seat: "_Seat") -> None:
        seat.will_look = False
        self._look_at(seat)

    async def _process_in(self, seat: "_Seat") -> WarmProcess:
        """Give the seat's process, once it is one that may take a task."""
        if seat.filling is None:
            if seat.process is None:
                self._fill(seat, "there is none")
            elif seat.process.is_over:
                self._fill(seat, "it ended by itself")
            elif seat.process.digest != await self._script.current_digest():
                self._fill(seat, "the script was changed")
        if seat.filling is not None:
            await asyncio.shield(seat.filling)
        assert seat.process is not None, "a seat is filled, or filling it raised"
        return seat.process

    def _fill(self, seat: "_Seat", why: str = "") -> None:
        seat.filling = asyncio.ensure_future(self._filled(seat, why))
        # Who asks for the seat next is told what went wrong; maybe nobody does.
        seat.filling.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _filled(self, seat: "_Seat", why: str) -> None:
        old, seat.process = seat.process, None
        try:
            if old is not None:
                _log.info("script_replaced", extra={"pid": old.pid, "reason": why})
                await old.stop()
            digest = await self._script.current_digest()
            seat.process = await warm.start(self._recipe, digest, self._launcher)
        except ScriptFailed as err:
            self._failed_in_a_row += 1
            _log.error("script_not_ready", extra={"error": err.message, "stderr": err.stderr_tail})
            if self._failed_in_a_row >= _GIVE_UP_AFTER:
                self._broken.set()
            raise
        finally:
            seat.filling = None
        self._failed_in_a_row = 0


@dataclass(slots=True)
class _Seat:
    """A place for one process: filled, being filled, or empty because that failed."""

    process: WarmProcess | None = None
    filling: "asyncio.Task[None] | None" = None
    will_look: bool = False  # a look at the process is due soon


async def _emptied(seat: _Seat) -> None:
    if seat.filling is not None:
        seat.filling.cancel()
        await asyncio.wait([seat.filling])
    process, seat.process = seat.process, None
    if process is not None:
        await process.stop()
