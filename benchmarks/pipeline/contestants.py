"""What every contestant can do.

A contestant is started by its ``with``, for one round, and leaves nothing behind. `cells` asks for
no more than this; `queues`, `raw` and `vn` do it.
"""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from redis import Redis

from benchmarks._meters import Part
from benchmarks.pipeline.payloads import Request

Check = Callable[[], None]
"""Looks whether all results are there, right and in order; for when the clock stands."""


class Contestant(Protocol):
    """One way to bring tasks to workers and their results back."""

    name: str
    settings: str  # what it was told, in a line
    share: float  # of the tasks: slow ones get fewer

    @property
    def redis(self) -> Redis:
        """The server, to ask it for its counters."""
        ...

    def parts(self) -> list[Part]:
        """Name the processes, for the meters."""
        ...

    def run(self, request: Request) -> Check:
        """Bring a request to its end, one group after the other."""
        ...

    def run_at_once(self, requests: Sequence[Request]) -> Check:
        """Bring all the requests to their end, at the same time."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
