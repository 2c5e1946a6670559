"""Results into the document, and the document into a response (VNML K3, K4, F2).

Bytes in, bytes out; results are put in as they were written, never parsed, never hydrated. What
stands in the place of a result that there is none of is made here, of the task document.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from lxml import etree

from vncore import xml
from vncore.errors import HydrationFailed
from vnvs.hydration.directives import HREF, USE
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.failed import CODE, FAILURE
from vnvs.hydration.library import Library
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.nodes import Element
from vnvs.hydration.outline import (
    GROUP,
    PROJECT,
    SHARED,
    VALUATION,
    groups_of,
    parse_stored,
    project_of,
    valuations_of,
)
from vnvs.hydration.scope import Places
from vnvs.hydration.shapes import (
    DEFAULT_LIMITS,
    Context,
    FailedTask,
    Fetched,
    HydrationLimits,
)
from vnvs.hydration.shell import escaped, unused_target
from vnvs.hydration.tree import Tree
from vnvs.hydration.use import contexts

_ANALYTICS, _MARK = "analytics", "vndb"
_VALUATION_START = re.compile(rb"<valuation[\s/>]")


@room_for_nesting()
def place_results(
    document: bytes,
    group_index: int,
    results: Sequence[bytes],
    *,
    limits: HydrationLimits = DEFAULT_LIMITS,
) -> bytes:
    """Put a group's results, bare written valuations in task order, where its valuations are.

    A valuation that made many tasks makes way for as many results; other children of the group
    stay where they are. Raises HydrationFailed: RESULTS_MISPLACED if they do not fit,
    HYDRATION_TOO_LARGE if the document would be too large for what follows.
    """
    root = parse_stored(document, limits)
    groups = groups_of(project_of(root))
    if not 0 <= group_index < len(groups):
        raise _misplaced(f"the document has no group {group_index}")
    for number, result in enumerate(results, start=1):
        if not _VALUATION_START.match(result):
            raise _misplaced(f"result {number} is no bare valuation element")
    group = groups[group_index]
    valuations = valuations_of(group)
    counts = _counts(root, groups, group_index, len(results), limits)
    if sum(counts) != len(results):
        raise _misplaced(f"group {group_index} has {sum(counts)} tasks, not {len(results)}")
    target = unused_target(document)
    pieces: list[bytes] = []
    start = 0
    for valuation, count in zip(valuations, counts, strict=True):
        pieces.append(_indent_of(valuation).join(results[start : start + count]))
        start += count
        _replace_by_mark(valuation, target, empty=count == 0)
    marks = re.compile(rb"<\?%s\s*\?>" % target.encode())
    written = marks.split(xml.serialise(root))
    filled = [piece for piece, count in zip(pieces, counts, strict=True) if count]
    placed = [part for pair in zip(written, [*filled, b""], strict=True) for part in pair]
    if sum(map(len, placed)) > limits.max_bytes:
        raise HydrationFailed(
            "HYDRATION_TOO_LARGE",
            f"with the results of group {group_index} the document has more than"
            f" {limits.max_bytes} bytes",
            rule="T4",
        )
    return b"".join(placed)


def _counts(
    root: Element,
    groups: Sequence[Element],
    group_index: int,
    results: int,
    limits: HydrationLimits,
) -> list[int]:
    """Tell how many tasks each valuation of a group made, as `use` told the group pass."""
    valuations = valuations_of(groups[group_index])
    if not valuations:
        return []
    if len(valuations) == 1:
        return [results]
    if not any(USE in valuation.attrib or HREF in valuation.attrib for valuation in valuations):
        return [1] * len(valuations)
    places = Places(
        Tree(root, groups, group_index, limits),
        Library(_fetch_nothing, {}, limits),
        lambda _: None,
    )
    hydrator = Hydrator(places, Context(received=date.min, limits=limits))
    return [len(contexts(valuation, hydrator)) for valuation in valuations]


def _fetch_nothing(uris: Sequence[str]) -> Mapping[str, Fetched | HydrationFailed]:
    raise AssertionError(f"counting tasks fetched {uris}")


def _indent_of(valuation: Element) -> bytes:
    """Give the white space before a valuation, to put between the results that take its place."""
    previous = valuation.getprevious()
    parent = valuation.getparent()
    text = previous.tail if previous is not None else parent.text if parent is not None else None
    return escaped(text) if text and text.isspace() else b""


def _replace_by_mark(valuation: Element, target: str, *, empty: bool) -> None:
    parent = valuation.getparent()
    assert parent is not None
    if empty:
        _remove(valuation)
        return
    mark = etree.ProcessingInstruction(target)
    mark.tail = valuation.tail
    parent.replace(valuation, mark)


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

        <valuation><analytics>…</analytics>                 <instrument/><vndb …/></valuation>
        <valuation><failure code="…" attempts="3">…</failure><instrument/><vndb …/></valuation>

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
        _remove(further)
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
        raise _misplaced("a task document without a valuation")
    found[0].tag = VALUATION
    return found[0]


def _is_marked(element: Element) -> bool:
    return len(element) > 0 and element[-1].tag == _MARK


def assemble(
    document: bytes, *, expected: int, failed: int, limits: HydrationLimits = DEFAULT_LIMITS
) -> bytes:
    """Make the response of a document in which every group has its results (K4).

    Without the project's shared data, and with the counts of tasks on the project.
    """
    root = parse_stored(document, limits)
    project = project_of(root)
    for child in list(project.iterchildren(*SHARED)):
        _remove(child)
    project.set("expected", str(expected))
    project.set("failed", str(failed))
    return xml.serialise(root)


def _remove(element: Element) -> None:
    """Take an element out; text after it stays unless it is white space."""
    parent = element.getparent()
    assert parent is not None
    tail, previous = element.tail, element.getprevious()
    parent.remove(element)
    if tail and not tail.isspace():
        if previous is not None:
            previous.tail = (previous.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail


def _misplaced(why: str) -> HydrationFailed:
    return HydrationFailed("RESULTS_MISPLACED", why, rule="K3")
