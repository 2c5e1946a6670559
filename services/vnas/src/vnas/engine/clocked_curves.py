"""Curves on another clock: the same discount factors, with time told by another day count.

QuantLib's grids, trees and default models measure all times on the clock of the rates. Where that
is not the clock that the rates or volatilities were given on, `spot_states` and `isda_curves` put
the curve on the clock that the method needs. A curve that is flat forward stays what it was;
another one is taken at its nodes and month by month.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import QuantLib as ql

from vnas.engine.curves import Curve
from vnas.engine.values import Date

_SAME = 1e-12  # of logarithms in the middle between two dates


def discounting(curve: Curve, horizon: Date, counter: Any) -> Any:
    """Give a handle that discounts to the evaluation date, exactly so on the horizon."""
    pillars = [*curve.pillars, curve.reference]
    dates = flat_between(curve.evaluation, pillars, horizon, curve.discount)
    dates = _in_time(dates, counter)
    factors = [1.0, *(curve.discount(date) for date in dates[1:])]
    made = ql.DiscountCurve(dates, factors, counter)
    made.enableExtrapolation()
    return ql.YieldTermStructureHandle(made)


def flat_between(
    evaluation: Date, pillars: Iterable[Date], horizon: Date, factor: Callable[[Date], float]
) -> list[Date]:
    """Choose dates between which the logarithm of a factor is a straight line."""
    inside = {date for date in pillars if evaluation < date < horizon}
    dates = sorted({evaluation, horizon, *inside})
    if all(_straight(start, end, factor) for start, end in itertools.pairwise(dates)):
        return dates
    month = 1
    while (date := evaluation + ql.Period(month, ql.Months)) < horizon:
        inside.add(date)
        month += 1
    return sorted({evaluation, horizon, *inside})


def _straight(start: Date, end: Date, factor: Callable[[Date], float]) -> bool:
    days = end - start
    first, last = math.log(factor(start)), math.log(factor(end))
    for part in (days // 3, days // 2):
        between = first + (last - first) * part / days
        if abs(math.log(factor(start + part)) - between) > _SAME:
            return False
    return True


def _in_time(dates: list[Date], counter: Any) -> list[Date]:
    """Leave out dates that a day count like 30/360 puts on the time of the one after."""
    times = [counter.yearFraction(dates[0], date) for date in dates]
    first, last = dates[0], dates[-1]
    inner = [
        date
        for date, time, after in zip(dates[1:-1], times[1:-1], times[2:], strict=True)
        if 0.0 < time < after
    ]
    return [first, *inner, last]
