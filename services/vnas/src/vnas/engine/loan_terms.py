"""A home loan as the document gives it, and its plan laid on the calendar.

`read` checks the elements, `dated` gives the periods with their dates; the plan itself is
`amortisation`'s. Used by the kind ``homeLoan``.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import amortisation, names, values
from vnas.engine.amortisation import Period
from vnas.engine.coupons import MAX_FLOWS
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf

_FREQUENCIES = (1, 2, 4, 12, 26, 52)
_DAYS_A_YEAR = 365.0
_share = values.ranged(values.rate, 0, 1)


@dataclass(frozen=True, slots=True)
class _Reset:
    date: Date
    rate: float


@dataclass(slots=True)
class Terms:
    """The loan as read, before its periods have dates."""

    principal: float
    rate: float
    start: Date
    start_path: str
    months: int | None  # term
    maturity: Date | None
    frequency: int
    amortisation: str
    interest_only: int  # periods
    balloon: float
    payment: float | None
    resets: list[_Reset]
    cpr: float
    psa: float | None
    seasoning: int
    servicing_rate: float
    calendar: Any
    convention: int


@dataclass(frozen=True, slots=True)
class Dated:
    """A period of the plan with the dates between which its interest accrues."""

    start: Date
    paid: Date
    period: Period


def read(task: Task) -> Terms:
    """Read the elements of a loan; wrong ones are noted in the task's faults."""
    fields = task.fields
    principal = fields.need("principal", values.positive, 1.0)
    rate = fields.need("rate", _share, 0.0)
    start = fields.need("startDate", values.date, task.evaluation)
    term = fields.maybe("term", _months)
    maturity = fields.maybe("maturityDate", values.date)
    if fields.first("term") is None and fields.first("maturityDate") is None:
        fields.missing("term")
    if maturity is not None and maturity <= start:
        fields.refuse("maturityDate", "VNP-208", f"not after the start, {start.ISO()}")
    if maturity is not None and term is not None:
        task.faults.warn("VNP-105", "term was not used: there is a maturityDate")
    frequency = fields.get("frequency", _frequency, int(ql.Monthly))
    repayment = fields.get("amortisation", names.one_of("level", "linear", "bullet"), "level")
    interest_only = fields.get("interestOnly", _months, 0)
    for name, months in (("term", term), ("interestOnly", interest_only)):
        # Fortnights and weeks are counted, 26 and 52 to the year; no month is a whole number.
        if frequency < ql.Monthly and (months or 0) * frequency % 12:
            fields.refuse(name, "VNP-208", f"not a whole number of periods, {frequency} a year")
    balloon = fields.get("balloon", values.ranged(values.number, 0), 0.0)
    if balloon > principal:
        fields.refuse("balloon", "VNP-208", "more than the principal")
    payment = fields.maybe("payment", values.positive)
    if payment is not None and repayment != "level":
        task.faults.warn("VNP-105", f"payment was not used: the amortisation is {repayment}")
    cpr, psa, seasoning = _prepayment(fields.child("prepayment"), frequency)
    return Terms(
        principal=principal,
        rate=rate,
        start=start,
        start_path=fields.path_to("startDate"),
        months=term,
        maturity=maturity,
        frequency=frequency,
        amortisation=repayment,
        interest_only=round(interest_only * frequency / 12),
        balloon=balloon,
        payment=payment,
        resets=_resets(fields),
        cpr=cpr,
        psa=psa,
        seasoning=seasoning,
        servicing_rate=fields.get("servicingRate", _share, 0.0),
        calendar=fields.maybe("calendar", names.calendar) or ql.NullCalendar(),
        convention=fields.get("paymentConvention", names.convention, ql.Unadjusted),
    )


def _months(leaf: Leaf) -> int:
    """Read a tenor of years or months, in months."""
    tenor = values.tenor(leaf)
    if tenor.units() not in (ql.Years, ql.Months) or tenor.length() == 0:
        raise leaf.error("VNP-208", f"{leaf.text} is not a number of years or months")
    return int(tenor.length()) * (12 if tenor.units() == ql.Years else 1)


def _frequency(leaf: Leaf) -> int:
    frequency = names.frequency(leaf)
    if frequency not in _FREQUENCIES:
        listed = ", ".join(map(str, _FREQUENCIES))
        raise leaf.error("VNP-204", f"a loan is paid {listed} times a year")
    return frequency


def _resets(fields: Fields) -> list[_Reset]:
    resets: list[_Reset] = []
    for element in fields.all("rateReset"):
        one = Fields(element, fields.faults)
        date = one.need_attribute("date", values.date, None)
        rate = one.parsed(element, _share)
        if date is not None and rate is not None:
            resets.append(_Reset(date, rate))
    return sorted(resets, key=lambda reset: reset.date)


def _prepayment(fields: Fields | None, frequency: int) -> tuple[float, float | None, int]:
    if fields is None:
        return 0.0, None, 0
    cpr = fields.maybe("cpr", _share)
    psa = fields.maybe("psa", values.ranged(values.number, 0))
    seasoning = fields.get("seasoning", values.natural, 0)
    if psa is not None and frequency != ql.Monthly:
        fields.refuse("psa", "VNP-208", "the PSA curve is for monthly loans")
    if psa is not None and cpr is not None:
        fields.refuse("psa", "VNP-208", "the loan has a cpr already")
    fields.finish()
    return cpr or 0.0, psa, seasoning


# --- the periods ---------------------------------------------------------------------------------


def dated(task: Task, terms: Terms) -> list[Dated]:
    """Lay the plan on the calendar."""
    count = _count(task, terms)
    if terms.interest_only >= count:
        task.fields.refuse("interestOnly", "VNP-208", "not shorter than the loan")
        task.faults.raise_first()
    starts = [_date(terms, number) for number in range(count)]
    last = terms.maturity or _date(terms, count)
    ends = [*starts[1:], last]
    moved = terms.convention != ql.Unadjusted
    paid = [terms.calendar.adjust(end, terms.convention) for end in ends] if moved else ends
    rates = _rates(terms, starts)
    plan = _plan(task, terms, rates)
    return [
        Dated(start, day, period)
        for start, day, period in zip([terms.start, *paid], paid, plan, strict=False)
    ]


def _count(task: Task, terms: Terms) -> int:
    """Count the payments; a maturity between two of them makes the last one earlier."""
    if terms.maturity is None:
        assert terms.months is not None
        count = max(1, round(terms.months * terms.frequency / 12))
        _refuse_many(task, count)
        return count
    estimate = int((terms.maturity - terms.start) / _DAYS_A_YEAR * terms.frequency)
    _refuse_many(task, estimate)
    count = max(1, estimate - 5)
    while _date(terms, count) < terms.maturity:
        count += 1
    return count


def _refuse_many(task: Task, count: int) -> None:
    if count > MAX_FLOWS:
        raise EngineError("VNP-208", task.path, f"more than {MAX_FLOWS} flows")


def _date(terms: Terms, number: int) -> Date:
    """Give the end of a period, unmoved, counted from the start so that it does not drift."""
    return values.later(terms.start, ql.Period(terms.frequency) * number, terms.start_path)


def _rates(terms: Terms, starts: list[Date]) -> list[float]:
    """Give each period the rate of the last reset on or before its start."""
    rates: list[float] = []
    for start in starts:
        effective = [reset.rate for reset in terms.resets if reset.date <= start]
        rates.append(effective[-1] if effective else terms.rate)
    return rates


def _plan(task: Task, terms: Terms, rates: list[float]) -> list[Period]:
    try:
        return amortisation.plan(
            amortisation.Terms(
                principal=terms.principal,
                rates=rates,
                frequency=terms.frequency,
                amortisation=terms.amortisation,
                interest_only=terms.interest_only,
                balloon=terms.balloon,
                payment=terms.payment,
                cpr=terms.cpr,
                psa=terms.psa,
                seasoning=terms.seasoning,
                servicing_rate=terms.servicing_rate,
            )
        )
    except amortisation.PaymentTooSmall as err:
        path = task.fields.path_to("payment")
        raise EngineError("VNP-208", path, "the payment does not exceed the interest") from err
