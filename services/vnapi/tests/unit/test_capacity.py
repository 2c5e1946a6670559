"""From which load on requests are refused, and for how long."""

import pytest

from vnapi.capacity import Limits, Load, described, refusal

LIMITS = Limits(100, 1_000, 80)
MIB = 1024 * 1024


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(Load(0, 0, 0, 0), id="nothing at all"),
        pytest.param(Load(99, 999, 79 * MIB, 100 * MIB), id="just below each"),
        pytest.param(Load(0, 0, 999 * MIB, 0), id="a server without a limit"),
    ],
)
def test_below_its_limits_there_is_room(load: Load) -> None:
    assert refusal(load, LIMITS) is None


@pytest.mark.parametrize(
    ("load", "code", "setting", "limit", "found", "seconds"),
    [
        pytest.param(
            Load(100, 0, 0, 0), "BACKLOG_FULL", "BACKLOG_MAX_REQUESTS", 100, 100, 1, id="requests"
        ),
        pytest.param(
            Load(150, 0, 0, 0), "BACKLOG_FULL", "BACKLOG_MAX_REQUESTS", 100, 150, 15, id="by half"
        ),
        pytest.param(
            Load(9_999, 0, 0, 0), "BACKLOG_FULL", "BACKLOG_MAX_REQUESTS", 100, 9_999, 30, id="far"
        ),
        pytest.param(
            Load(0, 1_000, 0, 0), "BACKLOG_FULL", "BACKLOG_MAX_TASKS", 1_000, 1_000, 1, id="tasks"
        ),
        pytest.param(
            Load(0, 0, 80 * MIB, 100 * MIB),
            "STORE_FULL",
            "REDIS_MEMORY_MAX_PERCENT",
            80,
            80,
            1,
            id="memory",
        ),
        pytest.param(
            Load(0, 0, 90 * MIB, 100 * MIB),
            "STORE_FULL",
            "REDIS_MEMORY_MAX_PERCENT",
            80,
            90,
            15,
            id="half way to the end",
        ),
        pytest.param(
            Load(0, 0, 101 * MIB, 100 * MIB),
            "STORE_FULL",
            "REDIS_MEMORY_MAX_PERCENT",
            80,
            101,
            30,
            id="no memory left",
        ),
    ],
)
def test_at_a_limit_requests_are_refused_with_its_numbers(
    load: Load, code: str, setting: str, limit: int, found: int, seconds: int
) -> None:
    refused = refusal(load, LIMITS)
    assert refused is not None
    assert (refused.code, refused.http_status, refused.retryable) == (code, 503, True)
    assert refused.facts() == {"setting": setting, "limit": limit, "found": found}
    assert abs(refused.retry_after_seconds - seconds) <= 1
    assert setting in refused.message


def test_all_of_the_memory_may_be_allowed() -> None:
    refused = refusal(Load(0, 0, 100, 100), Limits(1, 1, 100))
    assert refused is not None
    assert refused.retry_after_seconds == 1


def test_the_wait_grows_with_the_load_and_stays_bearable() -> None:
    waits = [
        refused.retry_after_seconds
        for requests in range(100, 500)
        if (refused := refusal(Load(requests, 0, 0, 0), LIMITS))
    ]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1, 30)


def test_the_load_is_told_in_words() -> None:
    assert described(Load(3, 40, 50 * MIB, 100 * MIB), LIMITS) == {
        "backlog": "3 of 100 requests, 40 of 1000 tasks",
        "memory": "50 % in use, up to 80 %",
    }
    assert described(Load(0, 0, MIB, 0), LIMITS)["memory"] == "has no limit"
