"""Merge a local element with a fetched or selected one (VNML §7): the nearer one wins.

    local   <m a="1"><rate>5</rate></m>
    other   <m a="2" b="3"><rate>4</rate><spread>1</spread></m>
    merged  <m a="1" b="3"><rate>5</rate><spread>1</spread></m>

`merge` returns a new element and leaves both of its sources alone. It takes time in proportion to
the two: counterparts are found by dictionaries. Knows nothing of directives, except through the
`defer` that the document pass hands in.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from vnvs.hydration.nodes import (
    Element,
    append_text,
    attributes_of,
    copy_of,
    is_element,
    keep_line,
    new_element,
)

Copy = Callable[[Element], Element]
"""Copies a subtree; the document pass also carries its side tables along."""

Defer = Callable[[Element, Element], Element | None]
"""Given a pair that cannot be merged yet, gives the element to put there meanwhile; else None."""

Key = tuple[str, str, str]
Item = str | Element
"""A text, or a comment or processing instruction, between elements."""


class TextRule(Enum):
    """Whose text the element with the directive gets (M2)."""

    LOCAL_FIRST = "href"  # the local one if it is not blank
    OTHER_FIRST = "select"  # the other one if it has any


def merge(
    local: Element,
    other: Element,
    rule: TextRule,
    *,
    copy: Copy = copy_of,
    defer: Defer | None = None,
) -> Element:
    """Merge `local` over `other` by M1-M7 and return a new element without a tail.

    The caller removes the processed directive from `local` before.
    """
    if _is_empty(local) and defer is None:
        return copy(other)  # by far the most frequent: <instrument select="."/>
    attributes = {**attributes_of(other), **attributes_of(local)}
    merged = new_element(str(other.tag), attributes, other)
    keep_line(merged, local)
    mine, theirs = _Content.of(local), _Content.of(other)
    _put(merged, _head(mine.head, theirs.head, rule), copy)
    pairs, leftover = _pair(mine.children, theirs.children)
    build = _Builder(merged, copy, defer)
    if theirs.is_mixed:
        build.in_order_of_other(theirs.children, mine.children, pairs, leftover)
    else:
        build.in_order_of_local(theirs.children, mine.children, pairs, leftover)
    return merged


def _is_empty(local: Element) -> bool:
    return len(local) == 0 and not local.attrib and not local.text


@dataclass(slots=True)
class _Child:
    """An element child with what follows it up to the next one."""

    element: Element
    trail: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class _Content:
    """What is in an element: what precedes its first element child, then its children."""

    head: list[Item]
    children: list[_Child]

    @classmethod
    def of(cls, element: Element) -> "_Content":
        content = cls([element.text] if element.text else [], [])
        items = content.head
        for node in element.iterchildren():
            if is_element(node):
                content.children.append(_Child(node))
                items = content.children[-1].trail
            else:
                items.append(node)
            if node.tail:
                items.append(node.tail)
        return content

    @property
    def is_mixed(self) -> bool:
        """Whether there is text between or beside element children."""
        return bool(self.children) and (
            _has_text(self.head) or any(_has_text(child.trail) for child in self.children)
        )


def _has_text(items: list[Item]) -> bool:
    return any(isinstance(item, str) and not item.isspace() for item in items)


def _is_blank(text: str | None) -> bool:
    return bool(text) and str(text).isspace()


def _comments(items: list[Item]) -> list[Item]:
    return [item for item in items if not isinstance(item, str)]


def _head(mine: list[Item], theirs: list[Item], rule: TextRule) -> list[Item]:
    """Choose the text before the first child; comments of both stay (M2, M6)."""
    first, second = (mine, theirs) if rule is TextRule.LOCAL_FIRST else (theirs, mine)
    if _has_text(first):
        return first + _comments(second)
    if _has_text(second):
        return second + _comments(first)
    return mine + _comments(theirs) if mine else theirs


def _trail(mine: list[Item], theirs: list[Item]) -> list[Item]:
    """What follows a child that was overridden: text of either side stays (M6)."""
    if _has_text(mine):
        return mine + (theirs if _has_text(theirs) else _comments(theirs))
    if _has_text(theirs):
        return theirs + _comments(mine)
    return mine + _comments(theirs) if mine else theirs


def _keys(children: list[_Child]) -> Iterator[Key]:
    """Name each child for pairing: by name, else id, else as one of its tag's anonymous (M4)."""
    for child in children:
        for attribute in ("name", "id"):
            value = child.element.get(attribute)
            if value is not None:
                yield str(child.element.tag), attribute, value
                break
        else:
            yield str(child.element.tag), "", ""


def _pair(mine: list[_Child], theirs: list[_Child]) -> tuple[dict[int, int], list[int]]:
    """Pair children by position: mine -> theirs, and which of theirs are left over (M4)."""
    free: dict[Key, deque[int]] = defaultdict(deque)
    their_keys = list(_keys(theirs))
    for position, key in enumerate(their_keys):
        free[key].append(position)
    pairs: dict[int, int] = {}
    lists_that_replace: set[Key] = set()
    for position, key in enumerate(_keys(mine)):
        if free.get(key):
            pairs[position] = free[key].popleft()
            if not key[1]:
                lists_that_replace.add(key)
    used = set(pairs.values())
    leftover = [
        position
        for position, key in enumerate(their_keys)
        if position not in used and key not in lists_that_replace
    ]
    return pairs, leftover


@dataclass(slots=True)
class _Builder:
    """Puts children into the merged element."""

    merged: Element
    copy: Copy
    defer: Defer | None

    def in_order_of_local(
        self,
        theirs: list[_Child],
        mine: list[_Child],
        pairs: dict[int, int],
        leftover: list[int],
    ) -> None:
        """Local children in their order, then the others without a counterpart (M3)."""
        for position, child in enumerate(mine):
            if position in pairs:
                self._put_pair(child, theirs[pairs[position]])
            else:
                self._put_child(child)
        if mine and leftover and _is_blank(self.merged[-1].tail) and _is_blank(self.merged.text):
            self.merged[-1].tail = self.merged.text  # indents what follows like what precedes
        for position in leftover:
            self._put_child(theirs[position])

    def in_order_of_other(
        self,
        theirs: list[_Child],
        mine: list[_Child],
        pairs: dict[int, int],
        leftover: list[int],
    ) -> None:
        """Mixed content keeps its order: overrides take their counterparts' places (M6)."""
        overriding = {their: own for own, their in pairs.items()}
        kept = set(leftover)
        for position, child in enumerate(theirs):
            if position in overriding:
                self._put_pair(mine[overriding[position]], child)
            elif position in kept:
                self._put_child(child)
            elif _has_text(child.trail):
                _put(self.merged, child.trail, self.copy)
        for position, child in enumerate(mine):
            if position not in pairs:
                self._put_child(child)

    def _put_child(self, child: _Child) -> None:
        self.merged.append(self.copy(child.element))
        _put(self.merged, child.trail, self.copy)

    def _put_pair(self, mine: _Child, theirs: _Child) -> None:
        deferred = self.defer(mine.element, theirs.element) if self.defer else None
        if deferred is None:
            # What a child says overrides, under `select` as under `href`: M2's exception for
            # `select` is for the old text of the very element that has it.
            deferred = merge(
                mine.element,
                theirs.element,
                TextRule.LOCAL_FIRST,
                copy=self.copy,
                defer=self.defer,
            )
        self.merged.append(deferred)
        _put(self.merged, _trail(mine.trail, theirs.trail), self.copy)


def _put(parent: Element, items: list[Item], copy: Copy) -> None:
    """Append texts, comments and instructions behind what is already in `parent`."""
    for item in items:
        if not isinstance(item, str):
            parent.append(copy(item))
        else:
            append_text(parent, item)
