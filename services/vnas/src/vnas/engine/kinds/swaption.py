"""``swaption``: the right to enter a swap, settled by the swap or in cash on the par yield."""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, names, rate_legs, rate_options, swap_terms, swaps, values
from vnas.engine.curves import Curve
from vnas.engine.errors import EngineError
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Priced, expired
from vnas.engine.rate_options import CALL, METHOD, PUT, RateModel, RateVolatility
from vnas.engine.swaps import Swap
from vnas.engine.task import Task
from vnas.engine.values import Date, Period


def value(task: Task) -> Priced:
    """Price a European swaption by Black's or Bachelier's formula for the forward swap rate."""
    right = _read(task)
    terms = swap_terms.read(task)
    if terms.start is not None and right.date is not None and terms.start < right.date:
        task.fields.refuse("startDate", "VNP-208", f"before the expiry, {right.date.ISO()}")
    task.ignore_quote()
    task.check()
    task.calculator.choose(METHOD)
    index = task.market.index(terms.floating.index)
    currency = swap_terms.currency_of(task, index)
    calendar = index.unforecast().fixingCalendar()
    expiry = right.date or rate_legs.advance(
        calendar, task.evaluation, right.tenor, task.fields.path_to("expiry")
    )
    if expiry <= task.evaluation:
        return expired(currency, METHOD)
    start = terms.start or calendar.advance(expiry, terms.settlement_days, ql.Days)
    if start < expiry:
        sentence = f"{start.ISO()} is before the expiry, {expiry.ISO()}"
        raise EngineError("VNP-208", task.fields.path_to("startDate"), sentence)
    end = terms.end.after(start, calendar, end_of_month=terms.fixed.end_of_month)
    swap = Swap(task, terms, index, start, end)
    swap.require_fixings()
    chosen = rate_options.choose(task, "swaption", currency)
    option = _Swaption(task, swap, expiry, chosen, in_cash=right.in_cash)
    return Priced(METHOD, currency, option.outputs())


@dataclass(frozen=True, slots=True)
class _Right:
    date: Date | None
    tenor: Period | None
    in_cash: bool


def _read(task: Task) -> _Right:
    fields = task.fields
    date, tenor = fields.need_one("expiryDate", values.date, "expiry", values.tenor)
    settlement = fields.get("settlement", names.one_of("physical", "cash"), "physical")
    return _Right(date, tenor, in_cash=settlement == "cash")


@dataclass(frozen=True, slots=True)
class _State:
    """What the value depends on, on one market."""

    forward: float  # swap rate, without what the floating spread adds to it
    strike: float
    annuity: float  # of the notional
    time: float
    spread: float  # what the floating spread adds to the swap rate


class _Swaption:
    """A swaption on its swap; amounts are for the notional, before quantity and side."""

    def __init__(
        self, task: Task, swap: Swap, expiry: Date, chosen: RateVolatility, *, in_cash: bool
    ) -> None:
        self.task = task
        self.swap = swap
        self.expiry = expiry
        self.chosen = chosen
        self.in_cash = in_cash
        self.kind = CALL if swap.terms.pays_fixed else PUT

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position."""
        market, scale = self.task.market, self.task.position.scale

        def rho() -> float:
            return bumps.central(lambda bump: self.value_on(market, bump), bumps.BASIS_POINT)

        return {
            "price": lambda _: self.value_on(market) * scale,
            "forward": lambda _: self._forward(),
            "delta": lambda _: self._delta() * scale,
            "vega": lambda _: self._vega() * scale,
            "theta": lambda _: bumps.theta(self.value_on, market) * scale,
            "rho": lambda _: rho() * scale,
            "dv01": lambda _: bumps.dv01(self.value_on, market) * scale,
        }

    def value_on(self, market: Market, rate_bump: float = 0.0) -> float:
        """Value the right on a market, the discount rate moved by `rate_bump`."""
        model, state = self._model(market), self._state(market, rate_bump)
        per_rate = model.value(self.kind, state.strike, state.forward, state.time)
        return state.annuity * per_rate

    def _model(self, market: Market) -> RateModel:
        number = self.chosen.volatility.swaption(
            market.evaluation, self.expiry, self.swap.swap_length, self.task.evaluation
        )
        return self.chosen.model(number)

    def _state(self, market: Market, rate_bump: float = 0.0) -> _State:
        swap = self.swap
        curve = swap.curve_on(market, rate_bump)
        # Forecasts are those of the task's own date: tomorrow needs no fixing of today.
        floating = swap.floating(market)
        annuity = swaps.annuity(swap.fixed, curve)
        fair = swaps.worth(floating, curve) / annuity
        spread = swap.terms.floating.spread * swaps.annuity(floating, curve) / annuity
        forward = fair - spread
        time = self._model(market).time(market.evaluation, self.expiry)
        if self.in_cash:
            annuity = self._cash_annuity(forward, curve)
        return _State(forward, swap.terms.fixed.rate - spread, annuity, time, spread)

    def _cash_annuity(self, forward: float, curve: Curve) -> float:
        """Give the annuity on the par yield, paid when the swap would start."""
        first: Any = ql.as_coupon(self.swap.fixed_leg[0])
        start = first.accrualStartDate()
        frequency = self.swap.terms.fixed.frequency or int(ql.Annual)
        par_yield = ql.InterestRate(forward, first.dayCounter(), ql.Compounded, frequency)
        paid_at_start = False
        per_basis_point = ql.CashFlows.bps(self.swap.fixed_leg, par_yield, paid_at_start, start)
        return float(per_basis_point) / bumps.BASIS_POINT * curve.discount(start)

    def _forward(self) -> float:
        """Give the rate at which the swap is worth nothing."""
        state = self._state(self.task.market)
        return state.forward + state.spread

    def _delta(self) -> float:
        """Give the derivative in the forward swap rate, the annuity held."""
        state, model = self._state(self.task.market), self._model(self.task.market)
        return state.annuity * model.delta(self.kind, state.strike, state.forward, state.time)

    def _vega(self) -> float:
        state, model = self._state(self.task.market), self._model(self.task.market)
        return state.annuity * model.vega(state.strike, state.forward, state.time)
