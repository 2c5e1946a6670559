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

    async def read(self, count: int) -> list[Delivery]:
        """Wait for at most `count` new entries, at most one block."""
        return await read_group(
            self._readers,
            self.stream,
            self._group,
            self.name,
            count=count,
            block_ms=self._block_ms,
        )

    async def reclaim(self, count: int) -> list[Delivery]:
        """Take over at most `count` entries whose consumers fell silent."""
        with translated(f"reclaim {self.stream}"):
            answer = await self._commands.xautoclaim(
                self.stream, self._group, self.name, min_idle_time=self.idle_ms, count=count
            )
            taken = [entry for entry in cast("Any", answer)[1] if entry[1]]
            if not taken:
                return []
            rows = await self._commands.xpending_range(
                self.stream,
                self._group,
                min=taken[0][0],
                max=taken[-1][0],
                count=_WHOLE_LIST,
                consumername=self.name,
            )
        times = {row["message_id"]: int(row["times_delivered"]) for row in rows}
        return [_delivery(entry, times.get(entry[0], 1)) for entry in taken]

    async def renew(self, entry_ids: Sequence[str]) -> set[str]:
        """Keep held entries fresh; gives those that another consumer has taken over."""
        lost = await self._scripts.call(
            "renew_entries", [self.stream], [self._group, self.name, *entry_ids]
        )
        return {entry_id.decode() for entry_id in lost}

    async def leave(self) -> None:
        """Leave the group, unless entries are still held: then others take them over first."""
        await self._scripts.call("leave_group", [self.stream], [self._group, self.name])


Handler = Callable[[Delivery], Awaitable[None]]
"""Works on one delivery and acknowledges it; what it raises leaves the entry pending."""

_WHOLE_LIST = 10_000
_PAUSE_SECONDS = 1.0  # after a failed call to the server


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
    limit; silent consumers' entries are taken over. Returns when the running handlers have
    ended; cancelling it cancels them, and what they held is delivered to others.
    """
    serving = _Serving(consumer, handle, slots, stop, log)
    async with asyncio.TaskGroup() as tasks:
        renewing = tasks.create_task(serving.renew_held())
        reclaiming = tasks.create_task(serving.reclaim_silent())
        await serving.take_new()
        await serving.drained()
        renewing.cancel()
        reclaiming.cancel()
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

    async def take_new(self) -> None:
        joined = False
        while not self.stop.is_set():
            free = await self.free_slots()
            if not free:
                continue
            try:
                if not joined:
                    await self.consumer.join()
                    joined = True
                self.start(await self.read_or_stop(free))
            except StoreUnavailable as err:
                joined = False  # the server may have lost the group with its data
                self.log.warning("stream_read_failed", extra={"error": err.message})
                await self.pause(_PAUSE_SECONDS)

    async def read_or_stop(self, count: int) -> list[Delivery]:
        """Read, but give the read up when `stop` is set: nothing new is taken while draining."""
        reading = asyncio.ensure_future(self.consumer.read(count))
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            # An entry delivered in the very moment of a cancelled read stays pending and is
            # taken over by somebody else.
            return reading.result() if reading.done() else []
        finally:
            reading.cancel()
            stopping.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def reclaim_silent(self) -> None:
        interval = self.consumer.idle_ms / 1000 / 2
        while not self.stop.is_set():
            await self.pause(interval)
            free = self.slots - len(self.held)
            if free <= 0 or self.stop.is_set():
                continue
            try:
                taken = await self.consumer.reclaim(free)
            except StoreUnavailable as err:
                self.log.warning("stream_reclaim_failed", extra={"error": err.message})
                continue
            for delivery in taken:
                self.log.warning(
                    "entry_taken_over",
                    extra={
                        "stream": self.consumer.stream,
                        "entry": delivery.entry_id,
                        "deliveries": delivery.deliveries,
                    },
                )
            self.start(taken)

    async def renew_held(self) -> None:
        interval = self.consumer.idle_ms / 1000 / 3
        while True:
            await asyncio.sleep(interval)
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
            self.log.warning(
                "entry_left_pending", extra={"entry": delivery.entry_id, "error": err.message}
            )
        except Exception:
            # The entry stays pending: it is delivered again, and its delivery count tells.
            self.log.exception("entry_handler_failed", extra={"entry": delivery.entry_id})
        finally:
            async with self.changed:
                del self.held[delivery.entry_id]
                self.changed.notify_all()

    async def free_slots(self) -> int:
        """Wait until a slot is free or `stop` is set; gives how many are free."""
        stopping = asyncio.ensure_future(self.stop.wait())
        freed = asyncio.ensure_future(self._slot_freed())
        try:
            await asyncio.wait((stopping, freed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            freed.cancel()
            await asyncio.gather(stopping, freed, return_exceptions=True)
        return 0 if self.stop.is_set() else self.slots - len(self.held)

    async def _slot_freed(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.held) < self.slots)

    async def drained(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: not self.held)

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


def _delivery(entry: Any, deliveries: int = 1) -> Delivery:
    entry_id, fields = entry
    decoded = {name.decode(): value.decode() for name, value in fields.items()}
    return Delivery(entry_id.decode(), decoded, deliveries)
