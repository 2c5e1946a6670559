"""Curves from quotes: deposits, FRAs, futures, overnight and term swaps.

The same children serve ``market/curve`` and the kind ``yieldCurve``: `read` checks them, `solve`
finds the curve on which every quote has its value, to 1e-8, and gives it as nodes.

A new quote is one reader in `QUOTES`: it reads its element and returns a function that makes the
QuantLib helper once the market is there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import QuantLib as ql
from lxml import etree

from vnas.engine import curves, names, values
from vnas.engine.curves import NodeCurve
from vnas.engine.errors import EngineError, quantlib_code, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, Leaf, path_of

if TYPE_CHECKING:
    from vnas.engine.market import Market

Helper = Any  # ql.RateHelper
MAX_QUOTES = 500
REPRICED = 1e-8  # how close every quote must come after the bootstrap
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_ROUTINE_FIXING_DAYS = {"ON": 0, "TN": 1, "SN": 2}


@dataclass(frozen=True, slots=True)
class Builder:
    """What a quote needs besides its own element: the market, and the curve that discounts."""

    market: "Market"
    discounting: Any  # ql.YieldTermStructureHandle, empty when the curve discounts itself

    def term_index(self, leaf: Leaf) -> Any:
        """Give a term index; VNP-204 when the name is an overnight one."""
        index = self.market.index(leaf)
        if index.overnight:
            raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not a term index")
        return index.unforecast()

    def overnight_index(self, leaf: Leaf) -> Any:
        """Give an overnight index; VNP-204 when the name is a term one."""
        index = self.market.index(leaf)
        if not index.overnight:
            raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not an overnight index")
        return index.unforecast()


Make = Callable[[Builder], Helper]


@dataclass(frozen=True, slots=True)
class Quotes:
    """The checked content of a bootstrapped curve."""

    path: str
    currency: str | None
    day_count: str
    interpolation: str
    discount_curve: Leaf | None
    makers: list[tuple[etree._Element, Make]]


@dataclass(frozen=True, slots=True)
class _Defaults:
    index: Leaf | None
    calendar: Any  # ql.Calendar of the curve's currency


def _deposit(quote: Fields, defaults: _Defaults) -> Make:
    name = (quote.attribute("tenor", values.text) or "").upper()
    routine = _ROUTINE_FIXING_DAYS.get(name)
    day = ql.Period(1, ql.Days)
    if routine is None:
        tenor = quote.need_attribute("tenor", values.tenor, day)
    else:
        quote.allow("tenor")
        tenor = day
    rate = quote.need("rate", values.rate, 0.0)
    days = quote.get("fixingDays", values.natural, 2 if routine is None else routine)
    calendar = quote.get("calendar", names.calendar, defaults.calendar)
    convention = quote.get("convention", names.convention, ql.ModifiedFollowing)
    end_of_month = quote.get("endOfMonth", values.boolean, False)
    day_count = quote.maybe("dayCount", names.day_count) or ql.Actual360()
    return lambda _: ql.DepositRateHelper(
        rate, tenor, days, calendar, convention, end_of_month, day_count
    )


def _fra(quote: Fields, defaults: _Defaults) -> Make:
    start = quote.need_attribute("start", values.tenor, ql.Period(3, ql.Months))
    rate = quote.need("rate", values.rate, 0.0)
    leaf = _index(quote, defaults)
    if start.units() not in (ql.Months, ql.Years):
        quote.faults.note(
            quote.element,
            EngineError("VNP-208", f"{quote.path}/@start", "the start is in months or years"),
        )
    months = start.length() * (12 if start.units() == ql.Years else 1)

    def make(builder: Builder) -> Helper:
        assert leaf is not None
        return ql.FraRateHelper(rate, months, builder.term_index(leaf))

    return make


def _future(quote: Fields, defaults: _Defaults) -> Make:
    kind = quote.attribute("type", names.one_of("IMM", "custom", "SOFR3M", "SOFR1M")) or "IMM"
    price = quote.need("price", values.number, 100.0)
    convexity = quote.get("convexity", values.rate, 0.0)
    if kind in {"SOFR3M", "SOFR1M"}:
        year, month = quote.need_attribute("contract", _month, (2000, 1))
        frequency = ql.Quarterly if kind == "SOFR3M" else ql.Monthly

        def sofr(builder: Builder) -> Helper:
            builder.market.load_fixings("SOFR")
            return ql.SofrFutureRateHelper(price, month, year, frequency, convexity)

        return sofr
    start = quote.need_attribute("contract", values.date, ql.Date(1, 1, 2000))
    calendar = quote.get("calendar", names.calendar, defaults.calendar)
    day_count = quote.maybe("dayCount", names.day_count) or ql.Actual360()
    contract = ql.Futures.IMM if kind == "IMM" else ql.Futures.Custom
    end_of_month = False
    return lambda _: ql.FuturesRateHelper(
        price,
        start,
        3,
        calendar,
        ql.ModifiedFollowing,
        end_of_month,
        day_count,
        convexity,
        contract,
    )


def _month(leaf: Leaf) -> tuple[int, int]:
    match = _MONTH.fullmatch(leaf.text)
    if match is None or not values.FIRST_YEAR <= int(match[1]) <= values.LAST_YEAR:
        raise leaf.error("VNP-203", f"{quoted(leaf.text)} is not a month such as 2026-03")
    return int(match[1]), int(match[2])


def _ois(quote: Fields, defaults: _Defaults) -> Make:
    tenor = quote.need_attribute("tenor", values.tenor, ql.Period(1, ql.Years))
    rate = quote.need("rate", values.rate, 0.0)
    leaf = _index(quote, defaults)
    settlement_days = quote.get("settlementDays", values.natural, 2)
    lag = quote.get("paymentLag", values.natural, 0)
    convention = quote.get("paymentConvention", names.convention, ql.Following)
    frequency = quote.get("frequency", names.frequency, int(ql.Annual))
    telescoped = False  # every day is compounded: the short formula does not fit every lag

    def make(builder: Builder) -> Helper:
        assert leaf is not None
        return ql.OISRateHelper(
            settlement_days,
            tenor,
            rate,
            builder.overnight_index(leaf),
            builder.discounting,
            telescoped,
            lag,
            convention,
            frequency,
        )

    return make


def _swap(quote: Fields, defaults: _Defaults) -> Make:
    tenor = quote.need_attribute("tenor", values.tenor, ql.Period(1, ql.Years))
    rate = quote.need("rate", values.rate, 0.0)
    leaf = _index(quote, defaults)
    calendar = quote.maybe("calendar", names.calendar)
    frequency = quote.get("frequency", names.frequency, int(ql.Annual))
    convention = quote.get("convention", names.convention, ql.ModifiedFollowing)
    day_count = quote.maybe("dayCount", names.day_count) or names.day_count_of("30/360")

    def make(builder: Builder) -> Helper:
        assert leaf is not None
        index = builder.term_index(leaf)
        fixed = (calendar or index.fixingCalendar(), frequency, convention, day_count)
        return ql.SwapRateHelper(
            rate,
            tenor,
            *fixed,
            index,
            ql.QuoteHandle(),
            ql.Period(0, ql.Days),
            builder.discounting,
        )

    return make


def _index(quote: Fields, defaults: _Defaults) -> Leaf | None:
    leaf = quote.maybe("index", values.leaf) or defaults.index
    if leaf is None:
        quote.missing("index", "the quote needs an index, here or on the curve")
    return leaf


QUOTES: dict[str, Callable[[Fields, _Defaults], Make]] = {
    "deposit": _deposit,
    "fra": _fra,
    "future": _future,
    "ois": _ois,
    "swap": _swap,
}


def read(fields: Fields, default_currency: str) -> Quotes:
    """Check the children of a bootstrapped curve; faults are noted, none is raised."""
    currency = fields.maybe("currency", names.currency)
    day_count = fields.get("dayCount", names.day_count_name, curves.DEFAULT_DAY_COUNT)
    shaped = fields.get("interpolation", curves.interpolation, "logLinear")
    discount_curve = fields.maybe("discountCurve", values.leaf)
    defaults = _Defaults(
        index=fields.maybe("index", values.leaf),
        calendar=names.calendar_of(currency or default_currency),
    )
    makers: list[tuple[etree._Element, Make]] = []
    fields.allow(*QUOTES)
    for child in fields.element.iterchildren(*QUOTES):
        quote = Fields(child, fields.faults)
        makers.append((child, QUOTES[str(child.tag)](quote, defaults)))
        quote.finish()
    if not makers:
        fields.missing("ois", f"the curve has no quote ({', '.join(QUOTES)})")
    if len(makers) > MAX_QUOTES:
        error = EngineError("VNP-208", fields.path, f"more than {MAX_QUOTES} quotes")
        fields.faults.note(makers[MAX_QUOTES][0], error)
    return Quotes(fields.path, currency, day_count, shaped, discount_curve, makers)


def solve(quotes: Quotes, market: "Market", date: Date) -> NodeCurve:
    """Find the curve, its date being `date`.

    Raises EngineError VNP-206 for an index or curve that the market lacks, VNP-211 for a fixing,
    VNP-401 with QuantLib's sentence when there is no curve on which the quotes have their values.
    """
    discounting = ql.YieldTermStructureHandle()
    if quotes.discount_curve is not None:
        discounting = market.curve(quotes.discount_curve).handle
    with market.evaluated_on(date):
        builder = Builder(market, discounting)
        helpers = [_helper(element, make, builder) for element, make in quotes.makers]
        return _solved(quotes, helpers, date)


def _helper(element: etree._Element, make: Make, builder: Builder) -> Helper:
    try:
        return make(builder)
    except RuntimeError as err:
        raise EngineError("VNP-402", path_of(element), f"QuantLib: {err}") from err


def _solved(quotes: Quotes, helpers: list[Helper], date: Date) -> NodeCurve:
    piecewise = curves.INTERPOLATIONS[quotes.interpolation][1]
    try:
        curve = piecewise(
            date, helpers, names.day_count_of(quotes.day_count), ql.IterativeBootstrap(1e-13)
        )
        nodes = list(curve.nodes())
    except RuntimeError as err:
        code = quantlib_code(err, "VNP-401")
        raise EngineError(code, quotes.path, f"the curve cannot be solved: {err}") from err
    for (element, _), helper in zip(quotes.makers, helpers, strict=True):
        error = helper.quoteError()
        if not abs(error) <= REPRICED:
            sentence = f"the quote is missed by {error:.3g} after the bootstrap"
            raise EngineError("VNP-401", path_of(element), sentence)
    return NodeCurve(
        quotes.day_count,
        quotes.interpolation,
        [node[0] for node in nodes],
        [float(node[1]) for node in nodes],
        quotes.path,
    )


def solver(market: "Market") -> Callable[[etree._Element, Date, Faults], NodeCurve]:
    """Give `curve_elements.read` the function that solves a curve of quotes in this market."""

    def solved(element: etree._Element, date: Date, faults: Faults) -> NodeCurve:
        currency = (element.get("currency") or "").strip() or market.currency
        quotes = read(Fields(element, faults), currency)
        faults.raise_first()
        return solve(quotes, market, date)

    return solved
