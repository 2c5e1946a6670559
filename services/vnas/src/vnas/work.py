"""One task: its document goes through the valuation script and becomes a result or a failure.

In comes a delivery of the dispatch stream; out goes one settled attempt. Called by
`vncore.serving.serve`, which reads no more than `ahead` has room for, keeps what is held fresh
while the script runs, takes over what dead workers held, and cancels what others took over.
"""

import asyncio
from dataclasses import replace

from vnas.ahead import Ahead
from vnas.environment import TaskFacts
from vnas.result import make_result
from vnas.runner import Runner
from vnas.scriptfile import ScriptFile
from vnas.update import Outcome, settle
from vnas.withdrawn import Withdrawals, Withdrawn
from vncore.clock import Clock
from vncore.errors import AttemptFailed, InvalidRequest, ScriptFailed, ScriptTimedOut, VnError
from vncore.failures import Failure
from vncore.holding import NotNow
from vncore.ids import parse_request_id
from vncore.logs import bound, logger
from vncore.messages import MalformedEntry, TaskDispatch
from vncore.streams import Delivery
from vncore.tasks import TaskStore
from vncore.xml import DEFAULT_LIMITS

log = logger("vnas")

_PARSED_IN_THREAD_BYTES = 64 * 1024
"""Above this a document costs the event loop milliseconds; below it a thread costs more."""


class Worker:
    """Works on deliveries, several at once; holds nothing between them."""

    def __init__(
        self,
        store: TaskStore,
        runner: Runner,
        script: ScriptFile,
        withdrawals: Withdrawals,
        ahead: Ahead,
        *,
        worker_id: str,
        max_deliveries: int,
        output_bytes: int,
        clock: Clock,
    ) -> None:
        """Take the parts.

        A delivery after `max_deliveries` others is not run: its task ended that many workers.
        """
        self._store = store
        self._runner = runner
        self._script = script
        self._withdrawals = withdrawals
        self._ahead = ahead
        self._worker_id = worker_id
        self._max_deliveries = max_deliveries
        self._limits = replace(DEFAULT_LIMITS, max_bytes=output_bytes)
        self._clock = clock

    async def handle(self, delivery: Delivery) -> None:
        """Run the task of a delivery and settle it.

        Nothing is run for a request that is over; what runs for one when it ends is killed, and
        nothing is reported. An entry that cannot be read is taken off. Raises StoreUnavailable: the
        entry stays pending; NotNow: its turn did not come, nothing was done. Cancelled: the script
        is killed, the entry stays pending.
        """
        try:
            task = TaskDispatch.from_fields(delivery.fields)
            parse_request_id(task.request_id)
        except (MalformedEntry, InvalidRequest) as err:
            log.warning("entry_malformed", extra={"entry": delivery.entry_id, "error": str(err)})
            await self._store.discard(delivery.entry_id)
            return
        with bound(
            log,
            request_id=task.request_id,
            group_index=task.group_index,
            task_id=task.task_id,
            attempt=task.attempt,
        ):
            await self._handle(delivery, task)

    async def _handle(self, delivery: Delivery, task: TaskDispatch) -> None:
        payload = await self._store.fetch(task)
        if not payload.request_is_open:
            log.info("task_skipped", extra={"reason": "the request is over"})
            await self._store.discard(delivery.entry_id)
            return
        attempt = self._in_turn(delivery, task, payload.document)
        try:
            outcome = await self._withdrawals.unless_over((task.request_id, task.run), attempt)
        except Withdrawn:
            log.info("task_withdrawn")
            await self._store.discard(delivery.entry_id)
            return
        with self._ahead.settling():
            await settle(self._store, delivery.entry_id, task, outcome, worker_id=self._worker_id)

    async def _in_turn(
        self, delivery: Delivery, task: TaskDispatch, document: bytes | None
    ) -> Outcome:
        async with self._ahead.turn():
            if self._runner.is_broken:
                raise NotNow  # it was taken ahead; a worker whose script starts may do it
            return await self._attempt(delivery, task, document)

    async def _attempt(
        self, delivery: Delivery, task: TaskDispatch, document: bytes | None
    ) -> Outcome:
        """Run the script once; whatever goes wrong becomes the attempt's failure."""
        started_ms = self._clock()
        try:
            self._refuse_poison(delivery)
            if document is None:
                raise AttemptFailed("TASK_DOCUMENT_MISSING", "the task's document is gone")
            result = await self._value(task, document, self._time_left_ms(task))
        except VnError as err:
            error = err
        except Exception as err:
            # Reported at once: left pending it would only come again, and again, to be called
            # poison in the end.
            log.exception("attempt_crashed")
            error = AttemptFailed("INTERNAL", f"a fault in the worker: {type(err).__name__}")
        else:
            return Outcome(self._clock() - started_ms, result=result)
        failure = Failure.of(error, attempts=task.attempt).at(
            group=task.group_name,
            groupIndex=task.group_index,
            valuation=task.valuation_name,
            task=task.task_id,
        )
        return Outcome(self._clock() - started_ms, failure=failure)

    def _refuse_poison(self, delivery: Delivery) -> None:
        if delivery.deliveries > self._max_deliveries:
            raise AttemptFailed(
                "TASK_POISONED",
                f"{delivery.deliveries - 1} workers took the task and none lived to report",
            )

    def _time_left_ms(self, task: TaskDispatch) -> int | None:
        if task.deadline_ms is None:
            return None
        left_ms = task.deadline_ms - self._clock()
        if left_ms <= 0:
            raise ScriptTimedOut("SCRIPT_TIMED_OUT", "the task's deadline passed before its start")
        return left_ms

    async def _value(self, task: TaskDispatch, document: bytes, timeout_ms: int | None) -> bytes:
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
        output = await self._runner.run(document, facts, timeout_ms=timeout_ms)

        def result() -> bytes:
            return make_result(
                output,
                document,
                task_id=task.task_id,
                script_digest=digest,
                limits=self._limits,
            )

        if len(output) + len(document) > _PARSED_IN_THREAD_BYTES:
            return await asyncio.to_thread(result)
        return result()
