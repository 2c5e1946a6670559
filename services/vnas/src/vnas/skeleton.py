"""A document without the fragments that it shares with others, so that only the rest is parsed.

    <valuation><market>…a megabyte…</market><a/></valuation>      is parsed as
    <valuation><?vn-shared 0?><a/></valuation>

and written as pieces (`vncore.pieces`). Whatever is not as plain as that is left to a parse of the
whole: nothing here may change what a document means or what is refused. Pure but for a memory of
what fragments are like. Used by `taskdoc` and `result`.
"""

import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from vncore import xml
from vncore.errors import MalformedDocument
from vncore.pieces import Fragment, packed

_BEGINNING_BYTES = 64  # searched for; the rest is compared where it was found
_MOST_MISSES = 16  # for one fragment: documents full of what begins like it are not worth it
_REMEMBERED = 4_096  # fragments: some hundred bytes each
_TARGET = b"vn-shared"
_OTHER_ENCODING = re.compile(
    rb"""<\?xml[^>]*?encoding[ \t\r\n]*=[ \t\r\n]*['"](?!utf-?8['"])""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What is left of a document, with a processing instruction in place of each fragment."""

    text: bytes
    fragments: tuple[Fragment, ...]  # by the numbers in the instructions
    levels: tuple[int, ...]  # of elements in each of them
    target: str  # of the instructions; it occurs nowhere else in `text`

    def fits(self, valuation: etree._Element, most_levels: int) -> bool:
        """Tell whether each fragment stands in this valuation as an element, and not too deep."""
        found = 0
        instructions: Iterator[Any] = valuation.iter(etree.ProcessingInstruction)
        for instruction in instructions:
            if instruction.target != self.target:
                continue
            if instruction.text != str(found):
                return False
            above = 1
            parent = instruction.getparent()
            while parent is not None and parent is not valuation:
                above += 1
                parent = parent.getparent()
            if above + self.levels[found] > most_levels:
                return False
            found += 1
        return found == len(self.fragments)

    def stored(self, valuation: etree._Element) -> bytes:
        """Write a valuation, in which these fragments stand, in the form in which it is stored."""
        return packed(self._pieces(xml.serialise(valuation, declaration=False)))

    def _pieces(self, text: bytes) -> Iterator[bytes | Fragment]:
        own, *others = text.split(b"<?%b " % self.target.encode())
        yield own
        for other in others:
            number, _, own = other.partition(b"?>")
            yield self.fragments[int(number)]
            yield own


def without_shared(
    document: bytes,
    shared: Sequence[Fragment],
    *,
    limits: xml.XmlLimits,
    keeping: Collection[str] = (),
) -> Skeleton | None:
    """Take out of a document the fragments that stand in it, but none with a root of `keeping`.

    None: there are none, or the document has to be looked at whole.
    """
    if len(document) > limits.max_bytes or _OTHER_ENCODING.match(document):
        return None
    limits = replace(limits, max_bytes=sys.maxsize)  # so that each fragment is looked at once
    places = sorted(_places(document, shared, limits, keeping), key=lambda place: place[0])
    own: list[bytes] = []
    taken: list[tuple[Fragment, _Facts]] = []
    at = 0
    for start, fragment, facts in places:
        if start < at:
            continue  # it is a part of the one before
        own.append(document[at:start])
        taken.append((fragment, facts))
        at = start + len(fragment.body)
    if not taken:
        return None
    own.append(document[at:])
    target = _TARGET
    while any(target in part for part in own):
        target += b"-"
    text = own[0] + b"".join(
        b"<?%b %d?>%b" % (target, number, part) for number, part in enumerate(own[1:])
    )
    tags = len(text) + sum(facts.tags for _, facts in taken)  # at the most
    if tags > limits.max_tags or b"xmlns" in text:
        return None
    return Skeleton(
        text,
        tuple(fragment for fragment, _ in taken),
        tuple(facts.levels for _, facts in taken),
        target.decode(),
    )


def _places(
    document: bytes, shared: Sequence[Fragment], limits: xml.XmlLimits, keeping: Collection[str]
) -> Iterator[tuple[int, Fragment, "_Facts"]]:
    """Find where fragments begin; of those that begin at the same place the longest comes first."""
    unique = {fragment.digest: fragment for fragment in shared}.values()
    for fragment in sorted(unique, key=lambda one: -len(one.body)):
        body = fragment.body
        beginning = body[:_BEGINNING_BYTES]
        misses = 0
        start = document.find(beginning)
        while start >= 0 and misses < _MOST_MISSES:
            if document.startswith(body, start):
                facts = _facts(fragment, limits)
                if facts is None or facts.tag in keeping:
                    break
                yield start, fragment, facts
                start = document.find(beginning, start + len(body))
            else:
                misses += 1
                start = document.find(beginning, start + 1)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What there is to know of a fragment."""

    tag: str
    levels: int  # of elements, itself included
    tags: int  # "<" or "=" in it, whichever are more


_known: OrderedDict[tuple[str, xml.XmlLimits], _Facts | None] = OrderedDict()
_lock = threading.Lock()


def _facts(fragment: Fragment, limits: xml.XmlLimits) -> _Facts | None:
    """Look at a fragment, once; None: it has to be parsed with what is around it."""
    key = (fragment.digest, limits)
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    facts = _looked_at(fragment.body, limits)
    with _lock:
        _known[key] = facts
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return facts


def _looked_at(body: bytes, limits: xml.XmlLimits) -> _Facts | None:
    # Names with a prefix of its own or of what is around it, and ids, are not a fragment's alone.
    if not body.startswith(b"<") or b"xmlns" in body or b"xml:" in body:
        return None
    try:
        root = xml.parse(body, limits=limits)
    except MalformedDocument:
        return None
    if xml.serialise(root, declaration=False) != body:
        return None  # a parse of the whole would write it in another way
    levels = 1
    while xml.is_deeper_than(root, levels):
        levels += 1
    return _Facts(str(root.tag), levels, max(body.count(b"<"), body.count(b"=")))
