"""The requests: shared market data of a given size, instruments, and valuations of three shapes.

All invented; the same numbers give the same request. Called by `run` and, in its child, by `case`.
"""

from collections.abc import Callable
from enum import StrEnum
from itertools import count

from benchmarks.pipeline.payloads import instrument


class Shape(StrEnum):
    """How a request asks for its tasks."""

    USE = "use"
    """One group: a valuation for each instrument of a portfolio."""

    TWO_GROUPS = "two groups"
    """The same twice: half as many instruments as tasks."""

    SELECTS = "selects"
    """One group: a valuation for each task, which selects its instrument by name from the root."""


def document(shape: Shape, tasks: int, market_bytes: int) -> bytes:
    """Make a request of so many tasks, each of which has a market of so many bytes."""
    return _SHAPES[shape](tasks, _market(market_bytes)).encode()


def _use(tasks: int, market: str, groups: int = 1) -> str:
    valuations = "".join(
        f"""<group name="g{group}"><valuation name="v"
          use="vn:link(/vnml/project/portfolio, instrument)">
          <market select="/vnml/project/market"/><analytics><price><amount/></price></analytics>
          <instrument select="."/></valuation></group>"""
        for group in range(groups)
    )
    return _project(market, tasks // groups, valuations)


def _two_groups(tasks: int, market: str) -> str:
    return _use(tasks, market, groups=2)


def _selects(tasks: int, market: str) -> str:
    valuations = "".join(
        f"""<valuation name="v{task}"><market select="/vnml/project/market"/>
          <instrument select="/vnml/project/portfolio/instrument[@name='B-0-0-{task}']"/>
          </valuation>"""
        for task in range(tasks)
    )
    return _project(market, tasks, f"<group>{valuations}</group>")


_SHAPES: dict[Shape, Callable[[int, str], str]] = {
    Shape.USE: _use,
    Shape.TWO_GROUPS: _two_groups,
    Shape.SELECTS: _selects,
}


def _project(market: str, instruments: int, groups: str) -> str:
    portfolio = "".join(instrument(0, 0, task) for task in range(instruments))
    return (
        f"<vnml><project name='hydration'>{market}<portfolio>{portfolio}</portfolio>{groups}"
        "</project></vnml>"
    )


def _market(size: int) -> str:
    """Give market data of about so many bytes, in nodes of some forty bytes."""
    start, end = '<market name="EOD" date="2025-11-25"><currency>USD</currency>', "</market>"
    nodes: list[str] = []
    left = size - len(start) - len(end)
    for number in count():
        node = f'<node tenor="{number}D"><rate>{0.03 + number % 999 / 1e5:.5f}</rate></node>'
        if left < len(node):
            return start + "".join(nodes) + end
        nodes.append(node)
        left -= len(node)
    raise AssertionError  # count() does not end
