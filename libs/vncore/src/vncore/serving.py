"""The loop of a service that works on a stream: at most so many entries at once, none lost.

In come a `streams.Consumer` and a handler; `serve` takes no more than there are free slots, keeps
what is held fresh, takes over what other consumers left, and ends when it is told to. Called by the
``main`` of vnvs and vnas, and by vnapi where a Lambda runs requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from aws_lambda_powertools import Logger

from vncore.errors import StoreUnavailable
from vncore.streams import Consumer, Delivery

Handler = Callable[[Delivery], Awaitable[None]]
"""Works on one delivery and acknowledges it; what it raises leaves the entry pending."""

_PAUSE_SECONDS = 1.0  # after a failed call to the server
_CANCEL_AGAIN_SECONDS = 0.5


async def serve(
    consumer: Consumer,
    handle: Handler,
    *,
    slots: int,
    stop: asyncio.Event,
    log: Logger,
) -> None:
    """Hand deliveries to `handle`, at most `slots` at once, until `stop` is set.

    No more is taken than there are free slots. Held entries are renewed at a third of the idle
    limit; silent consumers' entries are taken over. Once `stop` is set nothing more is taken, and
    this returns when the running handlers have ended. Cancelling it cancels them, waits for them,
    and hands back what they had not finished.
    """
    serving = _Serving(consumer, handle, slots, stop, log)
    renewing = asyncio.create_task(serving.renew_held())
    try:
        await serving.take()
        await serving.drained()
    finally:
        await _ended([renewing])
        await serving.give_up_held()
        with suppress(StoreUnavailable):
            await consumer.leave()


class _Serving:
    """The state of one `serve` call: what is held and how many slots are free."""

    def __init__(
        self, consumer: Consumer, handle: Handler, slots: int, stop: asyncio.Event, log: Logger
    ) -> None:
        self.consumer = consumer
        self.handle = handle
        self.slots = slots
        self.stop = stop
        self.log = log
        self.held: dict[str, asyncio.Task[None]] = {}
        self.left: set[str] = set()  # pending because their handlers failed
        self.changed = asyncio.Condition()

    async def take(self) -> None:
        """Take new entries and, every half idle limit, those of silent consumers."""
        clock = asyncio.get_running_loop().time
        interval = self.consumer.idle_ms / 1000 / 2
        joined, look_at = False, clock() + interval
        while free := await self.free_slots():
            raise_if_cancelled()
            try:
                if not joined:
                    await self.consumer.join()
                    joined = True
                if clock() >= look_at:
                    self.start(await self.reclaimed(free))
                    look_at = clock() + interval
                else:
                    patience_ms = int((look_at - clock()) * 1000) + 1
                    self.start(await self.read_or_stop(free, patience_ms))
            except StoreUnavailable as err:
                joined = False  # the server may have lost the group with its data
                self.log.warning("stream_read_failed", extra={"error": err.message})
                await self.pause(_PAUSE_SECONDS)

    async def read_or_stop(self, count: int, block_ms: int) -> list[Delivery]:
        """Read, but give the read up when `stop` is set: nothing new is taken while draining."""
        reading = asyncio.ensure_future(self.consumer.read(count, block_ms))
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            # An entry delivered in the very moment of a cancelled read is handed back at the end.
            return reading.result() if reading.done() else []
        finally:
            await _ended([reading, stopping])

    async def reclaimed(self, count: int) -> list[Delivery]:
        taken = await self.consumer.reclaim(count)
        for delivery in taken:
            self.log.warning(
                "entry_taken_over",
                extra={
                    "stream": self.consumer.stream,
                    "deliveries": delivery.deliveries,
                    **_facts(delivery),
                },
            )
        return taken

    async def renew_held(self) -> None:
        while True:
            await asyncio.sleep(self.consumer.idle_ms / 1000 / 3)
            try:
                await self.consumer.show_life()
                lost = await self.consumer.renew(list(self.held)) if self.held else set()
            except StoreUnavailable as err:
                self.log.warning("stream_renew_failed", extra={"error": err.message})
                continue
            except Exception:
                # Without this loop others would take over, and run again, all that is held.
                self.log.exception("stream_renew_crashed")
                continue
            # An entry acknowledged a moment ago is not lost, its handler is only about to return.
            for entry_id in lost & self.held.keys():
                self.log.info("entry_no_longer_held", extra={"entry": entry_id})

    def start(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.entry_id not in self.held:
                self.left.discard(delivery.entry_id)
                self.held[delivery.entry_id] = asyncio.create_task(self.run(delivery))

    async def run(self, delivery: Delivery) -> None:
        try:
            await self.handle(delivery)
        except StoreUnavailable as err:
            self.log.warning("entry_left_pending", extra={"error": err.message, **_facts(delivery)})
            if err.passing:
                await self.give_back(delivery)
            else:
                self.left.add(delivery.entry_id)
        except Exception:
            # The entry stays pending: it is delivered again, and its delivery count tells.
            self.left.add(delivery.entry_id)
            self.log.exception("entry_handler_failed", extra=_facts(delivery))
        async with self.changed:  # not reached when cancelled: `give_up_held` needs to know
            del self.held[delivery.entry_id]
            self.changed.notify_all()

    async def give_back(self, delivery: Delivery) -> None:
        """Hand an entry back that is not to blame, uncounted, once the server answers again.

        Counted, a long outage would in the end look like an entry that kills its consumers.
        """
        while True:
            try:
                await self.consumer.hand_back([delivery.entry_id])
            except StoreUnavailable as err:
                if not err.passing:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def free_slots(self) -> int:
        """Wait until a slot is free and give how many are; 0 once `stop` is set."""
        if len(self.held) >= self.slots:
            stopping = asyncio.ensure_future(self.stop.wait())
            freed = asyncio.ensure_future(self._slot_freed())
            try:
                await asyncio.wait((stopping, freed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _ended([stopping, freed])
        return 0 if self.stop.is_set() else self.slots - len(self.held)

    async def _slot_freed(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.held) < self.slots)

    async def drained(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: not self.held)

    async def give_up_held(self) -> None:
        """Cancel the handlers that still run and hand their entries back.

        So it does with those that came with a read that was given up: nobody else knows of them.
        """
        await _ended(list(self.held.values()))
        try:
            await self.consumer.hand_back(sorted(await self.consumer.held() - self.left))
        except StoreUnavailable as err:
            # They go idle, and others take them over all the same, only later.
            self.log.warning("entries_not_handed_back", extra={"error": err.message})

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


async def _ended(tasks: "Sequence[asyncio.Future[Any]]") -> None:
    """Cancel what still runs and wait for its end; again where a cancellation got lost."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


def raise_if_cancelled() -> None:
    """Cancel the current task if it was cancelled in a moment when the client library ate that.

    redis-py probes pooled connections under a timeout of zero; a cancellation that arrives just
    then is taken for that timeout (seen with redis-py 8.1 on Python 3.11). For endless loops.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _facts(delivery: Delivery) -> dict[str, str]:
    """Say in a log line which entry it is about, and of which request where it tells."""
    request_id = delivery.fields.get("requestId")
    return {"entry": delivery.entry_id, **({"request_id": request_id[:80]} if request_id else {})}
