"""``cancellableBond``: a fixed-rate bond that the issuer may call or the holder may put back.

Valued on the tree of a one-factor short-rate model, Hull-White or Black-Karasinski.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import bond_terms, bonds, coupons, names, outputs, values, volatility
from vnas.engine.bond_terms import Terms
from vnas.engine.bonds import Valuation
from vnas.engine.calculator import TREE_STEPS
from vnas.engine.coupons import Coupon
from vnas.engine.curves import Curve
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.market import Market
from vnas.engine.outputs import Priced
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, attribute_of, path_of

_HULL_WHITE = frozenset({"extended", "hullWhite", "normal"})
_DEFAULT_SIGMA = 0.01
_DEFAULT_REVERSION = 0.03
_NEARLY_ZERO = 1e-9  # QuantLib wants both parameters positive; the price does not see it


@dataclass(frozen=True, slots=True)
class _Right:
    """One ``call`` or ``put`` element: a price, and a date or a range of dates."""

    element: etree._Element
    kind: int  # ql.Callability.Call or Put
    price: float  # per 100
    clean: bool
    date: Date | None
    first: Date | None
    last: Date | None
    frequency: int | None


def value(task: Task) -> Priced:
    """Price a callable or puttable bond on a tree."""
    fields = task.fields
    terms = bond_terms.read_terms(task)
    coupon = bond_terms.read_coupon(task, coupons.read_fixed)
    terms.quote = bond_terms.read_quote(task, bond_terms.yield_terms(coupon))
    payment_calendar = fields.maybe("paymentCalendar", names.calendar) or coupon.calendar
    rights = _rights(task, terms)
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
    exercises = _exercises(task, terms, rights, dates)
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


# --- rights --------------------------------------------------------------------------------------


def _rights(task: Task, terms: Terms) -> list[_Right] | None:
    """Read ``cancellation``; None where there is none, which is not the same as an empty list."""
    cancellation = task.fields.child("cancellation")
    if cancellation is None:
        return None
    rights = [
        _right(Fields(element, task.faults), kind, terms)
        for name, kind in (("call", ql.Callability.Call), ("put", ql.Callability.Put))
        for element in cancellation.all(name)
    ]
    cancellation.finish()
    return rights or None


def _right(fields: Fields, kind: int, terms: Terms) -> _Right:
    date = fields.either("date", values.date)
    first = fields.either("from", values.date)
    last = fields.either("to", values.date)
    right = _Right(
        element=fields.element,
        kind=kind,
        price=_or(fields.either("price", values.positive), 100.0),
        clean=(fields.either("type", names.one_of("clean", "dirty")) or "clean") == "clean",
        date=date,
        first=first,
        last=last,
        frequency=fields.either("frequency", names.frequency),
    )
    fields.finish()
    if not _given(fields, "date") and not _given(fields, "from"):
        fields.missing("@date", "a date, or a range that starts at from, is missing")
    for name, day in (("date", date), ("from", first), ("to", last)):
        if day is not None and day > terms.maturity:
            _refuse(fields, name, f"{day.ISO()} is after maturity, {terms.maturity.ISO()}")
    if first is not None and last is not None and last < first:
        _refuse(fields, "to", f"{last.ISO()} is before {first.ISO()}")
    return right


def _given(fields: Fields, name: str) -> bool:
    return attribute_of(fields.element, name) is not None or fields.first(name) is not None


def _or(number: float | None, default: float) -> float:
    return default if number is None else number


def _refuse(fields: Fields, name: str, sentence: str) -> None:
    leaf: Leaf | None = attribute_of(fields.element, name)
    if leaf is None:
        fields.refuse(name, "VNP-208", sentence)
    else:
        fields.faults.note(fields.element, leaf.error("VNP-208", sentence))


def _exercises(
    task: Task, terms: Terms, rights: list[_Right] | None, dates: list[Date]
) -> list[Any]:
    """List the exercises as ql.Callability, in date order; none on or after maturity."""
    inner = [date for date in dates[1:-1] if date < terms.maturity]
    if rights is None:
        return [_callability(100.0, ql.Callability.Call, date, clean=True) for date in inner]
    listed: dict[tuple[int, int], Any] = {}
    for right in rights:
        for date in _right_dates(right, inner, terms.maturity):
            if date >= terms.maturity:
                task.faults.warn("VNP-105", "a right to cancel at maturity was not used")
                continue
            key = (date.serialNumber(), right.kind)
            if key in listed:
                sentence = f"there is already a right of this kind on {date.ISO()}"
                raise EngineError("VNP-208", path_of(right.element), sentence)
            listed[key] = _callability(right.price, right.kind, date, clean=right.clean)
    if len(listed) > coupons.MAX_FLOWS:
        raise EngineError("VNP-208", task.path, f"more than {coupons.MAX_FLOWS} exercise dates")
    return [listed[key] for key in sorted(listed)]


def _right_dates(right: _Right, coupon_dates: list[Date], maturity: Date) -> list[Date]:
    if right.date is not None:
        return [right.date]
    assert right.first is not None
    last = right.last or maturity
    if right.frequency is None:
        return [date for date in coupon_dates if right.first <= date <= last]
    period = ql.Period(right.frequency)
    if period.length() == 0:
        return [right.first]
    dates: list[Date] = []
    while (date := right.first + period * len(dates)) <= last and len(dates) <= coupons.MAX_FLOWS:
        dates.append(date)
    return [date for date in dates if date < maturity]


def _callability(price: float, kind: int, date: Date, *, clean: bool) -> Any:
    quoted_as = ql.BondPrice.Clean if clean else ql.BondPrice.Dirty
    return ql.Callability(ql.BondPrice(price, quoted_as), kind, date)


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
        self.bond = bond  # the same flows without the rights
        self.settlement = bond.settlementDate(task.evaluation)
        self.callable = ql.CallableFixedRateBond(
            terms.settlement_days,
            100.0,
            schedule,
            coupon.rates,
            coupon.day_count,
            coupon.payment_convention,
            terms.redemption,
            terms.issue or ql.Date(),
            exercises,
        )
        self.model = _short_rate_model(task)
        self.steps = task.calculator.time_steps or TREE_STEPS
        self._values: dict[float, float] = {}

    def value_on(self, market: Market) -> float:
        """Give the value at the evaluation date: the tree's, and flows before settlement."""
        curve = self._curve(market)
        early = sum(
            amount * curve.discount(date)
            for date, amount in bonds.flows_after(self.bond, self.task.evaluation)
            if date <= self.settlement
        )
        return float(early) + self._tree_value(market)

    def dirty_on(self, market: Market) -> float:
        """Give the price at settlement."""
        return self._tree_value(market) / self._curve(market).discount(self.settlement)

    def _curve(self, market: Market) -> Curve:
        position = self.task.position
        return market.discounting(
            self.task.currency, position.discount_curve, position.discount_spread
        )

    def _tree_value(self, market: Market) -> float:
        if market.shift not in self._values:
            curve = self._curve(market)
            # A curve quoted for spot starts the tree at its own date.
            start = max(self.task.evaluation, curve.reference)
            with market.evaluated_on(start):
                model = self.model(curve.valuing())
                self.callable.setPricingEngine(
                    ql.TreeCallableFixedRateBondEngine(model, self.steps)
                )
                self._values[market.shift] = float(self.callable.NPV())
        return self._values[market.shift]


def _short_rate_model(task: Task) -> Callable[[Any], Any]:
    """Choose the short-rate model; gives a function of the curve that makes it."""
    process = task.model.choose("extended", "hullWhite", "normal", "lognormal", "blackKarasinski")
    hjm = task.model.hjm
    sigma = None if hjm is None else hjm.sigma
    if hjm is not None and sigma is None:
        own = task.position.volatility
        sigma = _DEFAULT_SIGMA if own is None else volatility.Volatility.read(own).flat()
    if sigma is None:
        sigma = volatility.choose(
            task.model, task.position, task.market, path=f"{task.path}/volatility"
        ).flat()
    reversion = task.model.mean_reversion
    if reversion is None:
        beta = None if hjm is None else hjm.beta
        reversion = _DEFAULT_REVERSION if beta is None else beta
    chosen = ql.HullWhite if (process or "extended") in _HULL_WHITE else ql.BlackKarasinski
    positive = max(reversion, _NEARLY_ZERO), max(sigma, _NEARLY_ZERO)
    return lambda curve: chosen(curve, *positive)
