"""Which silent entries are taken over: suspects alone, and never one that would have to wait."""

import pytest

from vncore.streams import Silent
from vncore.takeover import Takeover, choose


def silent(*deliveries: int) -> list[Silent]:
    """Make entries, the oldest first, that were delivered so often."""
    return [Silent(f"{at}-0", times) for at, times in enumerate(deliveries)]


@pytest.mark.parametrize(
    ("deliveries", "busy", "taken", "alone", "wait"),
    [
        pytest.param((1, 1, 1), False, (0, 1), False, False, id="as many as there are slots"),
        pytest.param((1, 1), True, (0, 1), False, False, id="beside what runs"),
        pytest.param((2, 1), False, (0,), True, False, id="a suspect that is the oldest: alone"),
        pytest.param((2, 2, 1), False, (0, 1), True, True, id="one of two suspects"),
        pytest.param((1, 2, 1), False, (0,), False, True, id="what is older than it first"),
        pytest.param((1, 2), True, (), False, True, id="nothing while a suspect waits"),
        pytest.param((2, 3), True, (1,), False, True, id="what will be refused never waits"),
        pytest.param((3, 2), False, (0,), False, True, id="nor does it run: refused first"),
        pytest.param((3, 4, 5), True, (0, 1), False, False, id="refused in any company"),
    ],
)
def test_the_last_permitted_delivery_waits_until_it_can_be_alone(
    deliveries: tuple[int, ...], busy: bool, taken: tuple[int, ...], alone: bool, wait: bool
):
    entries = silent(*deliveries)
    assert choose(entries, free=2, busy=busy, alone_at=3) == Takeover(
        tuple(entries[at] for at in taken), alone=alone, suspects_wait=wait
    )


def test_without_a_limit_there_are_no_suspects():
    entries = silent(1, 2, 99)
    assert choose(entries, free=3, busy=True, alone_at=None) == Takeover(tuple(entries))


def test_nothing_silent_is_nothing_to_take():
    assert choose([], free=2, busy=False, alone_at=3) == Takeover()
