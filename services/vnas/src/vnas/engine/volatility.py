"""A volatility and its shape in time and strike.

`Volatility` reads what stands in an element that `volatility_choice` found: one number, nodes in
time, or a surface. Spot options take `Volatility.black`, caps `Volatility.at`, swaptions
`Volatility.swaption`, short-rate models `Volatility.flat`; `volatility_points` reads the numbers.

Errors: VNP-205 for a wrong shape, VNP-207 for an empty one, VNP-208 for a negative number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine import volatility_points as points
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, Leaf, leaf_of, path_of

_QUOTES = names.one_of("lognormal", "normal", "shiftedLognormal")


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
            made = self._strikes(surface, evaluation, read_on, counter)
        else:
            coming = points.to_come(points.nodes(self.element, evaluation, read_on), evaluation)
            forced_to_rise = False  # a falling variance is the market's business
            made = ql.BlackVarianceCurve(
                evaluation,
                [point.date for point in coming],
                [point.values[0] for point in coming],
                counter,
                forced_to_rise,
            )
        made.enableExtrapolation()
        return made

    def at(self, evaluation: Date, maturity: Date, read_on: Date | None = None) -> float:
        """Give the flat volatility of a cap: linear in time between nodes, flat outside.

        `read_on` is as in `black`.
        """
        number = self._number()
        if number is not None:
            return number
        if self.element.find("surface") is not None:
            raise EngineError("VNP-205", self.path, "a cap takes a number or nodes, no surface")
        nodes = points.nodes(self.element, evaluation, read_on or evaluation)
        time = self._time(evaluation)
        dates = [time(node.date) for node in nodes]
        return _interpolated(dates, [node.values[0] for node in nodes], time(maturity))

    def swaption(
        self, evaluation: Date, expiry: Date, length: float, read_on: Date | None = None
    ) -> float:
        """Give the volatility of a swaption on a swap of `length` years.

        A surface of swap tenors is bilinear in time to expiry and in length, flat outside.
        `read_on` is as in `black`.
        """
        number = self._number()
        if number is not None:
            return number
        element = self.element.find("surface")
        if element is None:
            sentence = "a swaption takes a number or a surface by swapTenor, no nodes"
            raise EngineError("VNP-205", self.path, sentence)
        surface = points.surface(
            element, "swapTenor", _swap_tenor, evaluation, read_on or evaluation
        )
        time = self._time(evaluation)
        column = [_interpolated(surface.columns, row.values, length) for row in surface.rows]
        return _interpolated([time(row.date) for row in surface.rows], column, time(expiry))

    def _time(self, evaluation: Date) -> Callable[[Date], float]:
        counter = names.day_count_of(self.day_count)
        return lambda date: float(counter.yearFraction(evaluation, date))

    def _number(self) -> float | None:
        fields = Fields(self.element, Faults())
        held = (leaf_of(child) for name in ("value", "sigma") for child in fields.all(name))
        leaf = leaf_of(self.element) or next(filter(None, held), None)
        if leaf is not None:
            return points.number(leaf)
        if fields.first("node") is None and fields.first("surface") is None:
            raise EngineError("VNP-207", self.path, "the volatility is empty")
        return None

    def _strikes(
        self, element: etree._Element, evaluation: Date, read_on: Date, counter: Any
    ) -> Any:
        surface = points.surface(element, "strike", values.number, evaluation, read_on)
        strikes = surface.columns
        rows = points.to_come(surface.rows, evaluation)
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


def _swap_tenor(leaf: Leaf) -> float:
    """Read the length of a swap in years; whole months only."""
    tenor = values.tenor(leaf)
    if tenor.units() == ql.Years:
        return float(tenor.length())
    if tenor.units() != ql.Months:
        raise leaf.error("VNP-205", f"the swap tenor {quoted(leaf.text)} is not of whole months")
    return float(tenor.length()) / 12.0


def _interpolated(at: list[float], numbers: list[float], wanted: float) -> float:
    """Go straight from one number to the next, flat before the first and after the last."""
    if wanted <= at[0]:
        return numbers[0]
    for i in range(1, len(at)):
        if wanted <= at[i]:
            weight = (wanted - at[i - 1]) / (at[i] - at[i - 1])
            return numbers[i - 1] * (1.0 - weight) + numbers[i] * weight
    return numbers[-1]
