"""``fixedRateBond``: fixed coupons, possibly stepping, possibly with an ex-coupon period."""

from typing import Any

import QuantLib as ql

from vnas.engine import bond_terms, bonds, coupons, names, outputs, values
from vnas.engine.coupons import Coupon
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a fixed-rate bond by discounting."""
    fields = task.fields
    terms = bond_terms.read_terms(task)
    coupon = bond_terms.read_coupon(task, coupons.read_fixed)
    terms.quote = bond_terms.read_quote(task, bond_terms.yield_terms(coupon))
    payment_calendar = fields.maybe("paymentCalendar", names.calendar) or coupon.calendar
    ex_period = fields.maybe("exCouponPeriod", values.tenor)
    ex_calendar = fields.maybe("exCouponCalendar", names.calendar) or payment_calendar
    task.check()
    task.calculator.choose("discounting")
    start = bond_terms.start_date(task, terms, coupon)
    leg = _leg(coupon, start, terms.maturity, payment_calendar, ex_period, ex_calendar)
    paid = leg[-1].date()
    if paid <= task.evaluation:
        return outputs.expired(task.currency, "discounting")
    bond = bonds.bond_of(terms, payment_calendar, leg, paid)
    return bonds.discounted(task, terms, bond_terms.yield_terms(coupon), lambda _: bond)


def _leg(
    coupon: Coupon, start: Any, maturity: Any, calendar: Any, ex_period: Any, ex_calendar: Any
) -> list[Any]:
    schedule = coupons.schedule(coupon, start, maturity)
    ex_coupon = (
        {}
        if ex_period is None
        else {
            "exCouponPeriod": ex_period,
            "exCouponCalendar": ex_calendar,
        }
    )
    return list(
        ql.FixedRateLeg(
            schedule,
            coupon.day_count,
            [100.0],
            coupon.rates,
            coupon.payment_convention,
            paymentCalendar=calendar,
            **ex_coupon,
        )
    )
