"""The few things that everybody does with lxml's elements, typed (its stubs are not).

Used by every module of hydration.
"""

from copy import deepcopy
from typing import Any, TypeAlias, cast

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001 (lxml has no public name for it)
"""An element, a comment or a processing instruction."""

Node: TypeAlias = Element | str
"""What an XPath can give: an element (or comment …), or the value of an attribute or text."""


class Value(str):
    """The text of an attribute or text node that a path gave, and the element that it is of."""

    __slots__ = ("attribute", "owner")
    owner: Element
    attribute: str | None  # its name; None: a text

    @classmethod
    def of(cls, owner: Element, text: str, attribute: str | None = None) -> "Value":
        """Give a text with where it came from."""
        value = cls(text)
        value.owner, value.attribute = owner, attribute
        return value


def is_element(node: Element) -> bool:
    """Tell elements from comments and processing instructions."""
    return isinstance(node.tag, str)


def attributes_of(element: Element) -> dict[str, str]:
    """Give a copy of all attributes; names with a namespace as ``{uri}name``."""
    attributes: Any = element.attrib
    return dict(attributes)


def namespaces_of(element: Element) -> dict[str | None, str]:
    """Give the namespaces in scope by prefix."""
    return cast("dict[str | None, str]", dict(element.nsmap))


def line_of(element: Element) -> int | None:
    """Give the line in the document that the element was parsed from, if any."""
    line: Any = element.sourceline
    return cast("int | None", line)


def keep_line(element: Element, of: Element) -> None:
    """Let an element that we made tell the line of the one that it stands for."""
    if line_of(of) is not None:
        made: Any = element
        made.sourceline = line_of(of)


def new_element(tag: str, attributes: dict[str, str], like: Element) -> Element:
    """Make an empty element with the namespaces in scope of another one."""
    namespaces: Any = namespaces_of(like)
    return etree.Element(tag, attributes, nsmap=namespaces)


def copy_of(element: Element) -> Element:
    """Copy an element with everything in it, without the text after it."""
    copied = deepcopy(element)
    copied.tail = None
    return copied


def shallow_copy(element: Element) -> Element:
    """Copy an element's name, namespaces and attributes."""
    return new_element(str(element.tag), attributes_of(element), element)


def root_of(element: Element) -> Element:
    """Give the topmost element above an element.

    Not ``getroottree()``: of an element that was taken out of a tree that gives the tree's root.
    """
    top = element
    while (above := top.getparent()) is not None:
        top = above
    return top


def texts_of(element: Element) -> list[str]:
    """Give the texts of an element itself, between and beside its children."""
    texts = [element.text, *(child.tail for child in element.iterchildren())]
    return [text for text in texts if text]


def append_text(parent: Element, text: str) -> None:
    """Put text behind all that is in an element."""
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def remove(element: Element) -> None:
    """Take an element out; text after it stays unless it is white space."""
    parent = element.getparent()
    assert parent is not None
    tail, previous = element.tail, element.getprevious()
    parent.remove(element)
    if tail and not tail.isspace():
        if previous is not None:
            previous.tail = (previous.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail
