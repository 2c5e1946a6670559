"""Find what is left to do in a tree: the directives of VNML D2, and where an element stands.

Directives are looked for in attributes without a namespace, on elements without one: what is
foreign is carried along untouched (D1).
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from lxml import etree

from vnvs.hydration.nodes import Element
from vnvs.hydration.placeholders import START, has_placeholder

HREF, SELECT, USE = "href", "select", "use"

# Finds some more, which `has_directive` takes out again: to ask exactly takes twice as long. By the
# attributes, which are few: asked of each element it takes eight times as long.
_FIND = etree.XPath(
    f"descendant-or-self::*/@*[contains('{SELECT} {HREF} {USE}', name())"
    f" or contains(., '{START}')]/parent::*[namespace-uri() = '']",
    smart_strings=False,
    regexp=False,
)
_FIND_HREFS = etree.XPath(
    "descendant-or-self::*/@href/parent::*[namespace-uri() = '']",
    smart_strings=False,
    regexp=False,
)


def elements_with_directives(root: Element) -> list[Element]:
    """Give the elements in and under `root` that have a directive, in document order."""
    found: Any = _FIND(root)
    return [element for element in found if has_directive(element)]


def has_directive(element: Element) -> bool:
    """Tell whether an element has a directive of its own; unterminated text is none (P1)."""
    if not is_vnml(element):
        return False
    attributes = element.attrib
    if SELECT in attributes or HREF in attributes or USE in attributes:
        return True
    return any(START in value and has_placeholder(value) for _, value in plain_attributes(element))


def elements_with_static_href(root: Element) -> list[Element]:
    """Give the elements whose ``href`` can be followed as it stands, in document order."""
    found: Any = _FIND_HREFS(root)
    return [element for element in found if is_static_href(element)]


def is_static_href(element: Element) -> bool:
    """Tell whether nothing that finds the counterpart (R2) waits for a placeholder."""
    return not any(has_placeholder(element.get(name) or "") for name in (HREF, "name", "id"))


def elements_with_href(root: Element) -> list[Element]:
    """Give all elements with an ``href``, in document order."""
    found: Any = _FIND_HREFS(root)
    return list(found)


def is_vnml(element: Element) -> bool:
    """Tell whether an element is one of VNML's: no comment, no namespace."""
    return isinstance(element.tag, str) and not element.tag.startswith("{")


def plain_attributes(element: Element) -> Iterator[tuple[str, str]]:
    """Give the attributes without a namespace."""
    for name, value in element.attrib.items():
        if not str(name).startswith("{"):
            yield str(name), str(value)


class Directives:
    """Which elements of a tree have directives, and which have some in them."""

    def __init__(self, root: Element) -> None:
        self.own: dict[Element, None] = {}  # in document order
        self.within: dict[Element, int] = {}  # how many, itself included
        for element in elements_with_directives(root):
            self.add(element)

    def add(self, element: Element) -> None:
        """Note that `element` has something to do."""
        if element not in self.own:
            self.own[element] = None
            self._count(element, 1)

    def remove(self, element: Element) -> None:
        """Note that `element` has nothing left to do."""
        if element in self.own:
            del self.own[element]
            self._count(element, -1)

    def _count(self, element: Element, change: int) -> None:
        node: Element | None = element
        while node is not None:
            self.within[node] = self.within.get(node, 0) + change
            node = node.getparent()


class Role(Enum):
    """What an element is in a request; decides when it is hydrated (T1, T2)."""

    ROOT = "vnml"
    PROJECT = "project"
    GROUP = "group"
    VALUATION = "in a valuation of a group"  # waits for the group's turn
    OUTSIDE = "anywhere else"

    def of_child(self, tag: object) -> "Role":
        """Give the role of a child with this tag."""
        match self, tag:
            case Role.ROOT, "project":
                return Role.PROJECT
            case Role.PROJECT, "group":
                return Role.GROUP
            case Role.GROUP, "valuation":
                return Role.VALUATION
            case Role.VALUATION, _:
                return Role.VALUATION
            case _:
                return Role.OUTSIDE


def role_below(element: Element, top: Element, top_role: Role) -> Role:
    """Give the role of an element in or under `top`, whose role is known."""
    tags: list[object] = []
    node = element
    while node is not top:
        tags.append(node.tag)
        above = node.getparent()
        assert above is not None, "the element is not below the top"
        node = above
    role = top_role
    for tag in reversed(tags):
        role = role.of_child(tag)
    return role
