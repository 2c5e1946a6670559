"""The process as it is started in production: serves, waits, and ends."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from vnclient.local.valkey import ValkeyServer
from vncore.connection import Connections
from vncore.keys import Keys

DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'
XML = {"Content-Type": "application/xml"}


class Process:
    """vnapi as a child, with its log."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.log = log
        clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        with log.open("wb") as sink:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "vnapi.main"], env=clean | environment, stderr=sink
            )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def url(self) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for line in self.lines():
                if line["message"] == "listening":
                    return f"http://{line['host']}:{line['port']}"
            assert self.child.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("vnapi does not listen")


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(**environment: str) -> Process:
        defaults = {"REDIS_URL": redis_url, "HTTP_PORT": "0", "LIFECYCLE_BLOCK_MS": "200"}
        log = tmp_path / f"{len(started)}.log"
        started.append(Process(log, **(defaults | environment)))
        return started[-1]

    yield start
    for process in started:
        process.child.kill()
        process.child.wait()


def until(holds: Callable[[], Any], within: float = 15.0) -> Any:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


async def test_it_serves_until_sigterm_and_ends_its_waiters_kindly(
    start: Callable[..., Process], connections: Connections, keys: Keys
) -> None:
    process = start()
    url = await asyncio.to_thread(process.url)
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        health = await client.get("/healthz")
        assert (health.json(), "server" in health.headers) == ({"status": "ok"}, False)
        waiting = asyncio.create_task(
            client.post("/valuation?sync=Y", content=DOCUMENT, headers=XML)
        )
        async with asyncio.timeout(15):
            while not await connections.commands.xlen(keys.ingest):
                await asyncio.sleep(0.01)
        process.child.send_signal(signal.SIGTERM)
        answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert await asyncio.to_thread(process.child.wait, 15) == 0


def test_without_a_server_it_lives_and_says_what_is_missing(
    start: Callable[..., Process],
) -> None:
    process = start(REDIS_URL="redis://127.0.0.1:9")
    url = process.url()
    assert httpx.get(f"{url}/healthz").status_code == 200
    answer = httpx.get(f"{url}/readyz", timeout=30)
    assert (answer.status_code, answer.json()["failed"]) == (503, ["redis"])
    submission = httpx.post(f"{url}/valuation", content=DOCUMENT, headers=XML, timeout=30)
    assert (submission.status_code, submission.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert "127.0.0.1" not in submission.text


async def test_a_server_that_evicts_is_refused(
    start: Callable[..., Process], connections: Connections
) -> None:
    redis = connections.commands
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        process = start()
        assert await asyncio.to_thread(process.child.wait, 20) == 78
        assert "maxmemory-policy is allkeys-lru" in process.log.read_text()
        tolerant = start(REDIS_EVICTION="warn")
        url = await asyncio.to_thread(tolerant.url)
        async with httpx.AsyncClient(base_url=url) as client:
            answer = await client.post("/valuation", content=DOCUMENT, headers=XML)
            assert answer.status_code == 202
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")


def test_a_server_that_does_not_sync_is_refused_where_that_is_demanded(
    start: Callable[..., Process],
) -> None:
    process = start(DURABILITY="fsync")
    assert process.child.wait(timeout=20) == 78
    assert "DURABILITY=fsync" in process.log.read_text()


def test_a_server_that_is_away_is_waited_for_and_looked_at_whenever_it_comes(
    start: Callable[..., Process],
) -> None:
    with tempfile.TemporaryDirectory(prefix="vn-test-") as folder:
        late, evicting = (
            ValkeyServer(Path(folder), options=["--maxmemory-policy", policy])
            for policy in ("noeviction", "allkeys-lru")
        )
        process = start(REDIS_URL=late.url)
        url = process.url()

        def not_ready() -> list[str]:
            return list(httpx.get(f"{url}/readyz", timeout=30).json().get("failed", []))

        assert httpx.get(f"{url}/healthz").status_code == 200
        assert not_ready() == ["redis"]
        with late:
            until(lambda: not_ready() == ["orchestrators", "workers"])
            assert httpx.post(f"{url}/valuation", content=DOCUMENT, headers=XML).is_success
        until(lambda: not_ready() == ["redis"])
        with evicting:  # it comes back as one that must not be used
            assert process.child.wait(timeout=20) == 78


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_many_large_bodies_at_once_stay_within_the_room_for_them(
    start: Callable[..., Process], connections: Connections, keys: Keys
) -> None:
    process = start(
        BODIES_MAX_BYTES="4000000",
        PAYLOAD_MAX_BYTES="2500000",
        LARGE_DOCUMENTS_AT_ONCE="1",
        SYNC_WAIT_TIMEOUT_MS="1000",
    )
    url = await asyncio.to_thread(process.url)
    group = b"<group>" + b"<x>" + b"1" * 1_000_000 + b"</x>"
    large = b"<vnml><project>" + (group + b"</group>") * 2 + b"</project></vnml>"

    def most_kib() -> int:
        status = Path(f"/proc/{process.child.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1])

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await client.post("/valuation?sync=Y", content=DOCUMENT, headers=XML)
        before = most_kib()
        # They wait for an end that does not come, long after the last one was submitted.
        answers = await asyncio.gather(
            *(client.post("/valuation?sync=Y", content=large, headers=XML) for _ in range(40))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert await connections.commands.xlen(keys.ingest) == 41
    assert most_kib() - before < 50_000  # of 80,000 that were sent


def test_a_port_that_is_taken_is_a_wrong_setting(start: Callable[..., Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(HTTP_PORT=str(taken.getsockname()[1]))
        assert process.child.wait(timeout=20) == 78
    assert re.search(r"HTTP_PORT.*in use", process.log.read_text())


def test_log_lines_carry_the_ids_of_the_call(start: Callable[..., Process]) -> None:
    process = start()
    url = process.url()
    httpx.get(f"{url}/healthz", headers={"X-Request-Id": "desk-9"})
    line = until(
        lambda: next((x for x in process.lines() if x["message"] == "call_answered"), None)
    )
    assert (line["correlation_id"], line["service"]) == ("desk-9", "vnapi")
