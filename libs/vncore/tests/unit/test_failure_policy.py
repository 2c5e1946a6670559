"""A failure policy says how many tasks of a group may fail; what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.failure_policy import STOP, FailurePolicy


@pytest.mark.parametrize(
    ("text", "expected", "allowed"),
    [
        pytest.param("stop", 10, 0, id="stop"),
        pytest.param("continue", 10, 10, id="continue"),
        pytest.param("tolerate:0", 10, 0, id="none"),
        pytest.param("tolerate:3", 10, 3, id="a number"),
        pytest.param("tolerate:30", 10, 10, id="more than there are"),
        pytest.param("tolerate:0%", 10, 0, id="no share"),
        pytest.param("tolerate:25%", 10, 2, id="a share, rounded down"),
        pytest.param("tolerate:2.5%", 200, 5, id="a share with a fraction"),
        pytest.param("tolerate:100%", 7, 7, id="all of them"),
        pytest.param("tolerate:29%", 100, 29, id="exact where binary fractions are not"),
        pytest.param(" continue\n", 3, 3, id="blanks around it"),
        pytest.param("tolerate:5", 0, 0, id="an empty group"),
    ],
)
def test_a_policy_allows(text: str, expected: int, allowed: int):
    assert FailurePolicy.parse(text).allowed(expected) == allowed


@pytest.mark.parametrize(
    "text",
    ["", "Stop", "ignore", "tolerate", "tolerate:", "tolerate:-1", "tolerate:1.5", "tolerate:101%",
     "tolerate:5 %", "tolerate:%", "tolerate:١", "tolerate:1e2%", "continue;stop", "x" * 500],
)  # fmt: skip
def test_what_is_no_policy_is_refused_with_what_is_allowed(text: str):
    with pytest.raises(ValueError, match="stop, continue, tolerate:N or tolerate:P%") as refused:
        FailurePolicy.parse(text)
    assert len(str(refused.value)) < 200


def test_only_stop_tolerates_nothing():
    assert not STOP.tolerates
    assert FailurePolicy.parse("tolerate:0").tolerates


@given(share=st.integers(0, 100), expected=st.integers(0, 50_000))
def test_a_share_never_allows_more_than_its_part(share: int, expected: int):
    allowed = FailurePolicy.parse(f"tolerate:{share}%").allowed(expected)
    assert allowed * 100 <= share * expected < (allowed + 1) * 100


@given(st.sampled_from(["stop", "continue", "tolerate:7", "tolerate:7%"]))
def test_a_policy_is_written_as_it_is_read(text: str):
    assert str(FailurePolicy.parse(text)) == text
