"""Write what goes into the valuations of a group's tasks (VNML K1), each thing as seldom as may be.

In come elements, out go bytes, or a `SharedPart` for what several tasks may have in common: it is
written once, and becomes a fragment of their documents (`vncore.pieces`). Used by `template` and
`leaf`.
"""

import re
from dataclasses import dataclass

from lxml import etree

from vncore import xml
from vncore.pieces import Fragment
from vnvs.hydration.budget import deeper_than
from vnvs.hydration.nodes import Element, copy_of, namespaces_of, new_element

FRAGMENT_BYTES = 4 * 1024
"""From which size on a child of a valuation is stored apart; naming it costs a tenth of that."""

_NO_FRAGMENT = re.compile(rb"<(?:vndb[\s/>]|[!?])")  # our own mark is found by its text


_NEEDS_CARE = re.compile('[<>&"{\t\n\r]')  # in attributes: escapes, and names with a namespace


@dataclass(slots=True, eq=False)
class SharedPart:
    """A written child of a valuation that tasks of the group may have in common."""

    written: bytes
    tasks: int = 0  # of the group at hand, that have it
    _fragment: Fragment | None = None

    @property
    def is_fragment(self) -> bool:
        """Whether it has become one."""
        return self._fragment is not None

    @property
    def fragment(self) -> Fragment:
        """The one fragment that it is, in whichever task."""
        if self._fragment is None:
            self._fragment = Fragment.of(self.written)
        return self._fragment


Part = bytes | SharedPart


def part_of(written: bytes) -> Part:
    """Give what tasks can share as such, anything else as it is."""
    if len(written) < FRAGMENT_BYTES or _NO_FRAGMENT.match(written):
        return written
    return SharedPart(written)


def written_in(part: Part) -> bytes:
    """Give the bytes of a part."""
    return part if isinstance(part, bytes) else part.written


class Writer:
    """Writes elements for a place where some namespaces are declared already, once for all."""

    def __init__(self, place: Element, *, has_namespaces: bool) -> None:
        self._has_namespaces = has_namespaces  # anywhere in the document
        self._holder = new_element("x", {}, place) if namespaces_of(place) else None
        if self._holder is not None:
            self._before = len(xml.serialise(self._holder, declaration=False)) - len("/")
            self._after = len("</x>")

    def own(self, element: Element) -> bytes:
        """Write an element of our own, without what is declared around its place."""
        if self._holder is None:
            return xml.serialise(element, declaration=False)
        self._holder.append(element)
        written = xml.serialise(self._holder, declaration=False)
        self._holder.remove(element)
        return written[self._before : -self._after]

    @staticmethod
    def is_deeper(levels: int, element: Element) -> bool:
        """Tell whether an element has more than so many levels, itself counted."""
        return deeper_than(levels, element)

    def start_tag(self, tag: str, attributes: dict[str, str], like: Element) -> bytes:
        """Write the start tag of an element with the namespaces in scope of another one."""
        if not self._has_namespaces and not _NEEDS_CARE.search(
            "".join((*attributes, *attributes.values()))
        ):
            written = "".join([f' {name}="{value}"' for name, value in attributes.items()])
            return f"<{tag}{written}>".encode()
        return self.own(new_element(tag, attributes, like)).removesuffix(b"/>") + b">"

    def standing(self, element: Element) -> bytes:
        """Write an element of the document, where it stays as it is."""
        if self._has_namespaces:  # it would get all those in whose scope it stands
            return self.own(copy_of(element))
        return etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False)


def written_size(element: Element) -> int:
    """Tell how many bytes an element takes, without the text after it."""
    return len(etree.tostring(element, encoding="UTF-8", xml_declaration=False, with_tail=False))
