"""What an option on a spot price stands on: shares with dividends, or an exchange rate.

`share` and `pair` read the market's ``underlying`` and ``fx`` elements. `Underlying.on` sees one on
a market, as the carry curve, the coming dividends and today's spot that the option engines take.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import curve_elements, curves, names, values
from vnas.engine.curves import Curve
from vnas.engine.errors import quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.market import Market
from vnas.engine.values import Date, Leaf, attribute_of, path_of


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash amount paid on a date."""

    date: Date
    amount: float


@dataclass(frozen=True, slots=True)
class Underlying:
    """A share or a pair before a market is moved under it."""

    currency: str  # of the spot price
    spot: float
    volatility: etree._Element | None
    carry_on: Callable[[Market], Curve]  # dividend yield, or the base currency's curve
    dividends: list[Dividend] = field(default_factory=list)
    spot_date: Date | None = None  # when the spot rate of a pair settles

    def coming(self, after: Date, until: Date) -> list[Dividend]:
        """Give the dividends after one day and up to another."""
        return [one for one in self.dividends if after < one.date <= until]

    def to_today(self, market: Market, discounting: Curve, carry: Curve) -> float:
        """Give what the spot rate is multiplied by to be one for today's settlement.

        On a later day the same rate is one that settles as many days later.
        """
        if self.spot_date is None:
            return 1.0
        settled = market.evaluation + (self.spot_date - market.read_on)
        return discounting.discount(settled) / carry.discount(settled)


def share(market: Market, named: Leaf | None, path: str) -> Underlying:
    """Find an underlying by name; without a name the only one of the market.

    Raises EngineError VNP-206 when the market lacks it, VNP-201 at `path` when it has several and
    none is named.
    """
    fields = Fields(market.named_or_only("underlying", named, path), Faults())
    currency = fields.attribute("currency", names.currency)
    spot = fields.need("spot", values.positive, 1.0)
    yield_, curve = fields.first("dividendYield"), fields.maybe("dividendCurve", values.leaf)
    dividends = [_dividend(Fields(one, fields.faults)) for one in fields.all("dividend")]
    fields.faults.raise_first()
    currency = currency or market.currency
    fields.known_currency(currency)
    market.faults.warnings.update(fields.faults.warnings)

    def carry(seen: Market) -> Curve:
        if curve is not None:
            # A dividend yield like any other: it stays when the rates move.
            return seen.curve(curve, shifts=False)
        if yield_ is not None:
            flat = curve_elements.flat_rate(
                yield_, seen.evaluation, curves.DEFAULT_DAY_COUNT, Faults()
            )
        else:
            flat = ql.FlatForward(seen.evaluation, 0.0, ql.Actual365Fixed())
        return Curve(flat, seen.evaluation)

    if curve is not None and yield_ is not None:
        market.faults.warn("VNP-105", "dividendYield was not used: there is a dividendCurve")
    kept = sorted((one for one in dividends if one is not None), key=lambda one: one.date)
    return Underlying(currency, spot, fields.first("volatility"), carry, kept)


def _dividend(fields: Fields) -> Dividend | None:
    date = fields.need_attribute("date", values.date, None)
    amount = fields.parsed(fields.element, values.ranged(values.number, 0))
    return None if date is None or amount is None else Dividend(date, amount)


def pair(market: Market, named: Leaf) -> Underlying:
    """Find an exchange rate by its six letters; VNP-206 when the market lacks the pair."""
    base, quote = named.text[:3], named.text[3:]
    found = [one for one in market.all("fx") if (one.get("pair") or "").strip() == named.text]
    if not found:
        raise named.error("VNP-206", f"the market has no fx {quoted(named.text)}")
    fields = Fields(found[0], Faults())
    spot_date = fields.attribute("spotDate", values.date)
    spot = Market.spot(fields)
    for currency in (base, quote):
        fields.known_currency(currency)
    market.faults.warnings.update(fields.faults.warnings)
    if spot_date is not None and spot_date < market.evaluation:
        leaf: Any = attribute_of(found[0], "spotDate")
        raise leaf.error("VNP-208", f"{spot_date.ISO()} is before the evaluation date")

    def carry(seen: Market) -> Curve:
        return seen.discounting(base, where=path_of(found[0]))

    return Underlying(quote, spot, fields.first("volatility"), carry, [], spot_date)


def pair_name(leaf: Leaf) -> Leaf:
    """Check that a leaf is a pair: two currencies of three capital letters."""
    for part in (leaf.text[:3], leaf.text[3:]):
        if not (len(part) == 3 and part.isascii() and part.isalpha() and part.isupper()):
            raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not a pair such as EURUSD")
    return leaf
