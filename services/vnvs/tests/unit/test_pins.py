"""Each document is fetched once in a request, by whoever asks and however often."""

import asyncio
import hashlib
import json
from collections.abc import Mapping

import pytest

from vncore.errors import HydrationFailed
from vnvs.hydration import Fetched
from vnvs.pins import MANIFEST, PinnedSources, body_field
from vnvs.source import fetched
from vnvs.sources import Sources

A, B, C = "s3://b/a", "s3://b/b", "s3://b/c"


class Store:
    """A source that counts, and changes what it holds with every read."""

    def __init__(self, size: int = 0) -> None:
        self.reads: list[str] = []
        self.size = size

    def read(self, uri: str, max_bytes: int) -> Fetched:
        self.reads.append(uri)
        if uri.endswith("absent"):
            raise HydrationFailed("HREF_UNAVAILABLE", "absent")
        body = f"<{uri[-1]} n='{len(self.reads)}'/>".encode() + b" " * self.size
        return fetched(uri, body, version="v1")


def sources(store: Store) -> Sources:
    return Sources({"s3://": store}, max_bytes=1_000, timeout_seconds=5)


def pinned(store: Store, kept: Mapping[str, bytes] | None = None, *, total: int = 10_000):
    there = dict(kept or {})

    async def reload() -> Mapping[str, bytes]:
        return there

    return PinnedSources(sources(store), total_bytes=total, kept=there, reload=reload), there


async def test_a_document_is_fetched_once():
    store = Store()
    pins, _ = pinned(store)
    first = await pins.fetch([A, A])
    second = await pins.fetch([A, B])
    assert sorted(store.reads) == [A, B]
    assert first[A] == second[A]


async def test_what_is_kept_is_read_again_from_the_copy():
    store = Store()
    pins, there = pinned(store)
    first = await pins.fetch([A])
    for fields in pins.unsaved():
        there.update(fields)
    pins.saved()
    assert list(pins.unsaved()) == []
    assert await pins.fetch([A]) == first
    assert store.reads == [A]


async def test_a_successor_reads_the_same_copies():
    store = Store()
    pins, _ = pinned(store)
    first = await pins.fetch([A, B])
    kept = {name: body for fields in pins.unsaved() for name, body in fields.items()}
    successor, _ = pinned(store, kept)
    assert await successor.fetch([B, A]) == first
    assert len(store.reads) == 2
    assert list(successor.unsaved()) == []
    assert successor.manifest == pins.manifest


async def test_the_manifest_says_what_was_fetched():
    pins, _ = pinned(Store())
    answers = await pins.fetch([A])
    document = answers[A]
    assert isinstance(document, Fetched)
    digest = "sha256:" + hashlib.sha256(document.body).hexdigest()
    pieces = list(pins.unsaved())
    assert pieces[0] == {body_field(digest): document.body}
    assert json.loads(pieces[-1][MANIFEST]) == [
        {"uri": A, "digest": digest, "version": "v1", "size": len(document.body)}
    ]


async def test_a_failure_is_a_value_beside_the_others():
    pins, _ = pinned(Store())
    answers = await pins.fetch([A, "s3://b/absent"])
    assert isinstance(answers[A], Fetched)
    failed = answers["s3://b/absent"]
    assert isinstance(failed, HydrationFailed)
    assert failed.code == "HREF_UNAVAILABLE"


async def test_all_documents_together_have_a_limit():
    pins, _ = pinned(Store(size=400), total=1_000)
    answers = await pins.fetch([A, B, C])
    assert [isinstance(answers[uri], Fetched) for uri in (A, B, C)] == [True, True, False]
    refused = answers[C]
    assert isinstance(refused, HydrationFailed)
    assert (refused.code, refused.place.uri) == ("HREF_LIMIT", C)


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://169.254.169.254/latest", id="http"),
        pytest.param("S3://b/a", id="capitals"),
        pytest.param(" s3://b/a", id="blank"),
        pytest.param("", id="empty"),
        pytest.param("/etc/passwd", id="path"),
        pytest.param("ftp://b/a", id="ftp"),
    ],
)
async def test_no_other_scheme_is_fetched(uri: str):
    store = Store()
    with pytest.raises(HydrationFailed) as refused:
        await sources(store).fetch(uri)
    assert refused.value.code == "HREF_FORBIDDEN"
    assert store.reads == []


async def test_a_fetch_has_a_time_limit():
    go = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Hanging:
        def read(self, uri: str, max_bytes: int) -> Fetched:
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(10)
            raise AssertionError

    hanging = Sources({"s3://": Hanging()}, max_bytes=1, timeout_seconds=0.05)
    with pytest.raises(HydrationFailed) as late:
        await hanging.fetch(A)
    assert late.value.code == "HREF_TIMED_OUT"
    go.set()
    hanging.close()
