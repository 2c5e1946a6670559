"""``cancellableBond``: a fixed-rate bond that the issuer may call or the holder may put back.

Valued on the tree of a one-factor short-rate model, Hull-White or Black-Karasinski.
"""

from collections.abc import Callable
from typing import Any

import QuantLib as ql

from vnas.engine import (
    bond_terms,
    bonds,
    cancellation,
    coupons,
    names,
    outputs,
    volatility_choice,
)
from vnas.engine.bond_terms import Terms
from vnas.engine.bonds import Valuation
from vnas.engine.calculator import TREE_STEPS
from vnas.engine.coupons import Coupon
from vnas.engine.curves import Curve
from vnas.engine.market import Market
from vnas.engine.outputs import Priced
from vnas.engine.task import Task
from vnas.engine.values import Date
from vnas.engine.volatility import Volatility

_HULL_WHITE = frozenset({"extended", "hullWhite", "normal"})
_DEFAULT_SIGMA = 0.01
_DEFAULT_REVERSION = 0.03
_NEARLY_ZERO = 1e-9  # QuantLib wants both parameters positive; the price does not see it


def value(task: Task) -> Priced:
    """Price a callable or puttable bond on a tree."""
    fields = task.fields
    terms = bond_terms.read_terms(task)
    coupon = bond_terms.read_coupon(task, coupons.read_fixed)
    terms.quote = bond_terms.read_quote(task, bond_terms.yield_terms(coupon))
    payment_calendar = fields.maybe("paymentCalendar", names.calendar) or coupon.calendar
    rights = cancellation.read(task, terms)
    task.check()
    task.calculator.choose("tree")
    schedule = coupons.schedule(coupon, bond_terms.start_date(task, terms, coupon), terms.maturity)
    dates = list(schedule)
    # The callable bond takes its payment calendar from the schedule, whose dates stay as they are.
    paying = _paying(schedule, dates, payment_calendar, coupon)
    leg = list(
        ql.FixedRateLeg(paying, coupon.day_count, [100.0], coupon.rates, coupon.payment_convention)
    )
    if leg[-1].date() <= task.evaluation:
        return outputs.expired(task.currency, "tree")
    bond = bonds.bond_of(terms, payment_calendar, leg, leg[-1].date())
    if terms.quote is not None:
        return _quoted(task, terms, coupon, bond)
    exercises = cancellation.exercises(task, terms, rights, dates)
    tree = _Tree(task, terms, coupon, bond, paying, exercises)
    return Valuation(
        task=task,
        terms=terms,
        yields=bond_terms.yield_terms(coupon),
        bond_on=lambda _: bond,
        value_on=tree.value_on,
        dirty_on=tree.dirty_on,
        method="tree",
        effective=True,
    ).priced()


def _quoted(task: Task, terms: Terms, coupon: Coupon, bond: Any) -> Priced:
    def never(_: Market) -> float:
        raise AssertionError("a quoted bond is not valued")  # pragma: no cover

    yields = bond_terms.yield_terms(coupon)
    return Valuation(task, terms, yields, lambda _: bond, never, never, "tree").priced()


def _paying(schedule: Any, dates: list[Date], calendar: Any, coupon: Coupon) -> Any:
    if coupon.dates:
        return ql.Schedule(dates, calendar, coupon.convention)
    return ql.Schedule(
        dates,
        calendar,
        coupon.convention,
        coupon.termination,
        schedule.tenor(),
        coupon.rule,
        coupon.end_of_month,
        list(schedule.isRegular()),
    )


# --- the tree ------------------------------------------------------------------------------------


class _Tree:
    """Values the bond with its rights; per 100 of face, because call prices are."""

    def __init__(
        self,
        task: Task,
        terms: Terms,
        coupon: Coupon,
        bond: Any,
        schedule: Any,
        exercises: list[Any],
    ) -> None:
        self.task = task
        self.terms = terms
        self.coupon = coupon
        self.bond = bond  # the same flows without the rights
        self.schedule = schedule
        self.exercises = exercises
        self.settlement = bond.settlementDate(task.evaluation)
        self.model = _short_rate_model(task)
        self.steps = task.calculator.time_steps or TREE_STEPS
        self._values: dict[tuple[float, int], float] = {}

    def value_on(self, market: Market) -> float:
        """Give the value at the evaluation date of all flows and rights after it."""
        return self._value_after(self.task.evaluation, market)

    def dirty_on(self, market: Market) -> float:
        """Give the price at settlement, of the flows and rights that the buyer gets."""
        value = self._value_after(self.settlement, market)
        return value / self._curve(market).discount(self.settlement)

    def _curve(self, market: Market) -> Curve:
        position = self.task.position
        return market.discounting(
            self.task.currency, position.discount_curve, position.discount_spread
        )

    def _value_after(self, date: Date, market: Market) -> float:
        """Value at the evaluation date what comes after a date."""
        key = (market.shift, date.serialNumber())
        if key not in self._values:
            curve = self._curve(market)
            # A curve quoted for spot starts the tree at its own date.
            start = max(self.task.evaluation, curve.reference)
            callable_ = self._settling(date, start)
            with market.evaluated_on(start):
                model = self.model(curve.valuing())
                callable_.setPricingEngine(ql.TreeCallableFixedRateBondEngine(model, self.steps))
                on_tree = float(callable_.NPV())
            # On a holiday, or before a curve quoted for spot, the tree starts after the date.
            settled = callable_.settlementDate(start)
            early = sum(
                amount * curve.discount(day)
                for day, amount in bonds.flows_after(self.bond, date)
                if day <= settled
            )
            self._values[key] = float(early) + on_tree
        return self._values[key]

    def _settling(self, date: Date, start: Date) -> Any:
        """Make QuantLib's bond, which leaves out what comes up to its settlement date."""
        coupon = self.coupon
        days = self.schedule.calendar().businessDaysBetween(start, date) if date > start else 0
        return ql.CallableFixedRateBond(
            days,
            100.0,
            self.schedule,
            coupon.rates,
            coupon.day_count,
            coupon.payment_convention,
            self.terms.redemption,
            self.terms.issue or ql.Date(),
            self.exercises,
        )


def _short_rate_model(task: Task) -> Callable[[Any], Any]:
    """Choose the short-rate model; gives a function of the curve that makes it."""
    process = task.model.choose("extended", "hullWhite", "normal", "lognormal", "blackKarasinski")
    hjm = task.model.hjm
    sigma = None if hjm is None else hjm.sigma
    if hjm is not None and sigma is None:
        own = task.position.volatility
        sigma = _DEFAULT_SIGMA if own is None else Volatility.read(own).flat()
    if sigma is None:
        sigma = volatility_choice.choose(
            task.model, task.position, task.market, path=f"{task.path}/volatility"
        ).flat()
    reversion = task.model.mean_reversion
    if reversion is None:
        beta = None if hjm is None else hjm.beta
        reversion = _DEFAULT_REVERSION if beta is None else beta
    chosen = ql.HullWhite if (process or "extended") in _HULL_WHITE else ql.BlackKarasinski
    positive = max(reversion, _NEARLY_ZERO), max(sigma, _NEARLY_ZERO)
    return lambda curve: chosen(curve, *positive)
