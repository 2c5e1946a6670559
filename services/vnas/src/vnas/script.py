"""Run the valuation script once for one task, in a process of its own (exec mode, DESIGN §7).

In come a task document and the facts of the attempt; out come the bytes of stdout, or an error
that says how the script ended. Called by `work` and by `desk`. The reasons for each measure are in
SAFETY §3; the script's side of the contract is in the README.
"""

import asyncio
import errno
import os
import signal
import subprocess
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from vnas.channels import Channels, open_channels
from vnas.ending import ended
from vnas.environment import TaskFacts, script_environment
from vnas.exits import check_exit
from vnas.limits import ScriptLimits, limiting_command
from vnas.strays import StrayChildren
from vnas.taskdir import task_directory
from vncore.errors import ScriptFailed, ScriptTimedOut
from vncore.logs import logger

_log = logger("vnas")

_UNLIMITED_LOOK_SECONDS = 0.1
"""How often the output's size is looked at where the kernel does not watch it."""

_PASSING_FAULTS = frozenset(
    (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY, errno.EIO)
)
"""Reasons why a process could not start that may be gone at the next attempt."""


class ScriptRunner:
    """Runs one script, any number of times and at once; belongs to one event loop."""

    def __init__(
        self,
        script: Path,
        limits: ScriptLimits,
        *,
        prlimit: str | None,
        strays: StrayChildren | None = None,
        directories: Path | None = None,
    ) -> None:
        """Take the absolute path of the script and what it may use.

        `prlimit` is the path of that command; None: only time and output are limited. `strays`
        None: processes that left the script's group are not looked for. `directories` is where
        the tasks' own directories are made; None: the system's place for temporary files.
        """
        self._command = [*limiting_command(limits, prlimit), str(script)]
        self._limits = limits
        self._watched_by_kernel = prlimit is not None and limits.file_bytes > 0
        self._strays = strays
        self._directories = directories
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def running(self) -> int:
        """How many scripts run now."""
        return len(self._running)

    @property
    def sweeps(self) -> bool:
        """Whether processes that left a script's group are found and ended."""
        return self._strays is not None

    async def run(
        self, task_xml: bytes, facts: TaskFacts, *, timeout_ms: int | None = None
    ) -> bytes:
        """Run the script with the document on stdin and return what it wrote to stdout.

        `timeout_ms` shortens the limit of this run. When this returns, raises or is cancelled, no
        process, descriptor or file of the run is left.

        Raises ScriptFailed (how it ended, see `exits`; ``SCRIPT_OUTPUT_TOO_LARGE``;
        ``SCRIPT_ENVIRONMENT_REFUSED``; ``INTERNAL`` when this machine could not start it) and
        ScriptTimedOut. Both carry the last 4 KiB of stderr.
        """
        limit_ms = min(self._limits.timeout_ms, timeout_ms or self._limits.timeout_ms)
        with open_channels(task_xml) as channels:
            async with task_directory(self._directories) as directory:
                environment = script_environment(facts, directory)
                process = self._start(channels, environment, directory)
                try:
                    in_time = await self._ended_in_time(process, channels, limit_ms / 1000)
                finally:
                    await _uninterrupted(self._clear_away(process))
            return self._outcome(process.returncode, channels, limit_ms if not in_time else None)

    def _start(
        self, channels: Channels, environment: dict[str, str], directory: Path
    ) -> "subprocess.Popen[bytes]":
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's script; nothing of it comes from XML
                self._command,
                stdin=channels.stdin,
                stdout=channels.stdout,
                stderr=channels.stderr,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        except OSError as err:
            raise _not_started(err) from err
        # No await between start and this line: a sweep must never take a script for a stray.
        self._running[process.pid] = process
        return process

    async def _ended_in_time(
        self, process: "subprocess.Popen[bytes]", channels: Channels, limit_seconds: float
    ) -> bool:
        """Wait for the end, the time limit (False) or, without the kernel's help, for a flood."""
        try:
            async with asyncio.timeout(limit_seconds):
                if self._watched_by_kernel:
                    await ended(process)
                else:
                    await self._ended_or_flooded(process, channels)
        except TimeoutError:
            return False
        return True

    async def _ended_or_flooded(
        self, process: "subprocess.Popen[bytes]", channels: Channels
    ) -> None:
        waiting = asyncio.ensure_future(ended(process))
        try:
            while not (await asyncio.wait({waiting}, timeout=_UNLIMITED_LOOK_SECONDS))[0]:
                if self._flooded(channels):
                    return
        finally:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting

    def _flooded(self, channels: Channels) -> str | None:
        """Name the stream that holds more than it may, or None."""
        if channels.output_size() > self._limits.output_bytes:
            return f"more than {self._limits.output_bytes} bytes to stdout (VNAS_OUTPUT_MAX_BYTES)"
        most = self._limits.kernel_file_bytes
        if most and channels.error_size() >= most:
            return f"{most} bytes or more to stderr (VNAS_FILE_MAX_BYTES)"
        return None

    async def _clear_away(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill what is left of the script's group, reap it, and sweep what left the group."""
        # Before reaping: as long as the script is a zombie, its id is nobody else's.
        _kill_group(process.pid)
        await ended(process)
        process.wait()
        del self._running[process.pid]
        if self._strays is not None and (left := await self._strays.sweep(self._running.keys())):
            _log.error("strays_left", extra={"count": left})

    def _outcome(self, exit_status: int, channels: Channels, exceeded_ms: int | None) -> bytes:
        tail = channels.stderr_tail()
        flood = self._flooded(channels)
        if flood is not None:
            raise ScriptFailed(
                "SCRIPT_OUTPUT_TOO_LARGE",
                f"the script wrote {flood}",
                exit_status=exit_status,
                stderr_tail=tail,
            )
        if exceeded_ms is not None:
            raise ScriptTimedOut(
                "SCRIPT_TIMED_OUT",
                f"the script ran longer than its limit of {exceeded_ms} ms",
                exit_status=exit_status,
                stderr_tail=tail,
            )
        check_exit(exit_status, tail)
        return channels.output()


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
