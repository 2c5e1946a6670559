"""The measuring itself: round by round, all contestants in turn, each started afresh.

Called by the package's `main`; what comes out is printed by `tables`.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache

from benchmarks.pipeline import tables, vn
from benchmarks.pipeline.cells import Work, measure
from benchmarks.pipeline.contestants import Contestant
from benchmarks.pipeline.raw import Raw
from benchmarks.pipeline.raw_entry import RawEntry
from benchmarks.pipeline.tables import Measured
from benchmarks.pipeline.with_celery import Celery
from benchmarks.pipeline.with_dramatiq import Dramatiq
from benchmarks.pipeline.with_huey import Huey

CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "raw": Raw,
    "raw-entry": lambda: RawEntry("raw-entry", tasks_per_entry=1, entries_per_read=32),
    "raw-lean": lambda: RawEntry("raw-lean", tasks_per_entry=32, entries_per_read=1),
    "huey": Huey,
    "dramatiq": Dramatiq,
    "celery": Celery,
    "vn (echo)": vn.Echo,
    "vn (cat)": vn.Cat,
}


def run(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for and print it."""
    options = _options(arguments)
    print(f"load before: {os.getloadavg()[0]:.2f}; rounds: {options.rounds}\n")
    names = [name for name in CONTESTANTS if name in (options.only or CONTESTANTS)]
    work = cache(Work.make)
    measured: dict[str, Measured] = {}
    for number in range(1, options.rounds + 1):
        for name in names:
            print(f"round {number}: {name}", file=sys.stderr)
            contestant = CONTESTANTS[name]()
            own = work(options.scale * contestant.share)
            one = measured.setdefault(name, Measured(name, contestant.settings, own))
            with contestant:
                one.rounds.append(measure(contestant, own))
    tables.show(list(measured.values()))
    print("\nEvery result was there, in the order of the tasks, and the same byte for byte.")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks pipeline")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of all contestants")
    parser.add_argument(
        "--only", nargs="+", choices=CONTESTANTS, metavar="NAME", help=", ".join(CONTESTANTS)
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="F", help="times as many tasks (default: 1)"
    )
    return parser.parse_args(arguments)
