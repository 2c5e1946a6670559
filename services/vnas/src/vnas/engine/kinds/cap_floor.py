"""``capFloor``: caps, floors and collars on a term index, each caplet by closed form."""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, names, rate_legs, rate_options, swap_terms, values
from vnas.engine.curves import Curve
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.indices import Index
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Priced, expired
from vnas.engine.rate_legs import Leg, Roll
from vnas.engine.rate_options import CALL, METHOD, PUT, RateModel, RateVolatility
from vnas.engine.swap_terms import End
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf


def value(task: Task) -> Priced:
    """Price a cap, floor or collar by Black's or Bachelier's formula."""
    terms = _read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(METHOD)
    index = swap_terms.term_index(task, terms.leg.index)
    currency = swap_terms.currency_of(task, index)
    if terms.end.has_passed(terms.start, task.evaluation):
        return expired(currency, METHOD)
    cap = _Cap(task, terms, index, currency)
    if all(flow.date() <= task.evaluation for flow in cap.dates_leg):
        return expired(currency, METHOD)
    index.require_for(cap.dates_leg, task.evaluation, terms.leg.index)
    chosen = rate_options.choose(task, "capFloor", currency)
    return Priced(METHOD, currency, cap.outputs(chosen))


# --- terms ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _FloatingLeg:
    path: str
    index: Leaf
    calendar: Any  # None: the index's
    convention: int
    rule: int


@dataclass(frozen=True, slots=True)
class _Terms:
    notional: float
    strikes: list[tuple[int, float, float]]  # kind, strike, 1 held or -1 written
    start: Date | None
    end: End
    include_first: bool
    leg: _FloatingLeg


def _read(task: Task) -> _Terms:
    fields = task.fields
    kind = fields.need("type", names.one_of("cap", "floor", "collar"), "")
    start = fields.maybe("startDate", values.date)
    return _Terms(
        notional=fields.need("notional", values.positive, 1.0),
        strikes=_strikes(fields, kind),
        start=start,
        end=swap_terms.read_end(task, start),
        include_first=fields.get("includeFirst", values.boolean, True),
        leg=_floating_leg(swap_terms.needed(fields, "floatingLeg")),
    )


def _strikes(fields: Fields, kind: str) -> list[tuple[int, float, float]]:
    """Read the strikes; a collar is a cap held and a floor written."""
    if kind == "collar":
        cap = fields.need("capStrike", values.rate, 0.0)
        floor = fields.need("floorStrike", values.rate, 0.0)
        return [(CALL, cap, 1.0), (PUT, floor, -1.0)]
    if not kind:  # a fault already: what strikes it needs is not known
        fields.allow("strike", "capStrike", "floorStrike")
        return []
    return [(CALL if kind == "cap" else PUT, fields.need("strike", values.rate, 0.0), 1.0)]


def _floating_leg(leg: Fields) -> _FloatingLeg:
    read = _FloatingLeg(
        path=leg.path,
        index=swap_terms.leaf_of_index(leg),
        calendar=leg.maybe("calendar", names.calendar),
        convention=leg.get("convention", names.convention, ql.ModifiedFollowing),
        rule=leg.get("rule", names.date_rule, ql.DateGeneration.Forward),
    )
    leg.finish()
    return read


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Caplet:
    """One period: the rate that it is on, and what one unit of that rate pays."""

    fixing: Date
    paid: Date
    accrual: float
    forward: float


class _Cap:
    """The caplets to come; amounts are for the notional, before quantity and side."""

    def __init__(self, task: Task, terms: _Terms, index: Index, currency: str) -> None:
        self.task = task
        self.terms = terms
        self.index = index
        self.currency = currency
        self._on: dict[float, list[_Caplet]] = {}  # by the market's shift
        unforecast = index.unforecast()
        self.schedule = self._dates(unforecast)
        self.dates_leg = self._leg(unforecast)
        self.end = self.schedule.dates()[-1]

    def _dates(self, index: Any) -> Any:
        terms, leg = self.terms, self.terms.leg
        calendar = index.fixingCalendar()
        start = terms.start or rate_legs.spot(calendar, self.task.evaluation, index.fixingDays())
        roll = Roll(
            period=index.tenor(),
            calendar=leg.calendar or calendar,
            convention=leg.convention,
            termination=leg.convention,
            rule=leg.rule,
            end_of_month=False,
            path=leg.path,
        )
        return roll.schedule(start, terms.end.after(start, calendar))

    def _leg(self, index: Any) -> Leg:
        """Make the coupons under the cap."""
        leg = rate_legs.floating(
            self.schedule,
            self.terms.notional,
            index,
            index.dayCounter(),
            convention=self.terms.leg.convention,
        )
        kept = leg if self.terms.include_first else leg[1:]
        if not kept:
            sentence = "there is one period, and includeFirst leaves it out"
            raise EngineError("VNP-208", self.task.fields.path_to("includeFirst"), sentence)
        return kept

    def caplets(self, market: Market) -> list[_Caplet]:
        """Forecast the rates on a market, as they are seen on the task's own date."""
        if market.shift not in self._on:
            curve = market.forecasting(self.index, self.terms.leg.index)
            leg = self._leg(self.index.forecast_on(curve.handle))
            coupons = [
                ql.as_floating_rate_coupon(flow)
                for flow in leg
                if flow.date() > self.task.evaluation
            ]
            self._on[market.shift] = [
                _Caplet(c.fixingDate(), c.date(), c.nominal() * c.accrualPeriod(), c.rate())
                for c in coupons
            ]
        return self._on[market.shift]

    def _curve(self, market: Market, rate_bump: float = 0.0) -> Curve:
        position = self.task.position
        spread = position.discount_spread + rate_bump
        return market.discounting(self.currency, position.discount_curve, spread)

    def outputs(self, chosen: RateVolatility) -> dict[str, Compute]:
        """Give the outputs of the position."""
        market, scale = self.task.market, self.task.position.scale

        def model_on(seen: Market) -> RateModel:
            number = chosen.volatility.at(seen.evaluation, self.end, market.evaluation)
            return chosen.model(number)

        def value_on(seen: Market, rate_bump: float = 0.0) -> float:
            curve, model = self._curve(seen, rate_bump), model_on(seen)
            coming = (one for one in self.caplets(seen) if one.paid > seen.evaluation)
            return sum(curve.discount(one.paid) * self._paid(one, seen, model) for one in coming)

        def rho() -> float:
            return bumps.central(lambda bump: value_on(market, bump), bumps.BASIS_POINT)

        return {
            "price": lambda _: value_on(market) * scale,
            "forward": lambda _: self._par_rate(),
            "vega": lambda _: self._vega(model_on(market)) * scale,
            "theta": lambda _: bumps.theta(value_on, market) * scale,
            "rho": lambda _: rho() * scale,
            "dv01": lambda _: bumps.dv01(value_on, market) * scale,
            "cashFlows": lambda _: [
                Flow(one.paid, self._paid(one, market, model_on(market)) * scale)
                for one in self.caplets(market)
            ],
        }

    def _paid(self, one: _Caplet, seen: Market, model: RateModel) -> float:
        """Give what a caplet is expected to pay."""
        time = model.time(seen.evaluation, one.fixing)
        worth = (
            side * model.value(kind, strike, one.forward, time)
            for kind, strike, side in self.terms.strikes
        )
        return one.accrual * sum(worth)

    def _vega(self, model: RateModel) -> float:
        market = self.task.market
        curve = self._curve(market)
        total = 0.0
        for one in self.caplets(market):
            time = model.time(market.evaluation, one.fixing)
            for _, strike, side in self.terms.strikes:
                by_unit = model.vega(strike, one.forward, time)
                total += side * by_unit * one.accrual * curve.discount(one.paid)
        return total

    def _par_rate(self) -> float:
        """Give the fixed rate that is worth as much as the rates to come."""
        market = self.task.market
        curve = self._curve(market)
        weights = [one.accrual * curve.discount(one.paid) for one in self.caplets(market)]
        rates = (one.forward for one in self.caplets(market))
        return sum(w * rate for w, rate in zip(weights, rates, strict=True)) / sum(weights)
