import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.ids import TaskId
from vncore.pieces import (
    Fragment,
    NotPieces,
    Results,
    Shared,
    composed,
    digests_in,
    is_whole,
    packed,
    unpacked,
)

MARKET = Fragment.of(b"<market>1</market>")
own = st.binary(max_size=20).map(lambda content: b"<a>" + content)
pieces = st.lists(
    st.one_of(
        own,
        st.binary(max_size=9).map(Fragment.of),
        st.builds(
            Results, st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.just(b"\n  ")
        ),
    ),
    min_size=1,
)


def test_a_document_without_shared_pieces_is_stored_as_it_is() -> None:
    stored = packed([b"<a>", b"</a>"])
    assert stored == b"<a></a>"
    assert is_whole(stored)
    assert composed(stored, {}) == b"<a></a>"
    assert digests_in(stored) == set()


def test_a_shared_piece_is_named_and_put_back() -> None:
    stored = packed([b"<a>", MARKET, b"</a>\n"])
    assert MARKET.body not in stored
    assert not is_whole(stored)
    assert digests_in(stored) == {MARKET.digest}
    assert composed(stored, {MARKET.digest: MARKET.body}) == b"<a><market>1</market></a>\n"


@given(pieces)
def test_pieces_come_back_in_order(sent: list[bytes | Fragment | Results]) -> None:
    def joined(parts: object) -> list[object]:
        together: list[object] = []
        for part in parts:  # type: ignore[attr-defined]
            if isinstance(part, bytes) and together and isinstance(together[-1], bytes):
                together[-1] += part
            else:
                together.append(Shared(part.digest) if isinstance(part, Fragment) else part)
        return together

    assert joined(unpacked(packed(sent))) == joined(sent)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"[1", "no line of pieces"),
        (b"[]\n", "no line of pieces"),
        (b"[1,\n<", "no JSON"),
        (b"[5]\n<a>", "5 is no piece"),
        (b"[-1]\n<a>", "-1 is no piece"),
        (b"[null]\n", "None is no piece"),
        (b"[1]\n<a>", "2 bytes belong to no piece"),
        (b'["0123456789abcdef0123"]\n', "fragment 0123456789abcdef is gone"),
        (b'[{"group":0,"from":1,"to":2}]\n', "results are not part"),
    ],
)
def test_what_cannot_be_put_together_says_why(stored: bytes, why: str) -> None:
    with pytest.raises(NotPieces, match=why):
        composed(stored, {})


def test_results_keep_what_is_between_them() -> None:
    run = Results(2, TaskId(1), TaskId(100), b"\n\t")
    assert list(unpacked(packed([b"<a>", run, b"</a>"]))) == [b"<a>", run, b"</a>"]
