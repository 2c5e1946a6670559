"""Curves as the ISDA model takes them: flat forward between dates, on the clock Actual365Fixed.

`credit` hands in the curves of the market. A curve of that shape stays what it was; another one is
taken at its nodes and month by month.
"""

import itertools
import math
from typing import Any

import QuantLib as ql

from vnas.engine import clocked_curves
from vnas.engine.curves import Curve
from vnas.engine.values import Date

_CLOCK = 365.0


def discounting(curve: Curve, horizon: Date) -> Any:
    """Give a handle that discounts to the evaluation date."""
    return clocked_curves.discounting(curve, horizon, ql.Actual365Fixed())


def surviving(credit: Any, horizon: Date) -> Any:
    """Give the default curve on the model's clock."""
    if credit.dayCounter() == ql.Actual365Fixed():
        return credit
    evaluation = credit.referenceDate()
    pillars: tuple[Date, ...] = getattr(credit, "dates", tuple)()
    dates = clocked_curves.flat_between(evaluation, pillars, horizon, credit.survivalProbability)
    logs = [math.log(credit.survivalProbability(date)) for date in dates]
    hazards = [
        (before - after) * _CLOCK / float(end - start)
        for (start, before), (end, after) in itertools.pairwise(zip(dates, logs, strict=True))
    ]
    made = ql.HazardRateCurve(dates, [hazards[0], *hazards], ql.Actual365Fixed())
    made.enableExtrapolation()
    return made
