"""``coupon`` of the bonds: its terms as read, and the accrual schedule that they make.

`bonds` reads it for the three kinds with coupons. Rates belong to successive periods, the last one
stays.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import QuantLib as ql

from vnas.engine import names, values
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.values import Date, Leaf

MAX_FLOWS = 10_000
_DAYS_A_YEAR = 365.25


@dataclass(slots=True)
class Coupon:
    """How coupons accrue and when they are paid; QuantLib objects ready to use."""

    path: str
    frequency: int  # a year; 0: once
    day_count: Any
    calendar: Any  # of accrual dates
    convention: int
    termination: int
    payment_convention: int
    rule: int
    end_of_month: bool
    first_date: Date | None
    next_to_last_date: Date | None
    dates: list[Date]  # in place of a rule
    rates: list[float] = field(default_factory=list)  # fixed
    index: Leaf | None = None  # floating
    spreads: list[float] = field(default_factory=list)
    gearings: list[float] = field(default_factory=list)
    caps: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    fixing_days: int | None = None

    @property
    def period(self) -> Any:
        """The regular coupon period; of no length for a single coupon."""
        return ql.Period(self.frequency)

    @property
    def yield_frequency(self) -> int:
        """The frequency that a yield of the bond is compounded at by default."""
        return self.frequency or int(ql.Annual)


def read_fixed(coupon: Fields, currency: str) -> Coupon:
    """Read a coupon with ``rate`` (or, for selected results, ``amount``)."""
    terms = _read(coupon, currency, names.day_count_of("30/360"))
    rates = coupon.every("rate", values.rate)
    amounts = coupon.every("amount", values.rate)
    terms.rates = rates or amounts
    if coupon.first("rate") is None and coupon.first("amount") is None:
        coupon.missing("rate")
        terms.rates = [0.0]
    coupon.finish_repeated("rate", "amount", "date")
    return terms


def read_floating(coupon: Fields, currency: str) -> Coupon:
    """Read a coupon with ``index``."""
    terms = _read(coupon, currency, ql.Actual360())
    terms.index = coupon.maybe("index", values.leaf)
    if terms.index is None:
        coupon.missing("index")
    terms.spreads = coupon.every("spread", values.rate)
    terms.gearings = coupon.every("gearing", values.number)
    terms.caps = coupon.every("cap", values.rate)
    terms.floors = coupon.every("floor", values.rate)
    terms.fixing_days = coupon.maybe("fixingDays", values.natural)
    coupon.finish_repeated("spread", "gearing", "cap", "floor")
    return terms


def _read(coupon: Fields, currency: str, day_count: Any) -> Coupon:
    convention = coupon.get("convention", names.convention, ql.Unadjusted)
    listed = coupon.child("dates")
    dates = listed.every("date", values.date) if listed is not None else []
    for before, after in itertools.pairwise(dates):
        if after <= before:
            sentence = f"{after.ISO()} is not after {before.ISO()}"
            coupon.refuse("dates", "VNP-208", sentence)
            break
    return Coupon(
        path=coupon.path,
        frequency=coupon.get("frequency", names.frequency, int(ql.Semiannual)),
        day_count=coupon.maybe("dayCount", names.day_count) or day_count,
        calendar=coupon.maybe("calendar", names.calendar) or names.calendar_of(currency),
        convention=convention,
        termination=coupon.get("terminationConvention", names.convention, convention),
        payment_convention=coupon.get("paymentConvention", names.convention, ql.Following),
        rule=coupon.get("rule", names.date_rule, ql.DateGeneration.Backward),
        end_of_month=coupon.get("endOfMonth", values.boolean, False),
        first_date=coupon.maybe("firstDate", values.date),
        next_to_last_date=coupon.maybe("nextToLastDate", values.date),
        dates=dates,
    )


def default_start(coupon: Coupon, maturity: Date, evaluation: Date) -> Date:
    """Step back from maturity by whole periods to the evaluation date or just before.

    Steps are counted from maturity, so that a bond ending on the 31st does not drift to the 28th.
    """
    period = coupon.period
    if period.length() == 0:
        sentence = "a single coupon needs a startDate or an issueDate"
        raise EngineError("VNP-201", f"{coupon.path.rpartition('/')[0]}/startDate", sentence)
    days = max(maturity - evaluation, 0)
    _refuse_many(days / _DAYS_A_YEAR * coupon.frequency, coupon)
    steps = 1
    while maturity - period * steps > evaluation:
        steps += 1
    return maturity - period * steps


def schedule(coupon: Coupon, start: Date, maturity: Date) -> Any:
    """Make the accrual schedule from start to maturity.

    Raises EngineError VNP-208 for listed dates outside it, or more than 10,000 coupons.
    """
    if coupon.dates:
        return _listed(coupon, start, maturity)
    _refuse_many((maturity - start) / _DAYS_A_YEAR * coupon.frequency, coupon)
    return ql.Schedule(
        start,
        maturity,
        coupon.period,
        coupon.calendar,
        coupon.convention,
        coupon.termination,
        coupon.rule,
        coupon.end_of_month,
        coupon.first_date or ql.Date(),
        coupon.next_to_last_date or ql.Date(),
    )


def _listed(coupon: Coupon, start: Date, maturity: Date) -> Any:
    dates = list(coupon.dates)
    if len(dates) > MAX_FLOWS:
        raise EngineError("VNP-208", f"{coupon.path}/dates", f"more than {MAX_FLOWS} dates")
    if dates[-1] > maturity:
        sentence = f"{dates[-1].ISO()} is after maturity, {maturity.ISO()}"
        raise EngineError("VNP-208", f"{coupon.path}/dates", sentence)
    if start < dates[0]:
        dates.insert(0, start)
    if dates[-1] < maturity:
        dates.append(maturity)
    return ql.Schedule(dates, coupon.calendar, coupon.convention)


def _refuse_many(flows: float, coupon: Coupon) -> None:
    if flows > MAX_FLOWS:
        raise EngineError("VNP-208", coupon.path, f"more than {MAX_FLOWS} flows")
