"""Run the valuation script once for one task, in a process of its own (exec mode, DESIGN §7).

In come a task document and the facts of the attempt; out come the bytes of stdout, or an error
that says how the script ended. Called by `work` and by `desk`. The reasons for each measure are in
SAFETY §3; the script's side of the contract is in the README.
"""

import asyncio
import subprocess
from contextlib import suppress
from pathlib import Path

from vnas.channels import Channels, open_channels
from vnas.ending import ended
from vnas.environment import TaskFacts, script_environment
from vnas.exits import check_exit
from vnas.launch import Launcher
from vnas.limits import ScriptLimits, limiting_command
from vnas.strays import StrayChildren
from vnas.taskdir import task_directory
from vncore.errors import ScriptFailed, ScriptTimedOut

_UNLIMITED_LOOK_SECONDS = 0.1
"""How often the output's size is looked at where the kernel does not watch it."""


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
        self._directories = directories
        self._launcher = Launcher(strays)

    @property
    def running(self) -> int:
        """How many scripts run now."""
        return self._launcher.running

    @property
    def sweeps(self) -> bool:
        """Whether processes that left a script's group are found and ended."""
        return self._launcher.sweeps

    @property
    def is_broken(self) -> bool:
        """Never: each process is a fresh start, and its failure that of one attempt."""
        return False

    async def broken(self) -> None:
        """Wait for ever."""
        await asyncio.Future()

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
                process = self._launcher.start(
                    self._command,
                    (channels.stdin, channels.stdout, channels.stderr),
                    directory,
                    environment,
                )
                try:
                    in_time = await self._ended_in_time(process, channels, limit_ms / 1000)
                finally:
                    await self._launcher.clear_away(process)
            return self._outcome(process.returncode, channels, limit_ms if not in_time else None)

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
