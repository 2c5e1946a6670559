"""Which volatility a valuation uses: of the model, the instrument, its underlying, or the market.

The kinds whose value depends on a volatility call `choose`; what it is like is `volatility`'s.
"""

from collections.abc import Iterable

from lxml import etree

from vnas.engine import names
from vnas.engine.errors import EngineError, quoted
from vnas.engine.market import Market
from vnas.engine.model import Model
from vnas.engine.position import Position
from vnas.engine.values import attribute_of, leaf_of
from vnas.engine.volatility import Volatility


def choose(
    model: Model,
    position: Position,
    market: Market,
    *,
    own: etree._Element | None = None,
    product: str | None = None,
    currency: str = "",
    path: str,
) -> Volatility:
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
