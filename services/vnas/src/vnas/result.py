"""What a script wrote becomes a task's result: one bare ``valuation`` (VNML K2).

In come the script's output and the task document; out goes the result as it is stored and later
put in the place of its valuation. What a script passes on of what its task shares with others is
neither parsed nor stored again (`skeleton`). Called by `work` and by `desk`; for large documents in
a thread, since it parses.

    <vnml><project><group><valuation>…</valuation></group></project></vnml>
    <valuation>…</valuation>
    101.25                          becomes analytics/price/amount of the task's own valuation

each give

    <valuation>…<vndb externalId="7" script="sha256:…"/></valuation>
"""

import math
import re
from collections.abc import Sequence
from contextlib import suppress

from lxml import etree

from vnas.skeleton import Skeleton, without_shared
from vnas.taskdoc import (
    ANY_SIZE,
    LEVELS_ABOVE,
    MARK,
    TASK_NUMBER,
    bare_valuation,
    find_valuation,
    rejected,
)
from vncore import xml
from vncore.errors import MalformedDocument, ResultRejected
from vncore.ids import TaskId
from vncore.pieces import Fragment

_NUMBER = re.compile(rb"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_WHITE_SPACE = b" \t\r\n"
_LONGEST_NUMBER = 1_000
"""Digits and all; no number that a pricing needs comes near."""

_LONG_BYTES = (
    16 * 1024
)  # from here on to search a task takes longer than to take out what is shared
_LEVEL_BYTES = len(b"<a></a>")
_OUTPUT = "script's output"
_SCRIPT_DIGEST = "script"
_MARK_START = b"<" + MARK.encode()


def make_result(
    output: bytes,
    task_xml: bytes,
    *,
    task_id: TaskId,
    script_digest: str,
    limits: xml.XmlLimits = xml.DEFAULT_LIMITS,
    shared: Sequence[Fragment] = (),
) -> bytes:
    """Check the output of a script that ended well and give the result in its stored form.

    That is the document, UTF-8 without declaration, or where fragments of `shared` stand in it its
    pieces (`vncore.pieces`), which put together are that very document. `shared` are fragments of
    the task document, each a whole element as it was written into it.

    `script_digest` is ``sha256:`` and 64 hex digits. The last child of the result is our ``vndb``
    with the task's number and that digest (DESIGN §9), whether the script kept ours, moved it or
    left it out; a ``vndb`` that the client wrote stays where it is.

    Raises ResultRejected (``RESULT_INVALID``, permanent) when the output is none of the three.
    """
    if b"<" in output:
        valuation, skeleton = _valuation_of(output, shared, limits)
    else:
        amount = _checked_number(output.strip(_WHITE_SPACE))
        valuation, skeleton = bare_valuation(task_xml, shared, keeping=(MARK, "analytics"))
        _set_amount(valuation, amount)
    _mark(valuation, task_xml, shared, task_id=task_id, script_digest=script_digest)
    if skeleton is not None:
        return skeleton.stored(valuation)
    return xml.serialise(valuation, declaration=False)


def _valuation_of(
    output: bytes, shared: Sequence[Fragment], limits: xml.XmlLimits
) -> tuple[etree._Element, Skeleton | None]:
    """Find the valuation that a script wrote, without parsing what it passed on, if that can be."""
    most = limits.max_depth - LEVELS_ABOVE
    skeleton = None
    if shared:
        skeleton = without_shared(output, shared, limits=limits, keeping=(MARK,))
    if skeleton is not None:
        with suppress(ResultRejected):  # then it is said of the whole output, with the place in it
            valuation = _checked_valuation(skeleton.text, limits, most)
            if skeleton.fits(valuation, most):
                return valuation, skeleton
    return _checked_valuation(output, limits, most), None


def _checked_valuation(output: bytes, limits: xml.XmlLimits, most_levels: int) -> etree._Element:
    valuation = find_valuation(_parse_output(output, limits), what=_OUTPUT)
    # Each level takes a tag and its end: most outputs are too short, or have too few, for so many.
    may_be_deep = len(output) > _LEVEL_BYTES * most_levels and output.count(b"<") > most_levels
    if may_be_deep and xml.is_deeper_than(valuation, most_levels):
        raise rejected(f"the valuation has more than {most_levels} levels")
    return valuation


def _parse_output(output: bytes, limits: xml.XmlLimits) -> etree._Element:
    try:
        return xml.parse(output, limits=limits, what=_OUTPUT)
    except MalformedDocument as err:
        # The place is in the message only: it is one in the output, not in the client's document.
        raise ResultRejected("RESULT_INVALID", f"{err.message} ({err.code})", rule="K2") from err


def _checked_number(text: bytes) -> str:
    if not text:
        raise rejected("the script exited with 0 and wrote nothing")
    shown = text[:80].decode("ascii", errors="replace")
    if len(text) > _LONGEST_NUMBER:
        raise rejected(f"the script's output is {len(text)} characters without a tag: {shown!r}…")
    if not _NUMBER.fullmatch(text):
        raise rejected(f"the script's output is neither XML nor one decimal number: {shown!r}")
    if not math.isfinite(float(text)):
        raise rejected(f"the script's number is too large: {shown}")
    return text.decode("ascii")


def _set_amount(valuation: etree._Element, amount: str) -> None:
    """Put a number into the first ``analytics/price/amount``, made where it is missing."""
    element = valuation.find("analytics/price/amount")
    if element is None:
        price = valuation.find("analytics/price")
        if price is None:
            analytics = valuation.find("analytics")
            if analytics is None:
                analytics = etree.SubElement(valuation, "analytics")
            price = etree.SubElement(analytics, "price")
        element = etree.SubElement(price, "amount")
    for child in list(element):
        element.remove(child)
    element.text = amount


def _mark(
    valuation: etree._Element,
    task_xml: bytes,
    shared: Sequence[Fragment],
    *,
    task_id: TaskId,
    script_digest: str,
) -> None:
    """Make our ``vndb`` the last child, in place of the one that the script passed on."""
    mark = _passed_on(valuation, task_xml, shared, task_id)
    if mark is None or mark.getnext() is not None:
        if mark is not None:
            _take_out(mark)
        mark = etree.SubElement(valuation, MARK)
    mark.attrib.clear()
    mark.set(TASK_NUMBER, str(task_id))
    mark.set(_SCRIPT_DIGEST, script_digest)


def _passed_on(
    valuation: etree._Element, task_xml: bytes, shared: Sequence[Fragment], task_id: TaskId
) -> etree._Element | None:
    """Find our ``vndb`` in what the script wrote; None when the script left it out.

    A client may have written an element just like it. Those in the task are counted: only one more
    than these is ours, and it is the last of them.
    """
    alike = _marks_of(valuation, task_id)
    if not alike:
        return None
    of_client = 0
    written = task_xml
    if shared and len(task_xml) > _LONG_BYTES:
        skeleton = without_shared(task_xml, shared, limits=ANY_SIZE, keeping=(MARK,))
        written = skeleton.text if skeleton is not None else task_xml
    last = written.rfind(_MARK_START)
    if written.find(_MARK_START, 0, max(last, 0)) >= 0:  # else the only one is ours
        in_task, _ = bare_valuation(task_xml, shared, keeping=(MARK,))
        of_client = max(0, len(_marks_of(in_task, task_id)) - 1)
    return alike[-1] if len(alike) > of_client else None


def _marks_of(valuation: etree._Element, task_id: TaskId) -> list[etree._Element]:
    return [
        mark
        for mark in valuation.iterchildren(MARK)
        if mark.get(TASK_NUMBER) == str(task_id)
        and set(mark.keys()) <= {TASK_NUMBER, _SCRIPT_DIGEST}
        and len(mark) == 0
        and not (mark.text or "").strip()
    ]


def _take_out(element: etree._Element) -> None:
    """Remove an element and leave the text after it where it is."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail
    assert parent is not None, "only children of a valuation are taken out"
    if tail:
        if before is not None:
            before.tail = (before.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail
    element.tail = None
    parent.remove(element)
