"""Credit default swaps: what protection costs, by QuantLib's ISDA, mid-point and integral engines.

The kind ``creditDefaultSwap`` reads the terms; here a market makes the swap and values it. The ISDA
model takes curves that are flat forward on its own clock: `isda_curves` gives it such curves.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, credit_curves, isda_curves
from vnas.engine.credit_curves import Credit
from vnas.engine.credit_terms import CreditTerms
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Output, Priced, expired
from vnas.engine.task import Task
from vnas.engine.values import Date

ISDA, MID_POINT, INTEGRAL = "isda", "midPoint", "integral"
METHODS = (ISDA, MID_POINT, INTEGRAL)
_SETTLEMENT_DAYS = 3  # of upfront and rebate
_INTEGRAL_STEP = "1D"
_IMPLIED_ACCURACY = 1e-14
_LARGE = 1e-12  # a slope of the value that a fair number can be found by


def priced(task: Task, terms: CreditTerms, method: str) -> Priced:
    """Price a swap whose terms are read."""
    contract = Contract(terms)
    if contract.is_over(task.evaluation):
        return expired(task.currency, method)
    if contract.end != terms.maturity:
        sentence = f"the rule ends the swap on {contract.end.ISO()}, not {terms.maturity.ISO()}"
        task.faults.warn("VNP-105", sentence)
    path = task.fields.path_to("creditCurve")
    credit = credit_curves.find(task.market, terms.curve, path)
    return Priced(method, task.currency, _Swap(task, contract, credit, method).outputs())


@dataclass(frozen=True, slots=True)
class Contract:
    """The swap as dates and amounts; amounts are per swap, before quantity and side."""

    terms: CreditTerms

    @property
    def schedule(self) -> Any:
        """The accrual schedule."""
        terms = self.terms
        end_of_month = False
        return ql.Schedule(
            terms.start,
            terms.maturity,
            ql.Period(terms.frequency),
            terms.calendar,
            terms.convention,
            terms.termination,
            terms.rule,
            end_of_month,
        )

    @property
    def end(self) -> Date:
        """The last day that is protected."""
        return list(self.schedule)[-1]

    def swap(self) -> Any:
        """Make QuantLib's swap, seen from who buys protection."""
        terms = self.terms
        settled = ql.WeekendsOnly().advance(terms.trade_date, _SETTLEMENT_DAYS, ql.Days)
        settles_accrual = pays_at_default = True
        return ql.CreditDefaultSwap(
            ql.Protection.Buyer,
            terms.notional,
            terms.upfront,
            terms.spread,
            self.schedule,
            terms.convention,
            terms.day_count,
            settles_accrual,
            pays_at_default,
            terms.protection_start,
            max(settled, terms.protection_start),
            ql.FaceValueClaim(),
            terms.last_day_count,
            terms.rebates,
            terms.trade_date,
        )

    def flows(self, after: Date) -> list[tuple[Date, float]]:
        """Give the payments to the buyer that are due if nobody defaults."""
        swap = self.swap()
        flows = [(coupon.date(), -coupon.amount()) for coupon in swap.coupons()]
        flows.append((swap.upfrontPayment().date(), -swap.upfrontPayment().amount()))
        flows.append(self._rebate(swap))
        return sorted((date, amount) for date, amount in flows if date > after and amount)

    def rebate(self, after: Date) -> float:
        """Give the accrued coupon that the buyer gets back, until it is paid."""
        date, amount = self._rebate(self.swap())
        return amount if date > after else 0.0

    def is_over(self, evaluation: Date) -> bool:
        """Tell whether the last coupon has been paid."""
        return all(coupon.date() <= evaluation for coupon in self.swap().coupons())

    @staticmethod
    def _rebate(swap: Any) -> tuple[Date, float]:
        rebate = swap.accrualRebate()
        return (rebate.date(), float(rebate.amount())) if rebate else (swap.tradeDate(), 0.0)


class _Swap:
    """A contract with the credit that it protects from."""

    def __init__(self, task: Task, contract: Contract, credit: Credit, method: str) -> None:
        self.task = task
        self.contract = contract
        self.credit = credit
        self.method = method
        self.scale = task.position.scale * contract.terms.sign
        recovery = contract.terms.recovery
        self.recovery = credit.recovery if recovery is None else recovery

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position."""
        market = self.task.market
        return {
            "price": lambda _: self.value_on(market) * self.scale,
            "dv01": lambda _: bumps.dv01(self.value_on, market) * self.scale,
            "accruedInterest": lambda _: self.contract.rebate(market.evaluation) * self.scale,
            "fairSpread": lambda _: self._fair(lambda x: replace(self.contract.terms, spread=x)),
            "fairUpfront": lambda _: self._fair(lambda x: replace(self.contract.terms, upfront=x)),
            "cashFlows": lambda _: self._cash_flows(),
        }

    def value_on(self, market: Market, contract: Contract | None = None) -> float:
        """Value one swap for the buyer on a market."""
        contract = contract or self.contract
        position = self.task.position
        discounting = market.discounting(
            self.task.currency, position.discount_curve, position.discount_spread
        )
        evaluation = market.evaluation
        if contract.end < evaluation:  # no more protection: the last coupon is still to be paid
            flows = contract.flows(evaluation)
            return sum(amount * discounting.discount(date) for date, amount in flows)
        standard = isda_curves.discounting(discounting, self._horizon(contract))
        credit = self.credit.curve(evaluation, standard, self._hazard_of(standard))
        swap = contract.swap()
        swap.setPricingEngine(self._engine(contract, credit, standard, discounting))
        return float(swap.NPV())

    def _engine(self, contract: Contract, credit: Any, standard: Any, discounting: Any) -> Any:
        usual = discounting.valuing()
        if discounting.reference > discounting.evaluation:
            usual = standard  # QuantLib does not discount to a day before the curve's
        if self.method == ISDA:
            clocked = isda_curves.surviving(credit, self._horizon(contract))
            return ql.IsdaCdsEngine(_handle(clocked), self.recovery, standard)
        if self.method == MID_POINT:
            return ql.MidPointCdsEngine(_handle(credit), self.recovery, usual)
        step = ql.Period(_INTEGRAL_STEP)
        return ql.IntegralCdsEngine(step, _handle(credit), self.recovery, usual)

    def _hazard_of(self, standard: Any) -> Callable[[float], float]:
        """Make the function that finds the hazard rate of a par spread of this very swap."""

        def found(spread: float) -> float:
            at_par = replace(self.contract.terms, spread=spread, upfront=0.0)
            return float(
                Contract(at_par)
                .swap()
                .impliedHazardRate(
                    0.0,
                    standard,
                    ql.Actual365Fixed(),
                    self.recovery,
                    _IMPLIED_ACCURACY,
                    ql.CreditDefaultSwap.ISDA,
                )
            )

        return found

    def _horizon(self, contract: Contract) -> Date:
        """Give a day after the last one that counts."""
        last = max(coupon.date() for coupon in contract.swap().coupons())
        settled = contract.swap().upfrontPayment().date()
        return max(last, settled, self.task.evaluation) + 1

    def _fair(self, changed: Callable[[float], CreditTerms]) -> Output:
        """Give the number that makes the swap worth nothing: the value is a line in it."""
        market = self.task.market
        at_none = self.value_on(market, Contract(changed(0.0)))
        slope = self.value_on(market, Contract(changed(1.0))) - at_none
        if abs(slope) < _LARGE * self.contract.terms.notional:
            return None  # paid already
        return -at_none / slope

    def _cash_flows(self) -> list[Flow]:
        flows = self.contract.flows(self.task.evaluation)
        return [Flow(date, amount * self.scale) for date, amount in flows]


def _handle(credit: Any) -> Any:
    return ql.DefaultProbabilityTermStructureHandle(credit)
