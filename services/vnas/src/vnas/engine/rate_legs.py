"""Legs of swaps, caps and forward rate agreements: their dates, coupons and payments.

The kinds describe a leg by its `Roll` and get a schedule; `fixed` and `floating` make the coupons,
`payments` turns them into plain numbers that any curve can discount.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine.coupons import MAX_FLOWS
from vnas.engine.errors import EngineError
from vnas.engine.values import FIRST_YEAR, LAST_YEAR, Date, Period

Leg = list[Any]  # of ql.CashFlow
_DAYS = {ql.Days: 1.0, ql.Weeks: 7.0, ql.Months: 365.25 / 12.0, ql.Years: 365.25}


# --- dates ---------------------------------------------------------------------------------------


def spot(calendar: Any, evaluation: Date, days: int) -> Date:
    """Step business days ahead; from a holiday they count from the next business day.

    This is where QuantLib starts the swaps that its curves are solved from.
    """
    return calendar.advance(calendar.adjust(evaluation), days, ql.Days)


def advance(
    calendar: Any,
    start: Date,
    period: Period,
    where: str,
    *,
    convention: int = ql.ModifiedFollowing,
    end_of_month: bool = False,
) -> Date:
    """Step by a tenor to a business day; VNP-208 at `where` when the calendar ends before."""
    try:
        return calendar.advance(start, period, convention, end_of_month)
    except (RuntimeError, OverflowError) as err:
        message = f"{start.ISO()} plus {period} is not from {FIRST_YEAR} to {LAST_YEAR}"
        raise EngineError("VNP-208", where, message) from err


@dataclass(frozen=True, slots=True)
class Roll:
    """How the accrual dates of a leg are made."""

    period: Period
    calendar: Any
    convention: int
    termination: int
    rule: int
    end_of_month: bool
    path: str  # of the leg's element

    def schedule(self, start: Date, end: Date) -> Any:
        """Make the accrual schedule; VNP-208 for more than 10,000 coupons."""
        length = self.period.length()
        days = max(_DAYS[self.period.units()] * length, 1.0)
        if length and (end - start) / days > MAX_FLOWS:
            raise EngineError("VNP-208", self.path, f"more than {MAX_FLOWS} flows")
        return ql.Schedule(
            start,
            end,
            self.period,
            self.calendar,
            self.convention,
            self.termination,
            self.rule,
            self.end_of_month,
        )


# --- coupons -------------------------------------------------------------------------------------


def fixed(
    schedule: Any,
    notional: float,
    rate: float,
    day_count: Any,
    *,
    convention: int,
    lag: int = 0,
) -> Leg:
    """Make coupons of a fixed rate."""
    calendar = schedule.calendar()
    leg = ql.FixedRateLeg(
        schedule,
        day_count,
        [notional],
        [rate],
        convention,
        paymentCalendar=calendar,
        paymentLag=lag,
    )
    return list(leg)


def floating(
    schedule: Any,
    notional: float,
    index: Any,
    day_count: Any,
    *,
    convention: int,
    spread: float = 0.0,
    lag: int = 0,
) -> Leg:
    """Make coupons on a ql index: of its term, or overnight and compounded in arrears."""
    make = ql.OvernightLeg if isinstance(index, ql.OvernightIndex) else ql.IborLeg
    leg = make(
        [notional],
        schedule,
        index,
        day_count,
        convention,
        spreads=[spread],
        paymentCalendar=schedule.calendar(),
        paymentLag=lag,
    )
    return list(leg)


# --- payments ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payment:
    """One coupon as numbers."""

    date: Date
    amount: float
    accrual: float  # what one unit of rate pays


def payments(leg: Leg, evaluation: Date) -> list[Payment]:
    """Give what a leg pays after the evaluation date."""
    coupons = [ql.as_coupon(flow) for flow in leg if flow.date() > evaluation]
    return [Payment(c.date(), c.amount(), c.nominal() * c.accrualPeriod()) for c in coupons]


def accrued(leg: Leg, evaluation: Date) -> float:
    """Give what the running coupons have earned up to the evaluation date."""
    coupons = (ql.as_coupon(flow) for flow in leg if flow.date() > evaluation)
    return float(sum(coupon.accruedAmount(evaluation) for coupon in coupons))
