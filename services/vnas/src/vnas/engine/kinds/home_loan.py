"""``homeLoan``: an amortising loan with resets and prepayment, discounted with a spread."""

from typing import Any

import QuantLib as ql

from vnas.engine import bumps, loan_terms, outputs, yields
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.loan_terms import Dated, Terms
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Priced
from vnas.engine.task import Task
from vnas.engine.yields import YieldTerms

_DAYS_A_YEAR = 365.0
_PAID_TODAY = False  # flows on the evaluation date are past


def value(task: Task) -> Priced:
    """Price a home loan by discounting its plan."""
    terms = loan_terms.read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose("discounting")
    loan = _Loan(task, loan_terms.dated(task, terms), terms)
    if not loan.coming:
        return outputs.expired(task.currency, "discounting")
    compute: dict[str, Compute] = {
        "price": lambda _: loan.value_on(task.market) * loan.scale,
        "accruedInterest": lambda _: loan.accrued() * loan.scale,
        "outstandingBalance": lambda _: loan.balance() * loan.scale,
        "payment": lambda _: loan.coming[0].period.instalment * loan.scale,
        "weightedAverageLife": lambda _: loan.average_life(),
        "yield": lambda asked: loan.rate(asked).rate(),
        "duration": loan.duration,
        "convexity": loan.convexity,
        "dv01": lambda _: bumps.dv01(loan.value_on, task.market) * loan.scale,
        "cashFlows": lambda _: loan.cash_flows(),
    }
    return Priced("discounting", task.currency, compute)


# --- values --------------------------------------------------------------------------------------


class _Loan:
    """The dated plan seen from the evaluation date; amounts before quantity and side."""

    def __init__(self, task: Task, dated: list[Dated], terms: Terms) -> None:
        self.task = task
        self.scale = task.position.scale
        self.gone = [one for one in dated if one.paid <= task.evaluation]
        self.coming = [one for one in dated if one.paid > task.evaluation]
        self.principal = terms.principal
        self._values: dict[float, float] = {}  # by the market's shift
        self.flows = [ql.SimpleCashFlow(one.period.amount, one.paid) for one in self.coming]

    def value_on(self, market: Market) -> float:
        """Discount what is still to come."""
        if market.shift not in self._values:
            position = self.task.position
            curve = market.discounting(
                self.task.currency, position.discount_curve, position.discount_spread
            )
            self._values[market.shift] = curve.worth(self.flows)
        return self._values[market.shift]

    def balance(self) -> float:
        """Give the balance after the last payment on or before the evaluation date."""
        return self.gone[-1].period.balance if self.gone else self.principal

    def accrued(self) -> float:
        """Give the holder's interest of the running period up to now, by days."""
        running = self.coming[0]
        days = running.paid - running.start
        gone = max(self.task.evaluation - running.start, 0)
        return running.period.net_interest * float(gone) / float(days)

    def average_life(self) -> float:
        """Give the mean time to repayment in years of 365 days, weighted by principal."""
        repaid = [(one.period.principal + one.period.prepayment, one.paid) for one in self.coming]
        total = sum(amount for amount, _ in repaid)
        evaluation = self.task.evaluation
        weighted = sum(amount * float(day - evaluation) for amount, day in repaid)
        return weighted / total / _DAYS_A_YEAR

    def rate(self, asked: Fields) -> Any:
        """Solve for the yield at which the flows are worth the price."""
        default = YieldTerms(ql.Compounded, int(ql.Annual), ql.Actual365Fixed())
        terms = yields.terms_beside(default, asked)
        price = self.value_on(self.task.market)
        evaluation = self.task.evaluation
        try:
            found = ql.CashFlows.yieldRate(
                self.flows,
                price,
                terms.day_count,
                terms.compounding,
                terms.frequency,
                _PAID_TODAY,
                evaluation,
                evaluation,
                yields.ACCURACY,
            )
        except RuntimeError as err:
            sentence = f"no yield gives the price {price:.6g}: {err}"
            raise EngineError("VNP-404", self.task.path, sentence) from err
        return terms.of(found)

    def duration(self, asked: Fields) -> float:
        """Duration in years at the loan's yield."""
        kind = yields.duration_type(asked)
        rate = self.rate(asked)
        evaluation = self.task.evaluation
        return float(ql.CashFlows.duration(self.flows, rate, kind, _PAID_TODAY, evaluation))

    def convexity(self, asked: Fields) -> float:
        """Convexity in years squared at the loan's yield."""
        rate = self.rate(asked)
        evaluation = self.task.evaluation
        return float(ql.CashFlows.convexity(self.flows, rate, _PAID_TODAY, evaluation))

    def cash_flows(self) -> list[Flow]:
        """Give the holder's flows with their parts, of the position."""
        return [
            Flow(
                one.paid,
                one.period.amount * self.scale,
                {
                    "interest": one.period.net_interest * self.scale,
                    "principal": one.period.principal * self.scale,
                    "prepayment": one.period.prepayment * self.scale,
                    "balance": one.period.balance * self.scale,
                },
            )
            for one in self.coming
        ]
