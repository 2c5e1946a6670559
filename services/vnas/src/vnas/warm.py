"""One process that runs the valuation script for task after task (persistent mode, DESIGN §7).

    process = await start(recipe, digest, launcher)       # it said that it is ready
    output = await process.value(document, facts, ...)    # any number of times
    await process.stop()

In come a task document and the facts of the attempt; out come the bytes that the script answered,
or an error that says what happened instead. After anything but an answer the process is ended:
none serves again of which it is not known what it does. Made and replaced by `pool`; the script's
side of it is in docs/SCRIPTS.md.
"""

import asyncio
import secrets
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vnas import descriptors
from vnas.channels import open_free_text
from vnas.conversation import Conversation, Ended
from vnas.ending import ended
from vnas.environment import TaskFacts, checked_variables, warm_environment
from vnas.exits import check_exit, describe_exit, last_line
from vnas.frames import TASK_DIRECTORY, Answer, NoFrame, TooLarge, task_frame
from vnas.launch import Launcher
from vnas.limits import ScriptLimits, limiting_command
from vnas.taskdir import is_empty, make_anew, task_directory
from vnas.usage import CpuAllowance, Usage, usage_of
from vncore.errors import AttemptFailed, ScriptFailed, ScriptTimedOut

_STOP_GRACE_SECONDS = 2.0
"""How long a script may take to end by itself when it is told to."""

_END_GRACE_SECONDS = 1.0
"""From the end of its answers to the end of a process, whose status says why."""

LOOK_SECONDS = 0.2
"""From one look at what a process holds and has started to the next, at least."""

_UNLIMITED_LOOK_SECONDS = 0.1
"""How often the free text's size is looked at where the kernel does not watch it."""

_ONCE_HINT = "; a script that runs once for each task needs VNAS_SCRIPT_MODE=exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a warm process is started from and how long it lives; 0 means for ever."""

    script: Path
    limits: ScriptLimits
    start_timeout_ms: int = 60_000  # until it says that it is ready; at least 1
    recycle_after: int = 10_000  # tasks
    recycle_memory_bytes: int = 1024**3  # resident, looked at after each task
    prlimit: str | None = None  # None: only time and output are limited
    directories: Path | None = None  # where processes get theirs; None: the system's place

    def command(self, tasks_in: int, answers_out: int) -> list[str]:
        """Give the command line for a process that inherits these descriptors."""
        # Its time on the processor is granted task by task instead.
        limiting = limiting_command(replace(self.limits, cpu_seconds=0), self.prlimit)
        placing = [sys.executable, "-I", "-S", descriptors.__file__]
        return [*limiting, *placing, str(tasks_in), str(answers_out), str(self.script)]


async def start(recipe: Recipe, digest: str, launcher: Launcher) -> "WarmProcess":
    """Start a process and wait until it is ready; `digest` is that of the script file.

    Raises ScriptFailed: ``SCRIPT_NOT_READY`` when it ended, was silent too long or said something
    else, and as `Launcher.start` does. Nothing is left of it then, nor when this is cancelled.
    """
    warm = WarmProcess(recipe, digest, launcher)
    try:
        await warm.begin()
    except BaseException:
        await warm.kill()
        raise
    return warm


class WarmProcess:
    """One process of the script; serves one task at a time until it is killed or stopped."""

    def __init__(self, recipe: Recipe, digest: str, launcher: Launcher) -> None:
        """Only `start` makes one."""
        self.digest = digest
        self._recipe = recipe
        self._launcher = launcher
        self._tasks = 0  # that it was given
        self._usage = Usage()
        self._untidy = False
        self._look_at = 0.0  # monotonic
        self.looked_lately = False
        self._companions: set[int] = set()  # its other processes when it was ready
        self._belongings = AsyncExitStack()
        self._watched_by_kernel = recipe.prlimit is not None and recipe.limits.file_bytes > 0

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def begin(self) -> None:
        """Start the process and wait for its readiness; see `start`."""
        recipe, belongings = self._recipe, self._belongings
        self._directory = await belongings.enter_async_context(task_directory(recipe.directories))
        self._task_directory = self._directory / "task"
        self._task_directory.mkdir(mode=0o700)
        self._text = belongings.enter_context(open_free_text())
        self._talk = Conversation(recipe.limits.output_bytes)
        belongings.callback(self._talk.close)
        try:
            self._process = self._launcher.start(
                recipe.command(self._talk.tasks_in, self._talk.answers_out),
                (subprocess.DEVNULL, self._text.file, self._text.file),
                self._directory,
                warm_environment(self._directory),
                keep=(self._talk.tasks_in, self._talk.answers_out),
            )
        finally:
            self._talk.let_go()
        belongings.push_async_callback(self._launcher.clear_away, self._process)
        watching = asyncio.ensure_future(self._watch())
        belongings.callback(watching.cancel)
        self._allowance = CpuAllowance(self.pid, recipe.limits.cpu_seconds)
        self._allowance.grant(0.0)
        try:
            async with asyncio.timeout(recipe.start_timeout_ms / 1000):
                await self._talk.readiness()
        except (TimeoutError, NoFrame, TooLarge, Ended) as err:
            raise await self._not_ready(err) from err
        self._usage = usage_of(self.pid)
        self._companions = self._launcher.lingering(self._process)

    async def value(self, document: bytes, facts: TaskFacts, limit_ms: int) -> bytes:
        """Let the script value a document, and give what it answers.

        Raises ScriptFailed (its status as in `exits`; ``SCRIPT_PROTOCOL``;
        ``SCRIPT_OUTPUT_TOO_LARGE``; ``SCRIPT_ENVIRONMENT_REFUSED``) and ScriptTimedOut, with the
        end of what it printed meanwhile. After all but an answer, with whatever status, the
        process is gone; so it is when this is cancelled.
        """
        told = {**checked_variables(facts), TASK_DIRECTORY: str(self._task_directory)}
        self._tasks += 1
        self._text.clear()
        self._allowance.grant(self._usage.cpu_seconds)
        nonce = secrets.token_hex(8)
        try:
            async with asyncio.timeout(limit_ms / 1000):
                answer = await self._answer(task_frame(nonce, told, document))
            if answer.nonce != nonce:
                raise NoFrame(f"the answer to another task ({answer.nonce}, not {nonce})")
            await self._tidy_up()
        except (TimeoutError, NoFrame, TooLarge, Ended, _Flooded) as err:
            raise await self._failed(err, limit_ms) from err
        except BaseException:
            await self.kill()
            raise
        check_exit(answer.status, self._text.tail() if answer.status else "")
        return answer.output

    @property
    def is_over(self) -> bool:
        """Whether it ended, or said something that nobody asked for: it cannot be used."""
        return self._talk.fault is not None

    def why_replace(self) -> str:
        """Say why it should serve no more; empty when it may. Ask it between tasks.

        Looks at the process itself only if the last look was a while ago: a look costs as much
        as a tenth of a small task. `looked_lately` tells that it should be asked again.
        """
        recipe = self._recipe
        if self.is_over:
            return "its last task ended it"
        if self._untidy:
            return "what a task left cannot be removed"
        if recipe.recycle_after and self._tasks >= recipe.recycle_after:
            return "it has done its share of tasks"
        now = time.monotonic()
        self.looked_lately = now < self._look_at
        if self.looked_lately:
            return ""
        self._look_at = now + LOOK_SECONDS
        self._usage = usage_of(self.pid)
        if 0 < recipe.recycle_memory_bytes < self._usage.resident_bytes:
            return "it holds too much memory"
        if self._launcher.lingering(self._process) - self._companions:
            return "a task left processes behind"
        return ""

    async def stop(self) -> None:
        """Tell the process that no task will come, and kill it if it does not end soon."""
        self._talk.finish()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_GRACE_SECONDS):
                    await ended(self._process)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End the process and all that it started; nothing is left of it."""
        await self._belongings.aclose()

    async def _watch(self) -> None:
        await ended(self._process)
        self._talk.end()

    async def _answer(self, frame: bytes) -> Answer:
        if self._watched_by_kernel:
            return await self._talk.ask(frame)
        asking = asyncio.ensure_future(self._talk.ask(frame))
        try:
            while not (await asyncio.wait({asking}, timeout=_UNLIMITED_LOOK_SECONDS))[0]:
                if self._flooded():
                    raise _Flooded
            return asking.result()
        finally:
            asking.cancel()

    async def _tidy_up(self) -> None:
        if not is_empty(self._task_directory):
            try:
                await asyncio.to_thread(make_anew, self._task_directory)
            except OSError:
                self._untidy = True  # the answer is good all the same

    def _flooded(self) -> bool:
        most = self._recipe.limits.kernel_file_bytes
        return bool(most) and self._text.size() >= most

    async def _failed(self, err: Exception, limit_ms: int) -> AttemptFailed:
        """End the process and say what the attempt ended with."""
        death = await self._death(err)
        limits = self._recipe.limits
        if death.flooded:
            what = f"{limits.kernel_file_bytes} bytes or more to stderr (VNAS_FILE_MAX_BYTES)"
            return death.failure("SCRIPT_OUTPUT_TOO_LARGE", f"the script wrote {what}")
        if isinstance(err, TooLarge):
            what = f"more than {limits.output_bytes} bytes as its answer (VNAS_OUTPUT_MAX_BYTES)"
            return death.failure("SCRIPT_OUTPUT_TOO_LARGE", f"the script wrote {what}")
        if isinstance(err, TimeoutError):
            return ScriptTimedOut(
                "SCRIPT_TIMED_OUT",
                f"the script ran longer than its limit of {limit_ms} ms",
                exit_status=death.status,
                stderr_tail=death.tail,
            )
        if isinstance(err, Ended):
            return death.before_an_answer()
        return death.failure("SCRIPT_PROTOCOL", f"the script sent {err}")

    async def _not_ready(self, err: Exception) -> ScriptFailed:
        death = await self._death(err)
        if isinstance(err, TimeoutError):
            limit_ms = self._recipe.start_timeout_ms
            what = f"was not ready within {limit_ms} ms (VNAS_START_TIMEOUT_MS)"
        elif isinstance(err, Ended) and death.by_itself:
            hint = "" if death.status else _ONCE_HINT
            what = f"{describe_exit(death.status)} before it was ready{hint}"
        elif isinstance(err, Ended):
            what = "closed its answers before it was ready"
        else:
            what = f"did not begin as a warm script does: {err}"
        line = last_line(death.tail)
        return death.failure("SCRIPT_NOT_READY", f"the script {what}{': ' if line else ''}{line}")

    async def _death(self, err: Exception) -> "_Death":
        """End the process, unless it is about to end by itself, and look how it ended."""
        by_itself = False
        if isinstance(err, Ended):
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_GRACE_SECONDS):
                    await ended(self._process)
                    by_itself = True
        tail, flooded = self._text.tail(), self._flooded()
        await self.kill()
        return _Death(self._process.returncode, by_itself, tail, flooded)


class _Flooded(Exception):
    """More free text than a file may hold, where no kernel stops it."""


@dataclass(frozen=True, slots=True)
class _Death:
    """How a process ended."""

    status: int  # negative: by that signal, which may have been ours
    by_itself: bool
    tail: str  # of what it printed
    flooded: bool  # it printed as much as a file may hold

    def failure(self, code: str, message: str) -> ScriptFailed:
        return ScriptFailed(code, message, exit_status=self.status, stderr_tail=self.tail)

    def before_an_answer(self) -> ScriptFailed:
        """Give the failure of a task whose script ended, or hung up, instead of answering."""
        if not self.by_itself:
            return self.failure("SCRIPT_PROTOCOL", "the script closed its answers")
        try:
            check_exit(self.status, self.tail)
        except ScriptFailed as failed:
            return failed
        return self.failure("SCRIPT_PROTOCOL", "the script ended with 0 before it had answered")
