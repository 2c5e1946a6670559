"""The passes over one request, in a process of its own, so that its peak of memory is its own.

    python -m benchmarks.hydration.case SHAPE TASKS MARKET_BYTES

Prints what they took as JSON. Started by `measured`, which `run` calls.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._hydrating import Pass, Passes, timed_passes
from benchmarks._meters import forget_peak, own_memory
from benchmarks.hydration.documents import Shape, document

_ROOT = Path(__file__).parents[2]
_TIMEOUT_SECONDS = 600.0
_RUNS, _LONGEST_RUNS, _ENOUGH_SECONDS = 3, 30, 0.5
"""So many runs; more of them, up to the second number, until they have taken so long."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what its passes took: medians, but for the memory."""

    tasks: int
    request_bytes: int
    document: Pass
    groups: Pass
    response: Pass
    peak_bytes: int  # resident set of the whole process, in the first run
    grown_bytes: int  # by how much that is more than before it

    @property
    def all(self) -> Pass:
        """The sum of the passes."""
        return self.document + self.groups + self.response

    @property
    def hydration(self) -> Pass:
        """The passes without the response."""
        return self.document + self.groups


def measured(shape: Shape, tasks: int, market_bytes: int) -> Case:
    """Measure a request in a fresh process."""
    arguments = ("-m", "benchmarks.hydration.case", shape, str(tasks), str(market_bytes))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    found = json.loads(done.stdout)
    passes = {name: Pass(**found.pop(name)) for name in ("document", "groups", "response")}
    return Case(**found, **passes)


def measure(request: bytes, tasks: int) -> Case:
    """Measure a request in this process."""
    forget_peak()
    before = own_memory()
    runs = [timed_passes(request)]
    after = own_memory()
    while len(runs) < _RUNS or (
        len(runs) < _LONGEST_RUNS and sum(run.all.seconds for run in runs) < _ENOUGH_SECONDS
    ):
        runs.append(timed_passes(request))
    if any(run.tasks != tasks for run in runs):
        raise RuntimeError(f"there are {runs[0].tasks} tasks, not {tasks}")
    return Case(
        tasks=tasks,
        request_bytes=len(request),
        document=_median(runs, lambda run: run.document),
        groups=_median(runs, lambda run: run.groups),
        response=_median(runs, lambda run: run.response),
        peak_bytes=after.peak,
        grown_bytes=after.peak - before.now,
    )


def _median(runs: Sequence[Passes], which: Callable[[Passes], Pass]) -> Pass:
    return Pass(
        statistics.median(which(run).seconds for run in runs),
        statistics.median(which(run).cpu_seconds for run in runs),
    )


if __name__ == "__main__":
    _, shape_name, task_count, market_size = sys.argv
    sent = document(Shape(shape_name), int(task_count), int(market_size))
    print(json.dumps(asdict(measure(sent, int(task_count)))))
