"""What has to be merged when an element's turn comes, not before (VNML T1, M5).

An ``href`` is merged before any path is evaluated. Where a directive decides what is merged with
what, the other side is held until both are hydrated. Made by `hrefs`, obeyed by `elements`.
"""

import re
from dataclasses import dataclass, replace

from vnvs.hydration.directives import HREF, SELECT, is_vnml
from vnvs.hydration.lexical import split_outside
from vnvs.hydration.nodes import Element
from vnvs.hydration.placeholders import has_placeholder

_GIVES_TEXT = re.compile(r"(?:.*/)?(?:@[\w.-]+|text\(\))|vn:today\(\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Held:
    """The elements, outside of any tree, that are still to be merged with one in the tree."""

    fetched: Element | None = None  # by its own href: goes under it before its own select
    under: tuple[Element, ...] = ()  # counterparts: under what its own select gives (M5)
    apart: tuple[Element, Element] | None = None
    """Local and other, whose children can only be paired once they are hydrated. What stands in
    the tree meanwhile is for paths to look at."""

    @property
    def elements(self) -> tuple[Element, ...]:
        """All of them."""
        own = () if self.fetched is None else (self.fetched,)
        return (*own, *self.under, *(self.apart or ()))

    def with_lower(self, other: Element) -> "Held":
        """Put one more element under."""
        return replace(self, under=(*self.under, other))


Holds = dict[Element, Held]


def must_wait(element: Element, holds: Holds) -> bool:
    """Tell whether an element cannot be merged before its own directives are dealt with."""
    if element in holds:
        return True
    if not is_vnml(element):
        return False
    if SELECT in element.attrib or HREF in element.attrib:
        return True
    return any(
        has_placeholder(child.get(attribute) or "")
        for child in element.iterchildren("*")
        for attribute in ("name", "id")
    )


def pairs_are_open(mine: Element, theirs: Element, holds: Holds) -> bool:
    """Tell whether which of their children are counterparts (M4) is not known yet.

    ``<curve select="…"/>`` gets tag and name by what it selects.
    """
    sides = [list(side.iterchildren("*")) for side in (mine, theirs)]
    return all(sides) and any(_may_be_renamed(child, holds) for side in sides for child in side)


def _may_be_renamed(child: Element, holds: Holds) -> bool:
    held = holds.get(child)
    if held is not None and (held.under or held.fetched is not None):
        return True
    if not is_vnml(child):
        return False
    select = child.get(SELECT)
    return HREF in child.attrib or (select is not None and not _gives_text(select))


def _gives_text(select: str) -> bool:
    """Tell whether a selection leaves the element its tag and attributes (S4)."""
    return not has_placeholder(select) and all(
        _GIVES_TEXT.fullmatch(part.strip()) for part in split_outside(select, "|")
    )
