"""A delivery of the dispatch stream, from its documents to the last settled attempt.

Called by `vncore.serving.serve`, which reads no more than `ahead` has room for, keeps what is held
fresh while the script runs, takes over what dead workers held, and cancels what others took over.
What is done with the tasks of an entry is in `slices`.
"""

from vnas.ahead import Ahead
from vnas.attempt import Attempts
from vnas.slices import Slice
from vnas.withdrawn import Withdrawals, Withdrawn
from vncore.errors import InvalidRequest
from vncore.ids import parse_request_id
from vncore.logs import bound, logger
from vncore.messages import MalformedEntry, tasks_of
from vncore.streams import Delivery
from vncore.tasks import Assignment, TaskStore

log = logger("vnas")


class Worker:
    """Works on deliveries, several at once; holds nothing between them."""

    def __init__(
        self,
        store: TaskStore,
        attempts: Attempts,
        withdrawals: Withdrawals,
        ahead: Ahead,
        *,
        worker_id: str,
        max_deliveries: int,
    ) -> None:
        """Take the parts.

        A task that `max_deliveries` workers ended with is not run again.
        """
        self._store = store
        self._attempts = attempts
        self._withdrawals = withdrawals
        self._ahead = ahead
        self._worker_id = worker_id
        self._max_deliveries = max_deliveries

    async def handle(self, delivery: Delivery) -> None:
        """Run the tasks of a delivery and settle them.

        Nothing is run for a request that is over; what runs for one when it ends is killed, and
        nothing is reported. An entry that cannot be read is taken off. Raises StoreUnavailable: the
        entry stays pending; NotNow: the turn did not come of what is open. Cancelled: scripts are
        killed, the entry stays pending.
        """
        try:
            tasks = tasks_of(delivery.fields)
            parse_request_id(tasks[0].request_id)
        except (MalformedEntry, InvalidRequest) as err:
            log.warning("entry_malformed", extra={"entry": delivery.entry_id, "error": str(err)})
            await self._store.discard(delivery.entry_id)
            return
        first = tasks[0]
        facts: dict[str, str | int] = {
            "request_id": first.request_id,
            "group_index": first.group_index,
        }
        if len(tasks) == 1:
            facts |= {"task_id": first.task_id, "attempt": first.attempt}
        with bound(log, **facts):
            await self._handle(delivery, Assignment(delivery.entry_id, self._worker_id, tasks))

    async def _handle(self, delivery: Delivery, assignment: Assignment) -> None:
        payload = await self._store.fetch(assignment)
        if not payload.request_is_open or not payload.documents:
            log.info("task_skipped", extra={"reason": "the request is over, or all is done"})
            await self._store.discard(delivery.entry_id)
            return
        with self._ahead.holding(len(payload.documents)) as held:
            tasks = Slice(
                assignment,
                payload.documents,
                store=self._store,
                attempts=self._attempts,
                ahead=self._ahead,
                held=held,
            )
            try:
                await self._withdrawals.unless_over(assignment.run, self._work(tasks, delivery))
            except Withdrawn:
                log.info("task_withdrawn")
                await self._store.discard(delivery.entry_id)

    async def _work(self, tasks: Slice, delivery: Delivery) -> None:
        if delivery.deliveries > self._max_deliveries:
            await tasks.refuse_poison(delivery.deliveries)
        elif delivery.deliveries > 1 or self._max_deliveries == 1 or tasks.is_single:
            await tasks.one_by_one()  # of the last delivery, at least, the guilty one is known
        else:
            await tasks.in_lanes()
