"""Results into the document, and the document into a response (VNML K3, K4).

Works on the tree of a `parsed.ParsedDocument`, which calls it. Results are never hydrated, and
parsed only to be put in place for a later group; in a response they are named, not written.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from vncore import xml
from vncore.ids import TaskId
from vncore.pieces import Piece, Results
from vnvs.hydration.nodes import Element, new_element, remove
from vnvs.hydration.outline import SHARED, VALUATION, misplaced, project_of, valuations_of
from vnvs.hydration.shapes import CompleteGroup, GroupResults, HydrationLimits
from vnvs.hydration.shell import escaped, unused_target

_VALUATION_START = re.compile(rb"<valuation[\s/>]")


@dataclass(slots=True)
class Run:
    """The results of one valuation in the tree, and the white space between them."""

    elements: list[Element]
    between: str


def counts_of(group: Element, tasks: int, counts: Sequence[int] | None) -> list[int]:
    """Tell how many tasks each valuation of a group made.

    Raises HydrationFailed (RESULTS_MISPLACED) if that does not go with the number of tasks.
    """
    valuations = len(valuations_of(group))
    if counts is None:
        counts = [tasks] if valuations == 1 else [1] * valuations
    if len(counts) != valuations or sum(counts) != tasks:
        raise misplaced(
            f"the group has {sum(counts)} tasks of {valuations} valuations, not {tasks}"
        )
    return list(counts)


def parsed_results(group: Element, results: GroupResults, limits: HydrationLimits) -> list[Element]:
    """Parse results as they would be where they belong.

    Raises HydrationFailed (RESULTS_MISPLACED), and MalformedDocument for what no worker stores.
    """
    for number, written in enumerate(results.valuations, start=1):
        if not _VALUATION_START.match(written):
            raise misplaced(f"result {number} is no bare valuation element")
    holder = xml.serialise(new_element("x", {}, group), declaration=False).removesuffix(b"/>")
    root = xml.parse(
        b"".join((holder, b">", *results.valuations, b"</x>")),
        limits=xml.XmlLimits(
            max_bytes=limits.max_bytes + len(holder) + len(b"></x>"),
            max_tags=limits.max_nodes,
            max_namespaces=limits.max_nodes,
            max_attributes=limits.max_nodes,  # of one element: the worker's door counted them
            max_depth=limits.max_depth - 2,  # below root, project and group instead of one
        ),
        what="results",
    )
    found = list(root.iterchildren())
    if len(found) != len(results.valuations) or any(one.tag != VALUATION for one in found):
        raise misplaced("a result is not one bare valuation element")
    return found


def place(group: Element, found: Sequence[Element], counts: Sequence[int]) -> list[Run]:
    """Put results where the valuations that made them are.

    A valuation that made many tasks makes way for as many results, with the white space before it
    between them; other children of the group stay where they are.
    """
    runs: list[Run] = []
    start = 0
    for valuation, count in zip(valuations_of(group), counts, strict=True):
        run = Run(list(found[start : start + count]), indent_of(valuation))
        start += count
        for element in run.elements:
            element.tail = run.between or None
        if run.elements:
            run.elements[-1].tail = valuation.tail
        for element in run.elements:
            valuation.addprevious(element)
        if run.elements:
            group.remove(valuation)
        else:
            remove(valuation)
        runs.append(run)
    return runs


def indent_of(valuation: Element) -> str:
    """Give the white space before a valuation, to put between the results that take its place."""
    previous = valuation.getprevious()
    parent = valuation.getparent()
    text = previous.tail if previous is not None else parent.text if parent is not None else None
    return text if text and text.isspace() else ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the results of one valuation stand in a response."""

    group_index: int
    first: int  # task ids
    last: int
    between: bytes
    failed: CompleteGroup

    def pieces(self) -> Iterator[Piece]:
        """Give the results, cut around failed tasks."""
        start = self.first
        for task_id in range(self.first, self.last + 1):
            instead = self.failed.failed.get(task_id)
            if instead is None:
                continue
            if start < task_id:
                yield self._results(start, task_id - 1)
                yield self.between
            yield instead
            if task_id < self.last:
                yield self.between
            start = task_id + 1
        if start <= self.last:
            yield self._results(start, self.last)

    def _results(self, first: int, last: int) -> Results:
        return Results(self.group_index, TaskId(first), TaskId(last), self.between)


def response(
    root: Element,
    groups: Sequence[Element],
    runs: dict[int, list[Run]],
    complete: Sequence[CompleteGroup],
    *,
    expected: int,
    failed: int,
) -> list[Piece]:
    """Make the response of a document whose groups are complete; changes the tree (K4).

    Without the project's shared data, and with the counts of tasks on the project. Groups in `runs`
    have their results in the tree.
    """
    project = project_of(root)
    for child in list(project.iterchildren(*SHARED)):
        remove(child)
    project.set("expected", str(expected))
    project.set("failed", str(failed))
    places: list[_Place] = []
    marks: list[Element] = []
    for index, (group, done) in enumerate(zip(groups, complete, strict=False)):
        in_place = runs.get(index)
        if in_place is None:
            counts = counts_of(group, done.task_count, done.counts)
            in_place = [
                Run([valuation] * min(count, 1), indent_of(valuation))
                for valuation, count in zip(valuations_of(group), counts, strict=True)
            ]
        else:
            counts = [len(run.elements) for run in in_place]
        first = 1
        for run, count in zip(in_place, counts, strict=True):
            if count:
                marks.append(_marked(group, run))
                last = first + count - 1
                places.append(_Place(index, first, last, escaped(run.between), done))
                first += count
    return list(_joined(_filled(root, marks, places)))


def _marked(group: Element, run: Run) -> Element:
    """Put a mark where results are, or will be, which go."""
    mark = etree.ProcessingInstruction("vn-mark")
    mark.tail = run.elements[-1].tail
    group.replace(run.elements[0], mark)
    for element in run.elements[1:]:
        group.remove(element)
    return mark


def _filled(root: Element, marks: Sequence[Element], places: Sequence[_Place]) -> Iterator[Piece]:
    """Write the document with results in the place of marks."""
    target = unused_target(xml.serialise(root))
    for mark in marks:
        mark.target = target  # type: ignore[attr-defined]
    written = re.split(rb"<\?%s\s*\?>" % target.encode(), xml.serialise(root))
    yield written[0]
    for place_, text in zip(places, written[1:], strict=True):
        yield from place_.pieces()
        yield text


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Make as few pieces as there can be: neighbours with the same white space are one run."""
    last: Results | None = None
    between: list[bytes] = []  # since then
    for piece in pieces:
        if isinstance(piece, bytes):
            between.append(piece)
            continue
        assert isinstance(piece, Results)
        text = b"".join(between)
        between.clear()
        if last is not None and _are_neighbours(last, text, piece):
            last = Results(last.group_index, last.first, piece.last, text)
            continue
        if last is not None:
            yield last
        if text:
            yield text
        last = piece
    if last is not None:
        yield last
    if text := b"".join(between):
        yield text


def _are_neighbours(one: Results, text: bytes, other: Results) -> bool:
    return (
        (one.group_index, one.last + 1) == (other.group_index, other.first)
        and (not text or text.isspace())
        and all(run.first == run.last or run.between == text for run in (one, other))
    )
