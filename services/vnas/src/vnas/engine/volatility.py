"""Volatilities: which one a valuation uses, and its shape in time and strike.

`choose` finds the element, `Volatility` reads what stands in it: one number, nodes in time, or a
surface of strikes. Spot options take `Volatility.black`, caps `Volatility.at`, short-rate models
`Volatility.flat`.

Errors: VNP-205 for a wrong shape, VNP-206 and VNP-207 where there is none, VNP-208 for a negative.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.market import Market
from vnas.engine.model import Model
from vnas.engine.position import Position
from vnas.engine.values import Date, Leaf, attribute_of, later, leaf_of, path_of

MAX_SIDE = 100  # columns or rows of a surface
_QUOTES = names.one_of("lognormal", "normal", "shiftedLognormal")


def choose(
    model: Model,
    position: Position,
    market: Market,
    *,
    own: etree._Element | None = None,
    product: str | None = None,
    currency: str = "",
    path: str,
) -> "Volatility":
    """Find the volatility of a valuation.

    In order: the model's (unless it is HJM), the instrument's, that of its underlying (`own`), the
    market's of the name it gives, the market's first with the right product and currency. Raises
    EngineError VNP-206 for a name that the market lacks, VNP-207 at `path` when there is none.
    """
    found = _first(
        candidate
        for candidate in (model.volatility, position.volatility, own)
        if candidate is not None and _holds_something(candidate)
    )
    if found is None and position.volatility_name is not None:
        name = position.volatility_name
        found = market.find("volatility", name.text)
        if found is None:
            raise name.error("VNP-206", f"the market has no volatility {quoted(name.text)}")
    if found is None and product is not None:
        found = _first(
            element
            for element in market.all("volatility")
            if (element.get("product") or "").strip().lower() == product.lower()
            and _currency(element, market) == currency
        )
    if found is None:
        raise EngineError("VNP-207", path, "there is no volatility for the instrument")
    return Volatility.read(found)


def _first(elements: Iterable[etree._Element]) -> etree._Element | None:
    return next(iter(elements), None)


def _holds_something(element: etree._Element) -> bool:
    """Tell an empty element, which is as good as none, whatever its attributes say."""
    return leaf_of(element) is not None or element.find("*") is not None


def _currency(element: etree._Element, market: Market) -> str:
    leaf = attribute_of(element, "currency")
    return market.currency if leaf is None else names.currency(leaf)


@dataclass(frozen=True, slots=True)
class _Point:
    element: etree._Element
    date: Date
    value: float


@dataclass(frozen=True, slots=True)
class Volatility:
    """A ``volatility`` element with its attributes read."""

    element: etree._Element
    quote: str | None
    displacement: float
    day_count: str

    @staticmethod
    def read(element: etree._Element) -> "Volatility":
        """Read the attributes of a ``volatility`` element."""
        fields = Fields(element, Faults())
        quote = fields.attribute("quote", _QUOTES)
        displacement = fields.attribute("displacement", values.number)
        day_count = fields.attribute("dayCount", names.day_count_name)
        fields.faults.raise_first()
        return Volatility(element, quote, displacement or 0.0, day_count or "Actual365Fixed")

    @property
    def path(self) -> str:
        """XPath of the element."""
        return path_of(self.element)

    def flat(self) -> float:
        """Give the one number; VNP-205 when it holds nodes or a surface."""
        number = self._number()
        if number is None:
            raise EngineError("VNP-205", self.path, "one volatility is needed here, not several")
        return number

    def black(self, evaluation: Date) -> Any:
        """Build the ql.BlackVolTermStructure for options on a spot price.

        Nodes are linear in variance in time; a surface is bilinear in variance, constant beyond
        its strikes, linear from zero before its first row, flat in volatility after its last.
        """
        counter = names.day_count_of(self.day_count)
        number = self._number()
        if number is not None:
            return ql.BlackConstantVol(evaluation, ql.NullCalendar(), number, counter)
        surface = self.element.find("surface")
        if surface is not None:
            made = self._surface(surface, evaluation, counter)
        else:
            points = self._points(evaluation)
            forced_to_rise = False  # a falling variance is the market's business
            made = ql.BlackVarianceCurve(
                evaluation,
                [point.date for point in points],
                [point.value for point in points],
                counter,
                forced_to_rise,
            )
        made.enableExtrapolation()
        return made

    def at(self, evaluation: Date, maturity: Date) -> float:
        """Give the flat volatility of a cap: linear in time between nodes, flat outside."""
        number = self._number()
        if number is not None:
            return number
        if self.element.find("surface") is not None:
            raise EngineError("VNP-205", self.path, "a cap takes a number or nodes, no surface")
        points = self._points(evaluation)
        counter = names.day_count_of(self.day_count)
        times: list[float] = [counter.yearFraction(evaluation, point.date) for point in points]
        time: float = counter.yearFraction(evaluation, maturity)
        if time <= times[0]:
            return points[0].value
        for i in range(1, len(times)):
            if time <= times[i]:
                weight = (time - times[i - 1]) / (times[i] - times[i - 1])
                return points[i - 1].value * (1.0 - weight) + points[i].value * weight
        return points[-1].value

    def _number(self) -> float | None:
        fields = Fields(self.element, Faults())
        held = (leaf_of(child) for name in ("value", "sigma") for child in fields.all(name))
        leaf = leaf_of(self.element) or next(filter(None, held), None)
        if leaf is not None:
            return _volatility(leaf)
        if fields.first("node") is None and fields.first("surface") is None:
            raise EngineError("VNP-207", self.path, "the volatility is empty")
        return None

    def _points(self, evaluation: Date) -> list[_Point]:
        points: list[_Point] = []
        for element in self.element.iterchildren("node"):
            leaf = leaf_of(element)
            if leaf is None:
                raise EngineError("VNP-203", path_of(element), "'' is not a number")
            points.append(_Point(element, _date(element, evaluation), _volatility(leaf)))
            _after(points, evaluation)
        _refuse_many(self.element, len(points), 500)
        return points

    def _surface(self, surface: etree._Element, evaluation: Date, counter: Any) -> Any:
        axis = attribute_of(surface, "axis")
        if axis is not None and axis.text.lower() != "strike":
            raise axis.error("VNP-205", f"a surface by {quoted(axis.text)} is not one of strikes")
        strikes = self._columns(surface)
        factor = values.unit_factor(attribute_of(surface, "unit"))
        rows: list[_Point] = []
        table: list[list[float]] = []
        for element in surface.iterchildren("row"):
            numbers = [_non_negative(leaf, factor) for leaf in _split(element)]
            if len(numbers) != len(strikes):
                sentence = f"the row has {len(numbers)} numbers for {len(strikes)} columns"
                raise EngineError("VNP-205", path_of(element), sentence)
            rows.append(_Point(element, _date(element, evaluation), 0.0))
            _after(rows, evaluation)
            table.append(numbers)
        if not rows:
            raise EngineError("VNP-205", path_of(surface), "the surface has no row")
        _refuse_many(surface, max(len(rows), len(strikes)), MAX_SIDE)
        if len(strikes) == 1:  # a surface of one strike is a curve, and QuantLib wants two columns
            strikes.append(strikes[0] + 1.0)
            table = [[row[0], row[0]] for row in table]
        matrix = ql.Matrix(len(strikes), len(rows))
        for j, row in enumerate(table):
            for i, number in enumerate(row):
                matrix[i][j] = number
        constant = ql.BlackVarianceSurface.ConstantExtrapolation
        dates = [row.date for row in rows]
        calendar = ql.NullCalendar()
        return ql.BlackVarianceSurface(
            evaluation, calendar, dates, strikes, matrix, counter, constant, constant
        )

    @staticmethod
    def _columns(surface: etree._Element) -> list[float]:
        columns = surface.find("columns")
        leaves = [] if columns is None else _split(columns)
        if columns is None or not leaves:
            raise EngineError(
                "VNP-201", f"{path_of(surface)}/columns", "required element is missing"
            )
        strikes = [values.number(leaf) for leaf in leaves]
        for before, after in itertools.pairwise(strikes):
            if after <= before:
                sentence = f"column {after:g} is not more than {before:g}"
                raise EngineError("VNP-205", path_of(columns), sentence)
        return strikes


def _split(element: etree._Element) -> list[Leaf]:
    leaf = leaf_of(element)
    return [] if leaf is None else [Leaf(part, element) for part in leaf.text.split()]


def _volatility(leaf: Leaf) -> float:
    # The unit stands on the element of the number; `rate` finds it there.
    return _not_negative(leaf, values.rate(leaf))


def _non_negative(leaf: Leaf, factor: float) -> float:
    return _not_negative(leaf, values.number(leaf) * factor)


def _not_negative(leaf: Leaf, number: float) -> float:
    if number < 0.0:
        raise leaf.error("VNP-208", f"the volatility {quoted(leaf.text)} is negative")
    return number


def _date(element: etree._Element, evaluation: Date) -> Date:
    fields = Fields(element, Faults())
    date = fields.attribute("date", values.date)
    tenor = fields.attribute("tenor", values.tenor)
    if date is None and tenor is None:
        fields.missing("@tenor", "the attribute date or tenor is missing")
    fields.faults.raise_first()
    return date if date is not None else later(evaluation, tenor, f"{fields.path}/@tenor")


def _after(points: list[_Point], evaluation: Date) -> None:
    """Check that the last point is after the one before it, or the evaluation date."""
    before = points[-2].date if len(points) > 1 else evaluation
    if points[-1].date <= before:
        sentence = f"{points[-1].date.ISO()} is not after {before.ISO()}"
        raise EngineError("VNP-205", path_of(points[-1].element), sentence)


def _refuse_many(element: etree._Element, count: int, most: int) -> None:
    if count > most:
        raise EngineError("VNP-208", path_of(element), f"{count} is more than {most}")
