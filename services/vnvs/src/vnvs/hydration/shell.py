"""What is around the one valuation of a task document (VNML K1), written once for a group.

    <vnml><project><group name="prices"> ⟨valuation⟩ </group></project></vnml>

The document without shared data and groups, but with the current group, its attributes and its
other children. Used by the group pass.
"""

from collections.abc import Callable

from lxml import etree

from vncore import xml
from vnvs.hydration.nodes import Element, append_text, copy_of, shallow_copy
from vnvs.hydration.outline import GROUP, SHARED, VALUATION


def escaped(text: str | None) -> bytes:
    """Write text between elements."""
    if not text:
        return b""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;").encode()


def own_vndb(task_id: int) -> bytes:
    """Write the element that carries a task's number."""
    return b'<vndb externalId="%d"/>' % task_id


class Shell:
    """The bytes before and after each valuation of a group."""

    def __init__(self, root: Element, group: Element) -> None:
        self._before, self._after = _around_content(root, group)
        self.declares_namespaces = b"xmlns" in self._before or b"xmlns" in self._after
        self._text = escaped(group.text)
        # Other children of the group by the number of valuations before them; what follows a
        # valuation belongs to it, unless it is more than white space.
        self._others: list[tuple[int, bytes]] = []
        self._tails: list[bytes] = []
        for child in group.iterchildren():
            if child.tag == VALUATION:
                blank = not child.tail or child.tail.isspace()
                self._tails.append(escaped(child.tail) if blank else b"")
                if not blank:
                    self._others.append((len(self._tails), escaped(child.tail)))
            else:
                written = xml.serialise(child, declaration=False) + escaped(child.tail)
                self._others.append((len(self._tails), written))
        if any(b"xmlns" in written for _, written in self._others):
            self.declares_namespaces = True

    def around(self, position: int) -> tuple[bytes, bytes]:
        """Give what comes before and after the valuation at a position (from 0)."""
        if not self._others:
            return self._before + self._text, self._tails[position] + self._after
        before = b"".join(piece for count, piece in self._others if count <= position)
        after = b"".join(piece for count, piece in self._others if count > position)
        return (
            b"".join((self._before, self._text, before)),
            b"".join((self._tails[position], after, self._after)),
        )


def _around_content(root: Element, group: Element) -> tuple[bytes, bytes]:
    """Write the document around the content of `group`: all before it, and all after it."""
    project = group.getparent()
    assert project is not None
    made_group = shallow_copy(group)
    made_project = _copy_but(
        project,
        lambda child: child.tag in SHARED or (child.tag == GROUP and child is not group),
        {group: made_group},
    )
    made_root = _copy_but(root, lambda _: False, {project: made_project})
    for node in reversed(list(root.itersiblings(preceding=True))):
        made_root.addprevious(copy_of(node))
    for node in reversed(list(root.itersiblings())):
        made_root.addnext(copy_of(node))
    return _split_at_content(made_root, made_group)


def _copy_but(
    element: Element,
    left_out: Callable[[Element], bool],
    instead: dict[Element, Element],
) -> Element:
    """Copy an element without some children and with others in place of some."""
    made = shallow_copy(element)
    made.text = element.text
    for child in element.iterchildren():
        if left_out(child):
            if child.tail and not child.tail.isspace():
                append_text(made, child.tail)
            continue
        copied = instead[child] if child in instead else copy_of(child)
        made.append(copied)
        copied.tail = child.tail
    return made


def _split_at_content(root: Element, group: Element) -> tuple[bytes, bytes]:
    mark = etree.ProcessingInstruction(unused_target(xml.serialise(root)))
    group.append(mark)
    before, after = xml.serialise(root).split(xml.serialise(mark, declaration=False))
    return before, after


def unused_target(written: bytes) -> str:
    """Choose a name for a mark that is nowhere in a document."""
    number = 0
    while b"vn-mark-%d" % number in written:
        number += 1
    return f"vn-mark-{number}"
