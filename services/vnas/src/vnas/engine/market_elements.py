"""The ``market`` element as a document: what it holds under which name and in which currency.

`market.Market` is made of it, and sees curves and indices in it from an evaluation date.
"""

from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Leaf, attribute_of, leaf_of

DEFAULT_CURRENCY = "USD"


class MarketElements:
    """The children of a ``market`` element, or of none at all."""

    def __init__(self, element: etree._Element | None, path: str, faults: Faults) -> None:
        self.element = element
        self.path = path
        self.faults = faults  # for warnings only
        self._currency: str | None = None

    @property
    def currency(self) -> str:
        """The market's currency, for everything that does not name one."""
        if self._currency is None:
            read = DEFAULT_CURRENCY
            if self.element is not None:
                faults = Faults()
                read = Fields(self.element, faults).get("currency", names.currency, read)
                faults.raise_first()
                Fields(self.element, self.faults).known_currency(read)
            self._currency = read
        return self._currency

    def find(self, tag: str, name: str) -> etree._Element | None:
        """Find the child with this tag and ``name`` attribute, compared exactly."""
        if self.element is None:
            return None
        found = self.element.iterchildren(tag)
        return next((child for child in found if (child.get("name") or "").strip() == name), None)

    def named_or_only(self, tag: str, named: Leaf | None, path: str) -> etree._Element:
        """Find a child by name; without a name the only one with its tag.

        Raises EngineError VNP-206 when there is none, VNP-201 at `path` when there are several and
        none is named.
        """
        if named is not None:
            found = self.find(tag, named.text)
            if found is None:
                raise named.error("VNP-206", f"the market has no {tag} {quoted(named.text)}")
            return found
        listed = self.all(tag)
        if not listed:
            raise EngineError("VNP-206", path, f"the market has no {tag}")
        if len(listed) > 1:
            raise EngineError("VNP-201", path, f"the market has more than one {tag}: name one")
        return listed[0]

    def all(self, tag: str) -> list[etree._Element]:
        """Give the market's children with a tag."""
        return [] if self.element is None else list(self.element.iterchildren(tag))

    def currency_of(self, element: etree._Element) -> str:
        """Give the currency of a curve or rate: a curve may say it in a child, as quotes do."""
        leaf = attribute_of(element, "currency")
        child = element.find("currency")
        if leaf is None and child is not None:
            leaf = leaf_of(child)
        return self.currency if leaf is None else names.currency(leaf)

    def exchange(self, source: str, target: str) -> float | None:
        """Give the price of one unit of `source` in `target` from one pair; None without it."""
        if source == target:
            return 1.0
        for pair, inverted in ((source + target, False), (target + source, True)):
            for element in self.all("fx"):
                if (element.get("pair") or "").strip() == pair:
                    spot = self.spot(Fields(element, Faults()))
                    return 1.0 / spot if inverted else spot
        return None

    @staticmethod
    def spot(fields: Fields) -> float:
        """Read the required ``spot`` of an underlying or a pair."""
        spot = fields.need("spot", values.positive, 1.0)
        fields.faults.raise_first()
        return spot
