"""A short storm with the same code as the long one (`make chaos`)."""

import pytest

from .storm import StormOptions, run


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_doubled_while_everything_is_killed(
    capsys: pytest.CaptureFixture[str],
):
    report = run(
        StormOptions(
            seed=20261125,
            minutes=0.45,
            requests_per_second=4.5,
            blow_every_seconds=0.9,
            wait_timeout_ms=2_000,
            calm_seconds=90.0,
        ),
        lambda _line: None,
    )
    with capsys.disabled():
        print(f"\n{report.told()}", end="")
    assert report.is_clean, report.told()
    assert report.kills >= 8, "the saboteur was idle"
    assert report.accepted >= 50, "the clients were idle"
