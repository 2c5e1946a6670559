"""One attempt at one task: its document goes through the valuation script, once.

In come the dispatched task and its document; out comes how the attempt ended, never an exception
that is the task's. Called by `slices`.
"""

import asyncio
from dataclasses import replace

from vnas.environment import TaskFacts
from vnas.result import make_result
from vnas.runner import Runner
from vnas.scriptfile import ScriptFile
from vncore.clock import Clock
from vncore.errors import AttemptFailed, ScriptFailed, ScriptTimedOut, VnError
from vncore.failures import Failure
from vncore.logs import logger
from vncore.messages import TaskDispatch
from vncore.tasks import Settlement, TaskText
from vncore.xml import DEFAULT_LIMITS

_log = logger("vnas")

_PARSED_IN_THREAD_BYTES = 64 * 1024
"""Above this a document costs the event loop milliseconds; below it a thread costs more."""


class Attempts:
    """Runs the script for one task after another; holds nothing between them."""

    def __init__(
        self, runner: Runner, script: ScriptFile, *, output_bytes: int, clock: Clock
    ) -> None:
        self._runner = runner
        self._script = script
        self._limits = replace(DEFAULT_LIMITS, max_bytes=output_bytes)
        self._clock = clock

    @property
    def is_broken(self) -> bool:
        """Whether the script cannot be started any more: a worker whose script does may do it."""
        return self._runner.is_broken

    async def make(self, task: TaskDispatch, text: TaskText | None) -> Settlement:
        """Run the script once; whatever goes wrong becomes the attempt's failure."""
        started_ms = self._clock()
        try:
            if text is None:
                raise AttemptFailed("TASK_DOCUMENT_MISSING", "the task's document is gone")
            result = await self._value(task, text, self._time_left_ms(task))
        except VnError as err:
            error = err
        except Exception as err:  # noqa: BLE001 - see below
            # Reported at once: left pending it would only come again, and again, to be called
            # poison in the end.
            _log.exception("attempt_crashed", extra={"task_id": task.task_id})
            error = AttemptFailed("INTERNAL", f"a fault in the worker: {type(err).__name__}")
        else:
            return Settlement(task, self._clock() - started_ms, result)
        return failed(task, error, self._clock() - started_ms)

    def _time_left_ms(self, task: TaskDispatch) -> int | None:
        if task.deadline_ms is None:
            return None
        left_ms = task.deadline_ms - self._clock()
        if left_ms <= 0:
            raise ScriptTimedOut("SCRIPT_TIMED_OUT", "the task's deadline passed before its start")
        return left_ms

    async def _value(self, task: TaskDispatch, text: TaskText, timeout_ms: int | None) -> bytes:
        facts = TaskFacts(
            request_id=task.request_id,
            group_index=task.group_index,
            group_name=task.group_name,
            task_id=task.task_id,
            valuation_name=task.valuation_name,
            attempt=task.attempt,
            deadline="" if task.deadline_ms is None else str(task.deadline_ms),
            traceparent=task.trace.traceparent,
        )
        try:
            digest = await self._script.current_digest()
        except OSError as err:
            raise ScriptFailed(
                "SCRIPT_NOT_RUNNABLE", f"the script cannot be read: {err.strerror}"
            ) from err
        output = await self._runner.run(text.xml, facts, timeout_ms=timeout_ms)

        def result() -> bytes:
            return make_result(
                output,
                text.xml,
                task_id=task.task_id,
                script_digest=digest,
                limits=self._limits,
                shared=text.shared,
            )

        own_bytes = len(output) + len(text.xml)
        if own_bytes > _PARSED_IN_THREAD_BYTES and not text.shared:
            return await asyncio.to_thread(result)
        return result()


def failed(task: TaskDispatch, error: VnError, duration_ms: int = 0) -> Settlement:
    """Give a failed attempt, with the task's place in its failure."""
    failure = Failure.of(error, attempts=task.attempt).at(
        group=task.group_name,
        groupIndex=task.group_index,
        valuation=task.valuation_name,
        task=task.task_id,
    )
    return Settlement(task, duration_ms, failure=failure)
