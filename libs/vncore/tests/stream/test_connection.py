"""Clients outlast idle blocks, and say so when the server is away."""

import tempfile
from pathlib import Path

import pytest

from vnclient.local.valkey import ValkeyServer
from vncore.connection import Connections
from vncore.errors import Misconfigured, StoreFull, StoreUnavailable
from vncore.ids import new_request_id
from vncore.keys import Keys
from vncore.requests import RequestStore, Submission
from vncore.streams import ensure_group, read_group


async def test_an_idle_blocking_read_ends_empty_and_not_in_a_timeout(server: ValkeyServer):
    async with Connections(server.url, block_ms=5_500) as connections:  # the client's default: 5 s
        await connections.commands.flushall()
        await ensure_group(connections.commands, "idle", "readers")
        got = await read_group(
            connections.readers, "idle", "readers", "one", count=1, block_ms=5_500
        )
    assert got == []


async def test_reading_a_group_that_is_gone_is_unavailable(connections: Connections):
    with pytest.raises(StoreUnavailable, match="NOGROUP"):
        await read_group(connections.readers, "none", "none", "one", count=1, block_ms=10)


async def test_a_dead_server_is_said_to_be_unavailable():
    with tempfile.TemporaryDirectory(prefix="vn-") as folder:
        with ValkeyServer(Path(folder)) as server:
            url = server.url
        async with Connections(url, block_ms=100) as connections:
            with pytest.raises(StoreUnavailable) as raised:
                await RequestStore(connections.commands, Keys()).ping()
    assert raised.value.passing


async def test_a_full_server_keeps_nothing_and_says_so(connections: Connections, keys: Keys):
    submission = Submission(new_request_id(), b"<vnml/>", 1, received_at_ms=0)
    store = RequestStore(connections.commands, keys)
    await connections.commands.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull) as raised:
            await store.submit(submission)
    finally:
        await connections.commands.config_set("maxmemory", 0)
    assert (raised.value.code, raised.value.passing) == ("STORE_FULL", True)
    assert await connections.commands.keys("*") == []


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "aws-secretsmanager://x"])
def test_another_kind_of_address_is_refused_at_start(url: str):
    with pytest.raises(Misconfigured, match="REDIS_URL"):
        Connections(url, block_ms=100)
