"""The consumer loop on a real server: nothing taken beyond the slots, nothing lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from vncore import serving as serving_module
from vncore import streams
from vncore.connection import Connections
from vncore.errors import StoreUnavailable
from vncore.keys import WORKERS, Keys
from vncore.logs import logger
from vncore.serving import serve
from vncore.streams import Consumer, Delivery, consumers_seen

LOG = logger("test", level="DEBUG")
SHORT_MS = 300

Handle = Callable[[Delivery], Awaitable[None]]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def stream(keys: Keys) -> str:
    return keys.dispatch


@asynccontextmanager
async def serving(
    connections: Connections, stream: str, handle: Handle, *, name: str = "one", slots: int = 2
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    consumer = Consumer(connections, stream, WORKERS, name, idle_ms=SHORT_MS)
    loop = asyncio.create_task(serve(consumer, handle, slots=slots, stop=stop, log=LOG))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await loop


class Gate:
    """A handler that holds what it is given until it is opened, and counts what runs at once."""

    def __init__(self, connections: Connections, stream: str) -> None:
        self.commands, self.stream = connections.commands, stream
        self.running = self.most = 0
        self.opened = asyncio.Event()

    async def handle(self, delivery: Delivery) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.opened.wait()
        self.running -= 1
        await self.commands.xack(self.stream, WORKERS, delivery.entry_id)

    async def two_are_running(self) -> bool:
        return self.running == 2

    async def all_acknowledged(self) -> bool:
        return (await self.commands.xpending(self.stream, WORKERS))["pending"] == 0


async def test_no_more_is_taken_than_there_are_slots(connections: Connections, stream: str):
    gate = Gate(connections, stream)
    for n in range(6):
        await connections.commands.xadd(stream, {"n": str(n)})
    async with serving(connections, stream, gate.handle):
        await until(gate.two_are_running)
        assert (await connections.commands.xpending(stream, WORKERS))["pending"] == 2
        gate.opened.set()
        await until(gate.all_acknowledged)
    assert gate.most == 2


async def test_held_entries_stay_fresh_beyond_the_idle_limit(connections: Connections, stream: str):
    seen: list[str] = []
    go = asyncio.Event()

    def named(name: str) -> Handle:
        async def handle(delivery: Delivery) -> None:
            seen.append(name)
            await go.wait()
            await connections.commands.xack(stream, WORKERS, delivery.entry_id)

        return handle

    await connections.commands.xadd(stream, {"n": "1"})

    async def taken() -> bool:
        return bool(seen)

    async with serving(connections, stream, named("one"), name="one"):
        await until(taken)
        async with serving(connections, stream, named("two"), name="two"):
            await asyncio.sleep(SHORT_MS / 1000 * 4)  # the time itself is the point here
            go.set()
    assert seen == ["one"]


async def test_a_silent_consumers_entry_goes_to_another_with_its_delivery_count(
    connections: Connections, stream: str
):
    dead = Consumer(connections, stream, WORKERS, "dead", idle_ms=SHORT_MS)
    await dead.join()
    await connections.commands.xadd(stream, {"n": "1"})
    assert len(await dead.read(1)) == 1
    got: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    async def handle(delivery: Delivery) -> None:
        got.set_result(delivery)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async with serving(connections, stream, handle):
        delivery = await asyncio.wait_for(got, 10)
    assert delivery.fields == {"n": "1"}
    assert delivery.deliveries == 2


async def test_a_consumer_that_was_stopped_cannot_steal_back_what_passed_on(
    connections: Connections, stream: str
):
    paused = Consumer(connections, stream, WORKERS, "paused", idle_ms=0)
    successor = Consumer(connections, stream, WORKERS, "successor", idle_ms=0)
    await paused.join()
    await connections.commands.xadd(stream, {"n": "1"})
    [delivery] = await paused.read(1)
    assert len(await successor.reclaim(5)) == 1
    assert await paused.renew([delivery.entry_id]) == {delivery.entry_id}
    assert await successor.renew([delivery.entry_id]) == set()


async def test_a_failing_handler_leaves_its_entry_for_another_delivery(
    connections: Connections, stream: str
):
    counts: list[int] = []
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        counts.append(delivery.deliveries)
        if delivery.deliveries < 3:
            raise ValueError("broken on purpose")
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)
        done.set()

    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await asyncio.wait_for(done.wait(), 10)
    assert counts == [1, 2, 3]


async def test_stopping_waits_for_what_runs_and_takes_nothing_more(
    connections: Connections, stream: str
):
    started, go, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        started.set()
        await go.wait()
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)
        finished.set()

    async def nobody_reads() -> bool:
        return (await connections.commands.info("clients"))["blocked_clients"] == 0

    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle) as stop:
        await asyncio.wait_for(started.wait(), 10)
        stop.set()
        await until(nobody_reads)
        await connections.commands.xadd(stream, {"n": "2"})
        go.set()
    assert finished.is_set()
    assert (await connections.commands.xpending(stream, WORKERS))["pending"] == 0
    assert await connections.commands.xlen(stream) == 2
    assert await consumers_seen(connections.commands, stream, WORKERS) == []


async def test_a_consumer_that_holds_entries_is_not_removed(connections: Connections, stream: str):
    consumer = Consumer(connections, stream, WORKERS, "one", idle_ms=SHORT_MS)
    await consumer.join()
    await connections.commands.xadd(stream, {"n": "1"})
    await consumer.read(1)
    await consumer.leave()
    [seen] = await consumers_seen(connections.commands, stream, WORKERS)
    assert (seen.name, seen.pending) == ("one", 1)


async def test_the_loop_goes_on_when_the_server_lost_its_data(
    connections: Connections, stream: str
):
    got: list[str] = []

    async def handle(delivery: Delivery) -> None:
        got.append(delivery.fields["n"])
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async def first() -> bool:
        return got == ["1"]

    async def second() -> bool:
        return got == ["1", "2"]

    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await until(first)
        await connections.commands.flushall()
        await connections.commands.xadd(stream, {"n": "2"})
        await until(second)


async def test_what_a_cancelled_loop_had_begun_goes_to_another_at_once_and_uncounted(
    connections: Connections, stream: str
):
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await connections.commands.xadd(stream, {"n": "1"})
    consumer = Consumer(connections, stream, WORKERS, "one", idle_ms=60_000)
    loop = asyncio.create_task(serve(consumer, handle, slots=2, stop=asyncio.Event(), log=LOG))
    await asyncio.wait_for(started.wait(), 10)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert cancelled.is_set()
    [taken] = await Consumer(connections, stream, WORKERS, "two", idle_ms=60_000).reclaim(5)
    assert taken.deliveries == 1


async def test_an_entry_that_is_no_text_does_not_stop_the_loop(
    connections: Connections, stream: str
):
    got: list[str] = []

    async def handle(delivery: Delivery) -> None:
        got.append(delivery.fields["n"])
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async def both() -> bool:
        return got == ["\ufffd", "2"]

    await connections.commands.xadd(stream, {"n": b"\xff"})
    await connections.commands.xadd(stream, {"n": "2"})
    async with serving(connections, stream, handle, slots=1):
        await until(both)


async def test_taking_over_leaves_no_more_than_the_slots(connections: Connections, stream: str):
    gate = Gate(connections, stream)
    dead = Consumer(connections, stream, WORKERS, "dead", idle_ms=SHORT_MS)
    await dead.join()
    for n in range(8):
        await connections.commands.xadd(stream, {"n": str(n)})
    assert len(await dead.read(4)) == 4
    async with serving(connections, stream, gate.handle):
        await until(gate.two_are_running)
        gate.opened.set()
        await until(gate.all_acknowledged)
    assert gate.most == 2


async def test_an_entry_of_the_dead_is_found_behind_many_of_the_living(
    connections: Connections, stream: str
):
    commands = connections.commands
    living = Consumer(connections, stream, WORKERS, "living", idle_ms=60_000)
    await living.join()
    for n in range(41):
        await commands.xadd(stream, {"n": str(n)})
    held = await living.read(40)
    [last] = await Consumer(connections, stream, WORKERS, "dead", idle_ms=60_000).read(1)
    await commands.xclaim(stream, WORKERS, "dead", 0, [last.entry_id], idle=60_001, justid=True)

    [taken] = await living.reclaim(1)
    assert (taken.entry_id, taken.deliveries) == (last.entry_id, 2)
    assert taken.entry_id not in {delivery.entry_id for delivery in held}
    assert await living.reclaim(1) == []


async def test_a_pending_entry_that_was_deleted_is_not_taken_over(
    connections: Connections, stream: str
):
    dead = Consumer(connections, stream, WORKERS, "dead", idle_ms=1)
    await dead.join()
    entry_id = await connections.commands.xadd(stream, {"n": "1"})
    await dead.read(1)
    await connections.commands.xclaim(stream, WORKERS, "dead", 0, [entry_id], idle=9, justid=True)
    await connections.commands.xdel(stream, entry_id)
    assert await Consumer(connections, stream, WORKERS, "two", idle_ms=1).reclaim(5) == []
    assert (await connections.commands.xpending(stream, WORKERS))["pending"] == 0


@pytest.mark.parametrize(
    ("passing", "deliveries"),
    [
        pytest.param(True, 1, id="the server was away: not counted"),
        pytest.param(False, 2, id="the server answered: counted"),
    ],
)
async def test_an_outage_does_not_count_against_an_entry(
    connections: Connections, stream: str, passing: bool, deliveries: int
):
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.deliveries)
        if len(seen) == 1:
            raise StoreUnavailable("away", passing=passing)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async def again() -> bool:
        return len(seen) == 2

    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await until(again)
    assert seen == [1, deliveries]


async def test_an_entry_is_handed_back_when_the_server_is_there_again(
    connections: Connections, stream: str, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    away = iter((True, False))
    hand_back = Consumer.hand_back

    async def sometimes(consumer: Consumer, entry_ids: Sequence[str]) -> None:
        if entry_ids and next(away, False):
            raise StoreUnavailable("still away", passing=True)
        await hand_back(consumer, entry_ids)

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.deliveries)
        if len(seen) == 1:
            raise StoreUnavailable("away", passing=True)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async def again() -> bool:
        return len(seen) == 2

    monkeypatch.setattr(Consumer, "hand_back", sometimes)
    monkeypatch.setattr(serving_module, "_PAUSE_SECONDS", 0.01)
    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await until(again)
    assert seen == [1, 1]


async def test_what_a_read_that_was_given_up_had_taken_goes_to_another_at_once_and_uncounted(
    connections: Connections, stream: str
):
    joined = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)
        joined.set()

    await connections.commands.xadd(stream, {"n": "1"})
    stop = asyncio.Event()
    one = Consumer(connections, stream, WORKERS, "one", idle_ms=60_000)
    loop = asyncio.create_task(serve(one, handle, slots=1, stop=stop, log=LOG))
    await asyncio.wait_for(joined.wait(), 10)
    stop.set()
    await connections.commands.xadd(stream, {"n": "2"})
    # As the server does for a read whose cancellation has not reached it yet.
    await connections.commands.xreadgroup(WORKERS, "one", {stream: ">"})
    await asyncio.wait_for(loop, 10)
    [taken] = await Consumer(connections, stream, WORKERS, "two", idle_ms=60_000).reclaim(5)
    assert (taken.fields["n"], taken.deliveries) == ("2", 1)


async def test_consumers_that_are_long_gone_are_forgotten_but_not_what_they_hold(
    connections: Connections, stream: str, monkeypatch: pytest.MonkeyPatch
):
    async def names() -> set[str]:
        return {one.name for one in await consumers_seen(connections.commands, stream, WORKERS)}

    def consumer(name: str) -> Consumer:
        return Consumer(connections, stream, WORKERS, name, idle_ms=60_000)

    await consumer("first").join()
    await connections.commands.xadd(stream, {"n": "1"})
    assert len(await consumer("holding").read(1)) == 1
    await connections.commands.xgroup_createconsumer(stream, WORKERS, "gone")
    await consumer("early").join()
    assert await names() == {"first", "holding", "gone", "early"}
    monkeypatch.setattr(streams, "_FORGOTTEN_MS", -1)
    await consumer("late").join()
    assert await names() == {"holding", "late"}


async def test_a_fault_in_renewing_does_not_end_it(
    connections: Connections, stream: str, monkeypatch: pytest.MonkeyPatch
):
    renewed, faults = asyncio.Event(), iter((True,))
    renew = Consumer.renew

    async def faulty(consumer: Consumer, entry_ids: Sequence[str]) -> set[str]:
        if next(faults, False):
            raise ValueError("broken on purpose")
        renewed.set()
        return await renew(consumer, entry_ids)

    async def handle(delivery: Delivery) -> None:
        await renewed.wait()
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async def all_acknowledged() -> bool:
        return (
            renewed.is_set()
            and not (await connections.commands.xpending(stream, WORKERS))["pending"]
        )

    monkeypatch.setattr(Consumer, "renew", faulty)
    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await until(all_acknowledged)


async def test_a_consumer_without_work_is_seen_alive(connections: Connections, stream: str):
    async def handle(delivery: Delivery) -> None:
        raise AssertionError(f"nothing was queued: {delivery}")

    async def idle_ms() -> int:
        seen = await consumers_seen(connections.commands, stream, WORKERS)
        return seen[0].idle_ms if seen else -1

    async def is_seen() -> bool:
        return await idle_ms() >= 0

    async with serving(connections, stream, handle):
        await until(is_seen)
        highest = 0

        async def showed_life_again() -> bool:
            nonlocal highest
            now = await idle_ms()
            highest = max(highest, now)
            return now < highest

        await until(showed_life_again)
