"""The measuring itself, one request after the other, each in fresh processes.

Called by the package's `main`; what comes out is printed by `tables`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.hydration import tables
from benchmarks.hydration.case import Case, measured
from benchmarks.hydration.course import Course, run_course
from benchmarks.hydration.documents import Shape, document
from benchmarks.hydration.stored import Stored, peak_memory, stored
from benchmarks.pipeline.vn import Cat, Echo

TASKS = (100, 1_000, 3_000, 10_000)
SELECTS = (300, 1_000, 3_000, 10_000)
MARKET_KB = (10, 100, 1_000)
BIG_TASKS = 10_000
TWO_GROUPS_TASKS = 2_000  # of 1,000 instruments

_QUICK_TASKS, _QUICK_SELECTS, _QUICK_MARKET_KB = (100, 1_000), (300, 1_000), (10, 100)
_QUICK_BIG_TASKS = 1_000
_SMALL_MARKET_BYTES = 10_000
_ECHO_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One size: its passes, and what Redis had of it."""

    market_bytes: int
    case: Case
    stored: Stored


def run(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for and print it."""
    options = _options(arguments)
    print(f"load before: {os.getloadavg()[0]:.2f}\n")
    grid = [
        _measured(tasks, market_kb * 1000)
        for market_kb in options.market_kb
        for tasks in options.tasks
    ]
    tables.show_grid(grid)
    two_groups = _case(Shape.TWO_GROUPS, options.two_groups_tasks, _SMALL_MARKET_BYTES)
    selects = [_case(Shape.SELECTS, tasks, _SMALL_MARKET_BYTES) for tasks in options.selects]
    tables.show_predecessors(two_groups, selects)
    market_bytes = max(options.market_kb) * 1000
    request = document(Shape.USE, options.big_tasks, market_bytes)
    patience: dict[type[Echo | Cat], float] = {
        Echo: _ECHO_PATIENCE_SECONDS,
        Cat: options.cat_seconds,
    }
    courses = {
        kind.name: _course(kind, request, options.big_tasks, seconds)
        for kind, seconds in patience.items()
        if seconds
    }
    tables.show_courses(courses, market_bytes)
    print("\nEvery result was there, in the order of the tasks.")


def _measured(tasks: int, market_bytes: int) -> Measured:
    case = _case(Shape.USE, tasks, market_bytes)
    return Measured(market_bytes, case, stored(document(Shape.USE, tasks, market_bytes)))


def _case(shape: Shape, tasks: int, market_bytes: int) -> Case:
    print(f"{shape}: {tasks:,} tasks, {market_bytes:,} bytes of market data", file=sys.stderr)
    return measured(shape, tasks, market_bytes)


def _course(kind: type[Echo] | type[Cat], request: bytes, tasks: int, seconds: float) -> Course:
    print(f"the big one: {kind.name}", file=sys.stderr)
    with kind() as vn:
        return run_course(vn, request, tasks, seconds, lambda: peak_memory(vn.redis))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks hydration")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller requests")
    parser.add_argument("--tasks", type=int, nargs="+", metavar="N", help="of the requests")
    parser.add_argument("--market-kb", type=int, nargs="+", metavar="N", help="of market data")
    parser.add_argument(
        "--selects", type=int, nargs="+", metavar="N", help="tasks, with distinct selects"
    )
    parser.add_argument("--two-groups-tasks", type=int, default=TWO_GROUPS_TASKS, metavar="N")
    parser.add_argument(
        "--big-tasks", type=int, metavar="N", help="of the big one, with the most market data"
    )
    parser.add_argument(
        "--cat-seconds",
        type=float,
        default=180.0,
        metavar="S",
        help="how long the big one may take with a process for each task; 0: it is left out",
    )
    options = parser.parse_args(arguments)
    options.tasks = options.tasks or (_QUICK_TASKS if options.quick else TASKS)
    options.market_kb = options.market_kb or (_QUICK_MARKET_KB if options.quick else MARKET_KB)
    options.selects = options.selects or (_QUICK_SELECTS if options.quick else SELECTS)
    options.big_tasks = options.big_tasks or (_QUICK_BIG_TASKS if options.quick else BIG_TASKS)
    return options
