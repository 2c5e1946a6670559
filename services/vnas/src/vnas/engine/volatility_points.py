"""The numbers in a ``volatility`` element: nodes in time, and the rows of a surface.

`volatility` asks for them and gives them a shape. Errors: VNP-203 for what is no number, VNP-205
for a wrong shape, VNP-208 for a negative number or too many of them.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from vnas.engine import values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, Leaf, attribute_of, later, leaf_of, path_of

MAX_SIDE = 100  # columns or rows of a surface
MAX_NODES = 500


@dataclass(frozen=True, slots=True)
class Point:
    """What stands at one date: one volatility, or one for each column."""

    element: etree._Element
    date: Date
    values: list[float]


@dataclass(frozen=True, slots=True)
class Surface:
    """Columns (strikes, or months of a swap) and a row of volatilities for each date."""

    columns: list[float]
    rows: list[Point]


def nodes(volatility: etree._Element, evaluation: Date, read_on: Date) -> list[Point]:
    """Read the nodes; `read_on` is the task's own date, which the first must come after."""
    points: list[Point] = []
    for element in volatility.iterchildren("node"):
        leaf = leaf_of(element)
        if leaf is None:
            raise EngineError("VNP-203", path_of(element), "'' is not a number")
        points.append(Point(element, _date(element, evaluation), [number(leaf)]))
        _after(points, read_on)
    _refuse_many(volatility, len(points), MAX_NODES)
    return points


def surface(
    element: etree._Element,
    axis: str,
    column: Callable[[Leaf], float],
    evaluation: Date,
    read_on: Date,
) -> Surface:
    """Read a surface by `axis`; a surface that says it is by another one is VNP-205."""
    said = attribute_of(element, "axis")
    if said is not None and said.text.lower() != axis.lower():
        raise said.error("VNP-205", f"a surface by {quoted(said.text)} is not one by {axis}")
    columns = _columns(element, column)
    rows: list[Point] = []
    for row in element.iterchildren("row"):
        numbers = [number(leaf) for leaf in _split(row)]
        if len(numbers) != len(columns):
            sentence = f"the row has {len(numbers)} numbers for {len(columns)} columns"
            raise EngineError("VNP-205", path_of(row), sentence)
        rows.append(Point(row, _date(row, evaluation), numbers))
        _after(rows, read_on)
    if not rows:
        raise EngineError("VNP-205", path_of(element), "the surface has no row")
    _refuse_many(element, max(len(rows), len(columns)), MAX_SIDE)
    return Surface(columns, rows)


def number(leaf: Leaf) -> float:
    """Read a volatility in the unit of its element, or else of the nearest one around it."""
    read = values.number(leaf) * values.unit_factor(_unit(leaf.element))
    if read < 0.0:
        raise leaf.error("VNP-208", f"the volatility {quoted(leaf.text)} is negative")
    return read


def to_come(points: list[Point], evaluation: Date) -> list[Point]:
    """Leave out the points that have passed, but keep the last one's values for ever."""
    ahead = [point for point in points if point.date > evaluation]
    return ahead or [Point(points[-1].element, evaluation + 1, points[-1].values)]


def _columns(element: etree._Element, column: Callable[[Leaf], float]) -> list[float]:
    columns = element.find("columns")
    leaves = [] if columns is None else _split(columns)
    if columns is None or not leaves:
        raise EngineError("VNP-201", f"{path_of(element)}/columns", "required element is missing")
    read = [column(leaf) for leaf in leaves]
    for before, after in itertools.pairwise(range(len(read))):
        if read[after] <= read[before]:
            sentence = f"column {leaves[after].text} is not more than {leaves[before].text}"
            raise EngineError("VNP-205", path_of(columns), sentence)
    return read


def _split(element: etree._Element) -> list[Leaf]:
    leaf = leaf_of(element)
    return [] if leaf is None else [Leaf(part, element) for part in leaf.text.split()]


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


def _after(points: list[Point], read_on: Date) -> None:
    """Check that the last point is after the one before it, or the date of the task."""
    before = points[-2].date if len(points) > 1 else read_on
    if points[-1].date <= before:
        sentence = f"{points[-1].date.ISO()} is not after {before.ISO()}"
        raise EngineError("VNP-205", path_of(points[-1].element), sentence)


def _refuse_many(element: etree._Element, count: int, most: int) -> None:
    if count > most:
        raise EngineError("VNP-208", path_of(element), f"{count} is more than {most}")
