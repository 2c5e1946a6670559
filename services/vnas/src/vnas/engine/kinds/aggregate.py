"""``aggregate``: adds up the results of earlier valuations, in one currency and by labels.

The valuations stand in ``group`` (or ``valuation``) elements inside the kind; in the result the
copied group is emptied and counted, so that a response does not hold each result twice.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults
from vnas.engine.kinds import VOCABULARY
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Priced, number_at
from vnas.engine.task import Task
from vnas.engine.values import attribute_of, leaf_of, path_of

_NO_KEY = "-"


@dataclass(frozen=True, slots=True)
class _Held:
    """What one valuation contributes; amounts are None where it has no number."""

    valuation: etree._Element
    currency: str
    amount: float | None  # in its currency
    base_amount: float | None
    base_dv01: float | None


def value(task: Task) -> Priced:
    """Add up the prices in the valuations, in their order."""
    fields = task.fields
    base = fields.maybe("baseCurrency", names.currency)
    if base is not None:
        fields.known_currency(base)
    by = fields.every("by", values.text) or ["currency"]
    groups = fields.all("group")
    loose = fields.all("valuation")
    if not groups and not loose:
        fields.missing("group")
    fields.finish_repeated("by")
    task.check()
    task.calculator.choose("sum")
    base = base or task.currency
    valuations = [held for group in groups for held in group.iterchildren("valuation")] + loose
    scale = task.position.scale
    held = [_held(valuation, task.market, base, scale) for valuation in valuations]

    def write(analytics: etree._Element) -> None:
        _write(analytics, held, by, base)
        for group in groups:
            _empty(group)

    compute: dict[str, Compute] = {
        "price": lambda _: _total(one.base_amount for one in held),
        "dv01": lambda _: _total_or_none(one.base_dv01 for one in held),
    }
    return Priced("sum", base, compute, write)


def _held(valuation: etree._Element, market: Market, base: str, scale: float) -> _Held:
    """Read the price of a valuation and convert it.

    Raises EngineError VNP-304 for text that is no number, VNP-206 without an exchange rate; both
    at the amount.
    """
    if valuation.find("failure") is not None and valuation.find("analytics") is None:
        return _Held(valuation, _currency_if_told(valuation, market), None, None, None)
    price = valuation.find("analytics/price")
    amount = None if price is None or price.get("status") == "notPriced" else _amount(price)
    currency = _currency(price, valuation, market)
    if amount is None or price is None:
        return _Held(valuation, currency, None, None, None)
    rate = _rate(price, currency, market, base)
    dv01 = valuation.find("analytics/dv01")
    moved = None if dv01 is None else _amount(dv01)
    if dv01 is not None and moved is not None:
        moved *= _rate(dv01, _currency(dv01, valuation, market), market, base) * scale
    return _Held(valuation, currency, amount * scale, amount * scale * rate, moved)


def _amount(output: etree._Element) -> float | None:
    element = output.find("amount")
    leaf = None if element is None else leaf_of(element)
    if leaf is None:
        return None
    try:
        return values.number(leaf)
    except EngineError:
        raise leaf.error("VNP-304", f"{quoted(leaf.text)} is not a number") from None


def _currency(output: etree._Element | None, valuation: etree._Element, market: Market) -> str:
    """Give the currency of an amount: its own, else its valuation's market's."""
    amount = None if output is None else output.find("amount")
    for element in (output, amount):
        leaf = None if element is None else attribute_of(element, "currency")
        if leaf is not None:
            return names.currency(leaf)
    own = valuation.find("market")
    if own is None:
        return market.currency
    return Market(own, path_of(own), market.evaluation, Faults()).currency


def _currency_if_told(failed: etree._Element, market: Market) -> str:
    """Give the currency of a failed valuation; its market may be what it failed by."""
    try:
        return _currency(None, failed, market)
    except EngineError:
        return _NO_KEY


def _rate(output: etree._Element, currency: str, market: Market, base: str) -> float:
    rate = market.exchange(currency, base)
    if rate is None:
        sentence = f"the market has no fx {currency + base} and no {base + currency}"
        raise EngineError("VNP-206", f"{path_of(output)}/amount", sentence)
    return rate


# --- sums ----------------------------------------------------------------------------------------


def _total(amounts: Iterable[float | None]) -> float:
    return sum((amount for amount in amounts if amount is not None), 0.0)


def _total_or_none(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return _total(known) if known else None


def _write(analytics: etree._Element, held: list[_Held], by: list[str], base: str) -> None:
    for old in list(analytics.iterchildren("aggregate")):
        analytics.remove(old)
    result = etree.SubElement(analytics, "aggregate")
    total = etree.SubElement(result, "total", currency=base)
    _count(total, held, always=True)
    _sub(total, "amount", _total(one.base_amount for one in held))
    _dv01(total, held)
    for name in sorted(set(by)):
        for key, members in sorted(_split(held, name).items()):
            _write_subtotal(result, name, key, members, base)


def _write_subtotal(
    result: etree._Element, name: str, key: str, members: list[_Held], base: str
) -> None:
    subtotal = etree.SubElement(result, "subtotal", by=name, key=key)
    _count(subtotal, members, always=False)
    priced = [one for one in members if one.amount is not None]
    found = {one.currency for one in priced or members}
    if len(found) == 1 and _NO_KEY not in found:  # absent where currencies mix
        amount = _sub(subtotal, "amount", _total(one.amount for one in priced))
        amount.set("currency", found.pop())
    _sub(subtotal, "baseAmount", _total(one.base_amount for one in priced)).set("currency", base)
    dv01 = _dv01(subtotal, members)
    if dv01 is not None:
        dv01.set("currency", base)


def _count(element: etree._Element, held: list[_Held], *, always: bool) -> None:
    """Say how many valuations there are, and how many of them have no price to add."""
    element.set("count", str(len(held)))
    missing = sum(1 for one in held if one.amount is None)
    if always or missing:
        element.set("notPriced", str(missing))


def _dv01(element: etree._Element, held: list[_Held]) -> etree._Element | None:
    """Add the sum of the dv01s; with the count of them where some valuation has none."""
    known = [one.base_dv01 for one in held if one.base_dv01 is not None]
    if not known:
        return None
    sum_ = _sub(element, "dv01", _total(known))
    if len(known) < sum(1 for one in held if one.amount is not None):
        sum_.set("count", str(len(known)))
    return sum_


def _sub(parent: etree._Element, name: str, number: float) -> etree._Element:
    child = etree.SubElement(parent, name)
    child.text = number_at(child, number)
    return child


def _split(held: list[_Held], by: str) -> dict[str, list[_Held]]:
    key_of: Callable[[_Held], str] = {
        "currency": lambda one: one.currency,
        "kind": _kind,
    }.get(by, lambda one: _label(one, by))
    parts: dict[str, list[_Held]] = {}
    for one in held:
        parts.setdefault(key_of(one), []).append(one)
    return parts


def _kind(one: _Held) -> str:
    children = one.valuation.iterfind("instrument/*")
    return next((str(child.tag) for child in children if child.tag in VOCABULARY), _NO_KEY)


def _label(one: _Held, name: str) -> str:
    """Give the text of a label of the instrument; names are compared as they are written."""
    for child in one.valuation.iterfind("instrument/*"):
        if child.tag == name:
            leaf = leaf_of(child)
            return _NO_KEY if leaf is None else leaf.text
    return _NO_KEY


def _empty(group: etree._Element) -> None:
    """Empty a copied group; its attributes stay, and say what it was."""
    count = sum(1 for _ in group.iterchildren("valuation"))
    for child in list(group):
        group.remove(child)
    group.text = None
    group.set("count", str(count))
