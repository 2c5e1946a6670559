"""Consumers of streams: read, keep alive, reclaim, acknowledge.

The pending-entries list is the crash detector: entries of a dead consumer go idle and another one
takes them over; a live one keeps its own fresh. Whoever handles a delivery acknowledges it with,
or after, its stored effect; a delivery that nobody acknowledged comes again.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from aws_lambda_powertools import Logger
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from vncore.connection import Connections, translated
from vncore.errors import StoreUnavailable
from vncore.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stream entry in this consumer's hands."""

    entry_id: str
    fields: Mapping[str, str]
    deliveries: int = 1  # how many consumers have had it, this one included


@dataclass(frozen=True, slots=True)
class ConsumerSeen:
    """A consumer of a group as the server knows it."""

    name: str
    pending: int  # entries it holds
    idle_ms: int  # since its last attempt to read or claim


def consumer_name(service: str) -> str:
    """Make a name that no other process has: service, host, process id, six random digits."""
    return f"{service}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


async def ensure_group(redis: Redis, stream: str, group: str) -> None:
    """Make stream and group when absent; the group sees every entry ever added."""
    with translated(f"create group {group}"):
        try:
            await redis.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as err:
            if "BUSYGROUP" not in str(err):
                raise


async def read_group(
    redis: Redis,
    stream: str,
    group: str,
    consumer: str,
    *,
    count: int | None,
    block_ms: int | None,
    pending: bool = False,
) -> list[Delivery]:
    """Read new entries, or with `pending` those that the consumer name already holds.

    Waits at most `block_ms`; None does not wait. Raises StoreUnavailable, also when the group is
    gone.
    """
    with translated(f"read {stream}"):
        answer = await cast(
            "Any",
            redis.xreadgroup(
                group, consumer, {stream: "0" if pending else ">"}, count=count, block=block_ms
            ),
        )
    return [_delivery(entry) for _, entries in answer or () for entry in entries if entry[1]]


async def acknowledge(redis: Redis, stream: str, group: str, entry_ids: Sequence[str]) -> None:
    """Take entries off a stream, with or after their stored effect; none or gone ones are fine.

    Raises StoreUnavailable: they are still there and will be delivered again.
    """
    if not entry_ids:
        return
    async with redis.pipeline(transaction=True) as pipe:
        pipe.xack(stream, group, *entry_ids)
        pipe.xdel(stream, *entry_ids)
        with translated(f"acknowledge {stream}"):
            await pipe.execute()


async def consumers_seen(redis: Redis, stream: str, group: str) -> list[ConsumerSeen]:
    """List a group's consumers; empty when stream or group is absent."""
    with translated(f"list consumers of {group}"):
        try:
            rows = await redis.xinfo_consumers(stream, group)
        except ResponseError as err:
            if "no such key" in str(err) or "NOGROUP" in str(err):
                return []
            raise
    return [ConsumerSeen(row["name"].decode(), row["pending"], row["idle"]) for row in rows]


class Consumer:
    """One named consumer of one group on one stream."""

    def __init__(
        self, connections: Connections, stream: str, group: str, name: str, *, idle_ms: int
    ) -> None:
        """Take entries of other consumers that were silent for `idle_ms`."""
        self.name = name
        self.stream = stream
        self.idle_ms = idle_ms
        self._group = group
        self._block_ms = connections.block_ms
        self._commands = connections.commands
        self._readers = connections.readers
        self._scripts = Scripts(connections.commands)

    async def join(self) -> None:
        """Make the stream and its group when absent."""
        await ensure_group(self._commands, self.stream, self._group)

    async def read(self, count: int, block_ms: int | None = None) -> list[Delivery]:
        """Wait for at most `count` new entries, at most one block or `block_ms` if shorter."""
        return await read_group(
            self._readers,
            self.stream,
            self._group,
            self.name,
            count=count,
            block_ms=self._block_ms if block_ms is None else min(block_ms, self._block_ms),
        )

    async def reclaim(self, count: int) -> list[Delivery]:
        """Take over at most `count` entries whose consumers fell silent, the oldest first."""
        # Not XAUTOCLAIM: it looks at ten pending entries for each one wanted and stops, so that a
        # dead consumer's entries behind those of a busy crowd would not be found.
        with translated(f"reclaim {self.stream}"):
            rows = await self._commands.xpending_range(
                self.stream, self._group, min="-", max="+", count=count, idle=self.idle_ms
            )
            if not rows:
                return []
            times = {row["message_id"]: int(row["times_delivered"]) for row in rows}
            taken = await self._commands.xclaim(
                self.stream, self._group, self.name, self.idle_ms, list(times)
            )
        return [_delivery(entry, times[entry[0]] + 1) for entry in cast("Any", taken) if entry[1]]

    async def renew(self, entry_ids: Sequence[str]) -> set[str]:
        """Keep held entries fresh; gives those that another consumer has taken over."""
        lost = await self._scripts.call(
            "renew_entries", [self.stream], [self._group, self.name, *entry_ids]
        )
        return {entry_id.decode() for entry_id in lost}

    async def hand_back(self, entry_ids: Sequence[str]) -> None:
        """Give up entries that were begun and not finished; another consumer takes them at once.

        The delivery does not count against them.
        """
        if entry_ids:
            await self._scripts.call(
                "hand_back", [self.stream], [self._group, self.name, self.idle_ms, *entry_ids]
            )

    async def leave(self) -> None:
        """Leave the group, unless entries are still held: then others take them over first."""
        await self._scripts.call("leave_group", [self.stream], [self._group, self.name])


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
            # An entry delivered in the very moment of a cancelled read stays pending and is
            # taken over by somebody else.
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
            if not self.held:
                continue
            try:
                lost = await self.consumer.renew(list(self.held))
            except StoreUnavailable as err:
                self.log.warning("stream_renew_failed", extra={"error": err.message})
                continue
            # An entry acknowledged a moment ago is not lost, its handler is only about to return.
            for entry_id in lost & self.held.keys():
                self.log.info("entry_no_longer_held", extra={"entry": entry_id})

    def start(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.entry_id not in self.held:
                self.held[delivery.entry_id] = asyncio.create_task(self.run(delivery))

    async def run(self, delivery: Delivery) -> None:
        try:
            await self.handle(delivery)
        except StoreUnavailable as err:
            self.log.warning("entry_left_pending", extra={"error": err.message, **_facts(delivery)})
        except Exception:
            # The entry stays pending: it is delivered again, and its delivery count tells.
            self.log.exception("entry_handler_failed", extra=_facts(delivery))
        async with self.changed:  # not reached when cancelled: `give_up_held` needs to know
            del self.held[delivery.entry_id]
            self.changed.notify_all()

    async def free_slots(self) -> int:
        """Wait until a slot is free and give how many are; 0 once `stop` is set."""
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
        """Cancel the handlers that still run and hand their entries back."""
        unfinished = dict(self.held)
        await _ended(list(unfinished.values()))
        try:
            await self.consumer.hand_back(list(unfinished))
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


def _delivery(entry: Any, deliveries: int = 1) -> Delivery:
    entry_id, fields = entry
    # Bytes that are no UTF-8 must not stop the reader: whoever reads the message refuses it.
    decoded = {_text(name): _text(value) for name, value in fields.items()}
    return Delivery(entry_id.decode(), decoded, deliveries)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
