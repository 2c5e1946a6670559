"""``homeLoan``: an amortising loan with resets and prepayment, discounted with a spread."""

from vnas.engine import bumps, loan_terms, outputs
from vnas.engine.known_flows import METHOD, KnownFlows
from vnas.engine.loan_terms import Dated, Terms
from vnas.engine.outputs import Compute, Flow, Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a home loan by discounting its plan."""
    terms = loan_terms.read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(METHOD)
    loan = _Loan(task, loan_terms.dated(task, terms), terms)
    if not loan.coming:
        return outputs.expired(task.currency, METHOD)
    compute: dict[str, Compute] = {
        **KnownFlows(task, [(one.paid, one.period.amount) for one in loan.coming]).outputs(),
        "accruedInterest": lambda _: loan.accrued() * loan.scale,
        "outstandingBalance": lambda _: loan.balance() * loan.scale,
        "payment": lambda _: loan.coming[0].period.instalment * loan.scale,
        "weightedAverageLife": lambda _: loan.average_life(),
        "cashFlows": lambda _: loan.cash_flows(),
    }
    return Priced(METHOD, task.currency, compute)


# --- values --------------------------------------------------------------------------------------


class _Loan:
    """The dated plan seen from the evaluation date; amounts before quantity and side."""

    def __init__(self, task: Task, dated: list[Dated], terms: Terms) -> None:
        self.task = task
        self.scale = task.position.scale
        self.gone = [one for one in dated if one.paid <= task.evaluation]
        self.coming = [one for one in dated if one.paid > task.evaluation]
        self.principal = terms.principal

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
        return weighted / total / bumps.DAYS_A_YEAR

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
