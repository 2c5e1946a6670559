"""Variables (VNML V1): declared by instructions before the root, replaced in texts and attributes.

    <?vnvs $NPATH = "10000" ?> … <samples>$NPATH</samples>   ->   <samples>10000</samples>

Called by the document pass for the request, and by the library for each fetched document.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from vncore.errors import HydrationFailed, Place
from vnvs.hydration.nodes import Element, attributes_of, is_element, line_of
from vnvs.hydration.shapes import HydrationLimits

INSTRUCTION = "vnvs"
_DECLARATION = re.compile(r"""\$([^\W\d]\w*)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ASSIGNMENT = re.compile(r"\$[^\W\d]\w*\s*=")
_USE = re.compile(r"\$([^\W\d]\w*)")


def declared(root: Element, limits: HydrationLimits) -> dict[str, str]:
    """Read the variables declared before `root`, by name.

    Raises HydrationFailed: VARIABLE_DUPLICATE, VARIABLE_MALFORMED or VARIABLE_LIMIT.
    """
    values: dict[str, str] = {}
    instructions: Any = list(root.itersiblings(etree.PI, preceding=True))
    for instruction in reversed(instructions):
        if instruction.target != INSTRUCTION:
            continue
        text = instruction.text or ""
        place = Place(line=line_of(instruction), expression=text.strip()[:200])
        for name, value in _declarations(text, place):
            if name in values:
                raise HydrationFailed(
                    "VARIABLE_DUPLICATE", f"${name} is declared twice", rule="V1", place=place
                )
            _check_size(name, value, len(values), limits, place)
            values[name] = value
    return values


def _declarations(text: str, place: Place) -> Iterator[tuple[str, str]]:
    rest = _DECLARATION.sub("", text)
    if _ASSIGNMENT.search(rest):
        raise HydrationFailed(
            "VARIABLE_MALFORMED",
            'a variable is declared as <?vnvs $NAME = "value" ?>',
            rule="V1",
            place=place,
        )
    for found in _DECLARATION.finditer(text):
        yield found[1], found[2] if found[2] is not None else found[3]


def _check_size(name: str, value: str, so_far: int, limits: HydrationLimits, place: Place) -> None:
    size = len(value.encode())
    for broken, message in (
        (so_far >= limits.max_variables, f"more than {limits.max_variables} variables"),
        (
            len(name) > limits.max_variable_name,
            f"${name[:20]}… is longer than {limits.max_variable_name} characters",
        ),
        (
            size > limits.max_variable_value,
            f"the value of ${name} has {size} bytes; the limit is {limits.max_variable_value}",
        ),
    ):
        if broken:
            raise HydrationFailed("VARIABLE_LIMIT", message, rule="V1", place=place)


@dataclass(slots=True)
class Expander:
    """Replaces variables by their values; one regular expression and a dictionary.

    Of declared names that begin the same the longest one is taken; what is not declared stays,
    and a value is not looked at again.
    """

    values: Mapping[str, str]
    limits: HydrationLimits
    uses: dict[str, int] = field(default_factory=dict)  # name -> how often it was replaced
    grown: int = 0  # bytes that replacing added
    _lengths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._lengths = tuple(sorted({len(name) for name in self.values}, reverse=True))

    def expand(self, text: str) -> str:
        """Replace every declared variable in a text."""
        return _USE.sub(self._value, text) if "$" in text else text

    def _value(self, found: re.Match[str]) -> str:
        written = found[1]
        name = written if written in self.values else self._longest_start(written)
        if name is None:
            return found[0]
        self.uses[name] = self.uses.get(name, 0) + 1
        value = self.values[name]
        self.grown += len(value)
        if self.grown > self.limits.max_bytes:
            # Checked while it grows: 10 MB of "$A" with a value of 64 KiB would be 300 GB.
            raise HydrationFailed(
                "HYDRATION_TOO_LARGE",
                f"variables expand to more than {self.limits.max_bytes} bytes",
                rule="V1",
            )
        return value + written[len(name) :]

    def _longest_start(self, written: str) -> str | None:
        for length in self._lengths:
            if length < len(written) and written[:length] in self.values:
                return written[:length]
        return None

    def expand_tree(self, root: Element) -> None:
        """Replace the variables in every text and attribute of a tree that is the caller's own."""
        if not self.values:
            return
        for element in root.iter():
            if is_element(element):
                self._expand_element(element)
            if element is not root and element.tail and "$" in element.tail:
                element.tail = self.expand(element.tail)

    def _expand_element(self, element: Element) -> None:
        if element.text and "$" in element.text:
            element.text = self.expand(element.text)
        for name, value in attributes_of(element).items():
            if "$" in value:
                expanded = self.expand(value)
                if len(expanded.encode()) > self.limits.max_attribute:
                    raise HydrationFailed(
                        "HYDRATION_ATTRIBUTE_TOO_LONG",
                        f"@{name} expands to more than {self.limits.max_attribute} bytes",
                        rule="V1",
                        place=Place(line=line_of(element)),
                    )
                element.set(name, expanded)
