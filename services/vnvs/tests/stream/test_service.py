"""The service as a process: started, told to stop, killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orchestration import House, Worker, tools

from vncore.connection import Connections
from vncore.ids import RequestId
from vncore.keys import ORCHESTRATORS, Keys
from vncore.messages import RequestStatus
from vncore.streams import consumers_seen

DOCUMENT = b"""<vnml><project><market name="USD"/>
  <group name="a"><valuation name="v"><market select="/vnml/project/market"/>
    <analytics><price><amount/></price></analytics></valuation></group>
  <group name="b"><valuation name="w"><analytics><price><amount/></price></analytics></valuation>
  </group></project></vnml>"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(redis_url: str) -> Iterator[Start]:
    """Start services; whatever is left of them at the end is killed."""
    services: list[subprocess.Popen[bytes]] = []

    def started(**settings: str) -> "subprocess.Popen[bytes]":
        service = subprocess.Popen(
            [sys.executable, "-m", "vnvs.main"],
            env={
                **os.environ,
                "REDIS_URL": redis_url,
                "DEFAULT_BLOCK_MS": "500",
                "TASK_WAIT_TIMEOUT_MS": "600",
                "HYDRATION_PROCESSES": "1",
                **settings,
            },
            stderr=subprocess.DEVNULL,
        )
        services.append(service)
        return service

    yield started
    for service in services:
        service.kill()
        service.wait()


@pytest.fixture
async def house(connections: Connections, keys: Keys) -> House:
    worker = Worker(connections, keys)
    await worker.join()
    return House(connections, keys, tools(connections, keys, None), worker)


async def until_finished(house: House, request_id: RequestId) -> RequestStatus:
    async with asyncio.timeout(30):
        while True:
            status = await house.tools.store.status(request_id)
            assert status is not None
            if status.is_terminal:
                return status
            await asyncio.sleep(0.01)


async def until_dispatched(house: House) -> None:
    async with asyncio.timeout(30):
        while await house.redis.xlen(house.keys.dispatch) == 0:
            await asyncio.sleep(0.01)


async def ended(service: "subprocess.Popen[bytes]") -> int:
    async with asyncio.timeout(20):
        return await asyncio.to_thread(service.wait)


def children_of(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


async def test_a_request_runs_and_a_signal_ends_the_service_cleanly(house: House, start: Start):
    service = start()
    request_id = await house.submit(DOCUMENT, 2)
    async with house.worker.working():
        assert await until_finished(house, request_id) is RequestStatus.SUCCEEDED
    service.send_signal(signal.SIGTERM)
    assert await ended(service) == 0
    assert await consumers_seen(house.redis, house.keys.ingest, ORCHESTRATORS) == []
    await house.assert_nothing_is_left()


async def test_when_told_to_stop_it_hands_running_requests_back(house: House, start: Start):
    service = start(VNVS_DRAIN_MS="100")
    request_id = await house.submit(DOCUMENT, 2)
    await until_dispatched(house)
    service.send_signal(signal.SIGTERM)
    assert await ended(service) == 0
    assert (await house.redis.xpending(house.keys.ingest, ORCHESTRATORS))["pending"] == 1
    start()
    async with house.worker.working():
        assert await until_finished(house, request_id) is RequestStatus.SUCCEEDED
    assert len(house.worker.taken) == 2
    await house.assert_nothing_is_left()


async def test_killed_it_leaves_no_process_and_another_one_goes_on(house: House, start: Start):
    service = start()
    request_id = await house.submit(DOCUMENT, 2)
    await until_dispatched(house)
    children = children_of(service.pid)
    assert children
    service.kill()
    service.wait()
    start()
    async with house.worker.working():
        assert await until_finished(house, request_id) is RequestStatus.SUCCEEDED
    assert len(house.worker.taken) == 2
    state = await house.tools.store.state(request_id)
    assert state is not None
    assert state.retry_count == 1
    await house.assert_nothing_is_left()
    assert not [pid for pid in children if _is_alive(pid)]


async def test_more_requests_than_a_default_pool_of_connections_run_at_once(
    house: House, start: Start
):
    ids = [await house.submit(DOCUMENT, 2) for _ in range(120)]
    start()
    async with asyncio.timeout(30):
        while await house.redis.xlen(house.keys.dispatch) < len(ids):
            await asyncio.sleep(0.01)
    async with house.worker.working():
        for request_id in ids:
            assert await until_finished(house, request_id) is RequestStatus.SUCCEEDED
    await house.assert_nothing_is_left()


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
