"""A swap of a fixed against a floating rate, on any market.

``vanillaSwap`` asks it for values and outputs, ``swaption`` for the forward swap rate and the
annuity. Coupons become plain payments first, so that a curve of any date can discount them.
"""

from collections.abc import Callable
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, rate_legs, swap_terms
from vnas.engine.curves import Curve
from vnas.engine.indices import Index
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Priced, expired
from vnas.engine.rate_legs import Leg, Payment
from vnas.engine.swap_terms import Terms
from vnas.engine.task import Task
from vnas.engine.values import Date

METHOD = "discounting"


class Swap:
    """A swap with its dates; amounts are for its notional, before quantity and side."""

    def __init__(self, task: Task, terms: Terms, index: Index, start: Date, end: Date) -> None:
        self.task = task
        self.terms = terms
        self.index = index
        self.currency = swap_terms.currency_of(task, index)
        self.sign = 1.0 if terms.pays_fixed else -1.0  # of the floating leg
        self._on: dict[float, Leg] = {}  # floating coupons by the market's shift
        unforecast = index.unforecast()
        roll = terms.fixed_roll(unforecast.fixingCalendar())
        fixed = roll.schedule(start, end)
        if index.overnight:
            self._warn_of_unused()
            self._floating_schedule = fixed
            self._convention, fixed_lag = ql.Following, terms.floating.lag
        else:
            self._floating_schedule = terms.floating_roll(unforecast).schedule(start, end)
            self._convention, fixed_lag = terms.floating.convention, 0
        self.fixed_leg = rate_legs.fixed(
            fixed,
            terms.notional,
            terms.fixed.rate,
            terms.day_count_of_fixed(index),
            convention=self._convention,
            lag=fixed_lag,
        )
        self.dates_leg = self._coupons(unforecast)  # floating coupons that nothing forecasts
        self.fixed = rate_legs.payments(self.fixed_leg, task.evaluation)

    def _warn_of_unused(self) -> None:
        for name in self.terms.floating.given:
            sentence = f"{name} of the floating leg was not used: it has the fixed leg's dates"
            self.task.faults.warn("VNP-105", sentence)

    @property
    def is_over(self) -> bool:
        """Whether nothing is paid after the evaluation date."""
        evaluation = self.task.evaluation
        return not self.fixed and all(flow.date() <= evaluation for flow in self.dates_leg)

    def require_fixings(self) -> None:
        """Tell (VNP-211) the first past fixing that is needed and missing."""
        where = self.terms.floating.index
        self.index.require_for(self.dates_leg, self.task.evaluation, where)

    # --- on a market -----------------------------------------------------------------------------

    def floating_leg(self, market: Market) -> Leg:
        """Make the floating coupons, forecast on a market of the task's own date."""
        if market.shift not in self._on:
            curve = market.forecasting(self.index, self.terms.floating.index)
            self._on[market.shift] = self._coupons(self.index.forecast_on(curve.handle))
        return self._on[market.shift]

    def floating(self, market: Market) -> list[Payment]:
        """Give the floating payments to come."""
        return rate_legs.payments(self.floating_leg(market), self.task.evaluation)

    def _coupons(self, index: Any) -> Leg:
        leg = self.terms.floating
        return rate_legs.floating(
            self._floating_schedule,
            self.terms.notional,
            index,
            leg.day_count or index.dayCounter(),
            convention=self._convention,
            spread=leg.spread,
            lag=leg.lag,
        )

    def curve_on(self, market: Market, rate_bump: float = 0.0) -> Curve:
        """Give the curve that discounts on a market."""
        position = self.task.position
        spread = position.discount_spread + rate_bump
        return market.discounting(self.currency, position.discount_curve, spread)

    def value_on(self, market: Market) -> float:
        """Value the swap on a market of the task's own date."""
        curve = self.curve_on(market)
        return self.sign * (worth(self.floating(market), curve) - worth(self.fixed, curve))

    @property
    def swap_length(self) -> float:
        """The length that a surface of swaption volatilities knows: whole months, in years."""
        dates = list(self._floating_schedule.dates())
        months = max(round(float(dates[-1] - dates[0]) / 365.25 * 12.0), 1)
        return months / 12.0


def worth(payments: list[Payment], curve: Curve) -> float:
    """Discount payments to the curve's evaluation date; those on or before it are past."""
    coming = (one for one in payments if one.date > curve.evaluation)
    return sum(one.amount * curve.discount(one.date) for one in coming)


def annuity(payments: list[Payment], curve: Curve) -> float:
    """Give what one unit of rate on these payments is worth."""
    coming = (one for one in payments if one.date > curve.evaluation)
    return sum(one.accrual * curve.discount(one.date) for one in coming)


def priced(swap: Swap) -> Priced:
    """Price a swap; `require_fixings` has been asked."""
    task, scale, sign = swap.task, swap.task.position.scale, swap.sign
    market = task.market

    def legs() -> tuple[list[Payment], Curve]:
        return swap.floating(market), swap.curve_on(market)

    def fair_rate() -> float | None:
        floating, curve = legs()
        return _ratio(worth(floating, curve), annuity(swap.fixed, curve))

    def fair_spread() -> float | None:
        floating, curve = legs()
        missed = _ratio(worth(swap.fixed, curve) - worth(floating, curve), annuity(floating, curve))
        return None if missed is None else swap.terms.floating.spread + missed

    def leg(payments: Callable[[], list[Payment]], side: float) -> Compute:
        return lambda _: worth(payments(), swap.curve_on(market)) * side * scale

    outputs: dict[str, Compute] = {
        "price": lambda _: swap.value_on(market) * scale,
        "fixedLeg": leg(lambda: swap.fixed, -sign),
        "floatingLeg": leg(lambda: swap.floating(market), sign),
        "fairRate": lambda _: fair_rate(),
        "forward": lambda _: fair_rate(),
        "fairSpread": lambda _: fair_spread(),
        "accruedInterest": lambda _: _accrued(swap) * scale,
        "dv01": lambda _: bumps.dv01(swap.value_on, market) * scale,
        "cashFlows": lambda _: _flows(swap, scale),
    }
    return Priced(METHOD, swap.currency, outputs)


def matured(currency: str) -> Priced:
    """Give the result of a swap with nothing left to pay."""
    return expired(currency, METHOD)


def _ratio(value: float, by: float) -> float | None:
    """Divide; None where a leg has no rate left to be fair."""
    return None if by == 0.0 else value / by


def _accrued(swap: Swap) -> float:
    evaluation = swap.task.evaluation
    floating = rate_legs.accrued(swap.floating_leg(swap.task.market), evaluation)
    return swap.sign * (floating - rate_legs.accrued(swap.fixed_leg, evaluation))


def _flows(swap: Swap, scale: float) -> list[Flow]:
    """Net the legs by date; the parts of a flow tell them apart."""
    parts: dict[int, dict[str, float]] = {}
    legs = (("fixed", swap.fixed, -1.0), ("floating", swap.floating(swap.task.market), 1.0))
    for name, payments, side in legs:
        for one in payments:
            on_day = parts.setdefault(one.date.serialNumber(), {})
            amount = one.amount * side * swap.sign * scale
            on_day[name] = on_day.get(name, 0.0) + amount
    return [Flow(ql.Date(day), sum(parts[day].values()), parts[day]) for day in sorted(parts)]
