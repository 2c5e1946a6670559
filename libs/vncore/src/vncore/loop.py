"""Run a service on the quicker event loop where there is one.

uvloop does in C what asyncio does in Python for each of the many wake-ups of a task; where it is
not to be had (Windows), asyncio's own does the same. Called by the ``main`` of vnvs and vnas; the
server of vnapi brings its own.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop  # type: ignore[assignment]

T = TypeVar("T")


def run(service: Coroutine[Any, Any, T]) -> T:
    """Run a service to its end, as `asyncio.run` does, and give what it returns."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(service)
