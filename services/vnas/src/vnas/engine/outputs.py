"""Results into the ``analytics`` of the task: numbers, flows, status, warnings.

`task` calls `write` with what a kind returned. Only outputs that the document asks for by their
element are computed; ``price`` is always there.

    <price/>   ->   <price currency="USD"><amount currency="USD">98.51</amount></price>
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import QuantLib as ql
from lxml import etree

from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Date, attribute_of, path_of, text_of

MONEY = frozenset(
    {
        "price",
        "accruedInterest",
        "dv01",
        "delta",
        "gamma",
        "vega",
        "theta",
        "rho",
        "fixedLeg",
        "floatingLeg",
        "payment",
        "outstandingBalance",
        "cashFlows",
    }
)
PURE = frozenset(
    {
        "cleanPrice",
        "dirtyPrice",
        "yield",
        "duration",
        "convexity",
        "fairRate",
        "fairSpread",
        "fairUpfront",
        "forward",
        "weightedAverageLife",
        "curve",
    }
)
KNOWN = MONEY | PURE
_UNITS = {"vega": {"point": 0.01}, "rho": {"point": 0.01}, "theta": {"day": 1.0 / 365.0}}
_STATUSES = frozenset({"notApplicable", "expired", "notPriced"})


@dataclass(frozen=True, slots=True)
class Flow:
    """One payment; `parts` become attributes of its element."""

    date: Date
    amount: float
    parts: Mapping[str, float] = field(default_factory=dict)


Writer = Callable[[etree._Element], None]  # noqa: SLF001 - lxml's only name for the type
Output = float | Sequence[Flow] | Writer | None
"""A number, the cash flows, a writer of the element's content, or None: not applicable."""

Compute = Callable[[Fields], Output]
"""Computes an output; the fields are the output's element, for its attributes."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a kind returns: how to compute each output that has a meaning for it."""

    method: str
    currency: str
    outputs: Mapping[str, Compute]
    after: Callable[[etree._Element], None] | None = None  # writes more into analytics


def expired(currency: str, method: str = "none") -> Priced:
    """Give the result of an instrument that has no flow left; see `is_expired`."""
    return Priced(method, currency, {"expired": lambda _: None})


def is_expired(priced: Priced) -> bool:
    """Tell whether a result is that of `expired`."""
    return "expired" in priced.outputs


def write(analytics: etree._Element, priced: Priced, faults: Faults) -> None:
    """Fill every output that is asked for.

    Raises EngineError VNP-403 when a number is not finite, and what computing an output raises.
    """
    prices = "price" in priced.outputs or is_expired(priced)
    if prices and analytics.find("price") is None:
        etree.SubElement(analytics, "price")
    # Computed before anything is written: an error leaves the document as it was.
    asked = [child for child in analytics.iterchildren(etree.Element) if child.tag in KNOWN]
    if is_expired(priced):
        for element in asked:
            _expire(element, priced.currency)
    else:
        # The price first: it meets a fault of the market before attributes of other outputs do.
        in_turn = sorted(asked, key=lambda element: element.tag != "price")
        computed = [(element, _computed(element, priced)) for element in in_turn]
        for element, output in computed:
            _fill(element, output, priced.currency)
        if priced.after is not None:
            priced.after(analytics)
    finish(analytics, priced.method, faults)


def not_priced(analytics: etree._Element, faults: Faults) -> None:
    """Mark the price of an instrument without a kind; its old number stays."""
    prices = list(analytics.iterchildren("price")) or [etree.SubElement(analytics, "price")]
    for price in prices:
        price.set("status", "notPriced")
        if price.find("amount") is None:
            etree.SubElement(price, "amount").text = text_of(price) or None
            price.text = None
    finish(analytics, "none", faults)


def finish(analytics: etree._Element, method: str, faults: Faults) -> None:
    """Write where the numbers come from, and the warnings in place of earlier ones."""
    calculated = analytics.find("calculated")
    if calculated is None:
        calculated = etree.SubElement(analytics, "calculated")
    calculated.set("engine", "QuantLib")
    calculated.set("version", ql.__version__)
    calculated.set("method", method)
    for old in list(analytics.iterchildren("message")):
        if (old.get("code") or "").startswith("VNP-"):
            analytics.remove(old)
    for code, sentence in faults.warnings:
        message = etree.SubElement(analytics, "message", code=code, severity="warning")
        message.text = sentence


def written(number: float) -> str:
    """Write a finite number so that reading it gives the same number; never ``-0``."""
    if number == 0.0:
        return "0"
    text = repr(float(number))
    return text[:-2] if text.endswith(".0") else text


def number_at(element: etree._Element, number: float) -> str:
    """Write a number for an element; VNP-403 when it is not finite."""
    if not math.isfinite(number):
        name = str(element.tag)
        raise EngineError("VNP-403", path_of(element), f"the result for {name} is not finite")
    return written(number)


def _computed(element: etree._Element, priced: Priced) -> Output:
    name = str(element.tag)
    compute = priced.outputs.get(name)
    if compute is None:
        return None
    fields = Fields(element, Faults())
    factor = _unit(element)
    output = compute(fields)
    fields.faults.raise_first()
    if isinstance(output, int | float):
        output = float(output) * factor
        number_at(element, output)
    return output


def _unit(element: etree._Element) -> float:
    units = _UNITS.get(str(element.tag), {})
    unit = attribute_of(element, "unit")
    if unit is None or not units:
        return 1.0
    factor = units.get(unit.text.lower())
    if factor is None:
        raise unit.error("VNP-204", f"{quoted(unit.text)} is not one of {', '.join(units)}")
    return factor


def _fill(element: etree._Element, output: Output, currency: str) -> None:
    _clear_status(element)
    if output is None:
        _amount(element, "")
        element.set("status", "notApplicable")
    elif isinstance(output, float):
        amount = _amount(element, written(output))
        if element.tag in MONEY:
            element.set("currency", currency)
            amount.set("currency", currency)
    elif callable(output):
        _empty(element)
        output(element)
    else:
        _empty(element)
        element.set("currency", currency)
        _write_flows(element, output)


def _expire(element: etree._Element, currency: str) -> None:
    _clear_status(element)
    amount = _amount(element, "0" if element.tag == "price" else "")
    element.set("status", "expired")
    if element.tag == "price":
        element.set("currency", currency)
        amount.set("currency", currency)


def _clear_status(element: etree._Element) -> None:
    if element.get("status") in _STATUSES:
        del element.attrib["status"]


def _amount(element: etree._Element, text: str) -> etree._Element:
    """Set the text of the child ``amount``; an old number beside it goes."""
    if element.tag in {"cashFlows", "curve"}:
        _empty(element)
    amount = element.find("amount")
    if text_of(element):
        element.text = None
    if amount is None:
        amount = etree.SubElement(element, "amount")
    for child in list(amount):
        amount.remove(child)
    amount.text = text or None
    return amount


def _empty(element: etree._Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = None


def _write_flows(element: etree._Element, flows: Iterable[Flow]) -> None:
    for flow in flows:
        child = etree.SubElement(element, "cashFlow", date=flow.date.ISO())
        for name, part in flow.parts.items():
            child.set(name, number_at(child, part))
        child.text = number_at(child, flow.amount)
