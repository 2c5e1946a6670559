"""The chance that a name survives: ``credit`` elements of the market as QuantLib's curves.

`find` checks an element; `Credit.curve` builds its curve on a market. Errors: VNP-201 for one that
holds nothing, VNP-205 for a wrong shape, VNP-208 for a value that is no probability, VNP-401 and
VNP-404 when quotes have no curve.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine.credit_terms import last_day_counted
from vnas.engine.errors import EngineError
from vnas.engine.fields import Faults, Fields
from vnas.engine.market import Market
from vnas.engine.values import Date, Leaf, later, path_of

HAZARD, SURVIVAL, DEFAULT = "hazard", "survival", "defaultProbability"
MAX_NODES = 500
DEFAULT_RECOVERY = 0.4
_ACCURACY = 1e-13
_REPRICED = 1e-8  # how close every quote must come, as a share of the notional
_CONTENT = ("hazardRate", "quotedSpread", "cds", "node")
_SHARE = values.ranged(values.rate, 0, below=1)
_RATE = values.ranged(values.rate, 0)
_SURVIVAL = values.ranged(values.rate, above=0, high=1)

Curve = Any  # ql.DefaultProbabilityTermStructure
HazardOf = Callable[[float], float]  # the flat hazard rate for a par spread of the swap itself


@dataclass(frozen=True, slots=True)
class Credit:
    """A ``credit`` element with its content checked."""

    path: str
    recovery: float
    day_count: str
    hazard_rate: float | None = None
    quoted_spread: float | None = None
    quotes: tuple[tuple[Any, float], ...] = ()  # tenor and spread
    hazards: tuple[tuple[Date, float], ...] = ()  # each constant back to the node before

    def curve(self, evaluation: Date, discounting: Any, hazard_of: HazardOf) -> Curve:
        """Build the curve.

        `discounting` (a handle, as the ISDA model asks for) is that of the quoted contracts;
        `hazard_of` finds the hazard rate of a quoted spread on the swap being valued.
        """
        if self.quotes:
            return self._solved(evaluation, discounting)
        if self.hazards:
            dates = [evaluation, *(date for date, _ in self.hazards)]
            rates = [self.hazards[0][1], *(rate for _, rate in self.hazards)]
            made = ql.HazardRateCurve(dates, rates, names.day_count_of(self.day_count))
            made.enableExtrapolation()
            return made
        if self.hazard_rate is not None:
            return _flat(evaluation, self.hazard_rate, names.day_count_of(self.day_count))
        assert self.quoted_spread is not None
        rate = 0.0
        if self.quoted_spread > 0.0:
            try:
                rate = hazard_of(self.quoted_spread)
            except RuntimeError as err:
                sentence = f"no hazard rate gives the quoted spread: {err}"
                raise EngineError("VNP-404", f"{self.path}/quotedSpread", sentence) from err
        return _flat(evaluation, rate, ql.Actual365Fixed())

    def _solved(self, evaluation: Date, discounting: Any) -> Curve:
        """Find the piecewise constant hazard rates of standard contracts."""
        settles_accrual = pays_at_default = rebates_accrual = True
        settlement_days = 0  # protection starts on the trade date
        helpers = [
            ql.SpreadCdsHelper(
                spread,
                tenor,
                settlement_days,
                ql.WeekendsOnly(),
                ql.Quarterly,
                ql.Following,
                ql.DateGeneration.CDS2015,
                ql.Actual360(),
                self.recovery,
                discounting,
                settles_accrual,
                pays_at_default,
                ql.Date(),
                last_day_counted(),
                rebates_accrual,
                ql.CreditDefaultSwap.ISDA,
            )
            for tenor, spread in self.quotes
        ]
        try:
            made = ql.PiecewiseFlatHazardRate(
                evaluation, helpers, ql.Actual365Fixed(), ql.IterativeBootstrap(_ACCURACY)
            )
            made.enableExtrapolation()
            made.nodes()
            missed = max(abs(helper.impliedQuote() - helper.quote().value()) for helper in helpers)
        except RuntimeError as err:
            sentence = f"the credit curve cannot be solved: {err}"
            raise EngineError("VNP-401", self.path, sentence) from err
        if not missed <= _REPRICED:
            sentence = f"a quote is missed by {missed:.3g} after the bootstrap"
            raise EngineError("VNP-401", self.path, sentence)
        return made


def _flat(evaluation: Date, rate: float, counter: Any) -> Curve:
    return ql.FlatHazardRate(evaluation, ql.QuoteHandle(ql.SimpleQuote(rate)), counter)


# --- reading -------------------------------------------------------------------------------------


def find(market: Market, named: Leaf | None, path: str) -> Credit:
    """Find a credit by name, or the only one of the market, and check it.

    Raises EngineError VNP-206 when the market lacks it, VNP-201 when several are unnamed.
    """
    fields = Fields(market.named_or_only("credit", named, path), Faults())
    recovery = fields.get("recoveryRate", _SHARE, DEFAULT_RECOVERY)
    day_count = fields.get("dayCount", names.day_count_name, "Actual365Fixed")
    fields.faults.raise_first()
    held = [name for name in _CONTENT if fields.first(name) is not None]
    if not held:
        sentence = f"the credit holds none of {', '.join(_CONTENT)}"
        raise EngineError("VNP-201", f"{fields.path}/hazardRate", sentence)
    if len(held) > 1:
        sentence = f"{held[0]} and {held[1]}: a credit holds one of them"
        raise EngineError("VNP-205", fields.path_to(held[1]), sentence)
    if len(fields.all(held[0])) > MAX_NODES:
        sentence = f"more than {MAX_NODES} {'quotes' if held[0] == 'cds' else 'nodes'}"
        raise EngineError("VNP-208", fields.path, sentence)
    credit = Credit(
        fields.path,
        recovery,
        day_count,
        hazard_rate=fields.maybe("hazardRate", _RATE),
        quoted_spread=fields.maybe("quotedSpread", _RATE),
        quotes=_quotes(fields),
        hazards=_nodes(fields, market.evaluation, day_count) if held[0] == "node" else (),
    )
    fields.faults.raise_first()
    if held[0] in {"quotedSpread", "cds"} and day_count != "Actual365Fixed":
        sentence = f"dayCount of {fields.path} was not used: the ISDA model has its own"
        market.faults.warn("VNP-105", sentence)
    return credit


def _quotes(fields: Fields) -> tuple[tuple[Any, float], ...]:
    quotes = []
    for element in fields.all("cds"):
        one = Fields(element, fields.faults)
        tenor = one.need_attribute("tenor", values.tenor, None)
        quotes.append((tenor, one.need("spread", _RATE, 0.0)))
    return tuple(quotes)


def _nodes(fields: Fields, evaluation: Date, day_count: str) -> tuple[tuple[Date, float], ...]:
    """Read nodes of any type as hazard rates, each constant back to the node before."""
    kind = fields.get("type", names.one_of(HAZARD, SURVIVAL, DEFAULT), HAZARD)
    parse = {HAZARD: _RATE, SURVIVAL: _SURVIVAL, DEFAULT: _SHARE}[kind]
    fields.faults.raise_first()
    counter = names.day_count_of(day_count)
    hazards: list[tuple[Date, float]] = []
    before, survived = evaluation, 1.0
    for i, element in enumerate(fields.all("node")):
        date, value = _node(Fields(element, fields.faults), evaluation, parse)
        if date < before or (date == before and i > 0):
            sentence = f"{date.ISO()} is not after {before.ISO()}"
            raise EngineError("VNP-205", path_of(element), sentence)
        if kind != HAZARD:
            survival = value if kind == SURVIVAL else 1.0 - value
            value = _hazard(element, survived, survival, counter.yearFraction(before, date))
            survived = survival
        if date > evaluation:  # a node of the evaluation date says nothing of days to come
            hazards.append((date, value))
        before = date
    if not hazards:
        raise EngineError("VNP-205", fields.path, "the credit has no node after today")
    return tuple(hazards)


def _node(node: Fields, evaluation: Date, parse: Callable[[Leaf], float]) -> tuple[Date, float]:
    date = node.attribute("date", values.date)
    tenor = node.attribute("tenor", values.tenor)
    if date is None and tenor is None:
        node.missing("@tenor", "a node needs the attribute date or tenor")
    value = node.parsed(node.element, parse)
    node.faults.raise_first()
    assert value is not None
    return date or later(evaluation, tenor, f"{node.path}/@tenor"), value


def _hazard(element: etree._Element, before: float, survival: float, time: float) -> float:
    """Give the constant hazard rate between two survival probabilities."""
    if survival > before or (time == 0.0 and survival != before):
        sentence = f"the probability to survive goes from {before:g} to {survival:g}"
        raise EngineError("VNP-205", path_of(element), sentence)
    return math.log(before / survival) / time if time else 0.0
