"""What a bond says of itself: dates, face, settlement, quote, coupon.

Read by the four bond kinds; `bonds` values what they make of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import coupons, names, values
from vnas.engine.coupons import Coupon
from vnas.engine.errors import EngineError
from vnas.engine.fields import Faults, Fields
from vnas.engine.task import Task
from vnas.engine.values import Date, later
from vnas.engine.yields import YieldTerms


@dataclass(frozen=True, slots=True)
class Quote:
    """A price or yield that is given instead of asked for."""

    clean: float | None = None  # per 100
    dirty: float | None = None  # per 100
    rate: Any = None  # ql.InterestRate of the quoted yield


@dataclass(slots=True)
class Terms:
    """What every bond has."""

    face: float
    issue: Date | None
    maturity: Date
    start: Date | None
    settlement_days: int
    redemption: float  # per 100
    quote: Quote | None = None


def read_terms(task: Task) -> Terms:
    """Read what every bond has, but for the quote: `read_quote` does that."""
    fields = task.fields
    face = fields.get("faceAmount", values.positive, 100.0)
    issue = fields.maybe("issueDate", values.date)
    start = fields.maybe("startDate", values.date)
    maturity = _maturity(task, issue)
    if issue is not None and issue >= maturity:
        fields.refuse("issueDate", "VNP-208", f"not before maturity, {maturity.ISO()}")
    if start is not None and start >= maturity:
        fields.refuse("startDate", "VNP-208", f"not before maturity, {maturity.ISO()}")
    return Terms(
        face=face,
        issue=issue,
        maturity=maturity,
        start=start,
        settlement_days=fields.get("settlementDays", values.ranged(values.integer, 0, 366), 0),
        redemption=fields.get("redemption", values.ranged(values.number, 0), 100.0),
    )


def _maturity(task: Task, issue: Date | None) -> Date:
    fields = task.fields
    date = fields.maybe("maturityDate", values.date)
    tenor = fields.maybe("tenor", values.tenor)
    if date is not None:
        if tenor is not None:
            task.faults.warn("VNP-105", "tenor was not used: there is a maturityDate")
        return date
    if tenor is not None:
        try:
            return later(issue or task.evaluation, tenor, fields.path_to("tenor"))
        except EngineError as error:
            fields.refuse("tenor", error.code, error.message)
    elif fields.first("maturityDate") is None and fields.first("tenor") is None:
        if task.kind == "cancellableBond":
            return later(task.evaluation, ql.Period(5, ql.Years), fields.path)
        fields.missing("maturityDate")
    # A stand-in behind everything: the fault is noted already, and brings no second one.
    return ql.Date(31, 12, values.LAST_YEAR)


def yield_terms(coupon: Coupon) -> YieldTerms:
    """Give the default of a bond with coupons: as its coupons are paid and counted."""
    return YieldTerms(ql.Compounded, coupon.yield_frequency, coupon.day_count)


def read_quote(task: Task, default: YieldTerms) -> Quote | None:
    """Read the quote, if there is one; `default` is how a quoted yield is meant."""
    element = task.position.quote
    if element is None:
        return None
    fields = Fields(element, task.faults)
    clean = fields.maybe("cleanPrice", values.number)
    dirty = fields.maybe("dirtyPrice", values.number)
    rate = fields.maybe("yield", values.rate)
    given = [
        name for name in ("cleanPrice", "dirtyPrice", "yield") if fields.first(name) is not None
    ]
    for name in given[1:]:
        task.faults.warn("VNP-105", f"{name} of the quote was not used: there is a {given[0]}")
    fields.finish()
    if clean is not None:
        return Quote(clean=clean)
    if dirty is not None:
        return Quote(dirty=dirty)
    if rate is None:
        return None
    child = fields.first("yield")
    assert child is not None
    attributes = Fields(child, task.faults)
    quoted = YieldTerms(
        _or(attributes.attribute("compounding", names.compounding), default.compounding),
        _or(attributes.attribute("frequency", names.frequency), default.frequency),
        attributes.attribute("dayCount", names.day_count) or default.day_count,
    )
    return Quote(rate=quoted.of(rate))


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def read_coupon(task: Task, read: Callable[[Fields, str], Coupon]) -> Coupon:
    """Read the required ``coupon``; where it is missing a stand-in lets reading go on."""
    currency = task.currency_for_defaults
    found = task.fields.child("coupon")
    if found is None:
        task.fields.missing("coupon")
        return read(Fields(etree.Element("coupon"), Faults()), currency)  # nobody's faults
    return read(found, currency)


def start_date(task: Task, terms: Terms, coupon: Coupon) -> Date:
    """Give where accrual starts: as given, else at issue, else a whole number of periods back.

    Raises EngineError VNP-208 for listed coupon dates before the start that is given.
    """
    if terms.start is not None and coupon.dates and coupon.dates[0] < terms.start:
        sentence = f"{coupon.dates[0].ISO()} is before the start, {terms.start.ISO()}"
        raise EngineError("VNP-208", f"{coupon.path}/dates", sentence)
    start = terms.start or terms.issue
    return start or coupons.default_start(coupon, terms.maturity, task.evaluation)
