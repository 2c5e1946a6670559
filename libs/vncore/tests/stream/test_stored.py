"""``python -m vncore stored`` on a real server: what is stored in pieces is printed whole."""

import asyncio
import subprocess
import sys

import pytest

from vncore.__main__ import EX_BROKEN_PIPE, EX_VIOLATIONS, main
from vncore.connection import Connections
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys
from vncore.pieces import Fragment, Results, packed

ID = RequestId("6f1d7a8e-3a55-4b4e-9d0e-0d5a5b7f4a10")
MARKET = Fragment.of(b"<market/>")


@pytest.fixture
async def house(connections: Connections, keys: Keys, redis_url: str, monkeypatch) -> Connections:
    redis = connections.commands
    monkeypatch.setenv("REDIS_URL", redis_url)
    await redis.hset(keys.fragments(ID), MARKET.digest, MARKET.body)
    await redis.set(keys.task_xml(ID, 0, TaskId(1)), packed([b"<vnml>", MARKET, b"</vnml>"]))
    result = packed([b"<valuation>", MARKET, b"</valuation>"])
    await redis.set(keys.task_result(ID, 0, TaskId(1)), result)
    pieces = [b"<vnml>", Results(0, TaskId(1), TaskId(1)), b"</vnml>"]
    await redis.set(keys.response(ID), packed(pieces))
    return connections


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["0", "1"], "<vnml><market/></vnml>"),
        (["0", "1", "--result"], "<valuation><market/></valuation>"),
        ([], "<vnml><valuation><market/></valuation></vnml>"),
    ],
)
async def test_a_stored_document_is_printed_whole(house, capfd, arguments, printed):
    assert await asyncio.to_thread(main, ["stored", ID, *arguments]) == 0
    assert capfd.readouterr().out == printed


@pytest.mark.parametrize("arguments", [["0", "2"], ["0", "2", "--result"]])
async def test_what_is_not_stored_is_said_to_be_absent(house, capfd, arguments):
    assert await asyncio.to_thread(main, ["stored", ID, *arguments]) == EX_VIOLATIONS
    assert "there is no such" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["0", "1"], []])
async def test_what_lacks_a_fragment_is_not_printed_as_if_it_were_whole(
    house, keys, capfd, arguments
):
    await house.commands.delete(keys.fragments(ID))
    assert await asyncio.to_thread(main, ["stored", ID, *arguments]) == EX_VIOLATIONS
    written = capfd.readouterr()
    assert written.out == ""
    assert "cannot be put together" in written.err


async def test_who_has_read_enough_of_a_response_ends_it_quietly(house, keys):
    large = Fragment.of(b"<market>" + b"1" * 1_000_000 + b"</market>")
    await house.commands.hset(keys.fragments(ID), large.digest, large.body)
    pieces = [b"<vnml>", large, Results(0, TaskId(1), TaskId(1)), large, b"</vnml>"]
    await house.commands.set(keys.response(ID), packed(pieces))

    def read_the_beginning() -> tuple[bytes, bytes, int]:
        command = [sys.executable, "-m", "vncore", "stored", ID]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as printing:
            beginning = printing.stdout.read(6)
            printing.stdout.close()
            said = printing.stderr.read()
            return beginning, said, printing.wait(20)

    assert await asyncio.to_thread(read_the_beginning) == (b"<vnml>", b"", EX_BROKEN_PIPE)
