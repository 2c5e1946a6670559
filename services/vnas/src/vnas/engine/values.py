"""Text of the document as values: numbers, rates, dates, tenors, booleans.

A `Leaf` goes in, a value comes out or EngineError VNP-203 (not such a value), VNP-204 (not such a
name), VNP-208 (out of range) with the leaf's path. `fields.Fields` calls these for the kinds.
"""

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import QuantLib as ql
from lxml import etree

from vnas.engine.errors import EngineError, quoted

T = TypeVar("T")
Date = Any  # ql.Date; QuantLib comes without types
Period = Any  # ql.Period

FIRST_YEAR, LAST_YEAR = 1901, 2199  # what ql.Date can hold

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TENOR = re.compile(r"(?:([0-9]{1,4})Y)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})W)?(?:([0-9]{1,6})D)?")
_UNITS = {"decimal": 1.0, "percent": 0.01, "bp": 0.0001}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value as written: the text of an element, or of one of its attributes."""

    text: str  # without blanks around it, never empty
    element: etree._Element
    attribute: str | None = None

    @property
    def path(self) -> str:
        """XPath of the place in the task."""
        path = path_of(self.element)
        return f"{path}/@{self.attribute}" if self.attribute else path

    def error(self, code: str, message: str) -> EngineError:
        """Make an error at this place."""
        return EngineError(code, self.path, message)


def path_of(element: etree._Element) -> str:
    """Give the XPath of an element, with positions only where a name is repeated."""
    return str(element.getroottree().getpath(element))


def text_of(element: etree._Element) -> str:
    """Give the element's own text, without comments and blanks around it."""
    parts = [element.text or ""]
    parts += [child.tail or "" for child in element if not isinstance(child.tag, str)]
    return "".join(parts).strip()


def leaf_of(element: etree._Element) -> Leaf | None:
    """Give the element's text as a leaf, None when there is none."""
    text = text_of(element)
    return Leaf(text, element) if text else None


def attribute_of(element: etree._Element, name: str) -> Leaf | None:
    """Give an attribute as a leaf, None when it is absent or blank."""
    text = (element.get(name) or "").strip()
    return Leaf(text, element, name) if text else None


def text(leaf: Leaf) -> str:
    """Give the text as it stands: identifiers and labels."""
    return leaf.text


def leaf(leaf: Leaf) -> Leaf:
    """Keep the leaf itself, for references that are looked up later and may fail there."""
    return leaf


def number(leaf: Leaf) -> float:
    """Read a finite number with a point as decimal sign."""
    if _NUMBER.fullmatch(leaf.text):
        value = float(leaf.text)
        if math.isfinite(value):
            return value
    raise leaf.error("VNP-203", f"{quoted(leaf.text)} is not a number")


def rate(leaf: Leaf) -> float:
    """Read a rate, spread or volatility; the attribute ``unit`` scales it to a decimal."""
    value = number(leaf)
    unit = attribute_of(leaf.element, "unit") if leaf.attribute is None else None
    return value * unit_factor(unit)


def unit_factor(unit: Leaf | None) -> float:
    """Give what a number in this unit is multiplied by; 1 without one."""
    if unit is None:
        return 1.0
    factor = _UNITS.get(unit.text.lower())
    if factor is None:
        raise unit.error("VNP-204", f"{quoted(unit.text)} is not one of {', '.join(_UNITS)}")
    return factor


def integer(leaf: Leaf) -> int:
    """Read a whole number."""
    if not _INTEGER.fullmatch(leaf.text):
        raise leaf.error("VNP-203", f"{quoted(leaf.text)} is not a whole number")
    return int(leaf.text)


def boolean(leaf: Leaf) -> bool:
    """Read ``true`` or ``false``."""
    folded = leaf.text.lower()
    if folded not in {"true", "false"}:
        raise leaf.error("VNP-203", f"{quoted(leaf.text)} is not true or false")
    return folded == "true"


def date(leaf: Leaf) -> Date:
    """Read an ISO calendar date from 1901 to 2199."""
    match = _DATE.fullmatch(leaf.text)
    if match:
        year, month, day = (int(part) for part in match.groups())
        try:
            dt.date(year, month, day)
        except ValueError:
            pass
        else:
            if FIRST_YEAR <= year <= LAST_YEAR:
                return ql.Date(day, month, year)
    raise leaf.error(
        "VNP-203", f"{quoted(leaf.text)} is not a date from {FIRST_YEAR} to {LAST_YEAR}"
    )


def tenor(leaf: Leaf) -> Period:
    """Read a tenor: years and months, or weeks and days; ``1Y6M`` is 18 months."""
    match = _TENOR.fullmatch(leaf.text.upper())
    if match and any(match.groups()):
        years, months, weeks, days = (int(part) if part else 0 for part in match.groups())
        long, short = any(match.groups()[:2]), any(match.groups()[2:])
        if long and not short:
            return ql.Period(12 * years + months, ql.Months) if months else _years(years)
        if short and not long:
            return ql.Period(7 * weeks + days, ql.Days) if days else ql.Period(weeks, ql.Weeks)
    raise leaf.error("VNP-203", f"{quoted(leaf.text)} is not a tenor such as 3M, 10Y, 2W or 1Y6M")


def _years(years: int) -> Period:
    return ql.Period(years, ql.Years)


def ranged(
    parse: Callable[[Leaf], T],
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> Callable[[Leaf], T]:
    """Make a reader that refuses (VNP-208) what is outside [low, high] or (above, below)."""

    def read(leaf: Leaf) -> T:
        value: Any = parse(leaf)
        if low is not None and value < low:
            raise leaf.error("VNP-208", f"{quoted(leaf.text)} is less than {low:.12g}")
        if high is not None and value > high:
            raise leaf.error("VNP-208", f"{quoted(leaf.text)} is more than {high:.12g}")
        if above is not None and value <= above:
            raise leaf.error("VNP-208", f"{quoted(leaf.text)} is not more than {above:.12g}")
        if below is not None and value >= below:
            raise leaf.error("VNP-208", f"{quoted(leaf.text)} is not less than {below:.12g}")
        return value  # type: ignore[no-any-return]

    return read


positive = ranged(number, above=0)
natural = ranged(integer, 0, 10_000)


def later(start: Date, period: Period, where: str) -> Date:
    """Step a date by a tenor; VNP-208 at `where` when the calendar ends before."""
    try:
        return start + period
    except (RuntimeError, OverflowError) as err:
        message = f"{start.ISO()} plus {period} is not from {FIRST_YEAR} to {LAST_YEAR}"
        raise EngineError("VNP-208", where, message) from err
