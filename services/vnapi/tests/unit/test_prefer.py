"""How long a submission waits: ``sync`` and ``Prefer`` together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnapi.prefer import Wait, wait_of
from vncore.errors import InvalidRequest

MOST = 120.0


@pytest.mark.parametrize(
    ("sync", "prefer", "expected"),
    [
        pytest.param([], [], Wait(None), id="asynchronous by default"),
        pytest.param(["N"], [], Wait(None), id="N"),
        pytest.param(["Y"], [], Wait(MOST), id="Y"),
        pytest.param(["y"], [], Wait(MOST), id="y"),
        pytest.param(["n"], [], Wait(None), id="n"),
        pytest.param([], ["wait=10"], Wait(10.0, ("wait=10",)), id="a wish to wait"),
        pytest.param(["Y"], ["wait=10"], Wait(10.0, ("wait=10",)), id="a shorter wait"),
        pytest.param(["Y"], ["wait=999"], Wait(MOST, ("wait=120",)), id="capped, and told so"),
        pytest.param(["Y"], ["wait=0"], Wait(0.0, ("wait=0",)), id="no wait at all"),
        pytest.param(["Y"], ['wait="5"'], Wait(5.0, ("wait=5",)), id="quoted"),
        pytest.param(["N"], ["wait=10"], Wait(None), id="an explicit N stands"),
        pytest.param(["Y"], ["respond-async"], Wait(None, ("respond-async",)), id="respond-async"),
        pytest.param([], ["respond-async"], Wait(None, ("respond-async",)), id="async anyway"),
        pytest.param(
            [],
            ["respond-async, wait=10"],
            Wait(10.0, ("respond-async", "wait=10")),
            id="wait, then 202",
        ),
        pytest.param(
            ["Y"],
            ["respond-async", "Wait = 7; x=y"],
            Wait(7.0, ("respond-async", "wait=7")),
            id="two headers, odd spelling",
        ),
        pytest.param([], ["wait=1, wait=9"], Wait(1.0, ("wait=1",)), id="the first counts"),
        pytest.param(["Y"], ["wait=ten"], Wait(MOST), id="no number"),
        pytest.param(["Y"], ["wait=-1"], Wait(MOST), id="negative"),
        pytest.param(["Y"], ["wait"], Wait(MOST), id="no value"),
        pytest.param(["Y"], ["handling=lenient, ,;"], Wait(MOST), id="other wishes"),
    ],
)
def test_sync_and_prefer_decide_the_wait(
    sync: list[str], prefer: list[str], expected: Wait
) -> None:
    assert wait_of(sync, prefer, most_seconds=MOST) == expected


@pytest.mark.parametrize("sync", [[""], ["yes"], ["1"], ["Y", "Y"], ["Y", "N"], ["Ｙ"], ["ß"]])
def test_any_other_sync_is_refused(sync: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        wait_of(sync, [], most_seconds=MOST)
    assert caught.value.code == "PARAMETER_INVALID"


@given(st.lists(st.text()))
def test_no_wish_is_an_error_or_exceeds_the_limit(prefer: list[str]) -> None:
    wait = wait_of([], prefer, most_seconds=MOST)
    assert wait.seconds is None or 0 <= wait.seconds <= MOST
