"""Yield curves as the rest of the engine sees them.

`NodeCurve` is the written form of a curve, on its way out (the kind ``yieldCurve``) and in again,
so that a curve keeps its shape between groups. `Curve` is a term structure seen from the evaluation
date. `curve_elements` makes them of the document, `bootstrap` of quotes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import QuantLib as ql

from vnas.engine import names
from vnas.engine.errors import EngineError
from vnas.engine.values import Date

Structure = Any  # ql.YieldTermStructure

DEFAULT_DAY_COUNT = "Actual365Fixed"

_Builder = Callable[[list[Date], list[float], Any], Structure]

# How each interpolation is built from nodes; the bootstrap's class of the same shape is beside it.
INTERPOLATIONS: dict[str, tuple[_Builder, Any]] = {
    "logLinear": (ql.DiscountCurve, ql.PiecewiseLogLinearDiscount),
    "logCubic": (ql.LogCubicDiscountCurve, ql.PiecewiseLogCubicDiscount),
    "linearZero": (ql.ZeroCurve, ql.PiecewiseLinearZero),
    "cubicZero": (ql.CubicZeroCurve, ql.PiecewiseCubicZero),
    "flatForward": (ql.DiscountCurve, ql.PiecewiseLogLinearDiscount),
}
interpolation = names.one_of(*INTERPOLATIONS)


@dataclass(frozen=True, slots=True)
class NodeCurve:
    """A curve as its nodes: discount factors, or continuous zero rates for the zero shapes."""

    day_count: str
    interpolation: str
    dates: list[Date]
    node_values: list[float]
    path: str = field(compare=False, default="")

    @property
    def holds_zero_rates(self) -> bool:
        """Whether the values are zero rates."""
        return self.interpolation in {"linearZero", "cubicZero"}

    def structure(self) -> Structure:
        """Build the term structure; VNP-205 when QuantLib does not take the nodes."""
        build = INTERPOLATIONS[self.interpolation][0]
        try:
            made = build(self.dates, self.node_values, names.day_count_of(self.day_count))
        except RuntimeError as err:
            raise EngineError("VNP-205", self.path, f"the curve cannot be built: {err}") from err
        made.enableExtrapolation()
        return made


@dataclass(frozen=True, slots=True)
class RawCurve:
    """A curve as the document gives it, before spreads and shifts."""

    structure: Structure
    spread: float = 0.0


def spreaded(structure: Structure, spread: float) -> Structure:
    """Add a constant to the continuous zero rates."""
    if spread == 0.0:
        return structure
    made = ql.ZeroSpreadedTermStructure(
        ql.YieldTermStructureHandle(structure), ql.QuoteHandle(ql.SimpleQuote(spread))
    )
    made.enableExtrapolation()
    return made


class Curve:
    """A curve seen from the evaluation date."""

    def __init__(
        self, structure: Structure, evaluation: Date, pillars: Sequence[Date] = ()
    ) -> None:
        self.structure = structure
        self.evaluation = evaluation
        self.pillars = pillars  # the dates of its nodes, where it has any
        self.reference = structure.referenceDate()
        self.handle = ql.YieldTermStructureHandle(structure)  # as quoted: to forecast with
        self._at_evaluation = structure.discount(evaluation) if self.reference < evaluation else 1.0

    def discount(self, date: Date) -> float:
        """Give the value at the evaluation date of 1 paid on a date.

        A curve quoted for spot is used as it stands: 1 up to its own date.
        """
        if date <= self.reference:
            return 1.0
        return float(self.structure.discount(date)) / self._at_evaluation

    def worth(self, flows: list[Any]) -> float:
        """Give the value at the evaluation date of the simple cash flows after it."""
        if self.reference > self.evaluation:
            coming = (flow for flow in flows if flow.date() > self.evaluation)
            return float(sum(flow.amount() * self.discount(flow.date()) for flow in coming))
        paid_today = False
        date = self.evaluation
        return float(ql.CashFlows.npv(flows, self.handle, paid_today, date, date))

    def valuing(self) -> Any:
        """Give a handle that discounts to the evaluation date (or the curve's, if later)."""
        if self.reference >= self.evaluation:
            return self.handle
        implied = ql.ImpliedTermStructure(self.handle, self.evaluation)
        implied.enableExtrapolation()
        return ql.YieldTermStructureHandle(implied)
