"""Curves from quotes: what a curve of quotes says, and the solution.

The same children serve ``market/curve`` and the kind ``yieldCurve``: `read` checks them, `solve`
finds the curve on which every quote has its value, to 1e-8, and gives it as nodes. The quotes
themselves are `quotes`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import QuantLib as ql
from lxml import etree

from vnas.engine import curves, names, values
from vnas.engine.curves import NodeCurve
from vnas.engine.errors import EngineError, quantlib_code
from vnas.engine.fields import Faults, Fields
from vnas.engine.quotes import QUOTES, Builder, Defaults, Helper, Make, Overlap
from vnas.engine.values import Date, Leaf, path_of

if TYPE_CHECKING:
    from vnas.engine.market import Market

MAX_QUOTES = 500
REPRICED = 1e-8  # how close every quote must come after the bootstrap
_MAX_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Quotes:
    """The checked content of a bootstrapped curve."""

    path: str
    currency: str | None
    day_count: str
    interpolation: str
    discount_curve: Leaf | None
    makers: list[tuple[etree._Element, Make]]


def read(fields: Fields, default_currency: str) -> Quotes:
    """Check the children of a bootstrapped curve; faults are noted, none is raised."""
    currency = fields.maybe("currency", names.currency)
    day_count = fields.get("dayCount", names.day_count_name, curves.DEFAULT_DAY_COUNT)
    shaped = fields.get("interpolation", curves.interpolation, "logLinear")
    discount_curve = fields.maybe("discountCurve", values.leaf)
    defaults = Defaults(
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
        return _solved(quotes, helpers, builder.overlaps, date)


def _helper(element: etree._Element, make: Make, builder: Builder) -> Helper:
    try:
        return make(builder)
    except RuntimeError as err:
        raise EngineError("VNP-402", path_of(element), f"QuantLib: {err}") from err


def _solved(
    quotes: Quotes, helpers: list[Helper], overlaps: list[Overlap], date: Date
) -> NodeCurve:
    for (element, _), helper in zip(quotes.makers, helpers, strict=True):
        if helper.pillarDate() <= date:  # QuantLib would solve the curve without it
            ended = helper.pillarDate().ISO()
            sentence = f"the quote ended on {ended}, the curve starts on {date.ISO()}"
            raise EngineError("VNP-401", path_of(element), sentence)
    piecewise = curves.INTERPOLATIONS[quotes.interpolation][1]
    try:
        curve = piecewise(
            date, helpers, names.day_count_of(quotes.day_count), ql.IterativeBootstrap(1e-13)
        )
        curve.enableExtrapolation()  # the last quote may overlap too
        nodes = _settled(curve, overlaps)
        aims = {id(overlap.helper): overlap.value for overlap in overlaps}
        errors = [aims.get(id(h), h.quote().value()) - h.impliedQuote() for h in helpers]
    except RuntimeError as err:
        code = quantlib_code(err, "VNP-401")
        raise EngineError(code, quotes.path, f"the curve cannot be solved: {err}") from err
    for (element, _), error in zip(quotes.makers, errors, strict=True):
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


def _settled(curve: Any, overlaps: list[Overlap]) -> list[Any]:
    """Solve until quotes that overlap the next node have their values as well.

    QuantLib solves one node after the other: what it does to a later node moves a quote that
    reaches beyond its own by a few days. Each round tells such a quote by how much it was missed;
    the misses shrink by about the share of those days.
    """
    nodes = list(curve.nodes())
    for _ in range(_MAX_ROUNDS):
        misses = [overlap.value - overlap.helper.impliedQuote() for overlap in overlaps]
        if all(abs(miss) <= REPRICED / 10.0 for miss in misses):
            break
        for overlap, miss in zip(overlaps, misses, strict=True):
            overlap.quote.setValue(overlap.quote.value() + miss)
        nodes = list(curve.nodes())
    return nodes


def solver(market: "Market") -> Callable[[etree._Element, Date, Faults], NodeCurve]:
    """Give `curve_elements.read` the function that solves a curve of quotes in this market."""

    def solved(element: etree._Element, date: Date, faults: Faults) -> NodeCurve:
        currency = (element.get("currency") or "").strip() or market.currency
        quotes = read(Fields(element, faults), currency)
        faults.raise_first()
        return solve(quotes, market, date)

    return solved
