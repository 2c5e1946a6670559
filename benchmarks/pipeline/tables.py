"""The tables of the pipeline benchmark, in Markdown: medians of the rounds.

Called by `run`.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.pipeline.cells import (
    AT_ONCE_GROUPS,
    AT_ONCE_TASKS,
    Figures,
    Work,
)

BASE = "raw"
"""The contestant that the others are compared with."""

_PARTS = ("server", "vnapi", "vnvs", "hydration", "workers", "scripts", "client")
_NOTHING = "–"


@dataclass(slots=True)
class Measured:
    """One contestant and its rounds."""

    name: str
    settings: str
    work: Work
    rounds: list[Figures] = field(default_factory=list)

    def median(self, figure: Callable[[Figures], float]) -> float:
        """Give the median of one figure."""
        return statistics.median(map(figure, self.rounds))


def show(measured: Sequence[Measured]) -> None:
    """Print all of them."""
    _show_cells(measured)
    _show_costs(measured)
    _show_parts(measured, "CPU a task, µs", lambda each: each.cpu_us, unit=1)
    _show_parts(measured, "peak memory, MB", lambda each: each.memory, unit=1e6)
    print("\n| contestant | settings |\n|---|---|")
    for one in measured:
        print(f"| {one.name} | {one.settings} |")


def _show_cells(measured: Sequence[Measured]) -> None:
    print(
        "| contestant | one task, p50 | p95 | calls | groups in turn | of raw | tasks "
        f"| requests of {AT_ONCE_GROUPS} × {AT_ONCE_TASKS} tasks at once | requests "
        "| one large group | tasks |"
    )
    print(f"|---|{'---:|' * 10}")
    base = next((one for one in measured if one.name == BASE), None)
    for one in measured:
        work = one.work
        rate = one.median(lambda each: each.tasks_per_second)
        of_base = rate / base.median(lambda each: each.tasks_per_second) if base else None
        groups, each_group = len(work.groups.groups), len(work.groups.groups[0])
        cells = [
            one.name,
            f"{one.median(lambda each: each.p50_ms):.2f} ms",
            f"{one.median(lambda each: each.p95_ms):.2f} ms",
            f"{work.calls}",
            f"{rate:,.0f} tasks/s",
            _NOTHING if of_base is None else f"{of_base:.1%}",
            f"{groups} × {each_group}",
            f"{one.median(lambda each: each.requests_per_second):,.1f} requests/s",
            f"{len(work.at_once)}",
            f"{one.median(lambda each: each.large_seconds):.3g} s",
            f"{work.large.tasks:,}",
        ]
        print(f"| {' | '.join(cells)} |")


def _show_costs(measured: Sequence[Measured]) -> None:
    print(
        "\n| contestant | Redis commands a task | CPU a task | peak memory | of it the server "
        "| others |"
    )
    print(f"|---|{'---:|' * 5}")
    for one in measured:
        cells = [
            one.name,
            f"{one.median(lambda each: each.commands_per_task):.2f}",
            f"{one.median(lambda each: sum(each.cpu_us.values())):,.0f} µs",
            f"{one.median(lambda each: sum(each.memory.values())) / 1e6:,.0f} MB",
            f"{one.median(lambda each: each.memory.get('server', 0)) / 1e6:,.0f} MB",
            f"{one.median(lambda each: each.others):.0%}",
        ]
        print(f"| {' | '.join(cells)} |")


def _show_parts(
    measured: Sequence[Measured],
    what: str,
    figures: Callable[[Figures], Mapping[str, float]],
    *,
    unit: float,
) -> None:
    """Print what each part of each contestant came to; the parts are those that somebody has."""
    found = {one.name: {part for each in one.rounds for part in figures(each)} for one in measured}
    parts = [part for part in _PARTS if any(part in there for there in found.values())]
    print(f"\n| {what} | {' | '.join(parts)} |\n|---|{'---:|' * len(parts)}")
    for one in measured:
        cells = (
            f"{one.median(lambda each, part=part: figures(each).get(part, 0)) / unit:,.0f}"
            if part in found[one.name]
            else _NOTHING
            for part in parts
        )
        print(f"| {one.name} | {' | '.join(cells)} |")
