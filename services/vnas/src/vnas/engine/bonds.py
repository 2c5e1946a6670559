"""What the bonds have in common once they are read: flows, settlement and outputs.

A kind makes a `ql.Bond` that holds the flows (`bond_of`) and hands it to `discounted`, or to a
`Valuation` with a valuer of its own. Values come from the flows and the curve
directly: every flow after the evaluation date counts, in an ex-coupon period too, because the
holder is paid it. Per-100 prices, yields and what comes from them are at settlement, where
QuantLib leaves out a coupon that has gone ex.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, yields
from vnas.engine.bond_terms import Terms
from vnas.engine.curves import Curve
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Output, Priced
from vnas.engine.task import Task
from vnas.engine.values import Date
from vnas.engine.yields import YieldTerms

Bond = Any  # ql.Bond
_YIELD_STEPS = 500


# --- legs ----------------------------------------------------------------------------------------


def bond_of(terms: Terms, calendar: Any, coupons: list[Any], redemption_date: Date) -> Bond:
    """Hold the flows of a bond of face 100: coupons and one redemption."""
    flows = [*coupons, ql.Redemption(terms.redemption, redemption_date)]
    issue = terms.issue or ql.Date()
    return ql.Bond(terms.settlement_days, calendar, 100.0, redemption_date, issue, flows)


def flows_after(bond: Bond, date: Date) -> list[tuple[Date, float]]:
    """Give date and amount of each flow after a date, in date order, same dates in one."""
    amounts: dict[int, float] = {}
    for flow in bond.cashflows():
        day = flow.date()
        if day > date:
            amounts[day.serialNumber()] = amounts.get(day.serialNumber(), 0.0) + flow.amount()
    return [(ql.Date(serial), amounts[serial]) for serial in sorted(amounts)]


def present_value(bond: Bond, curve: Curve, date: Date) -> float:
    """Discount every flow after a date to the evaluation date; per 100 of face."""
    return float(sum(flow.amount() * curve.discount(flow.date()) for flow in _pending(bond, date)))


def _pending(bond: Bond, date: Date) -> list[Any]:
    return [flow for flow in bond.cashflows() if flow.date() > date]


# --- outputs -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Valuation:
    """A bond ready to be asked for outputs.

    `bond_on` makes the flows on a market, per 100 of face; `value_on` its value per 100 at the
    evaluation date; `dirty_on` its price per 100 at settlement.
    """

    task: Task
    terms: Terms
    yields: YieldTerms
    bond_on: Callable[[Market], Bond]
    value_on: Callable[[Market], float]
    dirty_on: Callable[[Market], float]
    method: str = "discounting"
    effective: bool = False  # duration and convexity by moving the curves
    bond: Bond = field(init=False)
    settlement: Date = field(init=False)
    scale: float = field(init=False)  # from per 100 to the position

    def __post_init__(self) -> None:
        self.bond = self.bond_on(self.task.market)
        self.settlement = self.bond.settlementDate(self.task.evaluation)
        self.scale = self.task.position.scale * self.terms.face / 100.0

    def priced(self) -> Priced:
        """Give the outputs that bonds have, from the quote if there is one."""
        if self.terms.quote is not None:
            self.task.faults.warn("VNP-106", "the values come from the quote, not from a curve")
        outputs: dict[str, Compute] = {
            "price": lambda _: self.price(),
            "accruedInterest": lambda _: self.accrued() * self.scale,
            "cleanPrice": self._traded(lambda _: self.clean()),
            "dirtyPrice": self._traded(lambda _: self.dirty()),
            "yield": self._traded(self.yield_of),
            "duration": self._traded(self.duration),
            "convexity": self._traded(self.convexity),
            "dv01": lambda _: self.dv01(),
            "cashFlows": lambda _: self.cash_flows(),
        }
        return Priced(self.method, self.task.currency, outputs)

    def _traded(self, compute: Compute) -> Compute:
        """Keep outputs at settlement from a bond that is redeemed before it settles."""

        def computed(asked: Fields) -> Output:
            return compute(asked) if self.bond.notional(self.settlement) != 0.0 else None

        return computed

    @property
    def from_quote(self) -> bool:
        """Whether the numbers come from a quote."""
        return self.terms.quote is not None

    def price(self) -> float:
        """Value of the position."""
        if self.from_quote:
            outstanding = float(self.bond.notional(self.settlement)) / 100.0
            return self.dirty() * outstanding * self.scale
        return self.value_on(self.task.market) * self.scale

    def accrued(self) -> float:
        """Accrued interest per 100 at settlement; negative in an ex-coupon period."""
        return float(self.bond.accruedAmount(self.settlement))

    def clean(self) -> float:
        """Clean price per 100 at settlement."""
        quote = self.terms.quote
        if quote is None or quote.dirty is not None:
            return self.dirty() - self.accrued()
        if quote.clean is not None:
            return quote.clean
        return float(ql.BondFunctions.cleanPrice(self.bond, quote.rate, self.settlement))

    def dirty(self) -> float:
        """Dirty price per 100 at settlement."""
        quote = self.terms.quote
        if quote is None:
            return self.dirty_on(self.task.market)
        return quote.dirty if quote.dirty is not None else self.clean() + self.accrued()

    def rate(self, terms: YieldTerms) -> Any:
        """Solve for the yield to maturity; VNP-404 when there is none."""
        quote = self.terms.quote
        if quote is not None and quote.rate is not None and _same(quote.rate, terms):
            return quote.rate
        price = ql.BondPrice(self.clean(), ql.BondPrice.Clean)
        try:
            found = ql.BondFunctions.bondYield(
                self.bond,
                price,
                terms.day_count,
                terms.compounding,
                terms.frequency,
                self.settlement,
                yields.ACCURACY,
                _YIELD_STEPS,
            )
        except RuntimeError as err:
            sentence = f"no yield gives the price {self.clean():.6g}: {err}"
            raise EngineError("VNP-404", self.task.path, sentence) from err
        return terms.of(found)

    def yield_of(self, asked: Fields) -> float:
        """Yield to maturity with the conventions that the output's attributes ask for."""
        return float(self.rate(self.yields.changed_by(asked)).rate())

    def duration(self, asked: Fields) -> float:
        """Duration in years."""
        kind = yields.duration_type(asked)
        if self.effective and not self.from_quote:
            return bumps.effective_duration(self.value_on, self.task.market)
        rate = self.rate(yields.terms_beside(self.yields, asked))
        return float(ql.BondFunctions.duration(self.bond, rate, kind, self.settlement))

    def convexity(self, asked: Fields) -> float:
        """Convexity in years squared."""
        if self.effective and not self.from_quote:
            return bumps.effective_convexity(self.value_on, self.task.market)
        rate = self.rate(yields.terms_beside(self.yields, asked))
        return float(ql.BondFunctions.convexity(self.bond, rate, self.settlement))

    def dv01(self) -> float:
        """Value of a basis point, of the market's curves or of the quoted yield."""
        if not self.from_quote:
            return bumps.dv01(self.value_on, self.task.market) * self.scale
        if self.bond.notional(self.settlement) == 0.0:
            return 0.0
        rate = self.terms.quote.rate if self.terms.quote and self.terms.quote.rate else None
        rate = rate or self.rate(self.yields)
        settled_today = False  # a flow on the settlement date is the seller's
        down, up = (
            ql.CashFlows.npv(
                self.bond.cashflows(),
                ql.InterestRate(
                    rate.rate() + bump, rate.dayCounter(), rate.compounding(), rate.frequency()
                ),
                settled_today,
                self.settlement,
                self.settlement,
            )
            for bump in (-bumps.BASIS_POINT, bumps.BASIS_POINT)
        )
        return float((down - up) / 2.0) * self.scale

    def cash_flows(self) -> list[Flow]:
        """Flows after the evaluation date, of the position."""
        flows = flows_after(self.bond, self.task.evaluation)
        return [Flow(date, amount * self.scale) for date, amount in flows]


def _same(rate: Any, terms: YieldTerms) -> bool:
    return bool(
        rate.dayCounter() == terms.day_count
        and rate.compounding() == terms.compounding
        and rate.frequency() == terms.frequency
    )


def discounted(
    task: Task, terms: Terms, default: YieldTerms, bond_on: Callable[[Market], Bond]
) -> Priced:
    """Price a bond by discounting the flows that `bond_on` makes on a market."""

    def curve_on(market: Market) -> Curve:
        position = task.position
        return market.discounting(task.currency, position.discount_curve, position.discount_spread)

    def value_on(market: Market) -> float:
        return present_value(bond_on(market), curve_on(market), task.evaluation)

    def dirty_on(market: Market) -> float:
        bond, curve = bond_on(market), curve_on(market)
        settlement = bond.settlementDate(task.evaluation)
        return settled(bond, curve, settlement)

    return Valuation(task, terms, default, bond_on, value_on, dirty_on).priced()


def settled(bond: Bond, curve: Curve, settlement: Date) -> float:
    """Give the dirty price per 100 at settlement: later flows, without one that has gone ex."""
    value: float = sum(
        flow.amount() * curve.discount(flow.date())
        for flow in _pending(bond, settlement)
        if not _gone_ex(flow, settlement)
    )
    return value / curve.discount(settlement) * 100.0 / float(bond.notional(settlement))


def _gone_ex(flow: Any, date: Date) -> bool:
    coupon = ql.as_coupon(flow)
    if coupon is None:
        return False
    ex_date = coupon.exCouponDate()
    return bool(ex_date != ql.Date() and ex_date <= date)
