"""The terms of a credit default swap, as the document gives them.

Read by the kind ``creditDefaultSwap``; `credit` makes the swap of them.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import names, values
from vnas.engine.coupons import MAX_FLOWS
from vnas.engine.errors import EngineError
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, later

BUYER, SELLER = "buyer", "seller"
_CDS_RULES = (ql.DateGeneration.OldCDS, ql.DateGeneration.CDS, ql.DateGeneration.CDS2015)
_DAYS_A_YEAR = 365.25
_SHARE = values.ranged(values.rate, 0, below=1)


@dataclass(frozen=True, slots=True)
class CreditTerms:
    """What buyer and seller agreed on."""

    notional: float
    side: str  # of protection
    spread: float  # running
    upfront: float  # share of notional, paid by the buyer
    maturity: Date
    rule: int
    frequency: int
    calendar: Any
    convention: int
    termination: int
    day_count: Any
    last_day_count: Any  # of the last period
    trade_date: Date
    start: Date  # of the schedule
    protection_start: Date
    rebates: bool  # whether the coupon accrued before the trade is given back
    curve: Leaf | None
    recovery: float | None  # None for the curve's

    @property
    def sign(self) -> float:
        """1 for who is protected, -1 for who protects."""
        return 1.0 if self.side == BUYER else -1.0


def read(task: Task) -> CreditTerms:
    """Read the terms; dates in the wrong order are noted as VNP-208."""
    fields = task.fields
    notional = fields.need("notional", values.positive, 1.0)
    side = fields.get("side", names.one_of(BUYER, SELLER), BUYER)
    spread = fields.need("spread", values.rate, 0.0)
    upfront = fields.get("upfront", values.rate, 0.0)
    rule = fields.get("rule", names.date_rule, ql.DateGeneration.CDS2015)
    standard = rule in _CDS_RULES
    frequency = fields.get("frequency", names.frequency, int(ql.Quarterly))
    convention = fields.get("convention", names.convention, ql.Following)
    day_count = fields.maybe("dayCount", names.day_count) or ql.Actual360()
    trade_date = fields.get("tradeDate", values.date, task.evaluation)
    start = fields.maybe("startDate", values.date)
    if standard and start is not None and start != trade_date:
        task.faults.warn("VNP-105", "startDate was not used: a CDS schedule starts at tradeDate")
    start = trade_date if standard or start is None else start
    maturity = _maturity(task, rule if standard else None, trade_date if standard else start)
    protection_start = fields.get("protectionStart", values.date, start)
    _check(task, start, maturity, protection_start, standard=standard)
    if (maturity - start) / _DAYS_A_YEAR * frequency > MAX_FLOWS:
        fields.refuse("frequency", "VNP-208", f"more than {MAX_FLOWS} flows")
    return CreditTerms(
        notional=notional,
        side=side,
        spread=spread,
        upfront=upfront,
        maturity=maturity,
        rule=rule,
        frequency=frequency,
        calendar=fields.maybe("calendar", names.calendar) or ql.WeekendsOnly(),
        convention=convention,
        termination=fields.get(
            "terminationConvention", names.convention, ql.Unadjusted if standard else convention
        ),
        day_count=day_count,
        last_day_count=_with_last_day(day_count) if standard else day_count,
        trade_date=trade_date,
        start=start,
        protection_start=protection_start,
        rebates=standard,
        curve=fields.maybe("creditCurve", values.leaf),
        recovery=fields.maybe("recoveryRate", _SHARE),
    )


def _maturity(task: Task, standard_rule: int | None, start: Date) -> Date:
    """Read ``maturityDate`` or ``tenor``, which ends on the standard date of a CDS rule."""
    fields = task.fields
    date, tenor = fields.need_one("maturityDate", values.date, "tenor", values.tenor)
    if date is not None:
        return date
    if tenor is None:
        return start + 1
    if standard_rule is None:
        try:
            return later(start, tenor, fields.path_to("tenor"))
        except EngineError as error:
            fields.refuse("tenor", error.code, error.message)
            return start + 1
    try:
        found = ql.cdsMaturity(start, tenor, standard_rule)
    except RuntimeError as err:
        fields.refuse("tenor", "VNP-208", f"the tenor has no standard end: {err}")
        return start + 1
    if found == ql.Date() or found <= start:
        fields.refuse("tenor", "VNP-208", "the tenor has no standard end after the trade date")
        return start + 1
    return found


def _check(
    task: Task, start: Date, maturity: Date, protection_start: Date, *, standard: bool
) -> None:
    fields = task.fields
    if maturity <= start:
        sentence = f"{maturity.ISO()} is not after the start, {start.ISO()}"
        fields.refuse("maturityDate", "VNP-208", sentence)
    if protection_start >= max(maturity, start + 1):
        sentence = f"{protection_start.ISO()} is not before maturity, {maturity.ISO()}"
        fields.refuse("protectionStart", "VNP-208", sentence)
    elif not standard and protection_start > start:
        sentence = f"{protection_start.ISO()} is after the first coupon's start, {start.ISO()}"
        fields.refuse("protectionStart", "VNP-208", sentence)


def last_day_counted() -> Any:
    """Make the day count of the last period of a standard contract."""
    counts_last_day = True
    return ql.Actual360(counts_last_day)


def _with_last_day(day_count: Any) -> Any:
    """Count the last day too, where the day count has such a form."""
    return last_day_counted() if day_count == ql.Actual360() else day_count
