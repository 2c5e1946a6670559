"""When a silent consumer may be taken for a dead one."""

from vncore.silence import Silence


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def after(silence: Silence, clock: Clock, seconds: float, *, answered_each: float = 1.0) -> bool:
    """Let so much time pass, with a renewal answered every second, and tell what counts then."""
    for _ in range(round(seconds / answered_each)):
        clock.now += answered_each
        silence.server_answered()
    return silence.counts()


def test_silence_counts_half_an_idle_limit_after_the_start():
    clock = Clock()
    silence = Silence(10, clock)
    assert not silence.counts()
    assert not after(silence, clock, 4)
    assert after(silence, clock, 1)


def test_after_an_outage_all_the_living_can_renew_first():
    clock = Clock()
    silence = Silence(10, clock)
    assert after(silence, clock, 60)
    silence.server_was_away()
    assert not after(silence, clock, 6)
    assert after(silence, clock, 1)


def test_an_outage_ends_with_the_first_renewal_that_is_answered():
    clock = Clock()
    silence = Silence(10, clock)
    for _ in range(20):
        clock.now += 3
        silence.server_was_away()
        assert not silence.counts()
    assert not after(silence, clock, 1 + 6)
    assert after(silence, clock, 1)


def test_a_renewal_that_was_held_up_for_long_was_an_outage():
    clock = Clock()
    silence = Silence(10, clock)
    assert after(silence, clock, 60)
    clock.now += 6
    assert silence.counts(), "too short to make a living consumer look silent"
    clock.now += 1
    assert not silence.counts(), "at once, before the renewal is answered"
    silence.server_answered()
    assert not after(silence, clock, 6)
    assert after(silence, clock, 1)
