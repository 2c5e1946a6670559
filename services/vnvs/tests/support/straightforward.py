"""The straightforward way from a document and its results to a response: all of it is written.

What `vnvs.hydration` gives in pieces, and a group pass sees in place, has to be the same.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from lxml import etree

from vncore import xml
from vncore.errors import HydrationFailed
from vncore.pieces import Fragment, Piece, Results
from vnvs.hydration.directives import HREF, USE
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.library import Library
from vnvs.hydration.nodes import Element
from vnvs.hydration.outline import (
    SHARED,
    groups_of,
    misplaced,
    parse_stored,
    project_of,
    valuations_of,
)
from vnvs.hydration.scope import Places, Scope
from vnvs.hydration.shapes import DEFAULT_LIMITS, Context, Fetched, HydrationLimits
from vnvs.hydration.shell import Shell, escaped, unused_target
from vnvs.hydration.tree import Tree
from vnvs.hydration.use import contexts

_VALUATION_START = re.compile(rb"<valuation[\s/>]")


def composed(pieces: Sequence[Piece | Fragment], results: Sequence[Sequence[bytes]] = ()) -> bytes:
    """Put a document together, with the results of each group in task order."""
    return b"".join(_bytes_of(piece, results) for piece in pieces)


def _bytes_of(piece: Piece | Fragment, results: Sequence[Sequence[bytes]]) -> bytes:
    if isinstance(piece, Results):
        return piece.between.join(results[piece.group_index][piece.first - 1 : piece.last])
    return piece.body if isinstance(piece, Fragment) else piece


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
        raise misplaced(f"the document has no group {group_index}")
    for number, result in enumerate(results, start=1):
        if not _VALUATION_START.match(result):
            raise misplaced(f"result {number} is no bare valuation element")
    group = groups[group_index]
    valuations = valuations_of(group)
    counts = _counts(root, groups, group_index, len(results), limits)
    if sum(counts) != len(results):
        raise misplaced(f"group {group_index} has {sum(counts)} tasks, not {len(results)}")
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


def tasks(document: bytes, group_index: int, context: Context) -> list[bytes]:
    """Make task documents one by one, each of its whole valuation: nothing is made once for all."""
    root = parse_stored(document, context.limits)
    groups = groups_of(project_of(root))
    shell = Shell(root, groups[group_index])
    made: list[bytes] = []
    for position, valuation in enumerate(valuations_of(groups[group_index])):
        tree = Tree(root, groups, group_index, context.limits)
        places = Places(tree, Library(_fetch_nothing, {}, context.limits), lambda _: None)
        for linked in contexts(valuation, Hydrator(places, context)):
            hydrator = Hydrator(places, context)
            hydrated = hydrator.hydrate(valuation, Scope(context=linked), is_task=True)
            hydrated.append(etree.Element("vndb", externalId=str(len(made) + 1)))
            before, after = shell.around(position)
            made.append(before + xml.serialise(hydrated, declaration=False) + after)
    return made
