"""A volatility and its shape in time and strike.

`Volatility` reads what stands in an element that `volatility_choice` found: one number, nodes in
time, or a surface of strikes. Spot options take `Volatility.black`, caps `Volatility.at`,
short-rate models `Volatility.flat`.

Errors: VNP-205 for a wrong shape, VNP-207 for an empty one, VNP-208 for a negative number.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, Leaf, attribute_of, later, leaf_of, path_of

MAX_SIDE = 100  # columns or rows of a surface
_QUOTES = names.one_of("lognormal", "normal", "shiftedLognormal")


@dataclass(frozen=True, slots=True)
class _Point:
    element: etree._Element
    date: Date
    values: list[float]  # one, or one for each strike


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

    def black(self, evaluation: Date, read_on: Date | None = None) -> Any:
        """Build the ql.BlackVolTermStructure for options on a spot price.

        Nodes are linear in variance in time; a surface is bilinear in variance, constant beyond
        its strikes, linear from zero before its first row, flat in volatility after its last.
        `read_on` is the task's own date where `evaluation` has been moved on from it: a node or row
        between them has passed, which is no fault.
        """
        read_on = evaluation if read_on is None else read_on
        counter = names.day_count_of(self.day_count)
        number = self._number()
        if number is not None:
            return ql.BlackConstantVol(evaluation, ql.NullCalendar(), number, counter)
        surface = self.element.find("surface")
        if surface is not None:
            made = self._surface(surface, evaluation, read_on, counter)
        else:
            points = _to_come(self._points(evaluation, read_on), evaluation)
            forced_to_rise = False  # a falling variance is the market's business
            made = ql.BlackVarianceCurve(
                evaluation,
                [point.date for point in points],
                [point.values[0] for point in points],
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
        points = self._points(evaluation, evaluation)
        counter = names.day_count_of(self.day_count)
        times: list[float] = [counter.yearFraction(evaluation, point.date) for point in points]
        time: float = counter.yearFraction(evaluation, maturity)
        if time <= times[0]:
            return points[0].values[0]
        for i in range(1, len(times)):
            if time <= times[i]:
                before, after = points[i - 1], points[i]
                weight = (time - times[i - 1]) / (times[i] - times[i - 1])
                return before.values[0] * (1.0 - weight) + after.values[0] * weight
        return points[-1].values[0]

    def _number(self) -> float | None:
        fields = Fields(self.element, Faults())
        held = (leaf_of(child) for name in ("value", "sigma") for child in fields.all(name))
        leaf = leaf_of(self.element) or next(filter(None, held), None)
        if leaf is not None:
            return _volatility(leaf)
        if fields.first("node") is None and fields.first("surface") is None:
            raise EngineError("VNP-207", self.path, "the volatility is empty")
        return None

    def _points(self, evaluation: Date, read_on: Date) -> list[_Point]:
        points: list[_Point] = []
        for element in self.element.iterchildren("node"):
            leaf = leaf_of(element)
            if leaf is None:
                raise EngineError("VNP-203", path_of(element), "'' is not a number")
            points.append(_Point(element, _date(element, evaluation), [_volatility(leaf)]))
            _after(points, read_on)
        _refuse_many(self.element, len(points), 500)
        return points

    def _surface(
        self, surface: etree._Element, evaluation: Date, read_on: Date, counter: Any
    ) -> Any:
        axis = attribute_of(surface, "axis")
        if axis is not None and axis.text.lower() != "strike":
            raise axis.error("VNP-205", f"a surface by {quoted(axis.text)} is not one of strikes")
        strikes = self._columns(surface)
        rows: list[_Point] = []
        for element in surface.iterchildren("row"):
            numbers = [_volatility(leaf) for leaf in _split(element)]
            if len(numbers) != len(strikes):
                sentence = f"the row has {len(numbers)} numbers for {len(strikes)} columns"
                raise EngineError("VNP-205", path_of(element), sentence)
            rows.append(_Point(element, _date(element, evaluation), numbers))
            _after(rows, read_on)
        if not rows:
            raise EngineError("VNP-205", path_of(surface), "the surface has no row")
        _refuse_many(surface, max(len(rows), len(strikes)), MAX_SIDE)
        rows = _to_come(rows, evaluation)
        table = [row.values for row in rows]
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
    """Read a volatility in the unit of its element, or else of the nearest one around it."""
    number = values.number(leaf) * values.unit_factor(_unit(leaf.element))
    if number < 0.0:
        raise leaf.error("VNP-208", f"the volatility {quoted(leaf.text)} is negative")
    return number


def _unit(element: etree._Element) -> Leaf | None:
    """Find the unit of a number: 20 in a surface in percent is no volatility of 2000%."""
    unit = attribute_of(element, "unit")
    around = element.getparent()
    if unit is None and element.tag != "volatility" and around is not None:
        return _unit(around)
    return unit


def _date(element: etree._Element, evaluation: Date) -> Date:
    fields = Fields(element, Faults())
    date = fields.attribute("date", values.date)
    tenor = fields.attribute("tenor", values.tenor)
    if date is None and tenor is None:
        fields.missing("@tenor", "the attribute date or tenor is missing")
    fields.faults.raise_first()
    return date if date is not None else later(evaluation, tenor, f"{fields.path}/@tenor")


def _to_come(points: list[_Point], evaluation: Date) -> list[_Point]:
    """Leave out the points that have passed, but keep the last one's values for ever."""
    ahead = [point for point in points if point.date > evaluation]
    return ahead or [_Point(points[-1].element, evaluation + 1, points[-1].values)]


def _after(points: list[_Point], read_on: Date) -> None:
    """Check that the last point is after the one before it, or the date of the task."""
    before = points[-2].date if len(points) > 1 else read_on
    if points[-1].date <= before:
        sentence = f"{points[-1].date.ISO()} is not after {before.ISO()}"
        raise EngineError("VNP-205", path_of(points[-1].element), sentence)


def _refuse_many(element: etree._Element, count: int, most: int) -> None:
    if count > most:
        raise EngineError("VNP-208", path_of(element), f"{count} is more than {most}")
