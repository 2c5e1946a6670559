"""``cancellation`` of a bond: the rights to call or put it, as read and as dates of exercise.

`read` gives the rights as the document lists them; `exercises` lays them on the coupon dates. Used
by the kind ``cancellableBond``.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import coupons, names, values
from vnas.engine.bond_terms import Terms
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, attribute_of, path_of


@dataclass(frozen=True, slots=True)
class Right:
    """One ``call`` or ``put`` element: a price, and a date or a range of dates."""

    element: etree._Element
    kind: int  # ql.Callability.Call or Put
    price: float  # per 100
    clean: bool
    date: Date | None
    first: Date | None
    last: Date | None
    frequency: int | None


def read(task: Task, terms: Terms) -> list[Right] | None:
    """Read ``cancellation``; None where there is none, which is not the same as an empty list."""
    cancellation = task.fields.child("cancellation")
    if cancellation is None:
        return None
    rights = [
        _right(Fields(element, task.faults), kind, terms)
        for name, kind in (("call", ql.Callability.Call), ("put", ql.Callability.Put))
        for element in cancellation.all(name)
    ]
    cancellation.finish()
    return rights or None


def _right(fields: Fields, kind: int, terms: Terms) -> Right:
    date = fields.either("date", values.date)
    first = fields.either("from", values.date)
    last = fields.either("to", values.date)
    right = Right(
        element=fields.element,
        kind=kind,
        price=_or(fields.either("price", values.positive), 100.0),
        clean=(fields.either("type", names.one_of("clean", "dirty")) or "clean") == "clean",
        date=date,
        first=first,
        last=last,
        frequency=fields.either("frequency", names.frequency),
    )
    fields.finish()
    if not _given(fields, "date") and not _given(fields, "from"):
        fields.missing("@date", "a date, or a range that starts at from, is missing")
    for name, day in (("date", date), ("from", first), ("to", last)):
        if day is not None and day > terms.maturity:
            _refuse(fields, name, f"{day.ISO()} is after maturity, {terms.maturity.ISO()}")
    if first is not None and last is not None and last < first:
        _refuse(fields, "to", f"{last.ISO()} is before {first.ISO()}")
    return right


def _given(fields: Fields, name: str) -> bool:
    return attribute_of(fields.element, name) is not None or fields.first(name) is not None


def _or(number: float | None, default: float) -> float:
    return default if number is None else number


def _refuse(fields: Fields, name: str, sentence: str) -> None:
    leaf: Leaf | None = attribute_of(fields.element, name)
    if leaf is None:
        fields.refuse(name, "VNP-208", sentence)
    else:
        fields.faults.note(fields.element, leaf.error("VNP-208", sentence))


def exercises(task: Task, terms: Terms, rights: list[Right] | None, dates: list[Date]) -> list[Any]:
    """List the exercises as ql.Callability, in date order; none on or after maturity."""
    inner = [date for date in dates[1:-1] if date < terms.maturity]
    if rights is None:
        return [_callability(100.0, ql.Callability.Call, date, clean=True) for date in inner]
    listed: dict[tuple[int, int], Any] = {}
    for right in rights:
        for date in _right_dates(right, inner, terms.maturity):
            if date >= terms.maturity:
                task.faults.warn("VNP-105", "a right to cancel at maturity was not used")
                continue
            key = (date.serialNumber(), right.kind)
            if key in listed:
                sentence = f"there is already a right of this kind on {date.ISO()}"
                raise EngineError("VNP-208", path_of(right.element), sentence)
            listed[key] = _callability(right.price, right.kind, date, clean=right.clean)
    if len(listed) > coupons.MAX_FLOWS:
        raise EngineError("VNP-208", task.path, f"more than {coupons.MAX_FLOWS} exercise dates")
    return [listed[key] for key in sorted(listed)]


def _right_dates(right: Right, coupon_dates: list[Date], maturity: Date) -> list[Date]:
    if right.date is not None:
        return [right.date]
    assert right.first is not None
    last = right.last or maturity
    if right.frequency is None:
        return [date for date in coupon_dates if right.first <= date <= last]
    period = ql.Period(right.frequency)
    if period.length() == 0:
        return [right.first]
    dates: list[Date] = []
    while (date := right.first + period * len(dates)) <= last and len(dates) <= coupons.MAX_FLOWS:
        dates.append(date)
    return [date for date in dates if date < maturity]


def _callability(price: float, kind: int, date: Date, *, clean: bool) -> Any:
    quoted_as = ql.BondPrice.Clean if clean else ql.BondPrice.Dirty
    return ql.Callability(ql.BondPrice(price, quoted_as), kind, date)
