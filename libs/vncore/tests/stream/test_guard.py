"""Servers that promises cannot be given on are refused, with words that help."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from vnclient.local.valkey import ValkeyServer
from vncore.connection import Connections
from vncore.errors import Misconfigured, StoreUnavailable
from vncore.guard import (
    Durability,
    Eviction,
    ServerFacts,
    check_server,
    server_facts,
    server_faults,
)
from vncore.logs import logger

LOG = logger("test", level="DEBUG")
EVICTING = ("--maxmemory-policy", "allkeys-lru")
ALWAYS = ("--appendfsync", "always")
NO_CONFIG = ("--rename-command", "CONFIG", "")
NO_INFO = ("--user", "default", "on", "nopass", "~*", "&*", "+@all", "-info")


@asynccontextmanager
async def server_with(*options: str) -> AsyncIterator[Connections]:
    """A server with more options, in a folder with a short path for its socket."""
    with (
        tempfile.TemporaryDirectory(prefix="vn-") as folder,
        ValkeyServer(Path(folder), options=options) as server,
    ):
        async with Connections(server.url, block_ms=100) as connections:
            yield connections


async def check(
    connections: Connections,
    *,
    eviction: Eviction = "refuse",
    durability: Durability = "memory",
    seconds: float = 10,
) -> None:
    async with asyncio.timeout(seconds):
        await check_server(connections.commands, eviction=eviction, durability=durability, log=LOG)


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == event]


async def test_a_server_that_evicts_nothing_is_fine(connections: Connections):
    await check(connections)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_a_server_that_may_evict_is_refused_and_told_how_to_change(policy: str):
    async with server_with("--maxmemory-policy", policy) as connections:
        with pytest.raises(Misconfigured) as refused:
            await check(connections)
    for word in (f"maxmemory-policy is {policy}", "noeviction", "loses", "REDIS_EVICTION=warn"):
        assert word in refused.value.message


async def test_a_server_that_may_evict_is_only_warned_of_where_that_is_asked_for(
    caplog: pytest.LogCaptureFixture,
):
    async with server_with(*EVICTING) as connections:
        await check(connections, eviction="warn")
    [line] = logged(caplog, "server_may_evict")
    assert (line["levelname"], line["found"]) == ("WARNING", "allkeys-lru")
    assert "loses documents" in line["error"]


async def test_the_policy_is_known_where_config_is_not_allowed():
    async with server_with(*NO_CONFIG) as connections:
        await check(connections)
    async with server_with(*NO_CONFIG, *EVICTING) as connections:
        with pytest.raises(Misconfigured, match="allkeys-lru"):
            await check(connections)


async def test_a_server_that_does_not_tell_its_policy_is_refused():
    async with server_with(*NO_INFO) as connections:
        with pytest.raises(Misconfigured, match="does not tell its maxmemory-policy"):
            await check(connections)
        await check(connections, eviction="warn")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param((), "appendfsync is everysec", id="a sync each second"),
        pytest.param(("--appendfsync", "no"), "appendfsync is no", id="no sync"),
        pytest.param((*ALWAYS, "--appendonly", "no"), "appendonly is no", id="no file"),
        pytest.param(NO_CONFIG, "does not tell its appendfsync", id="CONFIG is not allowed"),
        pytest.param(NO_INFO, "does not tell its appendonly", id="INFO is not allowed"),
    ],
)
async def test_durability_fsync_is_refused_on_a_server_that_answers_before_the_disk(
    options: tuple[str, ...], words: str
):
    async with server_with(*options) as connections:
        with pytest.raises(Misconfigured) as refused:
            await check(connections, eviction="warn", durability="fsync")
    assert "DURABILITY=fsync" in refused.value.message
    assert words in refused.value.message


async def test_durability_fsync_is_given_by_a_server_that_syncs_always():
    async with server_with(*ALWAYS) as connections:
        await check(connections, durability="fsync")
        await connections.commands.config_set("appendfsync", "everysec")
        with pytest.raises(Misconfigured, match="everysec"):
            await check(connections, durability="fsync")


async def test_everything_that_is_wrong_is_said_at_once():
    async with server_with(*EVICTING, "--appendonly", "no") as connections:
        facts = await server_facts(connections.commands, durability="fsync")
        with pytest.raises(Misconfigured) as refused:
            await check(connections, durability="fsync")
    assert facts == ServerFacts("allkeys-lru", aof_enabled=False, appendfsync="everysec")
    for word in ("allkeys-lru", "appendonly is no", "appendfsync is everysec"):
        assert word in refused.value.message
    found = [(fault.about, fault.found) for fault in server_faults(facts, durability="fsync")]
    assert found == [
        ("eviction", "allkeys-lru"),
        ("durability", "appendonly no"),
        ("durability", "appendfsync everysec"),
    ]
    assert [fault.about for fault in server_faults(facts, durability="memory")] == ["eviction"]


async def test_a_server_that_is_away_is_waited_for_and_said_once(
    caplog: pytest.LogCaptureFixture,
):
    with tempfile.TemporaryDirectory(prefix="vn-") as folder:
        server = ValkeyServer(Path(folder))
        async with Connections(f"unix://{server.socket_path}", block_ms=100) as connections:
            with pytest.raises(StoreUnavailable):
                await server_facts(connections.commands, durability="memory")
            checking = asyncio.create_task(check(connections, seconds=30))
            async with asyncio.timeout(20):
                while not logged(caplog, "server_awaited"):
                    await asyncio.sleep(0.01)
            with server:
                await checking
    assert len(logged(caplog, "server_awaited")) == len(logged(caplog, "server_answers")) == 1
