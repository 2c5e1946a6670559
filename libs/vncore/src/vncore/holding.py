"""What a consumer holds: handlers that run, entries kept fresh, and the end of both.

In come deliveries; each is given to the handler in an asyncio task of its own. Renews what is held,
cancels handlers of entries that passed on to others, and hands back what was not finished. Called
by `serving`, which decides what is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from vncore.errors import StoreUnavailable
from vncore.silence import Silence
from vncore.streams import Consumer, Delivery, Lost

Handler = Callable[[Delivery], Awaitable[None]]
"""Works on one delivery and acknowledges it; what it raises leaves the entry pending."""

_PAUSE_SECONDS = 1.0  # after a failed call to the server
_CANCEL_AGAIN_SECONDS = 0.5


class NotNow(Exception):
    """Raised by a handler that did nothing: somebody else may do it sooner, and nothing counts."""


class Holding:
    """The entries in a consumer's hands, each with the handler that works on it."""

    def __init__(
        self, consumer: Consumer, handle: Handler, silence: Silence, *, log: Logger
    ) -> None:
        """Tell `silence` when the server answers and when it does not."""
        self.released = asyncio.Event()  # set whenever a handler has ended
        self._consumer = consumer
        self._handle = handle
        self._silence = silence
        self._log = log
        self._running: dict[str, asyncio.Task[None]] = {}
        self._left: set[str] = set()  # pending because their handlers failed
        self._ended_since: dict[str, float] = {}  # of running ones: when they were found so
        self._idle_seconds = consumer.idle_ms / 1000

    def __len__(self) -> int:
        return len(self._running)

    @property
    def entry_ids(self) -> list[str]:
        """The entries whose handlers run."""
        return list(self._running)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Start a handler for each delivery; one that runs already goes on."""
        for delivery in deliveries:
            if delivery.entry_id not in self._running:
                self._left.discard(delivery.entry_id)
                running = asyncio.create_task(self._run(delivery))
                self._running[delivery.entry_id] = running
                running.add_done_callback(partial(self._release, delivery.entry_id))

    async def keep_fresh(self) -> None:
        """Renew what is held at a third of the idle limit, for ever."""
        third = self._idle_seconds / 3
        pause, away = third, False
        while True:
            await asyncio.sleep(pause)
            pause = third
            try:
                await self._consumer.show_life()
                lost = await self._consumer.renew(self.entry_ids) if self else _NOTHING
            except StoreUnavailable as err:
                if not away:
                    self._log.warning("stream_renew_failed", extra={"error": err.message})
                away, pause = True, min(third, _PAUSE_SECONDS)
                self._silence.server_was_away()
                continue
            except Exception:  # noqa: BLE001 - else others would run again all that is held
                self._log.exception("stream_renew_crashed")
                continue
            away = False
            self._silence.server_answered()
            self._stop(lost)

    async def give_up(self) -> None:
        """Cancel the handlers that still run and hand their entries back.

        So it does with those that came with a read that was given up: nobody else knows of them.
        """
        await end(list(self._running.values()))
        try:
            await self._consumer.hand_back(sorted(await self._consumer.held() - self._left))
        except StoreUnavailable as err:
            # They go idle, and others take them over all the same, only later.
            self._log.warning("entries_not_handed_back", extra={"error": err.message})

    def _stop(self, lost: Lost) -> None:
        """Cancel the handlers of entries that passed on to others.

        An entry that is acknowledged may be so by its own handler, which is about to return or
        tidies up: it has one idle limit for that. Else somebody else ended the entry.
        """
        for entry_id in lost.taken & self._running.keys():
            self._log.warning("entry_lost", extra={"entry": entry_id})
            self._running[entry_id].cancel()
        now = asyncio.get_running_loop().time()
        self._ended_since = {
            entry_id: self._ended_since.get(entry_id, now)
            for entry_id in lost.gone & self._running.keys()
        }
        for entry_id, since in self._ended_since.items():
            if now - since >= self._idle_seconds:
                self._log.info("entry_ended_elsewhere", extra={"entry": entry_id})
                self._running[entry_id].cancel()

    def _release(self, entry_id: str, _: "asyncio.Task[None]") -> None:
        # A callback, not the end of `_run`: that is not reached by one cancelled before its start.
        del self._running[entry_id]
        self.released.set()

    async def _run(self, delivery: Delivery) -> None:
        try:
            await self._handle(delivery)
        except NotNow:
            await self._give_back(delivery)
        except StoreUnavailable as err:
            self._log.warning("entry_left_pending", extra={"error": err.message, **facts(delivery)})
            if err.passing:
                await self._give_back(delivery)
            else:
                self._left.add(delivery.entry_id)
        except Exception:  # noqa: BLE001 - the entry stays pending, and its delivery count tells
            self._left.add(delivery.entry_id)
            self._log.exception("entry_handler_failed", extra=facts(delivery))

    async def _give_back(self, delivery: Delivery) -> None:
        """Hand an entry back that is not to blame, uncounted, once the server answers again.

        Counted, a long outage would in the end look like an entry that kills its consumers.
        """
        while True:
            try:
                await self._consumer.hand_back([delivery.entry_id])
            except StoreUnavailable as err:
                if not err.passing:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return


_NOTHING = Lost(frozenset(), frozenset())


async def end(tasks: "Sequence[asyncio.Future[Any]]") -> None:
    """Cancel what still runs and wait for its end; again where a cancellation got lost."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_CANCEL_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: whoever waits for the result was told


def facts(delivery: Delivery) -> dict[str, str]:
    """Say in a log line which entry it is about, and of which request where it tells."""
    request_id = delivery.fields.get("requestId")
    return {"entry": delivery.entry_id, **({"request_id": request_id[:80]} if request_id else {})}
