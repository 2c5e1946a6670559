"""Start a script's process, and clear away what is left of it.

In come a command and its descriptors; out goes the process, the leader of a session of its own.
Used by `script` (a process for each task) and `warm` (one for many). The reasons for each measure
are in SAFETY §3.
"""

import asyncio
import errno
import os
import signal
import subprocess
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from vnas.ending import ended
from vnas.strays import StrayChildren, descendants
from vncore.errors import ScriptFailed
from vncore.logs import logger

_log = logger("vnas")

_PASSING_FAULTS = frozenset(
    (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY, errno.EIO)
)
"""Reasons why a process could not start that may be gone at the next attempt."""


class Launcher:
    """Starts the scripts of one worker and knows which of them run; belongs to one event loop."""

    def __init__(self, strays: StrayChildren | None) -> None:
        """`strays` None: processes that left a script's group are not looked for."""
        self._strays = strays
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def running(self) -> int:
        """How many scripts run now."""
        return len(self._running)

    @property
    def sweeps(self) -> bool:
        """Whether processes that left a script's group are found and ended."""
        return self._strays is not None

    def start(
        self,
        command: Sequence[str],
        channels: tuple[BinaryIO | int, BinaryIO, BinaryIO],
        directory: Path,
        environment: dict[str, str],
        *,
        keep: Sequence[int] = (),
    ) -> "subprocess.Popen[bytes]":
        """Start a command with stdin, stdout, stderr, these other descriptors and nothing else.

        Raises ScriptFailed: ``SCRIPT_NOT_RUNNABLE``, ``SCRIPT_ENVIRONMENT_REFUSED``, or
        ``INTERNAL`` when this machine could not start it now.
        """
        stdin, stdout, stderr = channels
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's script; nothing of it comes from XML
                list(command),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=directory,
                env=environment,
                pass_fds=keep,
                start_new_session=True,
            )
        except OSError as err:
            raise _not_started(err) from err
        # No await between start and this line: a sweep must never take a script for a stray.
        self._running[process.pid] = process
        return process

    async def clear_away(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill what is left of a script's group, reap it, and sweep what left the group.

        Is finished even if the caller is cancelled meanwhile; the cancellation comes after it.
        """
        await _uninterrupted(self._clear_away(process))

    async def _clear_away(self, process: "subprocess.Popen[bytes]") -> None:
        # Before reaping: as long as the script is a zombie, its id is nobody else's.
        _kill_group(process.pid)
        await ended(process)
        process.wait()
        del self._running[process.pid]
        await self.sweep()

    async def sweep(self) -> None:
        """End what scripts left behind that is in no running script's session."""
        if self._strays is not None and (left := await self._strays.sweep(self._running.keys())):
            _log.error("strays_left", extra={"count": left})

    def lingering(self, process: "subprocess.Popen[bytes]") -> set[int]:
        """Give the processes that a running script has besides itself; see `StrayChildren`."""
        if self._strays is None:
            return descendants(process.pid)
        return self._strays.lingering(process.pid, self._running.keys())


def _kill_group(pid: int) -> None:
    # PermissionError: nothing is left in the group (macOS), or only programs of another user.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _not_started(err: OSError) -> ScriptFailed:
    if err.errno == errno.E2BIG:
        return ScriptFailed(
            "SCRIPT_ENVIRONMENT_REFUSED", "the names of the task are too long for the system"
        )
    if err.errno in _PASSING_FAULTS:
        return ScriptFailed("INTERNAL", f"the script could not be started: {err.strerror}")
    return ScriptFailed("SCRIPT_NOT_RUNNABLE", f"the script cannot be started: {err.strerror}")


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` even if this task is cancelled meanwhile; the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as err:
            cancelled = err
    task.result()
    if cancelled is not None:
        raise cancelled
