"""``curve`` and ``rate`` elements as term structures: flat, zero, discount, forward, quotes.

`market` hands in an element and keeps what comes out. Errors: VNP-201/203/204 for values, VNP-205
for a curve of wrong shape, VNP-304 for an empty one.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import QuantLib as ql
from lxml import etree

from vnas.engine import names, values
from vnas.engine.curves import DEFAULT_DAY_COUNT, NodeCurve, RawCurve, Structure, interpolation
from vnas.engine.errors import EngineError
from vnas.engine.fields import Faults, Fields
from vnas.engine.quotes import QUOTES
from vnas.engine.values import Date, attribute_of, later, path_of

MAX_NODES = 500
MAX_DAYS_AHEAD = 10  # of a curve quoted for spot
_ONE = 1e-12  # how far from 1 a discount factor at the curve's date may be written
_LARGEST_EXPONENT = 700.0  # e to this is the largest number there is, nearly
_SHAPES = ("flat", "zero", "discount", "forward", "bootstrap")


def flat_rate(element: etree._Element, date: Date, day_count: str, faults: Faults) -> Structure:
    """Build the flat curve of a ``rate`` element with its compounding attributes."""
    fields = Fields(element, faults)
    rate = fields.parsed(element, values.rate)
    compounding = fields.attribute("compounding", names.compounding)
    frequency = fields.attribute("frequency", names.frequency)
    counted = fields.attribute("dayCount", names.day_count_name) or day_count
    faults.raise_first()
    try:
        made = ql.FlatForward(
            date,
            rate,
            names.day_count_of(counted),
            ql.Continuous if compounding is None else compounding,
            ql.Annual if frequency is None else frequency,
        )
        made.enableExtrapolation()
        made.discount(1.0)  # QuantLib looks at the rate only now
    except RuntimeError as err:
        raise EngineError("VNP-208", path_of(element), f"the rate has no curve: {err}") from err
    return made


def read(
    element: etree._Element,
    evaluation: Date,
    bootstrapped: Callable[[etree._Element, Date, Faults], NodeCurve],
) -> RawCurve:
    """Build the curve of a ``curve`` element; `bootstrapped` solves it when it holds quotes."""
    faults = Faults()
    fields = Fields(element, faults)
    date = fields.attribute("date", values.date) or evaluation
    faults.raise_first()
    if date - evaluation > MAX_DAYS_AHEAD:
        leaf = attribute_of(element, "date")
        assert leaf is not None
        sentence = f"the curve starts more than {MAX_DAYS_AHEAD} days after {evaluation.ISO()}"
        raise leaf.error("VNP-205", sentence)
    shape = _shape(fields)
    day_count = fields.get("dayCount", names.day_count_name, DEFAULT_DAY_COUNT)
    shaped = fields.get("interpolation", interpolation, "logLinear")
    spread = fields.get("spread", values.rate, 0.0)
    faults.raise_first()
    if shape == "bootstrap":
        return RawCurve(bootstrapped(element, date, faults).structure(), spread)
    if shape == "flat":
        rate = fields.first("rate")
        if rate is None:
            raise EngineError("VNP-201", f"{fields.path}/rate", "required element is missing")
        return RawCurve(flat_rate(rate, date, day_count, faults), spread)
    nodes = _nodes(fields, date)
    return RawCurve(_node_structure(fields, date, shape, day_count, shaped, nodes), spread)


def _shape(fields: Fields) -> str:
    """Decide the curve's type, by its ``type`` or by what it holds."""
    shape = fields.maybe("type", names.one_of(*_SHAPES))
    quotes = any(fields.first(name) is not None for name in QUOTES)
    rate, node = fields.first("rate"), fields.first("node")
    if rate is None and node is None and not quotes:
        raise EngineError("VNP-304", fields.path, "the curve is empty")
    if shape is not None:
        return shape
    if rate is not None:
        return "flat"
    return "bootstrap" if quotes else "zero"


@dataclass(frozen=True, slots=True)
class _Node:
    date: Date
    value: float
    element: etree._Element


def _nodes(fields: Fields, start: Date) -> list[_Node]:
    """Read the nodes, each after the one before; VNP-205 at the first that is not."""
    elements = fields.all("node")
    if len(elements) > MAX_NODES:
        raise EngineError("VNP-208", fields.path, f"more than {MAX_NODES} nodes")
    calendar = fields.maybe("calendar", names.calendar)
    fields.faults.raise_first()
    nodes: list[_Node] = []
    for element in elements:
        node = _Node(_node_date(element, start, calendar, fields), _value(element, fields), element)
        if node.date < start:
            raise _wrong(node, f"{node.date.ISO()} is before the curve's date {start.ISO()}")
        if nodes and node.date <= nodes[-1].date:
            raise _wrong(node, f"{node.date.ISO()} is not after {nodes[-1].date.ISO()}")
        nodes.append(node)
    return nodes


def _node_date(element: etree._Element, start: Date, calendar: Any, fields: Fields) -> Date:
    node = Fields(element, fields.faults)
    date = node.attribute("date", values.date)
    tenor = node.attribute("tenor", values.tenor)
    if date is None and tenor is None:
        node.missing("@tenor", "a node needs the attribute date or tenor")
    fields.faults.raise_first()
    if date is not None:
        return date
    date = later(start, tenor, f"{node.path}/@tenor")
    return date if calendar is None else calendar.adjust(date, ql.ModifiedFollowing)


def _value(element: etree._Element, fields: Fields) -> float:
    value = fields.parsed(element, values.rate)
    fields.faults.raise_first()
    assert value is not None
    return value


def _wrong(node: _Node, sentence: str) -> EngineError:
    return EngineError("VNP-205", path_of(node.element), sentence)


def _node_structure(
    fields: Fields, start: Date, shape: str, day_count: str, shaped: str, nodes: list[_Node]
) -> Structure:
    """Turn nodes into what the interpolation holds, fill in the curve's date, and build."""
    counter = names.day_count_of(day_count)
    if not nodes:
        raise EngineError("VNP-205", fields.path, "the curve has no node")
    times = [counter.yearFraction(start, node.date) for node in nodes]
    if shape == "zero":
        zeros = _continuous(fields, nodes, times)
        first_zero = zeros[0]
    else:
        exponents = _exponents(nodes, times, shape)
        first_zero = _first_zero(nodes, times, exponents, shape)
        zeros = [e / t if t else first_zero for e, t in zip(exponents, times, strict=True)]
    if nodes[-1].date == start:
        if shape == "discount":
            raise EngineError("VNP-205", fields.path, "the curve has no node after its date")
        flat = ql.FlatForward(start, first_zero, counter)
        flat.enableExtrapolation()
        return flat
    curve = NodeCurve(day_count, shaped, [node.date for node in nodes], zeros, fields.path)
    if not curve.holds_zero_rates:
        curve.node_values[:] = [
            node.value if shape == "discount" else _discount(node, zero * time)
            for node, zero, time in zip(nodes, zeros, times, strict=True)
        ]
    if nodes[0].date > start:
        curve.dates.insert(0, start)
        curve.node_values.insert(0, curve.node_values[0] if curve.holds_zero_rates else 1.0)
    return curve.structure()


def _continuous(fields: Fields, nodes: list[_Node], times: list[float]) -> list[float]:
    """Turn zero rates into continuous ones, as the curve's attributes say they are compounded."""
    compounding = fields.attribute("compounding", names.compounding)
    frequency = fields.attribute("frequency", names.frequency)
    fields.faults.raise_first()
    if compounding is None or compounding == ql.Continuous:
        return [node.value for node in nodes]
    counter = ql.Actual365Fixed()  # only a carrier: the conversion is by time
    compounded = (counter, compounding, ql.Annual if frequency is None else frequency)

    def zero(node: _Node, time: float) -> float:
        try:
            rate = ql.InterestRate(node.value, *compounded)
            # At time 0 the limit: QuantLib's own curves take one day.
            same = rate.equivalentRate(ql.Continuous, ql.NoFrequency, time or 1.0 / 365.0)
        except RuntimeError as err:
            raise _wrong(node, f"no continuous rate: {err}") from err
        return float(same.rate())

    return [zero(node, time) for node, time in zip(nodes, times, strict=True)]


def _exponents(nodes: list[_Node], times: list[float], shape: str) -> list[float]:
    """Give minus the logarithm of the discount factor at each node."""
    if shape == "discount":
        for node, time in zip(nodes, times, strict=True):
            if node.value <= 0.0:
                raise _wrong(node, "a discount factor is not positive")
            if time == 0.0 and abs(node.value - 1.0) > _ONE:
                raise _wrong(node, "the discount factor at the curve's date is not 1")
        return [-math.log(node.value) for node in nodes]
    # Forwards are instantaneous, each constant back to the node before it.
    steps = [time - before for before, time in itertools.pairwise([0.0, *times])]
    return list(
        itertools.accumulate(node.value * step for node, step in zip(nodes, steps, strict=True))
    )


def _first_zero(
    nodes: list[_Node], times: list[float], exponents: list[float], shape: str
) -> float:
    """Give the zero rate that is held from the curve's date to its first node."""
    if shape == "forward":
        return nodes[0].value
    ahead = (e / t for e, t in zip(exponents, times, strict=True) if t > 0.0)
    return next(ahead, 0.0)


def _discount(node: _Node, exponent: float) -> float:
    """Give the discount factor; VNP-205 at the node when no number can hold it."""
    if abs(exponent) > _LARGEST_EXPONENT:
        raise _wrong(node, "the rate leaves no discount factor that a number can hold")
    return math.exp(-exponent)
