"""``floatingRateBond``: coupons on a term index, or on an overnight index compounded in arrears."""

from typing import Any

import QuantLib as ql

from vnas.engine import bond_terms, bonds, coupons, names, outputs, volatility_choice
from vnas.engine.bond_terms import Terms
from vnas.engine.coupons import Coupon
from vnas.engine.errors import EngineError
from vnas.engine.indices import Index
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Priced
from vnas.engine.task import Task

_VOLATILITIES = {
    "normal": ql.Normal,
    "lognormal": ql.ShiftedLognormal,
    "shiftedLognormal": ql.ShiftedLognormal,
}
_PROJECTED = ("yield", "duration", "convexity", "dv01", "cashFlows")


def value(task: Task) -> Priced:
    """Price a floating-rate bond by forecasting and discounting."""
    fields = task.fields
    terms = bond_terms.read_terms(task)
    coupon = bond_terms.read_coupon(task, coupons.read_floating)
    terms.quote = bond_terms.read_quote(task, bond_terms.yield_terms(coupon))
    payment_calendar = fields.maybe("paymentCalendar", names.calendar) or coupon.calendar
    task.check()
    task.calculator.choose("discounting")
    assert coupon.index is not None
    start = bond_terms.start_date(task, terms, coupon)
    schedule = coupons.schedule(coupon, start, terms.maturity)
    index = task.market.index(coupon.index)
    legs = _Legs(task, terms, coupon, index, schedule, payment_calendar)
    plain = legs.plain(index.unforecast())
    if plain[-1].date() <= task.evaluation:
        return outputs.expired(task.currency, "discounting")
    index.require_for(plain, task.evaluation, coupon.index)
    cache: dict[float, Any] = {}

    def bond_on(market: Market) -> Any:
        if market.shift not in cache:
            leg = legs.on(market)
            cache[market.shift] = bonds.bond_of(terms, payment_calendar, leg, leg[-1].date())
        return cache[market.shift]

    priced = bonds.discounted(task, terms, bond_terms.yield_terms(coupon), bond_on)
    if not legs.projects:
        # A quote gives the price, but the rest needs coupons that nothing forecasts.
        without = {name: _needs_curve(task, legs) for name in _PROJECTED}
        return Priced(priced.method, priced.currency, {**priced.outputs, **without})
    return priced


def _needs_curve(task: Task, legs: "_Legs") -> Compute:
    def refuse(_: object) -> None:
        legs.curve_on(task.market)  # raises VNP-206 with the reason

    return refuse


class _Legs:
    """Makes the coupons on a market."""

    def __init__(
        self,
        task: Task,
        terms: Terms,
        coupon: Coupon,
        index: Index,
        schedule: Any,
        payment_calendar: Any,
    ) -> None:
        self.task = task
        self.terms = terms
        self.coupon = coupon
        self.index = index
        self.schedule = schedule
        self.payment_calendar = payment_calendar
        self.pricer = _pricer(task, terms, coupon, index)
        self.projects = True
        if terms.quote is not None:
            try:
                self.curve_on(task.market)
            except EngineError:
                self.projects = False

    def curve_on(self, market: Market) -> Any:
        """Give the handle that the index is forecast on."""
        assert self.coupon.index is not None
        return market.forecasting(self.index, self.coupon.index).handle

    def on(self, market: Market) -> list[Any]:
        """Make the coupons, forecast on the market's curve; per 100 of face."""
        handle = self.curve_on(market) if self.projects else ql.YieldTermStructureHandle()
        leg = self._leg(self.index.forecast_on(handle), self.coupon.caps, self.coupon.floors)
        if self.pricer is not None:
            ql.setCouponPricer(leg, self.pricer)
        return list(leg)

    def plain(self, index: Any) -> list[Any]:
        """Make the coupons without cap and floor, for their dates."""
        return list(self._leg(index, [], []))

    def _leg(self, index: Any, caps: list[float], floors: list[float]) -> Any:
        coupon = self.coupon
        terms = {
            "gearings": coupon.gearings,
            "spreads": coupon.spreads,
            "caps": caps,
            "floors": floors,
            "paymentCalendar": self.payment_calendar,
        }
        fixed = ([100.0], self.schedule, index, coupon.day_count, coupon.payment_convention)
        if self.index.overnight:
            if coupon.fixing_days:
                terms["lookbackDays"] = coupon.fixing_days
            return ql.OvernightLeg(*fixed, **terms)
        days = [] if coupon.fixing_days is None else [coupon.fixing_days]
        return ql.IborLeg(*fixed, days, **terms)


def _pricer(task: Task, terms: Terms, coupon: Coupon, index: Index) -> Any:
    """Make the pricer of capped and floored coupons; None without cap and floor."""
    if not coupon.caps and not coupon.floors:
        return None
    chosen = volatility_choice.choose(
        task.model,
        task.position,
        task.market,
        product="capFloor",
        currency=index.currency,
        path=f"{coupon.path}/{'cap' if coupon.caps else 'floor'}",
    )
    process = task.model.choose("normal", "lognormal", "shiftedLognormal")
    if process is not None and chosen.quote is not None and process != chosen.quote:
        sentence = f"the volatility is quoted {chosen.quote}, the process is {process}"
        raise EngineError("VNP-303", chosen.path, sentence)
    kind = process or chosen.quote or "normal"
    surface = ql.ConstantOptionletVolatility(
        task.evaluation,
        ql.NullCalendar(),
        ql.Unadjusted,
        chosen.at(task.evaluation, terms.maturity),
        names.day_count_of(chosen.day_count),
        _VOLATILITIES[kind],
        chosen.displacement if kind == "shiftedLognormal" else 0.0,
    )
    handle = ql.OptionletVolatilityStructureHandle(surface)
    if index.overnight:
        return ql.BlackCompoundingOvernightIndexedCouponPricer(handle)
    return ql.BlackIborCouponPricer(handle)
