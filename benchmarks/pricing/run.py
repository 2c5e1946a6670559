"""The measuring itself: each book in three ways, round by round, and the same prices from all.

Called by the package's `main`; what comes out is printed by `tables`.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from benchmarks._hydrating import task_documents
from benchmarks._meters import CpuWatch, MemoryWatch, Progress
from benchmarks.pricing import tables
from benchmarks.pricing.bare import BareLoop
from benchmarks.pricing.books import BOOKS, Book
from benchmarks.pricing.house import House

_AMOUNT = ".//group/valuation/analytics/price/amount"
_WARM_UP_TASKS = 4


@dataclass(frozen=True, slots=True)
class Round:
    """What one timed round came to."""

    seconds: float
    cpu: CpuWatch
    progress: Progress | None = None  # of VN only


@dataclass(slots=True)
class Measured:
    """One book valued in one way."""

    book: str
    way: str
    tasks: int
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes at the peak, by part
    rounds: list[Round] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ways:
    bare: BareLoop
    exec: House
    persistent: House


def run(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for and print it."""
    options = _options(arguments)
    cores = len(os.sched_getaffinity(0))  # as many slots has the stack
    print(f"load before: {os.getloadavg()[0]:.2f}\n")
    measured: list[Measured] = []
    with BareLoop(cores) as bare, House("exec") as once, House("persistent") as warm:
        for book in BOOKS:
            if not options.book or book.name in options.book:
                measured += _measure(book, _Ways(bare, once, warm), options)
    tables.show(measured)
    print("\nEvery price was the same in all three ways, byte for byte.")


def _measure(book: Book, ways: _Ways, options: argparse.Namespace) -> list[Measured]:
    """Warm up, look at the memory in a round that is not timed, then the timed rounds in turn."""
    tasks = book.size(options.tasks)
    some = min(tasks, options.exec_tasks)
    request, few = book.document(tasks), book.document(some)
    for house in (ways.exec, ways.persistent):
        house.run(book.document(_WARM_UP_TASKS))
    (documents,) = task_documents(request)
    ways.bare.load(documents)
    bare = Measured(book.name, ways.bare.name, tasks)
    once = Measured(book.name, ways.exec.name, some)
    warm = Measured(book.name, ways.persistent.name, tasks)

    with MemoryWatch(ways.bare.parts()) as memory:
        expected = [_amount(result) for result in ways.bare.run()[1]]
    bare.memory = memory.peak
    _remember(warm, ways.persistent, request, expected)
    _remember(once, ways.exec, few, expected)
    for _ in range(options.rounds):
        with CpuWatch(ways.bare.parts()) as cpu:
            seconds, results = ways.bare.run()
        bare.rounds.append(Round(seconds, cpu))
        _compare(bare, [_amount(result) for result in results], expected)
        warm.rounds.append(_timed(warm, ways.persistent, request, expected))
    once.rounds.append(_timed(once, ways.exec, few, expected))
    return [bare, once, warm]


def _remember(one: Measured, house: House, request: bytes, expected: Sequence[str]) -> None:
    with MemoryWatch(house.parts()) as memory:
        _, response = house.run(request)
    one.memory = memory.peak
    _compare(one, _amounts(response), expected)


def _timed(one: Measured, house: House, request: bytes, expected: Sequence[str]) -> Round:
    with CpuWatch(house.parts()) as cpu, house.watch(one.tasks) as watch:
        seconds, response = house.run(request)
    _compare(one, _amounts(response), expected)
    return Round(seconds, cpu, watch.progress())


def _compare(one: Measured, found: Sequence[str], expected: Sequence[str]) -> None:
    if list(found) != list(expected[: one.tasks]):
        raise RuntimeError(f"{one.book}: the prices in the way {one.way} are others")


def _amount(result: bytes) -> str:
    (amount,) = _amounts(result)
    return amount


def _amounts(document: bytes) -> list[str]:
    found = [one.text or "" for one in etree.fromstring(document).iterfind(_AMOUNT)]
    assert all(map(float, found)), "a price that is nothing, or no number at all"
    return found


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks pricing")
    parser.add_argument("--tasks", type=int, default=2_000, metavar="N", help="of each book")
    parser.add_argument(
        "--exec-tasks", type=int, default=150, metavar="N", help="the first N of them in exec mode"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="timed; in exec mode there is one"
    )
    parser.add_argument(
        "--book", action="append", choices=[book.name for book in BOOKS], help="only this one"
    )
    return parser.parse_args(arguments)
