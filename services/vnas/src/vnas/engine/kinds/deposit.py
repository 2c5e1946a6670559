"""``deposit``: principal and simple interest, paid back at maturity."""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import names, outputs, values
from vnas.engine.errors import EngineError
from vnas.engine.known_flows import METHOD, KnownFlows
from vnas.engine.outputs import Priced
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, Period, later

_ROUTINES = {"ON": 0, "TN": 1, "SN": 2}  # business days until they start


def value(task: Task) -> Priced:
    """Price a deposit by discounting what is still to be paid, in and out."""
    terms = _read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(METHOD)
    start, end = _dates(task, terms)
    if end <= task.evaluation:
        return outputs.expired(task.currency, METHOD)
    if end <= start:
        sentence = f"{end.ISO()} is not after the start, {start.ISO()}"
        raise EngineError("VNP-208", terms.end_path, sentence)
    years = terms.day_count.yearFraction

    def interest(until: Date) -> float:
        return terms.notional * terms.rate * float(years(start, until))

    # A principal paid in on the evaluation date is past, as all flows of that date are.
    known = KnownFlows(task, [(start, -terms.notional), (end, terms.notional + interest(end))])
    computed = known.outputs()
    computed["accruedInterest"] = lambda _: (
        interest(max(task.evaluation, start)) * task.position.scale
    )
    if start > task.evaluation:
        computed["fairRate"] = lambda _: _fair_rate(task, start, end, float(years(start, end)))
        computed["forward"] = computed["fairRate"]
    return Priced(METHOD, task.currency, computed)


@dataclass(frozen=True, slots=True)
class _Tenor:
    period: Period
    days_to_start: int | None = None  # of ON, TN and SN


@dataclass(frozen=True, slots=True)
class _Terms:
    notional: float
    rate: float
    start: Date | None
    maturity: Date | None
    tenor: _Tenor | None
    end_path: str
    day_count: Any
    calendar: Any


def _read(task: Task) -> _Terms:
    fields = task.fields
    start = fields.maybe("startDate", values.date)
    maturity, tenor = fields.need_one("maturityDate", values.date, "tenor", _tenor)
    ends = "tenor" if fields.first("maturityDate") is None else "maturityDate"
    if start is not None and maturity is not None and maturity <= start:
        fields.refuse("maturityDate", "VNP-208", f"not after the start, {start.ISO()}")
    return _Terms(
        notional=fields.need("notional", values.positive, 1.0),
        rate=fields.need("rate", values.rate, 0.0),
        start=start,
        maturity=maturity,
        tenor=tenor,
        end_path=fields.path_to(ends),
        day_count=fields.maybe("dayCount", names.day_count) or ql.Actual360(),
        calendar=fields.maybe("calendar", names.calendar),
    )


def _tenor(leaf: Leaf) -> _Tenor:
    days = _ROUTINES.get(leaf.text.upper())
    if days is not None:
        return _Tenor(ql.Period(1, ql.Days), days)
    return _Tenor(values.tenor(leaf))


def _dates(task: Task, terms: _Terms) -> tuple[Date, Date]:
    """Find start and end; a tenor ends on a business day, a given date stands as it is."""
    calendar = terms.calendar or names.calendar_of(task.currency)
    start = terms.start or task.evaluation
    if terms.tenor is None:
        return start, terms.maturity
    period, ahead = terms.tenor.period, terms.tenor.days_to_start
    if terms.start is None and ahead:
        start = calendar.advance(start, ahead, ql.Days)
    if period.units() == ql.Days:
        return start, calendar.adjust(later(start, period, terms.end_path), ql.Following)
    end = later(start, period, terms.end_path)
    return start, calendar.adjust(end, ql.ModifiedFollowing)


def _fair_rate(task: Task, start: Date, end: Date, years: float) -> float:
    position = task.position
    curve = task.market.discounting(
        task.currency, position.discount_curve, position.discount_spread
    )
    return (curve.discount(start) / curve.discount(end) - 1.0) / years
