"""The backoff law."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.failures import Failure
from vnvs.retry import RetryPolicy

ALMOST_ONE = 1 - 1e-9
FAILED = Failure("SCRIPT_FAILED", "script", "exit status 1", retryable=True)
REJECTED = Failure("SCRIPT_REJECTED_DATA", "data", "exit status 65")


@pytest.mark.parametrize(
    ("attempt", "longest_ms"),
    [
        pytest.param(1, 2_000, id="the first wait is about a second"),
        pytest.param(2, 4_000, id="each window is twice the one before"),
        pytest.param(5, 32_000, id="fifth"),
        pytest.param(6, 60_000, id="the window is capped"),
        pytest.param(10_000, 60_000, id="whatever the attempt"),
    ],
)
def test_the_window_doubles_up_to_its_cap(attempt: int, longest_ms: int):
    longest = RetryPolicy(3, jitter=lambda: ALMOST_ONE).wait_ms(attempt)
    assert longest == longest_ms - 1
    assert RetryPolicy(3, jitter=lambda: 0.5).wait_ms(attempt) == longest_ms // 2
    assert RetryPolicy(3, jitter=lambda: 0.0).wait_ms(attempt) == 0


@given(
    attempt=st.integers(1, 10**6),
    draw=st.floats(0, 1, exclude_max=True),
    first=st.integers(1, 10_000),
    cap=st.integers(1, 100_000),
)
def test_no_wait_is_negative_or_over_the_cap(attempt: int, draw: float, first: int, cap: int):
    policy = RetryPolicy(3, jitter=lambda: draw, first_wait_ms=first, cap_ms=cap)
    assert 0 <= policy.wait_ms(attempt) <= cap


@pytest.mark.parametrize(
    ("failure", "attempt", "final"),
    [
        pytest.param(FAILED, 1, False, id="first of three"),
        pytest.param(FAILED, 2, False, id="second of three"),
        pytest.param(FAILED, 3, True, id="third of three"),
        pytest.param(REJECTED, 1, True, id="permanent"),
    ],
)
def test_a_failure_is_final_when_attempts_are_out_or_retries_cannot_help(
    failure: Failure, attempt: int, final: bool
):
    assert RetryPolicy(3, jitter=lambda: 0.0).is_final(failure, attempt) is final
