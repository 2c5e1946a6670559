"""Hydration as VN's children do it, in the process at hand: all that benchmarks use of it.

In comes a request; out come its task documents, or what each pass took. Nothing is fetched.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

from vncore.pieces import packed
from vnvs.hydration import (
    CompleteGroup,
    Context,
    Fetched,
    HydratedGroup,
    hydrate_document,
    hydrate_group,
    kept,
)

_TOKEN = "benchmark"  # under which `kept` remembers the document from pass to pass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass took."""

    seconds: float
    cpu_seconds: float

    def __add__(self, other: "Pass") -> "Pass":
        return Pass(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Passes:
    """One request: its document pass, the passes of all its groups, its response."""

    document: Pass
    groups: Pass
    response: Pass
    tasks: int

    @property
    def all(self) -> Pass:
        """The sum."""
        return self.document + self.groups + self.response


def task_documents(request: bytes, groups: int = 1) -> tuple[tuple[bytes, ...], ...]:
    """Make the task documents that VN's workers get, group by group.

    None of the groups may refer to results of those before it.
    """
    context = _context()
    hydrated = hydrate_document(request, _no_fetch, context)
    return tuple(
        tuple(task.xml for task in hydrate_group(hydrated.xml, index, _no_fetch, context))
        for index in range(groups)
    )


def timed_passes(request: bytes) -> Passes:
    """Do all passes over a request, as its orchestrator would have them done.

    The document stays parsed from pass to pass, task documents are let go of after their group,
    and the response names its results; see `vnvs.hydrator`.
    """
    context = _context()
    hydrated, document = _timed(lambda: kept.hydrate_document(_TOKEN, request, _no_fetch, context))

    def group_of(index: int) -> HydratedGroup:
        return kept.hydrate_group(
            _TOKEN,
            lambda _: hydrated.xml,
            index,
            _no_fetch,
            context,
            _no_results,
            lambda _: request,
            tolerant=False,
        )

    passes, complete = Pass(0, 0), []
    for outline in hydrated.groups:
        group, took = _timed(lambda index=outline.index: group_of(index))
        passes += took
        complete.append(CompleteGroup(len(group.tasks), group.counts))
        del group
    tasks = sum(group.task_count for group in complete)
    _, response = _timed(
        lambda: packed(
            kept.assemble(
                _TOKEN,
                lambda _: hydrated.xml,
                complete,
                expected=tasks,
                failed=0,
                limits=context.limits,
            )
        )
    )
    return Passes(document, passes, response, tasks)


def _context() -> Context:
    return Context(received=datetime.now(UTC).date())


def _timed(act: Callable[[], T]) -> tuple[T, Pass]:
    start, cpu_start = time.perf_counter(), time.process_time()
    made = act()
    return made, Pass(time.perf_counter() - start, time.process_time() - cpu_start)


def _no_fetch(uris: Sequence[str]) -> Mapping[str, Fetched]:
    raise AssertionError(f"nothing to fetch: {uris}")


def _no_results(group_index: int) -> NoReturn:
    raise AssertionError(f"nobody looks at the results of group {group_index}")
