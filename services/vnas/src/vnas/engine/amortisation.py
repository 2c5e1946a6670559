"""The repayment plan of a loan: pure arithmetic, no dates and no discounting.

`plan` goes through the periods of `Terms` and gives what is paid in each. Used by the kind
``homeLoan``.

With i the rate of a period, B the balance and n payments left, the level instalment is
(B - balloon * v^n) * i / (1 - v^n), v = 1 / (1 + i); without interest it is (B - balloon) / n.
Prepayment is SMM * (balance - scheduled principal), SMM = 1 - (1 - CPR)^(1 / frequency); on the PSA
curve CPR = psa / 100 * min(6%, 0.2% * age in months) (Fabozzi, *Handbook of Mortgage-Backed
Securities*, on prepayment conventions).
"""

import math
from dataclasses import dataclass

_PSA_CEILING = 0.06
_PSA_STEP = 0.002  # a month


class PaymentTooSmall(Exception):
    """A fixed instalment that does not exceed the interest of a period."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides the plan; rates are nominal, a year."""

    principal: float
    rates: list[float]  # of each period; the length is the number of payments
    frequency: int  # periods a year
    amortisation: str = "level"  # or linear, bullet
    interest_only: int = 0  # periods at the start
    balloon: float = 0.0  # of the principal, left for the last payment
    payment: float | None = None  # a fixed instalment in place of the level one
    cpr: float = 0.0
    psa: float | None = None  # per cent of the PSA curve
    seasoning: int = 0  # age in periods at the start
    servicing_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Period:
    """What is paid at the end of one period."""

    interest: float  # what the borrower pays
    servicing: float  # of it, kept back
    principal: float  # scheduled
    prepayment: float
    balance: float  # after the payment

    @property
    def net_interest(self) -> float:
        """What the holder is paid of the interest."""
        return self.interest - self.servicing

    @property
    def instalment(self) -> float:
        """What the borrower has to pay: interest and scheduled principal."""
        return self.interest + self.principal

    @property
    def amount(self) -> float:
        """What the holder receives."""
        return self.net_interest + self.principal + self.prepayment


def level_instalment(balance: float, rate: float, payments: int, balloon: float = 0.0) -> float:
    """Give the equal instalment that leaves `balloon` for the last one; `rate` is per period."""
    if rate == 0.0:
        return (balance - balloon) / payments
    exponent = -payments * math.log1p(rate)
    # expm1: 1 - v would be nothing but rounding for a rate close to 0.
    return (balance - balloon * math.exp(exponent)) * rate / -math.expm1(exponent)


def plan(terms: Terms) -> list[Period]:
    """Give what is paid in each period, up to the one that clears the balance.

    Raises PaymentTooSmall when a fixed instalment does not exceed the interest.
    """
    shares = _scheduled_shares(terms)
    periods: list[Period] = []
    balance = terms.principal
    for number, share in enumerate(shares, start=1):
        interest = balance * terms.rates[number - 1] / terms.frequency
        principal = balance * share
        last = number == len(shares)
        prepayment = 0.0 if last else _prepaid(terms, number) * (balance - principal)
        servicing = balance * terms.servicing_rate / terms.frequency
        balance = 0.0 if last else balance - principal - prepayment
        periods.append(Period(interest, servicing, principal, prepayment, balance))
        if balance == 0.0:  # prepaid to the last cent: nothing is paid after it
            break
    return periods


def _scheduled_shares(terms: Terms) -> list[float]:
    """Give the share of the balance that is repaid in each period by a loan never prepaid."""
    count = len(terms.rates)
    amortising = count - terms.interest_only
    balance, instalment, levelled_at = terms.principal, 0.0, -1.0
    shares: list[float] = []
    for number in range(count):
        rate = terms.rates[number] / terms.frequency
        left = count - number
        if left == 1:
            return [*shares, 1.0]
        repaid = 0.0
        if number >= terms.interest_only:
            if terms.amortisation == "linear":
                repaid = (terms.principal - terms.balloon) / amortising
            elif terms.amortisation == "level":
                if levelled_at != terms.rates[number]:
                    instalment = level_instalment(balance, rate, left, terms.balloon)
                    levelled_at = terms.rates[number]
                repaid = (terms.payment or instalment) - balance * rate
                if terms.payment is not None and repaid <= 0.0:
                    raise PaymentTooSmall
        if repaid >= balance:  # a fixed instalment that clears the loan early
            return [*shares, 1.0]
        shares.append(repaid / balance)
        balance -= repaid
    return shares


def _prepaid(terms: Terms, number: int) -> float:
    """Give SMM, the share of the balance prepaid in a period (counted from 1)."""
    cpr = terms.cpr
    if terms.psa is not None:
        age = number + terms.seasoning
        cpr = min(terms.psa / 100.0 * min(_PSA_CEILING, _PSA_STEP * age), 1.0)
    return 1.0 - float((1.0 - cpr) ** (1.0 / terms.frequency))
