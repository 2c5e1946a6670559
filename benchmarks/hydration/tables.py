"""The tables of the hydration benchmark, in Markdown, with what they are hoped to be beside them.

Called by `run`.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks._hydrating import Pass
from benchmarks.hydration.case import Case
from benchmarks.hydration.course import Course
from benchmarks.hydration.growth import exponent

if TYPE_CHECKING:
    from benchmarks.hydration.run import Measured

_EXPONENT_GOAL, _RATIO_GOAL = 1.1, 1.2
_BIG_SECONDS_GOAL, _BIG_BYTES_GOAL = 60, 200e6
_RATIO_FROM_TASKS = 3_000
"""With fewer, to parse the market data once is most of the work; unless there are only such."""

_NOTHING = "–"

_Figure = Callable[["Measured"], float]


def show_grid(grid: "Sequence[Measured]") -> None:
    """Print each size, and how the figures grow."""
    _show_passes(grid)
    _show_stored(grid)
    _show_growth_in_tasks(grid)
    _show_growth_in_market(grid)


def _show_passes(grid: "Sequence[Measured]") -> None:
    _head(
        *("market data", "tasks", "request", "document pass", "CPU", "group pass", "CPU"),
        *("response", "CPU", "in all, a task", "peak RSS", "of it, by the passes"),
    )
    for one in grid:
        case = one.case
        _row(
            _size(one.market_bytes),
            f"{case.tasks:,}",
            _size(case.request_bytes),
            *_pass(case.document),
            *_pass(case.groups),
            *_pass(case.response),
            f"{case.all.seconds / case.tasks * 1e6:,.0f} µs",
            _megabytes(case.peak_bytes),
            _megabytes(case.grown_bytes),
        )


def _show_stored(grid: "Sequence[Measured]") -> None:
    print()
    _head(
        *("market data", "tasks", "keys, after the end", "a task", "used_memory, after the end"),
        *("at its peak", "from the POST to the end"),
    )
    for one in grid:
        kept = one.stored
        _row(
            _size(one.market_bytes),
            f"{one.case.tasks:,}",
            _megabytes(kept.keys_bytes),
            f"{kept.keys_bytes / one.case.tasks / 1e3:,.1f} KB",
            _megabytes(kept.grown_bytes),
            _megabytes(kept.peak_bytes),
            f"{kept.seconds:.2f} s",
        )


_REQUEST = "request"
"""What went in: no goal, but what the growth of the others is to be seen beside."""

_FIGURES: dict[str, _Figure] = {
    _REQUEST: lambda one: one.case.request_bytes,
    "passes, seconds": lambda one: one.case.all.seconds,
    "passes, CPU": lambda one: one.case.all.cpu_seconds,
    "memory of the passes": lambda one: one.case.grown_bytes,
    "keys": lambda one: one.stored.keys_bytes,
    "Redis at its peak": lambda one: one.stored.peak_bytes,
    "from the POST to the end": lambda one: one.stored.seconds,
}


def _show_growth_in_tasks(grid: "Sequence[Measured]") -> None:
    print()
    _head("exponent in tasks", "market data", "all sizes", "last step", f"goal ≤ {_EXPONENT_GOAL}")
    for name, figure in _FIGURES.items():
        for market_bytes, group in groupby(grid, lambda one: one.market_bytes):
            rows = list(group)
            whole, last = (_exponent_in_tasks(some, figure) for some in (rows, rows[-2:]))
            _row(
                name,
                _size(market_bytes),
                _number(whole),
                _number(last),
                _NOTHING if name == _REQUEST else _linear(whole, last),
            )


def _exponent_in_tasks(rows: "Sequence[Measured]", figure: _Figure) -> float | None:
    return exponent([one.case.tasks for one in rows], [figure(one) for one in rows])


def _show_growth_in_market(grid: "Sequence[Measured]") -> None:
    smallest, largest = (end(one.market_bytes for one in grid) for end in (min, max))
    print()
    _head(
        *("growth in market data", "tasks", f"{_size(largest)} / {_size(smallest)}", "exponent"),
        f"goal: ratio ≤ {_RATIO_GOAL}",
    )
    counts = sorted({one.case.tasks for one in grid})
    chosen = [tasks for tasks in counts if tasks >= _RATIO_FROM_TASKS] or counts[-1:]
    for name, figure in _FIGURES.items():
        for tasks in chosen:
            rows = [one for one in grid if one.case.tasks == tasks]
            at = {one.market_bytes: figure(one) for one in rows}
            ratio = at[largest] / at[smallest] if largest > smallest else None
            slope = exponent(list(at), list(at.values()))
            verdict = _NOTHING
            if ratio is not None and name != _REQUEST:
                verdict = _verdict(ratio <= _RATIO_GOAL)
            _row(name, f"{tasks:,}", _number(ratio), _number(slope), verdict)


def show_predecessors(two_groups: Case, selects: Sequence[Case]) -> None:
    """Print the cases that were measured with VN's predecessor, with its figures beside them.

    Without the response, which is not in its figures.
    """
    print()
    _head(
        *("predecessor's cases", "tasks", "seconds", "CPU a task", "memory a task", "response"),
        "predecessor",
    )
    cases = [
        (
            f"{two_groups.tasks // 2:,} instruments in 2 groups",
            two_groups,
            "0.38 ms, 29 KB, 0.75 s for 1,000 instruments",
        ),
        *(("distinct selects", case, _NOTHING) for case in selects[:-1]),
        ("distinct selects", selects[-1], "1.06 ms at 3,000 tasks, quadratic"),
    ]
    for name, case, theirs in cases:
        _row(
            name,
            f"{case.tasks:,}",
            _seconds(case.hydration.seconds),
            f"{case.hydration.cpu_seconds / case.tasks * 1e3:.3f} ms",
            f"{case.grown_bytes / case.tasks / 1e3:,.1f} KB",
            _seconds(case.response.seconds),
            theirs,
        )
    sizes = [case.tasks for case in selects]
    print()
    _head("exponent with distinct selects", "all sizes", "last step", f"goal ≤ {_EXPONENT_GOAL}")
    for name, figures in {
        "hydration": [case.hydration.seconds for case in selects],
        "response": [case.response.seconds for case in selects],
        "memory": [case.grown_bytes for case in selects],
    }.items():
        whole, last = exponent(sizes, figures), exponent(sizes[-2:], figures[-2:])
        _row(name, _number(whole), _number(last), _linear(whole, last))


def show_courses(courses: Mapping[str, Course], market_bytes: int) -> None:
    """Print how the big one went, and the most that each process and Redis held."""
    print()
    _head(
        *("the big one", "tasks", "market data", "request", "POST", "to the first result"),
        *("to the last", "to its end", "reading", "response", "in all"),
        f"goal < {_BIG_SECONDS_GOAL} s",
    )
    for name, course in courses.items():
        steps = (course.first_result, course.last_result, course.succeeded, course.reading)
        in_all = course.all
        _row(
            name,
            f"{course.tasks:,}",
            _size(market_bytes),
            _size(course.request_bytes),
            *(
                "not in time" if step is None else f"{step:.2f} s"
                for step in (course.submit, *steps)
            ),
            _size(course.response_bytes),
            f"{course.done:,} tasks" if in_all is None else f"{in_all:.1f} s",
            _verdict(in_all is not None and in_all < _BIG_SECONDS_GOAL),
        )
    parts = list(dict.fromkeys(part for course in courses.values() for part in course.memory))
    print()
    _head("peak RSS", *parts, "Redis: used_memory", f"goal < {_BIG_BYTES_GOAL / 1e6:.0f} MB")
    for name, course in courses.items():
        held = (
            " + ".join(f"{size / 1e6:,.0f}" for size in sorted(course.memory.get(part, ()))[::-1])
            for part in parts
        )
        _row(
            name,
            *(f"{sizes} MB" if sizes else _NOTHING for sizes in held),
            _megabytes(course.server_bytes),
            _verdict(course.server_bytes < _BIG_BYTES_GOAL),
        )


def _linear(*exponents: float | None) -> str:
    """Say whether all exponents are as hoped."""
    known = [one for one in exponents if one is not None]
    return _verdict(max(known) <= _EXPONENT_GOAL) if known else _NOTHING


def _head(first: str, *others: str) -> None:
    _row(first, *others)
    print(f"|---|{'---:|' * len(others)}")


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


def _pass(took: Pass) -> tuple[str, str]:
    return _seconds(took.seconds), _seconds(took.cpu_seconds)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def _size(size: int) -> str:
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} KB"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def _number(figure: float | None) -> str:
    return _NOTHING if figure is None else f"{figure:.2f}"


def _verdict(is_met: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "met" if is_met else "**missed**"
