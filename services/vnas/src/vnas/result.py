"""What a script wrote becomes a task's result: one bare ``valuation`` (VNML K2).

In come the script's output and the task document; out goes the result as it is stored and later
put in the place of its valuation. Pure. Called by `work` and by `desk`; for large documents in a
thread, since it parses.

    <vnml><project><group><valuation>…</valuation></group></project></vnml>
    <valuation>…</valuation>
    101.25                          becomes analytics/price/amount of the task's own valuation

each give

    <valuation>…<vndb externalId="7" script="sha256:…"/></valuation>
"""

import math
import re

from lxml import etree

from vnas.taskdoc import MARK, TASK_NUMBER, find_valuation, rejected, task_valuation
from vncore import xml
from vncore.errors import MalformedDocument, ResultRejected
from vncore.ids import TaskId

_NUMBER = re.compile(rb"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_WHITE_SPACE = b" \t\r\n"
_LONGEST_NUMBER = 1_000
"""Digits and all; no number that a pricing needs comes near."""

_LEVELS_ABOVE = 3
"""A result is put under vnml, project and group; it must leave them room (SAFETY §1)."""

_OUTPUT = "script's output"
_SCRIPT_DIGEST = "script"


def make_result(
    output: bytes,
    task_xml: bytes,
    *,
    task_id: TaskId,
    script_digest: str,
    limits: xml.XmlLimits = xml.DEFAULT_LIMITS,
) -> bytes:
    """Check the output of a script that ended well and give the result, UTF-8 without declaration.

    `script_digest` is ``sha256:`` and 64 hex digits. The last child of the result is our ``vndb``
    with the task's number and that digest (DESIGN §9), whether the script kept ours, moved it or
    left it out; a ``vndb`` that the client wrote stays where it is.

    Raises ResultRejected (``RESULT_INVALID``, permanent) when the output is none of the three.
    """
    text = output.strip(_WHITE_SPACE)
    if not text:
        raise rejected("the script exited with 0 and wrote nothing")
    if b"<" in text:
        valuation = find_valuation(_parse_output(output, limits), what=_OUTPUT)
    else:
        amount = _checked_number(text)
        valuation = task_valuation(task_xml)
        _set_amount(valuation, amount)
    most = limits.max_depth - _LEVELS_ABOVE
    if text.count(b"<") > most and xml.is_deeper_than(valuation, most):
        raise rejected(f"the valuation has more than {most} levels")
    _mark(valuation, task_xml, task_id=task_id, script_digest=script_digest)
    return xml.serialise(valuation, declaration=False)


def _parse_output(output: bytes, limits: xml.XmlLimits) -> etree._Element:
    try:
        return xml.parse(output, limits=limits, what=_OUTPUT)
    except MalformedDocument as err:
        # The place is in the message only: it is one in the output, not in the client's document.
        raise ResultRejected("RESULT_INVALID", f"{err.message} ({err.code})", rule="K2") from err


def _checked_number(text: bytes) -> str:
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
    valuation: etree._Element, task_xml: bytes, *, task_id: TaskId, script_digest: str
) -> None:
    """Make our ``vndb`` the last child, in place of the one that the script passed on."""
    mark = _passed_on(valuation, task_xml, task_id)
    if mark is None or mark.getnext() is not None:
        if mark is not None:
            _take_out(mark)
        mark = etree.SubElement(valuation, MARK)
    mark.attrib.clear()
    mark.set(TASK_NUMBER, str(task_id))
    mark.set(_SCRIPT_DIGEST, script_digest)


def _passed_on(
    valuation: etree._Element, task_xml: bytes, task_id: TaskId
) -> etree._Element | None:
    """Find our ``vndb`` in what the script wrote; None when the script left it out.

    A client may have written an element just like it. Those in the task are counted: only one more
    than these is ours, and it is the last of them.
    """
    alike = _marks_of(valuation, task_id)
    if not alike:
        return None
    of_client = 0
    if task_xml.count(b"<" + MARK.encode()) > 1:  # else the only one is ours; saves parsing
        of_client = max(0, len(_marks_of(task_valuation(task_xml), task_id)) - 1)
    return alike[-1] if len(alike) > of_client else None


def _marks_of(valuation: etree._Element, task_id: TaskId) -> list[etree._Element]:
    return [
        mark
        for mark in valuation.findall(MARK)
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
