"""Gzip bodies: whole, in pieces, damaged, and bombs."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.errors import MalformedDocument
from vncore.inflate import Inflater

LIMIT = 10_000
PLAIN = bytes(range(256)) * 4
PACKED = gzip.compress(PLAIN)


def inflate(packed: bytes, *, limit: int = LIMIT, piece: int = 100) -> bytes:
    inflater = Inflater(limit)
    plain = b"".join(inflater.feed(packed[n : n + piece]) for n in range(0, len(packed), piece))
    inflater.finish()
    return plain


@given(st.binary(max_size=LIMIT), st.integers(1, 500))
def test_what_was_compressed_comes_out_whatever_the_pieces(plain: bytes, piece: int) -> None:
    assert inflate(gzip.compress(plain), piece=piece) == plain


def test_an_empty_piece_changes_nothing() -> None:
    inflater = Inflater(LIMIT)
    assert inflater.feed(PACKED) + inflater.feed(b"") == PLAIN
    inflater.finish()


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PACKED[:5], id="half a header"),
        pytest.param(PACKED[:-1], id="truncated checksum"),
        pytest.param(PACKED[: len(PACKED) // 2], id="truncated"),
        pytest.param(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], id="wrong checksum"),
        pytest.param(PACKED[:-4] + b"\0\0\0\0", id="wrong length"),
        pytest.param(PACKED + b"\0", id="a byte after the end"),
        pytest.param(PACKED + PACKED, id="a second member"),
        pytest.param(PLAIN, id="not compressed"),
        pytest.param(zlib.compress(PLAIN), id="zlib, not gzip"),
        pytest.param(PACKED[:12] + b"\xff\xff" + PACKED[14:], id="damaged"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1_000_000])
def test_anything_but_one_whole_member_is_refused(packed: bytes, piece: int) -> None:
    with pytest.raises(MalformedDocument) as caught:
        inflate(packed, piece=piece)
    assert caught.value.code == "CONTENT_ENCODING_BROKEN"


@pytest.mark.parametrize("piece", [1, 1_000_000])
def test_the_limit_is_on_what_comes_out(piece: int) -> None:
    assert inflate(PACKED, limit=len(PLAIN), piece=piece) == PLAIN
    with pytest.raises(MalformedDocument) as caught:
        inflate(PACKED, limit=len(PLAIN) - 1, piece=piece)
    assert caught.value.code == "DOCUMENT_TOO_LARGE"


def test_a_bomb_costs_no_more_than_the_limit() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(MalformedDocument):
            inflate(bomb, piece=len(bomb))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
