"""A fast way for the paths that documents really use: ``/vnml/project/market[@name='USD']/@date``.

libxml2 reads every sibling to find one by name: among 10,000 that is 3 ms, and 10,000 tasks that
each look for their own take half a minute. An `Index` answers them from dictionaries. What
`simple_path` does not understand goes to `xpath.evaluate`; both give the same nodes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from vnvs.hydration.lexical import LITERAL, without_literals
from vnvs.hydration.nodes import Element, Node, Value, texts_of
from vnvs.hydration.xpath import string_value

_NAME = r"[^\W\d][\w.-]*"
_STEP = re.compile(
    rf"""/(?P<tag>{_NAME}|\*)(?P<conditions>(?:\[\s*(?:[1-9]\d{{0,8}}
    |(?:\.|@{_NAME}|{_NAME}(?:/{_NAME})*(?:/@{_NAME})?)\s*=\s*(?:'[^']*'|"[^"]*"))\s*\])*)(?=/|\Z)""",
    re.VERBOSE,
)
_CONDITION = re.compile(
    rf"""\[\s*(?:(?P<number>\d+)|(?P<path>\.|@{_NAME}|{_NAME}(?:/{_NAME})*(?:/@{_NAME})?)
    \s*=\s*(?P<value>'[^']*'|"[^"]*"))\s*\]""",
    re.VERBOSE,
)
_TEXT = "/text()"
_ATTRIBUTE = re.compile(rf"/@(?P<name>{_NAME})\Z")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a condition looks at, seen from the element: ``instrument/@name``."""

    tags: tuple[str, ...]
    attribute: str | None  # None: the text of the elements

    @property
    def is_deep(self) -> bool:
        """Whether it looks into what is in the element."""
        return bool(self.tags) or self.attribute is None

    def values(self, element: Element) -> list[str]:
        """Give every value that the condition may equal."""
        elements = [element]
        for tag in self.tags:
            elements = [child for above in elements for child in above.iterchildren(tag)]
        if self.attribute is None:
            return [string_value(found) for found in elements]
        values = (found.get(self.attribute) for found in elements)
        return [value for value in values if value is not None]


class Equals(NamedTuple):
    """The condition ``[probe='value']``."""

    probe: Probe
    value: str


class Step(NamedTuple):
    """One step down: a tag, or ``*``, and its conditions in order; a number is a position."""

    tag: str
    conditions: tuple[Equals | int, ...]


@dataclass(frozen=True, slots=True)
class SimplePath:
    """An absolute path of child steps; at its end elements, an attribute of each, or their text."""

    steps: tuple[Step, ...]
    attribute: str | None = None
    is_text: bool = False
    length: int = 0  # of what is written, where this is only the start of a path

    def with_values(self, values: Sequence[str]) -> "SimplePath":
        """Give the same path with these values in its conditions, in order."""
        rest = iter(values)
        steps = tuple(
            Step(
                step.tag,
                tuple(
                    Equals(condition.probe, next(rest))
                    if isinstance(condition, Equals)
                    else condition
                    for condition in step.conditions
                ),
            )
            if step.conditions
            else step
            for step in self.steps
        )
        return SimplePath(steps, self.attribute, self.is_text)


def simple_path(expression: str) -> SimplePath | None:
    """Read an absolute path; None where it needs libxml2."""
    values = LITERAL.findall(expression)
    path = _read(LITERAL.sub("''", expression) if values else expression)
    return path.with_values([value[1:-1] for value in values]) if path and values else path


@lru_cache(maxsize=4096)
def _read(expression: str) -> SimplePath | None:
    """Read a path whose literals are empty: paths that differ in these alone are read once."""
    steps, position = _steps(expression)
    if not steps:
        return None
    if position == len(expression):
        return SimplePath(steps)
    if expression[position:] == _TEXT:
        return SimplePath(steps, is_text=True)
    attribute = _ATTRIBUTE.match(expression, position)
    return SimplePath(steps, attribute["name"]) if attribute else None


def simple_start(expression: str) -> SimplePath | None:
    """Read how a path starts that needs libxml2 further on; None where it does not start simply.

    ``/vnml/project//rate`` starts with ``/vnml/project``.
    """
    steps, position = _steps(expression)
    if not steps or expression[position : position + 1] != "/":
        return None
    return SimplePath(steps, length=position)


_ELSEWHERE = re.compile(
    r"\.\.|::|\$|(?<![\w.-])id\s*\("
    r"|(?:^|[^\w.\])/-])/|(?<![^\W\d])(?:and|or|div|mod)/"  # starts at the document again
)


@lru_cache(maxsize=4096)
def stays_below(path: str) -> bool:
    """Tell whether a relative path surely looks at nothing but what is below where it starts.

    So does ``quote[@date='2026-01-02']/rate``; ``../rate``, ``ancestor::*`` and ``a[. = //b]`` do
    not. When in doubt: no.
    """
    return _ELSEWHERE.search(without_literals(path).removeprefix("/").removeprefix("/")) is None


_BELOW = re.compile(
    rf"(?:\./)?(?P<tags>{_NAME}(?:/{_NAME})*)?(?:(?P<sep>/)?(?P<end>@{_NAME}|text\(\)))?"
)


@dataclass(frozen=True, slots=True)
class PathBelow:
    """A relative path of plain child steps; at its end elements, an attribute, or their texts."""

    tags: tuple[str, ...]
    attribute: str | None = None
    is_text: bool = False

    def nodes(self, at: Element) -> list[Node]:
        """Give its nodes in document order."""
        elements = [at]
        for tag in self.tags:
            elements = [child for above in elements for child in above.iterchildren(tag)]
        return _ends(elements, self.attribute, is_text=self.is_text)


@lru_cache(maxsize=4096)
def path_below(expression: str) -> PathBelow | None:
    """Read a relative path; None where it needs libxml2."""
    if expression == ".":
        return PathBelow(())
    found = _BELOW.fullmatch(expression)
    if found is None or not (found["tags"] or found["end"]):
        return None
    tags, end = found["tags"], found["end"]
    if (found["sep"] is None) != (tags is None or end is None):
        return None
    steps = tuple(tags.split("/")) if tags else ()
    if end is None:
        return PathBelow(steps)
    return PathBelow(steps, is_text=True) if end == "text()" else PathBelow(steps, end[1:])


def _steps(expression: str) -> tuple[tuple[Step, ...], int]:
    steps: list[Step] = []
    position = 0
    while found := _STEP.match(expression, position):
        steps.append(Step(found["tag"], tuple(_conditions(found["conditions"]))))
        position = found.end()
    return tuple(steps), position


def _conditions(text: str) -> list[Equals | int]:
    conditions: list[Equals | int] = []
    for found in _CONDITION.finditer(text):
        if found["number"]:
            conditions.append(int(found["number"]))
            continue
        *tags, last = found["path"].split("/")
        attribute = last[1:] if last.startswith("@") else None
        below = (*tags, last) if attribute is None and last != "." else tuple(tags)
        conditions.append(Equals(Probe(below, attribute), found["value"][1:-1]))
    return conditions


Entered = Callable[[list[Element]], bool]
"""Told the elements that a step gave; answers whether it changed the tree."""


class Index:
    """Children by tag and by what conditions look at, made when first asked for."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._children: dict[Element, dict[str, list[Element] | None]] = {}
        self._values: dict[Element, dict[tuple[str, Probe], dict[str, list[Element]]]] = {}

    def nodes(self, path: SimplePath, entered: Entered | None = None) -> list[Node] | None:
        """Give the nodes of a path in document order; None if `entered` changed the tree."""
        elements = self._filtered(None, path.steps[0])
        for step in path.steps[1:]:
            if entered and entered(elements):
                return None
            elements = [found for above in elements for found in self._filtered(above, step)]
        has_end = path.attribute is not None or path.is_text
        if has_end and entered and entered(elements):
            return None
        return _ends(elements, path.attribute, is_text=path.is_text)

    def nodes_below(
        self, start: list[Element], steps: Sequence[Step], attribute: str | None, *, is_text: bool
    ) -> list[Node]:
        """Give the nodes of further steps, from elements of the tree on."""
        elements = start
        for step in steps:
            elements = [found for above in elements for found in self._filtered(above, step)]
        return _ends(elements, attribute, is_text=is_text)

    def _filtered(self, parent: Element | None, step: Step) -> list[Element]:
        rest = list(step.conditions)
        if parent is not None and rest and isinstance(rest[0], Equals):
            first = rest.pop(0)
            assert isinstance(first, Equals)
            elements = self._by_value(parent, step.tag, first.probe).get(first.value, [])
        else:
            elements = self._by_tag(parent, step.tag)
        for condition in rest:
            if isinstance(condition, int):
                elements = elements[condition - 1 : condition]
            else:
                elements = [
                    element
                    for element in elements
                    if condition.value in condition.probe.values(element)
                ]
        return elements

    def _by_tag(self, parent: Element | None, tag: str) -> list[Element]:
        if parent is None:
            return [self._root] if tag in {"*", self._root.tag} else []
        by_tag = self._children.get(parent)
        if by_tag is None:
            children: dict[str, list[Element]] = {"*": []}
            for child in parent.iterchildren("*"):
                children["*"].append(child)
                children.setdefault(str(child.tag), []).append(child)
            by_tag = self._children[parent] = {**children}
        found = by_tag.get(tag, [])
        if found is None:  # a child got or lost this tag
            found = by_tag[tag] = [child for child in by_tag["*"] or [] if child.tag == tag]
        return found

    def _by_value(self, parent: Element, tag: str, probe: Probe) -> Mapping[str, list[Element]]:
        known = self._values.setdefault(parent, {})
        by_value = known.get((tag, probe))
        if by_value is None:
            by_value = known[tag, probe] = {}
            for child in self._by_tag(parent, tag):
                for value in dict.fromkeys(probe.values(child)):
                    by_value.setdefault(value, []).append(child)
        return by_value

    def forget(self, parent: Element) -> None:
        """Forget the children of an element."""
        self._children.pop(parent, None)
        self._values.pop(parent, None)

    def changed(self, element: Element, tag: object, attributes: dict[str, str]) -> None:
        """Forget what is known through an element that had this tag and these attributes before."""
        self._children.pop(element, None)
        self._values.pop(element, None)
        parent = element.getparent()
        if parent is None:
            return
        renamed = {str(tag), str(element.tag)} if tag != element.tag else set()
        by_tag = self._children.get(parent, {})
        for name in renamed if by_tag else ():
            by_tag[name] = None
        known = self._values.get(parent, {})
        for key in list(known):
            probe = key[1]
            by_attribute = not probe.tags and probe.attribute is not None
            attribute = probe.attribute or ""
            if (
                key[0] in renamed
                or not by_attribute
                or attributes.get(attribute) != element.get(attribute)
            ):
                del known[key]
        for above in parent.iterancestors():
            deep = self._values.get(above, {})
            for key in [key for key in deep if key[1].tags or key[1].attribute is None]:
                del deep[key]


def _ends(elements: list[Element], attribute: str | None, *, is_text: bool) -> list[Node]:
    if is_text:
        return [Value.of(owner, text) for owner in elements for text in texts_of(owner)]
    if attribute is None:
        return list(elements)
    values = ((owner, owner.get(attribute)) for owner in elements)
    return [Value.of(owner, value, attribute) for owner, value in values if value is not None]


class Paths:
    """Spells the path of an element for people; linear over many siblings, unlike ``getpath``.

    Siblings keep the numbers that they had when first asked for, as in the document as sent, even
    if a selection gives one of them another tag.
    """

    def __init__(self) -> None:
        self._steps: dict[Element, dict[Element, str]] = {}
        self._spelled: dict[Element, str] = {}

    def path(self, element: Element) -> str:
        """Give an absolute XPath, such as ``/vnml/project/group[1]/valuation/market``."""
        known = self._spelled.get(element)
        if known is None:
            known = self._spelled[element] = self._path(element)
        return known

    def _path(self, element: Element) -> str:
        parent = element.getparent()
        if parent is None:
            return f"/{_step_of_root(element)}"
        return f"{self.path(parent)}/{self._step(parent, element)}"

    def _step(self, parent: Element, child: Element) -> str:
        steps = self._steps.get(parent)
        if steps is None or child not in steps:
            steps = self._steps[parent] = _numbered(parent)
        return steps.get(child, "*")

    def replaced(self, element: Element, made: Element) -> None:
        """Let an element that stands where another stood have its number."""
        parent = made.getparent()
        steps = self._steps.get(parent) if parent is not None else None
        if steps is not None and element in steps:
            steps[made] = steps[element]

    def forget(self, parent: Element) -> None:
        """Number the children of an element anew when asked next."""
        self._spelled.clear()
        self._steps.pop(parent, None)


def _step_of_root(root: Element) -> str:
    return "*" if str(root.tag).startswith("{") else str(root.tag)


def _numbered(parent: Element) -> dict[Element, str]:
    totals: dict[str, int] = {}
    numbers: list[tuple[Element, str, int]] = []
    for child in parent.iterchildren("*"):
        tag = str(child.tag)
        totals[tag] = totals.get(tag, 0) + 1
        numbers.append((child, tag, totals[tag]))
    steps: dict[Element, str] = {}
    for position, (child, tag, number) in enumerate(numbers, start=1):
        if tag.startswith("{"):
            steps[child] = f"*[{position}]"
        else:
            steps[child] = f"{tag}[{number}]" if totals[tag] > 1 else tag
    return steps
