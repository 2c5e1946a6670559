"""A task document, as its worker looks at it: where its valuation is and what it is called.

In come the bytes that vnvs made (VNML K1) or that somebody wrote on a desk. Used by `result` and
`desk`.
"""

import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from vnas.skeleton import Skeleton, without_shared
from vncore import xml
from vncore.errors import ResultRejected, VnError
from vncore.ids import TaskId
from vncore.pieces import Fragment

MARK = "vndb"
"""The element that ends each of our valuations and carries the task's number."""

TASK_NUMBER = "externalId"

LEVELS_ABOVE = 3
"""A valuation is under vnml, project and group; it must leave them room (SAFETY §1)."""

ANY_SIZE = replace(xml.DEFAULT_LIMITS, max_bytes=sys.maxsize)
"""Limits of a task document: hydration bounded it, and it may be larger than a script's output."""

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
    return find_valuation(xml.parse(task_xml, limits=ANY_SIZE, what=_WHAT), what=_WHAT)


def bare_valuation(
    task_xml: bytes, shared: Sequence[Fragment], *, keeping: Collection[str]
) -> tuple[etree._Element, Skeleton | None]:
    """Give the valuation of a task document without parsing what is shared, where that can be.

    Fragments whose root is in `keeping` stay in it; of the others see `skeleton`. Raises as
    `task_valuation` does.
    """
    skeleton = without_shared(task_xml, shared, limits=ANY_SIZE, keeping=keeping)
    if skeleton is not None:
        try:
            valuation = task_valuation(skeleton.text)
        except VnError:  # said of the whole document below
            pass
        else:
            if skeleton.fits(valuation, xml.DEFAULT_LIMITS.max_depth - LEVELS_ABOVE):
                return valuation, skeleton
    return task_valuation(task_xml), None


def find_valuation(root: etree._Element, *, what: str) -> etree._Element:
    """Give the first ``project/group/valuation`` of a ``vnml`` root, or a root ``valuation``.

    Raises ResultRejected (``RESULT_INVALID``) when there is neither; `what` names the document.
    """
    if root.tag == "valuation":
        return root
    if root.tag != "vnml":
        raise rejected(f"the root of the {what} is {str(root.tag)[:80]!r}, not vnml or valuation")
    # Child by child: three times as fast as a path, and this is done for every task.
    for project in root.iterchildren("project"):
        for group in project.iterchildren("group"):
            for valuation in group.iterchildren("valuation"):
                return valuation
    raise rejected(f"the {what} has no vnml/{_VALUATION_IN_DOCUMENT}")


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
