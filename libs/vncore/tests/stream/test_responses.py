"""Responses that are stored in pieces: put together, in bounded batches, or told to be broken."""

from typing import Any

import pytest

from vncore.connection import Connections
from vncore.errors import VnError
from vncore.ids import RequestId, TaskId
from vncore.keys import Keys
from vncore.pieces import Fragment, Results, packed
from vncore.requests import RequestStore
from vncore.responses import ResponseBroken

ID = RequestId("11111111-1111-4111-8111-111111111111")
MARKET = Fragment.of(b"<market>" + b"1" * 100_000 + b"</market>")


@pytest.fixture
def store(connections: Connections, keys: Keys) -> RequestStore:
    return RequestStore(connections.commands, keys)


@pytest.fixture
def asked(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many results each read asked for."""
    counts: list[int] = []
    mget = connections.commands.mget

    def counted(keys: list[str]) -> Any:
        counts.append(len(keys))
        return mget(keys)

    monkeypatch.setattr(connections.commands, "mget", counted)
    return counts


async def keep(
    connections: Connections, keys: Keys, results: list[bytes], *, between: bytes = b""
) -> bytes:
    """Store a response with these results as its two groups, and give it whole."""
    redis = connections.commands
    half = len(results) // 2
    runs = [results[:half], results[half:]]
    for group, run in enumerate(runs):
        for task, result in enumerate(run, 1):
            await redis.set(keys.task_result(ID, group, TaskId(task)), result)
    first, second = (
        [Results(group, TaskId(1), TaskId(len(run)), between)] if run else []
        for group, run in enumerate(runs)
    )
    stored = packed([b"<vnml>", *first, b"<x/>", MARKET, *second, b"</vnml>"])
    await redis.set(keys.response(ID), stored)
    await redis.hset(keys.fragments(ID), MARKET.digest, MARKET.body)
    texts = [between.join(run) for run in runs]
    return b"<vnml>" + texts[0] + b"<x/>" + MARKET.body + texts[1] + b"</vnml>"


async def test_a_whole_document_is_one_chunk(
    store: RequestStore, connections: Connections, keys: Keys
) -> None:
    document = b"<vnml>" + b" " * 1_000_000 + b"</vnml>"
    assert await store.response_chunks(ID) is None
    await connections.commands.set(keys.response(ID), document)
    chunks = await store.response_chunks(ID)
    assert chunks is not None
    assert [chunk async for chunk in chunks] == [document]
    assert await store.response(ID) == document


@pytest.mark.parametrize("count", [0, 1, 2, 9, 200])
async def test_results_and_fragments_stand_in_their_order(
    store: RequestStore, connections: Connections, keys: Keys, count: int
) -> None:
    results = [b"<valuation n='%d'/>" % number for number in range(count)]
    expected = await keep(connections, keys, results, between=b"\n  ")
    assert await store.response(ID) == expected


async def test_results_that_share_fragments_are_put_together(
    store: RequestStore, connections: Connections, keys: Keys
) -> None:
    parts = [b"<valuation>", MARKET, b"</valuation>"]
    expected = await keep(connections, keys, [b"A", b"B"])
    await connections.commands.set(keys.task_result(ID, 1, TaskId(1)), packed(parts))
    whole = b"<valuation>" + MARKET.body + b"</valuation>"
    assert await store.response(ID) == expected.replace(b"B", whole)


async def test_small_pieces_are_put_together_and_large_ones_cut(
    store: RequestStore, connections: Connections, keys: Keys
) -> None:
    results = [b"<v>" + b"x" * 1_000 + b"</v>"] * 400 + [b"<v>" + b"y" * 1_000_000 + b"</v>"] * 2
    expected = await keep(connections, keys, results)
    chunks = await store.response_chunks(ID)
    assert chunks is not None
    sizes, found = [], b""
    async for chunk in chunks:
        sizes.append(len(chunk))
        found += chunk
    assert found == expected
    assert max(sizes) <= 256 * 1024
    assert len(sizes) <= 20


async def test_as_many_results_are_read_at_once_as_their_size_allows(
    store: RequestStore, connections: Connections, keys: Keys, asked: list[int]
) -> None:
    await keep(connections, keys, [b"<v/>"] * 400)
    await store.response(ID)
    assert asked == [4, 16, 64, 64, 52, 64, 64, 64, 8]

    asked.clear()
    await keep(connections, keys, [b"<v>" + b"x" * 1_000_000 + b"</v>"] * 20)
    await store.response(ID)
    assert max(asked) == 4
    assert set(asked[1:]) <= {1, 2}


@pytest.mark.parametrize(("gone", "begun"), [(1, False), (4, False), (100, True)])
async def test_a_result_that_is_gone_is_told_when_its_turn_comes(
    store: RequestStore, connections: Connections, keys: Keys, gone: int, begun: bool
) -> None:
    await keep(connections, keys, [b"<v>" + b"x" * 10_000 + b"</v>"] * 200)
    await connections.commands.delete(keys.task_result(ID, 0, TaskId(gone)))
    chunks = await store.response_chunks(ID)
    assert chunks is not None
    taken = 0

    async def take() -> None:
        nonlocal taken
        async for chunk in chunks:
            taken += len(chunk)

    with pytest.raises(ResponseBroken, match=f"result of task {gone} of group 0") as caught:
        await take()
    assert caught.value.code == "TASK_RESULT_MISSING"
    assert (taken > 0) is begun


@pytest.mark.parametrize(
    ("stored", "code"),
    [
        pytest.param(b"[3,", "INTERNAL", id="no pieces"),
        pytest.param(packed([b"<a>", MARKET]), "TASK_RESULT_MISSING", id="a fragment is gone"),
        pytest.param(
            packed([b"<a>", Results(1, TaskId(1), TaskId(1))]), "INTERNAL", id="results in a result"
        ),
    ],
)
async def test_a_response_that_cannot_be_read_says_so(
    store: RequestStore, connections: Connections, keys: Keys, stored: bytes, code: str
) -> None:
    redis = connections.commands
    await redis.set(keys.task_result(ID, 1, TaskId(1)), packed([Results(0, TaskId(1), TaskId(1))]))
    await redis.set(keys.response(ID), stored)
    with pytest.raises(VnError) as caught:
        await store.response(ID)
    assert caught.value.code == code
