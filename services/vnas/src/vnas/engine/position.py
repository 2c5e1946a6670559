"""What any instrument may say of the holding: quantity, side, currency, discounting, quote.

These stand inside the kind element or beside it; inside wins. Read by `task` before the kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lxml import etree

from vnas.engine import names, values
from vnas.engine.fields import Fields
from vnas.engine.values import Leaf

T = TypeVar("T")

NAMES = (
    "currency",
    "quantity",
    "position",
    "discountCurve",
    "discountSpread",
    "volatility",
    "quote",
)


@dataclass(frozen=True, slots=True)
class Position:
    """The holding; None where the kind's default applies."""

    scale: float = 1.0  # quantity, negative when short
    currency: str | None = None
    discount_curve: Leaf | None = None
    discount_spread: float = 0.0  # added to continuous zero rates, for discounting only
    volatility: etree._Element | None = None
    volatility_name: Leaf | None = None
    quote: etree._Element | None = None


def read(kind: Fields, instrument: Fields) -> Position:
    """Read the holding from the kind element and the instrument around it."""

    def value(name: str, parse: Callable[[Leaf], T], default: T) -> T:
        inner, outer = kind.maybe(name, parse), instrument.maybe(name, parse)
        if inner is not None:
            return inner
        return default if outer is None else outer

    def element(name: str) -> etree._Element | None:
        inner, outer = kind.first(name), instrument.first(name)
        return outer if inner is None else inner

    side = value("position", names.one_of("long", "short"), "long")
    quantity = value("quantity", values.number, 1.0)
    currency = value("currency", names.currency, "")
    if currency:
        kind.known_currency(currency)
    return Position(
        scale=-quantity if side == "short" else quantity,
        currency=currency or None,
        discount_curve=kind.maybe("discountCurve", values.leaf)
        or instrument.maybe("discountCurve", values.leaf),
        discount_spread=value("discountSpread", values.rate, 0.0),
        volatility=element("volatility"),
        volatility_name=kind.maybe("volatilityName", values.leaf)
        or instrument.maybe("volatilityName", values.leaf),
        quote=element("quote"),
    )
