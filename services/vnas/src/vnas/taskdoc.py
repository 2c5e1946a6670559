"""A task document, as its worker looks at it: where its valuation is and what it is called.

In come the bytes that vnvs made (VNML K1) or that somebody wrote on a desk. Used by `result` and
`desk`.
"""

import re
from dataclasses import dataclass, replace

from lxml import etree

from vncore import xml
from vncore.errors import ResultRejected
from vncore.ids import TaskId

MARK = "vndb"
"""The element that ends each of our valuations and carries the task's number."""

TASK_NUMBER = "externalId"

_WHAT = "task document"
_VALUATION_IN_DOCUMENT = "project/group/valuation"


@dataclass(frozen=True, slots=True)
class TaskNames:
    """What a task document says of itself."""

    group: str  # empty when it has no name or there is no group
    valuation: str  # empty when it has no name
    task_id: TaskId  # 1 when the document does not say


def task_valuation(task_xml: bytes) -> etree._Element:
    """Parse a task document and give its valuation.

    Raises MalformedDocument, and ResultRejected when it holds none.
    """
    # Our own document: hydration bounded it, and it may be larger than what a script may write.
    limits = replace(xml.DEFAULT_LIMITS, max_bytes=len(task_xml))
    return find_valuation(xml.parse(task_xml, limits=limits, what=_WHAT), what=_WHAT)


def find_valuation(root: etree._Element, *, what: str) -> etree._Element:
    """Give the first ``project/group/valuation`` of a ``vnml`` root, or a root ``valuation``.

    Raises ResultRejected (``RESULT_INVALID``) when there is neither; `what` names the document.
    """
    if root.tag == "valuation":
        return root
    if root.tag != "vnml":
        raise rejected(f"the root of the {what} is {str(root.tag)[:80]!r}, not vnml or valuation")
    valuation = root.find(_VALUATION_IN_DOCUMENT)
    if valuation is None:
        raise rejected(f"the {what} has no vnml/{_VALUATION_IN_DOCUMENT}")
    return valuation


def read_names(task_xml: bytes) -> TaskNames:
    """Read names and number from a task document; raises as `task_valuation` does."""
    valuation = task_valuation(task_xml)
    group = valuation.getparent()
    marks = valuation.findall(MARK)
    number = marks[-1].get(TASK_NUMBER, "") if marks else ""
    return TaskNames(
        group="" if group is None else group.get("name", ""),
        valuation=valuation.get("name", ""),
        task_id=TaskId(int(number) if re.fullmatch(r"[1-9][0-9]{0,8}", number) else 1),
    )


def rejected(message: str) -> ResultRejected:
    """Make the error for a document that is no task and no result (VNML K2)."""
    return ResultRejected("RESULT_INVALID", message, rule="K2")
