"""The loop of a service that works on a stream: at most so many entries at once, none lost.

In come a `streams.Consumer` and a handler; `serve` takes no more than there is room for, takes
over what other consumers left, has what is held kept fresh (`holding`), and ends when it is told
to. Called by the ``main`` of vnvs and vnas, and by vnapi where a Lambda runs requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aws_lambda_powertools import Logger

from vncore.errors import StoreUnavailable
from vncore.holding import Handler, Holding, end, facts
from vncore.silence import Silence
from vncore.streams import Consumer, Delivery, Silent
from vncore.takeover import choose

Room = Callable[[int], int]
"""Tells how many more entries may be taken while so many are held; not less when fewer are."""

Check = Callable[[], Awaitable[None]]
"""Looks at the server before anything is taken; what it raises ends the serving."""

_PAUSE_SECONDS = 1.0  # after a failed call to the server

T = TypeVar("T")


async def serve(
    consumer: Consumer,
    handle: Handler,
    *,
    slots: int | Room,
    stop: asyncio.Event,
    log: Logger,
    alone_at: int | None = None,
    check: Check | None = None,
) -> None:
    """Hand deliveries to `handle`, at most `slots` at once, until `stop` is set.

    No more is taken than there are free slots, or room. Held entries are renewed at a third of the
    idle limit; silent consumers' entries are taken over; the handler of an entry that another
    consumer took over is cancelled. An entry that is taken over for its delivery number `alone_at`
    is handled while nothing else is (why: `takeover`).

    `check` looks at the server first, and again after each outage; StoreUnavailable from it is
    waited out, any other error ends this after everything was handed back.

    Once `stop` is set nothing more is taken, and this returns when the running handlers have ended.
    Cancelling it cancels them, waits for them, and hands back what they had not finished.
    """
    silence = Silence(consumer.idle_ms / 1000, asyncio.get_running_loop().time)
    holding = Holding(consumer, handle, silence, log=log)
    renewing = asyncio.create_task(holding.keep_fresh())
    try:
        room = slots if callable(slots) else _room_of(slots)
        taking = _Taking(
            consumer, holding, silence, room=room, stop=stop, log=log, alone_at=alone_at
        )
        await taking.until_stopped(check)
        while holding:
            holding.released.clear()
            await holding.released.wait()
    finally:
        await end([renewing])
        await holding.give_up()
        with suppress(StoreUnavailable):
            await consumer.leave()


def _room_of(slots: int) -> Room:
    return lambda held: slots - held


class _Taking:
    """Decides, for as long as one `serve` takes anything, what is taken and when."""

    def __init__(
        self,
        consumer: Consumer,
        holding: Holding,
        silence: Silence,
        *,
        room: Room,
        stop: asyncio.Event,
        log: Logger,
        alone_at: int | None,
    ) -> None:
        self.consumer = consumer
        self.holding = holding
        self.silence = silence
        self.room = room
        self.stop = stop
        self.log = log
        self.alone_at = alone_at
        self.alone = False  # the one entry held is to stay the only one
        self.suspects_wait = False  # nothing new is taken until nothing is held
        self.stopping = asyncio.ensure_future(stop.wait())
        self.stopping.add_done_callback(lambda _: holding.released.set())

    async def until_stopped(self, check: Check | None) -> None:
        """Take new entries and, every half idle limit, those that others left."""
        try:
            await self._until_stopped(check)
        finally:
            await end([self.stopping])

    async def _until_stopped(self, check: Check | None) -> None:
        clock = asyncio.get_running_loop().time
        interval = self.consumer.idle_ms / 1000 / 2
        joined, look_at = False, clock()
        while await self.has_room():
            raise_if_cancelled()
            try:
                if not joined:
                    await self.unless_stopped(self.join(check))
                    joined = True
                elif clock() >= look_at or (self.suspects_wait and not self.holding):
                    await self.take_over()
                    look_at = clock() + interval
                elif self.suspects_wait:
                    await self.wait_until(lambda: not self.holding, look_at - clock())
                else:
                    patience_ms = int((look_at - clock()) * 1000) + 1
                    reading = self.consumer.read(self.free, patience_ms)
                    # An entry delivered in the very moment of a read that is given up is handed
                    # back at the end.
                    self.holding.take(await self.unless_stopped(reading) or [])
            except StoreUnavailable as err:
                joined = False  # the server may have lost the group with its data
                self.silence.server_was_away()
                self.log.warning("stream_read_failed", extra={"error": err.message})
                await self.wait_until(lambda: False, _PAUSE_SECONDS)

    async def join(self, check: Check | None) -> None:
        if check is not None:
            await check()
        await self.consumer.join()

    async def take_over(self) -> None:
        """Take over what was handed back and, unless the server was away lately, what is silent."""
        counts = self.silence.counts()
        silent = await self.consumer.silent(
            self.free, but=self.holding.entry_ids, handed_back_only=not counts
        )
        if counts and not self.silence.counts():
            return  # an outage held up that very call
        chosen = choose(silent, free=self.free, busy=bool(self.holding), alone_at=self.alone_at)
        self.suspects_wait = chosen.suspects_wait
        if not chosen.alone:
            self.begin(chosen.entries, await self.consumer.reclaim(chosen.entries))
            return
        for suspect in chosen.entries:
            if taken := await self.consumer.reclaim([suspect]):
                self.alone = True
                self.begin([suspect], taken)
                return

    def begin(self, silent: Sequence[Silent], taken: Sequence[Delivery]) -> None:
        handed_back = {entry.entry_id for entry in silent if entry.handed_back}
        for delivery in taken:
            tell = self.log.info if delivery.entry_id in handed_back else self.log.warning
            tell(
                "entry_taken_over",
                extra={
                    "stream": self.consumer.stream,
                    "deliveries": delivery.deliveries,
                    "handed_back": delivery.entry_id in handed_back,
                    "alone": self.alone,
                    **facts(delivery),
                },
            )
        self.holding.take(taken)

    @property
    def free(self) -> int:
        """How many entries may be taken now."""
        if self.alone and self.holding:
            return 0
        return self.room(len(self.holding))

    async def has_room(self) -> bool:
        """Wait until an entry may be taken; False once `stop` is set."""
        await self.wait_until(lambda: self.free > 0)
        self.alone = self.alone and bool(self.holding)
        return not self.stop.is_set()

    async def wait_until(self, met: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until `met`, looked at whenever a handler has ended; until `stop`, or so long."""
        released = self.holding.released
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (met() or self.stop.is_set()):
                    released.clear()
                    await released.wait()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do `work`, but give it up when `stop` is set: nothing new is taken while draining."""
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait((working, self.stopping), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            await end([working])


def raise_if_cancelled() -> None:
    """Cancel the current task if it was cancelled in a moment when the client library ate that.

    redis-py probes pooled connections under a timeout of zero; a cancellation that arrives just
    then is taken for that timeout (seen with redis-py 8.1 on Python 3.11). For endless loops.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
