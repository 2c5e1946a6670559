"""What stands in the place of a task's result when the task has failed (VNML F2).

    <valuation><analytics>…</analytics>                 <instrument/><vndb …/></valuation>
    <valuation><failure code="…" attempts="3">…</failure><instrument/><vndb …/></valuation>

Bytes in, bytes out; made of the task document when its group is complete.
"""

import re
from collections.abc import Sequence

from lxml import etree

from vncore import xml
from vnvs.hydration.failed import CODE, FAILURE
from vnvs.hydration.nodes import Element, remove
from vnvs.hydration.outline import GROUP, PROJECT, VALUATION, misplaced, parse_stored, valuations_of
from vnvs.hydration.shapes import DEFAULT_LIMITS, FailedTask, HydrationLimits

_ANALYTICS, _MARK = "analytics", "vndb"


def failed_valuations(
    tasks: Sequence[FailedTask], *, limits: HydrationLimits = DEFAULT_LIMITS
) -> list[bytes]:
    """Make what stands in the place of failed tasks (F2), each as `failed_valuation` does."""
    return [
        failed_valuation(
            task.xml,
            code=task.code,
            attempts=task.attempts,
            message=task.message,
            limits=limits,
        )
        for task in tasks
    ]


def failed_valuation(
    task_xml: bytes,
    *,
    code: str,
    attempts: int,
    message: str,
    limits: HydrationLimits = DEFAULT_LIMITS,
) -> bytes:
    """Make the bare valuation of a task document with a ``failure`` in place of ``analytics``.

    Without ``analytics`` the failure comes before ``vndb``, which stays the last child. What XML
    cannot carry of the message becomes U+FFFD.
    """
    valuation = _valuation_of(parse_stored(task_xml, limits))
    failure = etree.Element(FAILURE, {CODE: _carried(code), "attempts": str(attempts)})
    failure.text = _carried(message)
    analytics = valuation.findall(_ANALYTICS)
    if analytics:
        failure.tail = analytics[0].tail
        valuation.replace(analytics[0], failure)
    else:
        valuation.insert(len(valuation) - 1, failure)
    for further in analytics[1:]:
        remove(further)
    return xml.serialise(valuation, declaration=False)


_NOT_CARRIED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _carried(text: str) -> str:
    return _NOT_CARRIED.sub("\ufffd", text)


def _valuation_of(root: Element) -> Element:
    """Give the one valuation of a task document; whatever it was selected as, it is one here."""
    group = root.find(f"{PROJECT}/{GROUP}")
    found: list[Element] = [] if group is None else valuations_of(group)
    if not found and group is not None:  # a selected element brings its own tag (M1)
        found = [child for child in group.iterchildren("*") if _is_marked(child)]
    if not found:
        raise misplaced("a task document without a valuation")
    found[0].tag = VALUATION
    return found[0]


def _is_marked(element: Element) -> bool:
    return len(element) > 0 and element[-1].tag == _MARK
