"""Quotes that a curve is solved from: deposits, FRAs, futures, overnight and term swaps.

A new quote is one reader in `QUOTES`: it reads its element and returns a function that makes the
QuantLib helper once the market is there. `bootstrap` calls both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import QuantLib as ql

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Fields
from vnas.engine.values import Leaf

if TYPE_CHECKING:
    from vnas.engine.market import Market

Helper = Any  # ql.RateHelper
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_ROUTINE_FIXING_DAYS = {"ON": 0, "TN": 1, "SN": 2}


@dataclass(frozen=True, slots=True)
class Overlap:
    """A quote that sees the curve a little beyond its own node; see `bootstrap`."""

    helper: Helper
    quote: Any  # ql.SimpleQuote, what the helper is told
    value: float  # what it must come to


@dataclass(frozen=True, slots=True)
class Builder:
    """What a quote needs besides its own element: the market, and the curve that discounts."""

    market: "Market"
    discounting: Any  # ql.YieldTermStructureHandle, empty when the curve discounts itself
    overlaps: list[Overlap] = field(default_factory=list)

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
class Defaults:
    """What the quotes of a curve have in common."""

    index: Leaf | None
    calendar: Any  # ql.Calendar of the curve's currency


def _deposit(quote: Fields, defaults: Defaults) -> Make:
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


def _fra(quote: Fields, defaults: Defaults) -> Make:
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


def _future(quote: Fields, defaults: Defaults) -> Make:
    kind = quote.attribute("type", names.one_of("IMM", "custom", "SOFR3M", "SOFR1M")) or "IMM"
    price = quote.need("price", values.number, 100.0)
    convexity = quote.get("convexity", values.rate, 0.0)
    if kind in {"SOFR3M", "SOFR1M"}:
        year, month = quote.need_attribute("contract", _month, (2000, 1))
        frequency = ql.Quarterly if kind == "SOFR3M" else ql.Monthly

        def sofr(builder: Builder) -> Helper:
            builder.market.load_fixings("SOFR")
            told = ql.SimpleQuote(price)
            helper = ql.SofrFutureRateHelper(
                ql.QuoteHandle(told), month, year, frequency, convexity
            )
            # The last fixing of a month that ends on a holiday is for days of the next one.
            builder.overlaps.append(Overlap(helper, told, price))
            return helper

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


def _ois(quote: Fields, defaults: Defaults) -> Make:
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


def _swap(quote: Fields, defaults: Defaults) -> Make:
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


def _index(quote: Fields, defaults: Defaults) -> Leaf | None:
    leaf = quote.maybe("index", values.leaf) or defaults.index
    if leaf is None:
        quote.missing("index", "the quote needs an index, here or on the curve")
    return leaf


QUOTES: dict[str, Callable[[Fields, Defaults], Make]] = {
    "deposit": _deposit,
    "fra": _fra,
    "future": _future,
    "ois": _ois,
    "swap": _swap,
}
