"""The consumer loop on a real server: nothing taken beyond the slots, nothing lost."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from vnclient.local.valkey import ValkeyServer
from vncore import holding, streams
from vncore.connection import Connections
from vncore.errors import Misconfigured, StoreUnavailable
from vncore.keys import WORKERS, Keys
from vncore.logs import logger
from vncore.serving import Check, serve
from vncore.streams import Consumer, Delivery, Lost, consumers_seen

LOG = logger("test", level="DEBUG")
SHORT_MS = 300

Handle = Callable[[Delivery], Awaitable[None]]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def taken_over(consumer: Consumer, count: int = 5) -> list[Delivery]:
    """Look for silent entries and take them over."""
    return await consumer.reclaim(await consumer.silent(count))


@pytest.fixture
def stream(keys: Keys) -> str:
    return keys.dispatch


@asynccontextmanager
async def serving(
    connections: Connections,
    stream: str,
    handle: Handle,
    *,
    name: str = "one",
    slots: int = 2,
    idle_ms: int = SHORT_MS,
    alone_at: int | None = None,
    check: Check | None = None,
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    consumer = Consumer(connections, stream, WORKERS, name, idle_ms=idle_ms)
    loop = asyncio.create_task(
        serve(consumer, handle, slots=slots, stop=stop, log=LOG, alone_at=alone_at, check=check)
    )
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
    assert len(await taken_over(successor)) == 1
    lost = Lost(taken=frozenset({delivery.entry_id}), gone=frozenset())
    assert await paused.renew([delivery.entry_id]) == lost
    assert await successor.renew([delivery.entry_id]) == Lost(frozenset(), frozenset())
    await connections.commands.xack(stream, WORKERS, delivery.entry_id)
    gone = Lost(taken=frozenset(), gone=frozenset({delivery.entry_id}))
    assert await paused.renew([delivery.entry_id]) == gone
    assert await successor.renew([delivery.entry_id]) == gone


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
    [taken] = await taken_over(Consumer(connections, stream, WORKERS, "two", idle_ms=60_000))
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

    [taken] = await taken_over(living, 1)
    assert (taken.entry_id, taken.deliveries) == (last.entry_id, 2)
    assert taken.entry_id not in {delivery.entry_id for delivery in held}
    assert await taken_over(living, 1) == []


async def test_a_pending_entry_that_was_deleted_is_not_taken_over(
    connections: Connections, stream: str
):
    dead = Consumer(connections, stream, WORKERS, "dead", idle_ms=1)
    await dead.join()
    entry_id = await connections.commands.xadd(stream, {"n": "1"})
    await dead.read(1)
    await connections.commands.xclaim(stream, WORKERS, "dead", 0, [entry_id], idle=9, justid=True)
    await connections.commands.xdel(stream, entry_id)
    assert await taken_over(Consumer(connections, stream, WORKERS, "two", idle_ms=1)) == []
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
    monkeypatch.setattr(holding, "_PAUSE_SECONDS", 0.01)
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
    [taken] = await taken_over(Consumer(connections, stream, WORKERS, "two", idle_ms=60_000))
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
    monkeypatch.setattr(streams, "FORGOTTEN_MS", -1)
    await consumer("late").join()
    assert await names() == {"holding", "late"}


async def test_a_fault_in_renewing_does_not_end_it(
    connections: Connections, stream: str, monkeypatch: pytest.MonkeyPatch
):
    renewed, faults = asyncio.Event(), iter((True,))
    renew = Consumer.renew

    async def faulty(consumer: Consumer, entry_ids: Collection[str]) -> Lost:
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


# --- entries that pass on to others ---------------------------------------------------------------


class Held:
    """A handler that holds what it is given for ever, and tells what became of it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []

    async def handle(self, delivery: Delivery) -> None:
        self.begun.append(delivery.fields["n"])
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.append(delivery.fields["n"])

    async def has_begun(self) -> bool:
        return bool(self.begun)


async def holders(connections: Connections, stream: str) -> dict[str, tuple[str, int]]:
    """Give who holds each entry, and its delivery count."""
    rows = await connections.commands.xpending_range(stream, WORKERS, min="-", max="+", count=100)
    return {
        row["message_id"].decode(): (row["consumer"].decode(), row["times_delivered"])
        for row in rows
    }


@asynccontextmanager
async def serving_until_given_up(
    connections: Connections, stream: str, handle: Handle, *, name: str, idle_ms: int = SHORT_MS
) -> AsyncIterator[None]:
    """Serve, and hand back at the end what the handlers still hold."""
    consumer = Consumer(connections, stream, WORKERS, name, idle_ms=idle_ms)
    loop = asyncio.create_task(serve(consumer, handle, slots=2, stop=asyncio.Event(), log=LOG))
    try:
        yield
    finally:
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop


async def test_a_handler_is_stopped_when_another_consumer_took_its_entry_over(
    connections: Connections, stream: str
):
    held = Held()
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        if delivery.fields["n"] == "1":
            await held.handle(delivery)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)
        done.set()

    async def stopped() -> bool:
        return held.cancelled == ["1"]

    entry_id = (await connections.commands.xadd(stream, {"n": "1"})).decode()
    async with serving(connections, stream, handle, slots=1):
        await until(held.has_begun)
        # As after a pause: it was silent for too long, and another one has it now.
        await connections.commands.xclaim(stream, WORKERS, "successor", 0, [entry_id])
        await until(stopped)
        await connections.commands.xadd(stream, {"n": "2"})
        await asyncio.wait_for(done.wait(), 10)  # its slot is free
    assert await holders(connections, stream) == {entry_id: ("successor", 2)}


async def test_a_handler_is_stopped_when_its_entry_was_ended_by_somebody_else(
    connections: Connections, stream: str
):
    held = Held()

    async def stopped() -> bool:
        return held.cancelled == ["1"]

    entry_id = await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, held.handle):
        await until(held.has_begun)
        await streams.acknowledge(connections.commands, stream, WORKERS, [entry_id])
        await until(stopped)


async def test_a_handler_may_tidy_up_after_its_acknowledgement(
    connections: Connections, stream: str, monkeypatch: pytest.MonkeyPatch
):
    seen_gone, finished = asyncio.Event(), asyncio.Event()
    renew = Consumer.renew

    async def watched(consumer: Consumer, entry_ids: Collection[str]) -> Lost:
        lost = await renew(consumer, entry_ids)
        if lost.gone:
            seen_gone.set()
        return lost

    async def handle(delivery: Delivery) -> None:
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)
        await seen_gone.wait()
        for _ in range(10):  # the renewal that saw it has returned by then
            await asyncio.sleep(0)
        finished.set()

    monkeypatch.setattr(Consumer, "renew", watched)
    await connections.commands.xadd(stream, {"n": "1"})
    async with serving(connections, stream, handle):
        await asyncio.wait_for(finished.wait(), 10)


async def test_what_was_handed_back_is_taken_by_the_next_consumer_without_waiting(
    connections: Connections, stream: str
):
    held = Held()
    got: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    async def handle(delivery: Delivery) -> None:
        got.set_result(delivery)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    await connections.commands.xadd(stream, {"n": "1"})
    async with serving_until_given_up(connections, stream, held.handle, name="one", idle_ms=60_000):
        await until(held.has_begun)
    assert held.cancelled == ["1"]
    async with serving(connections, stream, handle, name="two", idle_ms=60_000):
        delivery = await asyncio.wait_for(got, 10)
    assert delivery.deliveries == 1


# --- the last permitted delivery ------------------------------------------------------------------


async def left_by_the_dead(
    connections: Connections, stream: str, deliveries: Sequence[int]
) -> list[str]:
    """Add an entry for each count, delivered so often to consumers that died; gives their ids."""
    commands = connections.commands
    await streams.ensure_group(commands, stream, WORKERS)
    entry_ids = []
    for n, times in enumerate(deliveries):
        async with commands.pipeline(transaction=True) as pipe:  # or a living one would be faster
            pipe.xadd(stream, {"n": str(n)})
            pipe.xreadgroup(WORKERS, "dead", {stream: ">"}, count=1)
            entry_id, _ = await pipe.execute()
        await commands.xclaim(
            stream, WORKERS, "dead", 0, [entry_id], idle=60_000, retrycount=times, justid=True
        )
        entry_ids.append(entry_id.decode())
    return entry_ids


class Company:
    """A handler that notes what ran beside each delivery."""

    def __init__(self, connections: Connections, stream: str) -> None:
        self.commands, self.stream = connections.commands, stream
        self.now: dict[str, int] = {}
        self.beside: dict[str, set[str]] = {}
        self.opened = asyncio.Event()

    async def handle(self, delivery: Delivery) -> None:
        n = delivery.fields["n"]
        self.beside[n] = set(self.now)
        for other in self.now:
            self.beside[other].add(n)
        self.now[n] = delivery.deliveries
        await self.opened.wait()
        await asyncio.sleep(0.02)  # so that what may overlap does
        del self.now[n]
        await self.commands.xack(self.stream, WORKERS, delivery.entry_id)

    def running(self, *names: str) -> Callable[[], Awaitable[bool]]:
        async def are_running() -> bool:
            return set(self.now) == set(names)

        return are_running

    async def all_acknowledged(self) -> bool:
        return (await self.commands.xpending(self.stream, WORKERS))["pending"] == 0

    async def looked_again(self) -> None:
        """Wait until a consumer that looks each half idle limit has looked several times."""
        await asyncio.sleep(SHORT_MS / 1000 * 2)  # nothing happens: the time itself is the point


async def test_the_last_permitted_delivery_runs_alone(connections: Connections, stream: str):
    company = Company(connections, stream)
    company.opened.set()
    await left_by_the_dead(connections, stream, [2, 1, 2, 1, 2])
    for n in range(5, 9):
        await connections.commands.xadd(stream, {"n": str(n)})

    async def all_handled() -> bool:
        return len(company.beside) == 9 and await company.all_acknowledged()

    async with serving(connections, stream, company.handle, slots=3, alone_at=3):
        await until(all_handled)
    assert {n: company.beside[n] for n in "024"} == {"0": set(), "2": set(), "4": set()}
    assert any(company.beside[n] for n in "135678"), "the others ran beside each other"


async def test_a_suspect_is_not_claimed_before_it_can_run_and_nothing_new_is_begun_until_then(
    connections: Connections, stream: str
):
    company = Company(connections, stream)
    await connections.commands.xadd(stream, {"n": "long"})
    async with serving(connections, stream, company.handle, slots=3, alone_at=3):
        await until(company.running("long"))
        [suspect] = await left_by_the_dead(connections, stream, [2])
        await company.looked_again()
        await connections.commands.xadd(stream, {"n": "new"})
        await company.looked_again()
        assert set(company.now) == {"long"}
        assert (await holders(connections, stream))[suspect] == ("dead", 2), "it was not counted"
        company.opened.set()
        await until(company.all_acknowledged)
    assert company.beside["0"] == set()


async def test_new_work_is_taken_again_once_another_consumer_took_the_suspect(
    connections: Connections, stream: str
):
    company, elsewhere = Company(connections, stream), Company(connections, stream)
    await connections.commands.xadd(stream, {"n": "long"})
    async with serving(connections, stream, company.handle, name="busy", alone_at=3):
        await until(company.running("long"))
        await left_by_the_dead(connections, stream, [2])
        await company.looked_again()
        async with serving(connections, stream, elsewhere.handle, name="free", alone_at=3):
            await until(elsewhere.running("0"))
            await connections.commands.xadd(stream, {"n": "new"})
            await until(company.running("long", "new"))
            company.opened.set()
            elsewhere.opened.set()
            await until(company.all_acknowledged)
    assert elsewhere.beside == {"0": set()}


async def test_while_a_suspect_runs_nothing_else_is_taken(connections: Connections, stream: str):
    company = Company(connections, stream)
    await left_by_the_dead(connections, stream, [2])
    async with serving(connections, stream, company.handle, slots=3, alone_at=3):
        await until(company.running("0"))
        await connections.commands.xadd(stream, {"n": "new"})
        await company.looked_again()
        assert set(company.now) == {"0"}
        company.opened.set()
        await until(company.all_acknowledged)


async def test_an_entry_beyond_the_last_permitted_delivery_need_not_wait(
    connections: Connections, stream: str
):
    company = Company(connections, stream)
    await connections.commands.xadd(stream, {"n": "long"})
    async with serving(connections, stream, company.handle, slots=2, alone_at=3):
        await until(company.running("long"))
        await left_by_the_dead(connections, stream, [3])
        await until(company.running("long", "0"))
        assert company.now["0"] == 4
        company.opened.set()
        await until(company.all_acknowledged)


# --- outages of the server ------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[ValkeyServer]:
    """A server of the test's own, which it may end and bring back; a short path for its socket."""
    with tempfile.TemporaryDirectory(prefix="vn-") as folder, ValkeyServer(Path(folder)) as server:
        yield server


async def test_an_outage_longer_than_the_idle_limit_is_no_silence_of_the_living(
    own_server: ValkeyServer, stream: str
):
    held, idle = Held(), Held()
    async with (
        Connections(own_server.url, block_ms=500) as one,
        Connections(own_server.url, block_ms=500) as two,
    ):
        entry_id = (await one.commands.xadd(stream, {"n": "1"})).decode()
        async with (
            serving_until_given_up(one, stream, held.handle, name="holder", idle_ms=1_000),
            serving_until_given_up(two, stream, idle.handle, name="other", idle_ms=1_000),
        ):
            await until(lambda: has_consumers(two, stream, 2))
            await until(held_by_one(held, idle))
            holder = "holder" if held.begun else "other"
            await asyncio.sleep(1.0)  # long enough at work to take silence for death
            own_server.kill()
            await asyncio.sleep(2.0)
            own_server.start()
            answered_at = time.monotonic()
            while time.monotonic() - answered_at < 5.0:  # the time itself is the point here
                assert (await holders(one, stream))[entry_id] == (holder, 1)
                await asyncio.sleep(0.05)
            assert held.begun + idle.begun == ["1"]
            assert held.cancelled + idle.cancelled == []


async def has_consumers(connections: Connections, stream: str, count: int) -> bool:
    return len(await consumers_seen(connections.commands, stream, WORKERS)) == count


def held_by_one(*held: Held) -> Callable[[], Awaitable[bool]]:
    async def is_held() -> bool:
        return any(one.begun for one in held)

    return is_held


async def test_the_dead_are_found_after_an_outage_all_the_same(
    own_server: ValkeyServer, stream: str
):
    got: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

    async def handle(delivery: Delivery) -> None:
        got.set_result(delivery)
        await connections.commands.xack(stream, WORKERS, delivery.entry_id)

    async with Connections(own_server.url, block_ms=500) as connections:
        dead = Consumer(connections, stream, WORKERS, "dead", idle_ms=SHORT_MS)
        await dead.join()
        async with serving(connections, stream, handle):
            await until(lambda: has_consumers(connections, stream, 2))
            await connections.commands.xadd(stream, {"n": "0"})
            await asyncio.wait_for(asyncio.shield(got), 10)
            got = asyncio.get_running_loop().create_future()
            own_server.kill()
            own_server.start()
            await left_by_the_dead(connections, stream, [1])
            assert (await asyncio.wait_for(got, 10)).deliveries == 2


async def test_the_server_is_looked_at_before_anything_is_taken_and_again_after_an_outage(
    own_server: ValkeyServer, stream: str
):
    looks: list[int] = []
    allowed = asyncio.Event()
    held = Held()

    async def check() -> None:
        looks.append(len(held.begun))
        await allowed.wait()
        if len(looks) > 1:
            raise Misconfigured("it came back as another one")

    async def looked() -> bool:
        return bool(looks)

    async with Connections(own_server.url, block_ms=500) as connections:
        entry_id = (await connections.commands.xadd(stream, {"n": "1"})).decode()
        consumer = Consumer(connections, stream, WORKERS, "one", idle_ms=60_000)
        loop = asyncio.create_task(
            serve(consumer, held.handle, slots=2, stop=asyncio.Event(), log=LOG, check=check)
        )
        await until(looked)
        assert await connections.commands.exists(stream) == 1
        assert not await consumers_seen(connections.commands, stream, WORKERS)
        allowed.set()
        await until(held.has_begun)
        own_server.kill()
        own_server.start()
        with pytest.raises(Misconfigured):
            await asyncio.wait_for(loop, 10)
        assert looks == [0, 1]
        assert held.cancelled == ["1"]
        assert await holders(connections, stream) == {entry_id: ("one", 0)}, "handed back"


async def test_a_loop_that_waits_for_its_server_can_be_stopped(
    connections: Connections, stream: str
):
    looking = asyncio.Event()

    async def check() -> None:
        looking.set()
        await asyncio.Event().wait()

    async with serving(connections, stream, Held().handle, check=check) as stop:
        await asyncio.wait_for(looking.wait(), 10)
        stop.set()


async def test_a_consumer_of_a_group_that_is_not_there_holds_nothing(
    connections: Connections, stream: str
):
    assert await Consumer(connections, stream, WORKERS, "one", idle_ms=SHORT_MS).held() == set()
