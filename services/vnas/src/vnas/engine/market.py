"""What a valuation finds in its market: curves, rates and indices, seen from a date.

Read on demand: a task pays for what it uses, and a fault in data that it does not use is not its
fault. `shifted` gives the same market with all curves and rates moved in parallel, `on` the market
of another evaluation date. The kinds and `bumps` call it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import QuantLib as ql
from lxml import etree

from vnas.engine import bootstrap, curve_elements, curves, indices
from vnas.engine.curves import Curve, RawCurve
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults
from vnas.engine.indices import Index
from vnas.engine.market_elements import MarketElements
from vnas.engine.values import Date, Leaf, attribute_of, leaf_of, path_of


class Market(MarketElements):
    """The ``market`` element of a task, or none at all, seen from an evaluation date."""

    def __init__(
        self,
        element: etree._Element | None,
        path: str,
        evaluation: Date,
        faults: Faults,
        *,
        shift: float = 0.0,
        read_on: Date | None = None,
        raw: dict[str, RawCurve] | None = None,
    ) -> None:
        super().__init__(element, path, faults)
        self.evaluation = evaluation
        self.read_on = evaluation if read_on is None else read_on  # the task's own date
        self.shift = shift  # of every continuous zero rate
        self._raw = {} if raw is None else raw  # by path; the same however seen
        self._curves: dict[tuple[str, float, float], Curve] = {}
        self._indices: dict[str, Index] = {}
        self._solving: list[str] = []

    def shifted(self, shift: float) -> "Market":
        """Give this market with all curves and rates moved; spreads and volatilities stay."""
        moved = Market(
            self.element,
            self.path,
            self.evaluation,
            self.faults,
            shift=self.shift + shift,
            read_on=self.read_on,
            raw=self._raw,
        )
        moved._indices = self._indices
        moved._solving = self._solving
        return moved

    def on(self, date: Date) -> "Market":
        """Give this market seen from a later date: its curves stay as they were read.

        A curve then means the same whether it says its own date (as one that came through a group
        does) or not.
        """
        return Market(
            self.element,
            self.path,
            date,
            self.faults,
            shift=self.shift,
            read_on=self.read_on,
            raw=self._raw,
        )

    @contextmanager
    def evaluated_on(self, date: Date) -> Iterator[None]:
        """Let QuantLib's evaluation date be `date` for a while."""
        settings = ql.Settings.instance()
        before = settings.evaluationDate
        settings.evaluationDate = date
        try:
            yield
        finally:
            settings.evaluationDate = before

    # --- curves ----------------------------------------------------------------------------------

    def curve(self, name: Leaf, spread: float = 0.0, *, shifts: bool = True) -> Curve:
        """Find a curve by name; VNP-206 at the name. `shifts=False` keeps it out of `shifted`."""
        element = self.find("curve", name.text)
        if element is None:
            raise name.error("VNP-206", f"the market has no curve {quoted(name.text)}")
        return self._curve(element, spread, shifts=shifts)

    def discounting(
        self, currency: str, named: Leaf | None = None, spread: float = 0.0, *, where: str = ""
    ) -> Curve:
        """Choose the discount curve of a currency.

        In order: the curve that the instrument names, the market's ``discountCurve`` of the
        currency, its first ``curve`` of the currency, its ``rate`` of the currency; else VNP-206.
        """
        if named is not None:
            return self.curve(named, spread)
        for element in self.all("discountCurve"):
            leaf = leaf_of(element)
            if leaf is not None and self.currency_of(element) == currency:
                return self.curve(leaf, spread)
        for tag in ("curve", "rate"):
            for element in self.all(tag):
                if self.currency_of(element) == currency and (
                    tag == "curve" or leaf_of(element) is not None
                ):
                    return self._curve(element, spread)
        sentence = f"the market has no curve and no rate for {quoted(currency)}"
        raise EngineError("VNP-206", where or self.path, sentence)

    def _curve(self, element: etree._Element, spread: float, *, shifts: bool = True) -> Curve:
        path = path_of(element)
        shift = self.shift if shifts else 0.0
        key = (path, spread, shift)
        if key not in self._curves:
            raw = self._read(element, path)
            structure = curves.spreaded(raw.structure, raw.spread + spread + shift)
            pillars: tuple[Date, ...] = getattr(raw.structure, "dates", tuple)()
            self._curves[key] = Curve(structure, self.evaluation, pillars)
        return self._curves[key]

    def _read(self, element: etree._Element, path: str) -> RawCurve:
        if path in self._raw:
            return self._raw[path]
        if path in self._solving:
            raise EngineError("VNP-205", path, "the curve is discounted by itself")
        if element.tag == "rate":
            day_count = curves.DEFAULT_DAY_COUNT
            structure = curve_elements.flat_rate(element, self.read_on, day_count, Faults())
            raw = RawCurve(structure)
        else:
            self._check_name(element)
            self._solving.append(path)
            try:
                unmoved = self.shifted(-self.shift) if self.shift else self
                raw = curve_elements.read(element, self.read_on, bootstrap.solver(unmoved))
            finally:
                self._solving.pop()
        self._raw[path] = raw
        return raw

    def _check_name(self, element: etree._Element) -> None:
        name = attribute_of(element, "name")
        if name is None:
            path = f"{path_of(element)}/@name"
            raise EngineError("VNP-201", path, "a curve needs a name")
        for other in self.all("curve"):
            leaf = attribute_of(other, "name")
            if other is not element and leaf is not None and leaf.text == name.text:
                sentence = f"the market has more than one curve {quoted(name.text)}"
                raise name.error("VNP-205", sentence)

    # --- indices ---------------------------------------------------------------------------------

    def index(self, leaf: Leaf) -> Index:
        """Find an index and load its fixings; VNP-206 when there is none of this name."""
        if leaf.text not in self._indices:
            index = indices.read(leaf, self.find("index", leaf.text), self.currency)
            self._load(index)
            self._indices[leaf.text] = index
        return self._indices[leaf.text]

    def load_fixings(self, name: str) -> None:
        """Load the fixings of an index that a QuantLib object refers to by itself."""
        element = self.find("index", name)
        if element is not None:
            self.index(Leaf(name, element))

    def _load(self, index: Index) -> None:
        for date in indices.load_fixings(index, self.evaluation):
            sentence = f"the fixing of {index.name} on {date.ISO()} is on a holiday"
            self.faults.warn("VNP-105", sentence)

    def forecasting(self, index: Index, where: Leaf) -> Curve:
        """Choose the curve that an index is forecast on: its own, else its currency's."""
        if index.curve is not None:
            return self.curve(index.curve)
        return self.discounting(index.currency, where=where.path)
