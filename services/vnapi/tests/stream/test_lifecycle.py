"""One reader wakes everybody, and no wake-up is lost whatever happens to the server."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from vnapi.lifecycle import LifecycleReader
from vnclient.local.valkey import ValkeyServer
from vncore.connection import Connections
from vncore.ids import DEFAULT_TENANT, RequestId, new_request_id
from vncore.keys import Keys
from vncore.logs import logger
from vncore.messages import LifecycleEvent, RequestStatus
from vncore.requests import RequestStore, Submission

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
RESPONSE = b"<vnml/>"


async def until(holds: Callable[[], Any], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)


async def submit(store: RequestStore, request_id: RequestId) -> None:
    await store.submit(Submission(request_id, DOCUMENT, 1, received_at_ms=1_700_000_000_000))


async def blocked_clients(connections: Connections) -> int:
    return int((await connections.commands.info("clients"))["blocked_clients"])


async def test_a_hundred_waiters_are_served_by_one_reader(
    client: httpx.AsyncClient, orchestrator: Any, connections: Connections
) -> None:
    calls = [
        asyncio.create_task(client.post("/valuation?sync=Y", content=DOCUMENT)) for _ in range(100)
    ]
    held = await orchestrator.take(100, within=20)
    assert await blocked_clients(connections) == 1
    for request in held.values():
        await request.succeed(RESPONSE, [0], 60)
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    named = {answer.headers["content-location"].split("/")[2] for answer in answers}
    assert named == set(held)


async def test_several_waiters_for_one_request_are_all_woken(
    reading: LifecycleReader, store: RequestStore, orchestrator: Any
) -> None:
    request_id = new_request_id()
    with reading.waiting_for(request_id) as one, reading.waiting_for(request_id) as two:
        await submit(store, request_id)
        await orchestrator.succeed_one()
        assert await one.terminal_status(10) is RequestStatus.SUCCEEDED
        assert await two.terminal_status(10) is RequestStatus.SUCCEEDED
    assert reading._waiters == {}


async def test_a_wait_that_ends_leaves_the_others_alone(
    reading: LifecycleReader, store: RequestStore, orchestrator: Any
) -> None:
    request_id = new_request_id()
    with reading.waiting_for(request_id) as patient:
        with reading.waiting_for(request_id) as hasty:
            await submit(store, request_id)
            assert await hasty.terminal_status(0.01) is None
        await orchestrator.succeed_one()
        assert await patient.terminal_status(10) is RequestStatus.SUCCEEDED


async def test_only_a_terminal_event_wakes(
    reading: LifecycleReader, store: RequestStore, orchestrator: Any
) -> None:
    request_id = new_request_id()
    with reading.waiting_for(request_id) as waiter:
        await submit(store, request_id)
        held = await orchestrator.take_one()
        await held.save_hydrated({"document": DOCUMENT}, 1)
        await held.start_group(0, "g", 0)
        assert await waiter.terminal_status(0.3) is None


async def test_the_end_of_an_earlier_run_does_not_wake(
    reading: LifecycleReader, connections: Connections, keys: Keys
) -> None:
    """A request was redriven, and the reader has yet to come to the event of its first end."""
    request_id = new_request_id()

    async def end(run: int, status: RequestStatus) -> None:
        event = LifecycleEvent(request_id, DEFAULT_TENANT, status, 1, run=run)
        await connections.commands.xadd(keys.lifecycle, event.to_fields())  # type: ignore[arg-type]

    with reading.waiting_for(request_id, 2) as second, reading.waiting_for(request_id) as first:
        await end(1, RequestStatus.FAILED)
        assert await first.terminal_status(10) is RequestStatus.FAILED
        assert await second.terminal_status(0.05) is None
        await end(2, RequestStatus.SUCCEEDED)
        assert await second.terminal_status(10) is RequestStatus.SUCCEEDED


async def test_a_later_run_wakes_whoever_missed_the_end_of_an_earlier_one(
    reading: LifecycleReader, connections: Connections, keys: Keys
) -> None:
    event = LifecycleEvent(new_request_id(), DEFAULT_TENANT, RequestStatus.SUCCEEDED, 1, run=3)
    with reading.waiting_for(event.request_id, 2) as waiter:
        await connections.commands.xadd(keys.lifecycle, event.to_fields())  # type: ignore[arg-type]
        assert await waiter.terminal_status(10) is RequestStatus.SUCCEEDED


async def test_an_end_before_the_reader_runs_is_noticed(
    reader: LifecycleReader, store: RequestStore, orchestrator: Any
) -> None:
    request_id = new_request_id()
    with reader.waiting_for(request_id) as waiter:
        await submit(store, request_id)
        await orchestrator.succeed_one()
        task = asyncio.create_task(reader.run())
        assert await waiter.terminal_status(10) is RequestStatus.SUCCEEDED
        task.cancel()


async def test_an_end_whose_event_was_trimmed_away_is_noticed(
    reader: LifecycleReader,
    store: RequestStore,
    orchestrator: Any,
    connections: Connections,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that lags may be overtaken by the stream's trimming."""
    monkeypatch.setattr("vnapi.lifecycle._BATCH", 10)
    request_id = new_request_id()
    with reader.waiting_for(request_id) as waiter:
        await submit(store, request_id)
        looked = reader._look_at_all

        async def look_then_fall_behind() -> None:
            await looked()
            if not reader.connected:
                await orchestrator.succeed_one()
                await connections.commands.xtrim(keys.lifecycle, maxlen=0, approximate=False)
                event = LifecycleEvent(
                    new_request_id(),
                    "default",
                    RequestStatus.STARTED,
                    1,  # type: ignore[arg-type]
                )
                for _ in range(25):
                    await connections.commands.xadd(keys.lifecycle, event.to_fields())  # type: ignore[arg-type]

        monkeypatch.setattr(reader, "_look_at_all", look_then_fall_behind)
        task = asyncio.create_task(reader.run())
        assert await waiter.terminal_status(10) is RequestStatus.SUCCEEDED
        task.cancel()


async def test_an_entry_of_nonsense_is_passed_over(
    reading: LifecycleReader,
    store: RequestStore,
    orchestrator: Any,
    connections: Connections,
    keys: Keys,
) -> None:
    for fields in ({"x": "y"}, {"requestId": b"\xff", "status": "failed", "timestamp": "1"}):
        await connections.commands.xadd(keys.lifecycle, fields)  # type: ignore[arg-type]
    request_id = new_request_id()
    with reading.waiting_for(request_id) as waiter:
        await submit(store, request_id)
        await orchestrator.succeed_one()
        assert await waiter.terminal_status(10) is RequestStatus.SUCCEEDED


async def test_released_waiters_end_at_once_and_so_do_later_ones(reader: LifecycleReader) -> None:
    with reader.waiting_for(new_request_id()) as before:
        reader.release()
        assert await before.terminal_status(10) is None
    with reader.waiting_for(new_request_id()) as after:
        assert await after.terminal_status(10) is None


# --- a server that goes away ---------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[ValkeyServer]:
    """A server that the test may stop."""
    with (
        tempfile.TemporaryDirectory(prefix="vn-test-") as folder,
        ValkeyServer(Path(folder)) as running,
    ):
        yield running


async def test_an_end_while_the_server_was_away_is_noticed_after_it(
    own_server: ValkeyServer, keys: Keys
) -> None:
    async with Connections(own_server.url, block_ms=500) as connections:
        store = RequestStore(connections.commands, keys)
        reader = LifecycleReader(connections, keys, store, block_ms=200, log=logger("vnapi-test"))
        task = asyncio.create_task(reader.run())
        await until(lambda: reader.connected)
        request_id = new_request_id()
        with reader.waiting_for(request_id) as waiter:
            await submit(store, request_id)
            await asyncio.to_thread(own_server.kill)
            await until(lambda: not reader.connected)
            await asyncio.to_thread(own_server.start)
            # The end comes in a way that leaves no event: as if the stream had been lost.
            await connections.commands.hset(keys.state(request_id), "status", "failed")  # type: ignore[misc]
            assert await waiter.terminal_status(15) is RequestStatus.FAILED
        assert reader.connected
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
