"""Elements of the task as checked values, with faults told in document order.

A kind asks for its elements in whatever order suits it. A wrong value does not raise: it is noted
with its place and a stand-in is returned, so that `Faults.raise_first` can tell the fault that a
reader of the document meets first. A missing element counts as standing at the end of its parent.

    fields = task.fields                              # <fixedRateBond>...</fixedRateBond>
    face = fields.get("faceAmount", values.positive, 100.0)
    maturity = fields.need("maturityDate", values.date, task.evaluation)
    fields.finish()                                   # unknown elements: VNP-102
    task.faults.raise_first()
"""

from collections.abc import Callable
from typing import TypeVar

from lxml import etree

from vnas.engine.currencies import ISO_CODES
from vnas.engine.errors import EngineError, quoted
from vnas.engine.names import currency
from vnas.engine.values import Leaf, attribute_of, leaf_of, path_of, text_of

T = TypeVar("T")
U = TypeVar("U")

_END = 1 << 60  # behind every child: where a missing element would stand


class Faults:
    """The faults met so far, and the warnings; `strict` makes some warnings faults."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.warnings: dict[tuple[str, str], None] = {}  # (code, sentence), each once, in order
        self._found: list[tuple[tuple[int, ...], int, EngineError]] = []

    def note(self, element: etree._Element, error: EngineError, *, at_end: bool = False) -> None:
        """Keep an error that stands at this element, or behind its last child."""
        place = (*_position(element), _END) if at_end else _position(element)
        self._found.append((place, len(self._found), error))

    def warn(self, code: str, sentence: str) -> None:
        """Keep a warning for the result."""
        self.warnings[code, sentence] = None

    def raise_first(self) -> None:
        """Raise the fault that comes first in the document, if there is any."""
        if self._found:
            raise min(self._found, key=lambda found: found[:2])[2]


class Fields:
    """The children of one element."""

    def __init__(self, element: etree._Element, faults: Faults) -> None:
        self.element = element
        self.faults = faults
        self._asked: set[str] = set()  # names that may be there
        self._single: set[str] = set()  # names of which one is read

    @property
    def path(self) -> str:
        """XPath of the element."""
        return path_of(self.element)

    def path_to(self, name: str) -> str:
        """XPath of a child, there or not."""
        found = self.first(name)
        return f"{self.path}/{name}" if found is None else path_of(found)

    def allow(self, *names: str) -> None:
        """Accept children that somebody else reads."""
        self._asked.update(names)

    def first(self, name: str) -> etree._Element | None:
        """Give the first child of this name that is not empty."""
        self._asked.add(name)
        self._single.add(name)
        return next((child for child in self.element.iterchildren(name) if _filled(child)), None)

    def all(self, name: str) -> list[etree._Element]:
        """Give every child of this name, empty ones too."""
        self._asked.add(name)
        return list(self.element.iterchildren(name))

    def maybe(self, name: str, parse: Callable[[Leaf], T]) -> T | None:
        """Read an optional child; None when it is absent, empty or (noted) wrong."""
        child = self.first(name)
        return None if child is None else self.parsed(child, parse)

    def get(self, name: str, parse: Callable[[Leaf], T], default: T) -> T:
        """Read an optional child that has a default."""
        value = self.maybe(name, parse)
        return default if value is None else value

    def need(self, name: str, parse: Callable[[Leaf], T], stand_in: T) -> T:
        """Read a required child; VNP-201 is noted when it is absent or empty."""
        child = self.first(name)
        if child is None:
            self.missing(name)
            return stand_in
        value = self.parsed(child, parse)
        return stand_in if value is None else value

    def need_one(
        self, name: str, parse: Callable[[Leaf], T], other: str, parse_other: Callable[[Leaf], U]
    ) -> tuple[T | None, U | None]:
        """Read a required child that another may stand in for; the other of two is not used."""
        value, instead = self.maybe(name, parse), self.maybe(other, parse_other)
        if self.first(name) is None and self.first(other) is None:
            self.missing(name)
        if value is not None and instead is not None:
            self.faults.warn("VNP-105", f"{other} was not used: {name} is given")
            instead = None
        return value, instead

    def every(self, name: str, parse: Callable[[Leaf], T]) -> list[T]:
        """Read a repeated child; wrong ones are noted and left out."""
        read = [self.parsed(child, parse) for child in self.all(name) if _filled(child)]
        return [value for value in read if value is not None]

    def child(self, name: str) -> "Fields | None":
        """Give a child that has children of its own, None when absent or empty."""
        found = self.first(name)
        return None if found is None else Fields(found, self.faults)

    def attribute(self, name: str, parse: Callable[[Leaf], T]) -> T | None:
        """Read an attribute of the element itself."""
        leaf = attribute_of(self.element, name)
        return None if leaf is None else self._parsed(leaf, parse)

    def either(self, name: str, parse: Callable[[Leaf], T]) -> T | None:
        """Read what may be written as an attribute or as a child; the attribute wins."""
        if attribute_of(self.element, name) is not None:
            self.allow(name)
            return self.attribute(name, parse)
        return self.maybe(name, parse)

    def need_attribute(self, name: str, parse: Callable[[Leaf], T], stand_in: T) -> T:
        """Read a required attribute (a child of that name does too)."""
        if attribute_of(self.element, name) is None and self.first(name) is None:
            self.missing(f"@{name}", "required attribute is missing")
            return stand_in
        value = self.either(name, parse)
        return stand_in if value is None else value

    def currency(self, name: str, default: str) -> str:
        """Read a currency; VNP-103 when it is in no list."""
        code = self.get(name, currency, default)
        self.known_currency(code)
        return code

    def known_currency(self, code: str) -> None:
        """Warn (VNP-103) of a currency that ISO 4217 does not have."""
        if code not in ISO_CODES:
            self.faults.warn("VNP-103", f"currency {quoted(code)} is not in the ISO 4217 list")

    def missing(self, name: str, sentence: str = "required element is missing") -> None:
        """Note that a child that is needed is not there, or is there and says nothing."""
        error = EngineError("VNP-201", f"{self.path}/{name}", sentence)
        empty = None if name.startswith("@") else self.element.find(name)
        self.faults.note(self.element if empty is None else empty, error, at_end=empty is None)

    def refuse(self, name: str, code: str, sentence: str) -> None:
        """Note a fault of the value of a child, or of the element when it is not there."""
        found = self.first(name)
        error = EngineError(code, self.path_to(name), sentence)
        self.faults.note(self.element if found is None else found, error, at_end=found is None)

    def parsed(self, child: etree._Element, parse: Callable[[Leaf], T]) -> T | None:
        """Read an element's text; None (noted) when it is wrong."""
        leaf = leaf_of(child) or Leaf("", child)
        return self._parsed(leaf, parse)

    def finish_repeated(self, *repeated: str) -> None:
        """Finish, with children that may be repeated though their first one was asked for."""
        self._single.difference_update(repeated)
        self.finish()

    def finish(self) -> None:
        """Warn of children that nobody asked for, and of repetitions that were not read."""
        counts: dict[str, int] = {}
        for child in self.element.iterchildren(etree.Element):
            name = str(child.tag)
            counts[name] = counts.get(name, 0) + 1
            # Elements in a namespace are somebody's annotations, not misspelt terms.
            if name not in self._asked and not name.startswith("{"):
                self._unknown(child, name)
        for name in sorted(self._single):
            if counts.get(name, 0) > 1:
                sentence = f"only the first {name} of {self.path} was used"
                self.faults.warn("VNP-105", sentence)

    def _unknown(self, child: etree._Element, name: str) -> None:
        sentence = f"unknown element {quoted(name)} in {self.element.tag!s}"
        if self.faults.strict:
            self.faults.note(child, EngineError("VNP-213", path_of(child), sentence))
        else:
            self.faults.warn("VNP-102", sentence)

    def _parsed(self, leaf: Leaf, parse: Callable[[Leaf], T]) -> T | None:
        try:
            return parse(leaf)
        except EngineError as error:
            self.faults.note(leaf.element, error)
            return None


def _filled(child: etree._Element) -> bool:
    """Tell whether an element says anything: text, children, or attributes besides its labels."""
    if text_of(child) or any(True for _ in child.iterchildren(etree.Element)):
        return True
    return any(name not in _LABELS for name in child.attrib)


_LABELS = frozenset({"name", "id", "unit", "compounding", "frequency", "dayCount", "currency"})


def _position(element: etree._Element) -> tuple[int, ...]:
    """Where an element stands: child numbers from the root; sorts in document order."""
    steps: list[int] = []
    while (parent := element.getparent()) is not None:
        steps.append(parent.index(element))
        element = parent
    return tuple(reversed(steps))
