"""``yieldCurve``: solves a curve from quotes, for the groups after this one.

The result is ``analytics/curve``, which is itself a market curve: written with all digits, so that
it reprices its quotes when a later task reads it back.
"""

import math
from dataclasses import replace

from lxml import etree

from vnas.engine import bootstrap, names
from vnas.engine.curves import NodeCurve
from vnas.engine.outputs import Priced, number_at
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Solve the curve at the evaluation date."""
    quotes = bootstrap.read(task.fields, task.currency_for_defaults)
    instrument = task.fields.element.getparent()
    assert instrument is not None
    name = (instrument.get("name") or "").strip()
    task.check()
    task.calculator.choose("bootstrap")
    if quotes.discount_curve is None:
        quotes = replace(quotes, discount_curve=task.position.discount_curve)
    curve = bootstrap.solve(quotes, task.market, task.evaluation)
    currency = task.currency

    def write(element: etree._Element) -> None:
        write_curve(element, curve, name, currency)

    return Priced("bootstrap", currency, {"curve": lambda _: write})


def write_curve(element: etree._Element, curve: NodeCurve, name: str, currency: str) -> None:
    """Write a solved curve into an (empty) ``curve`` element."""
    element.set("name", name)
    element.set("currency", currency)
    element.set("date", curve.dates[0].ISO())
    shape = "zero" if curve.holds_zero_rates else "discount"
    for child, text in (
        ("type", shape),
        ("dayCount", curve.day_count),
        ("interpolation", curve.interpolation),
    ):
        etree.SubElement(element, child).text = text
    zeros = _zero_rates(curve)
    for date, node_value, zero in zip(curve.dates, curve.node_values, zeros, strict=True):
        node = etree.SubElement(element, "node", date=date.ISO())
        node.set("zero", number_at(node, zero))
        node.text = number_at(node, node_value)


def _zero_rates(curve: NodeCurve) -> list[float]:
    """Give the continuous zero rate at each node; at the first that of the second."""
    if curve.holds_zero_rates:
        return curve.node_values
    counter = names.day_count_of(curve.day_count)
    start = curve.dates[0]
    zeros = [
        -math.log(discount) / counter.yearFraction(start, date)
        for date, discount in zip(curve.dates[1:], curve.node_values[1:], strict=True)
    ]
    return [zeros[0], *zeros]
