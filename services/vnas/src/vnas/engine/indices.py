"""Interest-rate indices and their fixings.

A name goes in, an `Index` comes out: one of QuantLib's own, or one that the market defines with a
``tenor``. Fixings are global in QuantLib: `task` clears them before each task, `Market.index` loads
those of the indices that the task uses.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, Leaf, leaf_of, path_of

_OVERNIGHT: dict[str, tuple[str, Callable[..., Any]]] = {
    "SOFR": ("USD", ql.Sofr),
    "ESTR": ("EUR", ql.Estr),
    "SONIA": ("GBP", ql.Sonia),
    "TONA": ("JPY", ql.Tonar if hasattr(ql, "Tonar") else ql.Tona),  # the older name warns
    "SARON": ("CHF", ql.Saron),
    "FEDFUNDS": ("USD", ql.FedFunds),
    "EONIA": ("EUR", ql.Eonia),
}
_TERM: dict[str, tuple[str, Callable[..., Any]]] = {
    "EURIBOR": ("EUR", ql.Euribor),
    "USDLIBOR": ("USD", ql.USDLibor),
    "GBPLIBOR": ("GBP", ql.GBPLibor),
    "JPYLIBOR": ("JPY", ql.JPYLibor),
    "CHFLIBOR": ("CHF", ql.CHFLibor),
}
_TERM_NAME = re.compile(f"({'|'.join(_TERM)})([0-9]+[YMW])")


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the vocabulary before it has a curve to forecast on."""

    name: str
    currency: str
    overnight: bool
    make: Callable[..., Any]  # with or without a ql.YieldTermStructureHandle
    curve: Leaf | None = None  # the forecast curve that the market names
    fixings: dict[int, float] = field(default_factory=dict)  # by serial number of the date

    def unforecast(self) -> Any:
        """Give QuantLib's index without a curve, for fixings, conventions and bootstraps."""
        return self.make()

    def forecast_on(self, handle: Any) -> Any:
        """Give QuantLib's index that forecasts on a curve."""
        return self.make(handle)

    def require(self, dates: list[Date], evaluation: Date, where: Leaf) -> None:
        """Check that past fixing dates have fixings; VNP-211 at `where` for the first without."""
        for date in dates:
            if date < evaluation and date.serialNumber() not in self.fixings:
                sentence = f"the fixing of {self.name} on {date.ISO()} is missing"
                raise where.error("VNP-211", sentence)

    def require_for(self, leg: list[Any], evaluation: Date, where: Leaf) -> None:
        """Check the past fixings that the coming payments of a leg need; see `require`."""
        for flow in leg:
            if flow.date() <= evaluation:
                continue
            if self.overnight:
                dates = list(ql.as_overnight_indexed_coupon(flow).fixingDates())
            else:
                coupon = ql.as_floating_rate_coupon(flow)
                dates = [] if coupon is None else [coupon.fixingDate()]  # None: with a gearing of 0
            self.require(dates, evaluation, where)


def read(leaf: Leaf, element: etree._Element | None, market_currency: str) -> Index:
    """Find an index by name; `element` is the market's, if it has one of this name.

    Raises EngineError VNP-206 when neither the vocabulary nor the market knows the name.
    """
    fields = None if element is None else Fields(element, Faults())
    index = _own(leaf.text, fields, market_currency) if fields is not None else None
    index = index or _known(leaf.text)
    if index is None:
        if fields is not None:
            sentence = "an index of your own needs a tenor"
            raise EngineError("VNP-201", f"{fields.path}/tenor", sentence)
        raise leaf.error("VNP-206", f"the market has no index {quoted(leaf.text)}")
    if fields is None:
        return index
    curve = fields.maybe("curve", values.leaf)
    fixings = _fixings(fields)
    fields.faults.raise_first()
    return Index(index.name, index.currency, index.overnight, index.make, curve, fixings)


def _known(name: str) -> Index | None:
    if name in _OVERNIGHT:
        currency, make = _OVERNIGHT[name]
        return Index(name, currency, overnight=True, make=make)
    match = _TERM_NAME.fullmatch(name)
    if match is None:
        return None
    currency, family = _TERM[match[1]]
    tenor = ql.Period(match[2])
    return Index(name, currency, overnight=False, make=lambda *curve: family(tenor, *curve))


def _own(name: str, fields: Fields, market_currency: str) -> Index | None:
    """Read the market's own definition; None when it has no tenor and so defines nothing."""
    if name in _OVERNIGHT or fields.first("tenor") is None:
        return None
    tenor = fields.need("tenor", values.tenor, ql.Period(3, ql.Months))
    days = fields.get("fixingDays", values.natural, 2)
    currency = fields.get("currency", names.currency, market_currency)
    calendar = fields.get("calendar", names.calendar, names.calendar_of(currency))
    convention = fields.get("convention", names.convention, ql.ModifiedFollowing)
    end_of_month = fields.get("endOfMonth", values.boolean, False)
    day_count = fields.maybe("dayCount", names.day_count) or ql.Actual360()
    fields.faults.raise_first()
    money = getattr(ql, f"{currency}Currency", ql.Currency)()
    terms = (name, tenor, days, money, calendar, convention, end_of_month, day_count)
    return Index(name, currency, overnight=False, make=lambda *curve: ql.IborIndex(*terms, *curve))


def _fixings(fields: Fields) -> dict[int, float]:
    fixings: dict[int, float] = {}
    for element in fields.all("fixing"):
        one = Fields(element, fields.faults)
        date = one.need_attribute("date", values.date, None)
        value = fields.parsed(element, values.rate) if leaf_of(element) else None
        if leaf_of(element) is None:
            error = EngineError("VNP-203", path_of(element), "'' is not a number")
            fields.faults.note(element, error)
        if date is not None and value is not None:
            fixings[date.serialNumber()] = value
    return fixings


def load_fixings(index: Index, evaluation: Date) -> list[Date]:
    """Give QuantLib the fixings up to the evaluation date; returns dates that cannot have one."""
    target = index.unforecast()
    odd: list[Date] = []
    overwrite = True
    for serial in sorted(index.fixings):
        date = ql.Date(serial)
        if date > evaluation:
            continue
        if target.isValidFixingDate(date):
            target.addFixing(date, index.fixings[serial], overwrite)
        else:
            odd.append(date)
    return odd
