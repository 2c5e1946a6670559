"""The tables of the pricing benchmark, in Markdown: medians of the rounds.

Called by `run`.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks.pricing.house import PARTS

if TYPE_CHECKING:
    from benchmarks.pricing.run import Measured, Round

_NOTHING = "–"


def show(measured: "Sequence[Measured]") -> None:
    """Print all of them."""
    print(
        "| book | way | tasks | valuations/s | of bare | of exec | from first to last result "
        "| of bare | CPU a task | is pricing | peak memory | others |"
        f"\n|---|---|{'---:|' * 10}"
    )
    for bare, once, one in _with_peers(measured):
        rate, steady = _rate(one), _steady_rate(one)
        is_bare, is_warm = one is bare, one is not bare and one is not once
        cells = [
            one.book,
            one.way,
            f"{one.tasks:,}",
            f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}",
            _NOTHING if is_bare else f"{rate / _rate(bare):.1%}",
            f"{rate / _rate(once):,.0f} x" if is_warm else _NOTHING,
            f"{steady:,.0f}/s" if steady else _NOTHING,
            f"{steady / _rate(bare):.1%}" if steady else _NOTHING,
            f"{_cpu_ms(one):.2f} ms",
            _NOTHING if is_bare else _share(_cpu_ms(bare), _cpu_ms(one)),
            f"{sum(one.memory.values()) / 1e6:,.0f} MB",
            f"{_median(one, lambda each: each.cpu.others):.0%}",
        ]
        print(f"| {' | '.join(cells)} |")
    _show_parts(measured, "CPU a task, ms", lambda one, part: f"{_cpu_ms(one, part):.2f}")
    _show_parts(
        measured, "peak memory, MB", lambda one, part: f"{one.memory.get(part, 0) / 1e6:,.0f}"
    )
    _show_course(measured)


def _show_parts(
    measured: "Sequence[Measured]", what: str, cell: "Callable[[Measured, str], str]"
) -> None:
    print(f"\n| {what} | way | {' | '.join(PARTS)} |\n|---|---|{'---:|' * len(PARTS)}")
    for bare, _, one in _with_peers(measured):
        if one is not bare:
            cells = (cell(one, part) for part in PARTS)
            print(f"| {one.book} | {one.way} | {' | '.join(cells)} |")


def _show_course(measured: "Sequence[Measured]") -> None:
    print("\n| seconds | way | to the first result | to the last | to the response | all |")
    print("|---|---|---:|---:|---:|---:|")
    for bare, _, one in _with_peers(measured):
        if one is bare:
            continue
        whole = _median(one, lambda each: each.seconds)
        cells = [_NOTHING] * 3
        if all(each.progress for each in one.rounds):
            first = _median(one, lambda each: each.progress.first if each.progress else 0)
            last = _median(one, lambda each: each.progress.last if each.progress else 0)
            cells = [f"{first:.2f}", f"{last - first:.2f}", f"{max(0, whole - last):.2f}"]
        print(f"| {one.book} | {one.way} | {' | '.join(cells)} | {whole:.2f} |")


def _with_peers(
    measured: "Sequence[Measured]",
) -> "Iterator[tuple[Measured, Measured, Measured]]":
    """Give the bare loop, exec mode and the one at hand, for all ways of all books."""
    for _, group in groupby(measured, lambda one: one.book):
        bare, once, warm = group
        yield from ((bare, once, one) for one in (bare, once, warm))


def _rate(one: "Measured") -> float:
    return one.tasks / _median(one, lambda each: each.seconds)


def _steady_rate(one: "Measured") -> float | None:
    rates = [each.progress.rate for each in one.rounds if each.progress]
    return statistics.median(rates) if rates else None


def _cpu_ms(one: "Measured", part: str | None = None) -> float:
    """Give the milliseconds a task of one part, or of all."""

    def seconds(each: "Round") -> float:
        return each.cpu.seconds.get(part, 0.0) if part else sum(each.cpu.seconds.values())

    return _median(one, seconds) / one.tasks * 1000


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else _NOTHING


def _median(one: "Measured", figure: "Callable[[Round], float]") -> float:
    return statistics.median(figure(each) for each in one.rounds)
