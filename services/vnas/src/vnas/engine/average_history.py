"""What is known of an average on a day, and what is still to come.

A price of the day itself is today's spot. Where the day has been moved on (theta), the days between
had the spot as well.
"""

import math
from dataclasses import dataclass, field

from vnas.engine.average_terms import GEOMETRIC, Average
from vnas.engine.spot_states import State
from vnas.engine.values import Date


@dataclass(frozen=True, slots=True)
class Known:
    """The part of an average that is known."""

    share: float  # of the whole, 0 to 1
    average: float  # of that part; 1 where there is none
    slope: float = 0.0  # of the known part's average in today's spot
    coming: list[Date] = field(default_factory=list)  # the dates of the rest, if discrete


def known_of(
    average: Average, state: State, read_on: Date, expiry: Date, *, steady: bool = False
) -> Known:
    """Split an average by the day of a state; `read_on` is the day that the terms speak of.

    With `steady` a price fixed between the two counts as one to come that cannot move any more:
    an approximation by moments gives another number where it is known, and theta would see the
    difference 365 times.
    """
    if average.continuous:
        return _continuous(average, state, read_on, expiry)
    ahead = any(date > state.evaluation for date in average.dates)
    known_until = read_on if steady and ahead else state.evaluation
    fixed = sum(date <= known_until for date in average.dates)
    coming = [max(date, state.evaluation) for date in average.dates[fixed:]]
    count = average.past_count + fixed
    if count == 0:
        return Known(0.0, 1.0, coming=coming)
    mean, slope = _mean(average, state.spot, average.past_count / count, fixed / count)
    return Known(count / (count + len(coming)), mean, slope, coming)


def _continuous(average: Average, state: State, read_on: Date, expiry: Date) -> Known:
    assert average.start is not None
    whole = expiry - average.start
    if whole <= 0:  # all on one day
        return Known(1.0, state.spot, 1.0)
    before = max(min(read_on, expiry) - average.start, 0)
    since = max(state.evaluation - average.start, 0) - before
    if before + since == 0:
        return Known(0.0, 1.0)
    days = before + since
    mean, slope = _mean(average, state.spot, before / days, since / days)
    return Known(days / whole, mean, slope)


def _mean(average: Average, spot: float, before: float, now: float) -> tuple[float, float]:
    """Join the past and prices of today by their weights; gives the mean and its slope in spot."""
    past = average.running if average.continuous else average.past_average
    past = 1.0 if past is None else past
    if average.kind == GEOMETRIC:
        mean = math.exp(before * math.log(past) + now * math.log(spot))
        return mean, mean * now / spot
    return before * past + now * spot, now
