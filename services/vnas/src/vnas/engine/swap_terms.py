"""What a swap says of itself: notional, side, dates, its two legs.

Read by ``vanillaSwap`` and ``swaption``; `swaps` values what comes out.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, rate_legs, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.indices import Index
from vnas.engine.rate_legs import Roll
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, Period, later

_NO_LEAF = Leaf("-", etree.Element("index"))  # a stand-in where reading has failed
_ROLLED_BY_FIXED = ("frequency", "calendar", "convention", "rule")


@dataclass(frozen=True, slots=True)
class FixedLeg:
    """``fixedLeg``; None where the index decides."""

    path: str
    rate: float
    frequency: int
    day_count: Any
    calendar: Any
    convention: int
    rule: int
    end_of_month: bool


@dataclass(frozen=True, slots=True)
class FloatingLeg:
    """``floatingLeg``; None where the index decides."""

    path: str
    index: Leaf
    spread: float
    frequency: int | None
    day_count: Any
    calendar: Any
    convention: int
    rule: int
    lag: int  # business days from the end of a period to its payment
    given: tuple[str, ...]  # what it says that an overnight index leaves to the fixed leg


@dataclass(frozen=True, slots=True)
class End:
    """Where an instrument ends: on a date, or a tenor after its start."""

    date: Date | None
    tenor: Period | None
    path: str

    def after(self, start: Date, calendar: Any, *, end_of_month: bool = False) -> Date:
        """Give the date, still to be moved to a business day; VNP-208 when not after the start."""
        end = self.date
        if end is None and end_of_month and calendar.isEndOfMonth(start):
            end = rate_legs.advance(calendar, start, self.tenor, self.path, end_of_month=True)
        elif end is None:
            end = later(start, self.tenor, self.path)
        if end <= start:
            sentence = f"{end.ISO()} is not after the start, {start.ISO()}"
            raise EngineError("VNP-208", self.path, sentence)
        return end

    def has_passed(self, start: Date | None, evaluation: Date) -> bool:
        """Tell whether it lies behind though no start is given, so that the end alone decides."""
        return start is None and self.date is not None and self.date <= evaluation


@dataclass(frozen=True, slots=True)
class Terms:
    """A swap as it stands in the document."""

    notional: float
    pays_fixed: bool
    settlement_days: int
    start: Date | None
    end: End
    end_convention: int
    fixed: FixedLeg
    floating: FloatingLeg

    def day_count_of_fixed(self, index: Index) -> Any:
        """Give the fixed leg's day count, by default that of its market."""
        default = ql.Actual360() if index.overnight else names.day_count_of("30/360")
        return self.fixed.day_count or default

    def fixed_roll(self, calendar: Any) -> Roll:
        """Tell how the fixed leg rolls; `calendar` is the index's."""
        leg = self.fixed
        return Roll(
            ql.Period(leg.frequency),
            leg.calendar or calendar,
            leg.convention,
            self.end_convention,
            leg.rule,
            leg.end_of_month,
            leg.path,
        )

    def floating_roll(self, index: Any) -> Roll:
        """Tell how the floating leg of a term index rolls."""
        leg = self.floating
        return Roll(
            index.tenor() if leg.frequency is None else ql.Period(leg.frequency),
            leg.calendar or index.fixingCalendar(),
            leg.convention,
            self.end_convention,
            leg.rule,
            self.fixed.end_of_month,
            leg.path,
        )


def read(task: Task) -> Terms:
    """Read the elements of a swap; faults are noted."""
    fields = task.fields
    start = fields.maybe("startDate", values.date)
    return Terms(
        notional=fields.get("notional", values.positive, 1_000_000.0),
        pays_fixed=pays_fixed(fields),
        settlement_days=fields.get("settlementDays", values.ranged(values.integer, 0, 366), 2),
        start=start,
        end=read_end(task, start),
        end_convention=fields.get("maturityConvention", names.convention, ql.ModifiedFollowing),
        fixed=_fixed(needed(fields, "fixedLeg")),
        floating=_floating(needed(fields, "floatingLeg")),
    )


def pays_fixed(fields: Fields) -> bool:
    """Read ``payReceive``: whether the holder pays the fixed rate."""
    return fields.get("payReceive", names.one_of("pay", "receive"), "pay") == "pay"


def read_end(task: Task, start: Date | None) -> End:
    """Read the required ``maturityDate`` or ``tenor``."""
    fields = task.fields
    date, tenor = fields.need_one("maturityDate", values.date, "tenor", values.tenor)
    if date is not None and start is not None and date <= start:
        fields.refuse("maturityDate", "VNP-208", f"not after the start, {start.ISO()}")
    named = "tenor" if fields.first("maturityDate") is None else "maturityDate"
    return End(date, tenor, fields.path_to(named))


def leaf_of_index(fields: Fields) -> Leaf:
    """Read the required ``index`` of a leg or an agreement."""
    return fields.need("index", values.leaf, _NO_LEAF)


def term_index(task: Task, leaf: Leaf) -> Index:
    """Find an index with a term; VNP-204 when the name is an overnight one."""
    index = task.market.index(leaf)
    if index.overnight:
        raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not a term index")
    return index


def currency_of(task: Task, index: Index) -> str:
    """Give the currency of an instrument on an index: the index's, since there is no quanto."""
    if task.position.currency not in (None, index.currency):
        task.faults.warn("VNP-105", f"currency was not used: values are in {index.currency}")
    return index.currency


def needed(fields: Fields, name: str) -> Fields:
    """Give a required leg, or an empty one in its place, the fault being noted."""
    found = fields.child(name)
    if found is None:
        fields.missing(name)
        return Fields(etree.Element(name), Faults())  # nobody's faults
    return found


def _fixed(leg: Fields) -> FixedLeg:
    read = FixedLeg(
        path=leg.path,
        rate=leg.need("rate", values.rate, 0.0),
        frequency=leg.get("frequency", names.frequency, int(ql.Annual)),
        day_count=leg.maybe("dayCount", names.day_count),
        calendar=leg.maybe("calendar", names.calendar),
        convention=leg.get("convention", names.convention, ql.ModifiedFollowing),
        rule=leg.get("rule", names.date_rule, ql.DateGeneration.Backward),
        end_of_month=leg.get("endOfMonth", values.boolean, False),
    )
    leg.finish()
    return read


def _floating(leg: Fields) -> FloatingLeg:
    read = FloatingLeg(
        path=leg.path,
        index=leaf_of_index(leg),
        spread=leg.get("spread", values.rate, 0.0),
        frequency=leg.maybe("frequency", names.frequency),
        day_count=leg.maybe("dayCount", names.day_count),
        calendar=leg.maybe("calendar", names.calendar),
        convention=leg.get("convention", names.convention, ql.ModifiedFollowing),
        rule=leg.get("rule", names.date_rule, ql.DateGeneration.Backward),
        lag=leg.get("paymentLag", values.ranged(values.integer, 0, 366), 0),
        given=tuple(name for name in _ROLLED_BY_FIXED if leg.first(name) is not None),
    )
    leg.finish()
    return read
