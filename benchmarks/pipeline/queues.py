"""What the contestants that are no VN have in common: groups of tasks sent and collected.

`raw`, `with_huey`, `with_dramatiq` and `with_celery` each say how.
"""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from redis import Redis

from benchmarks._meters import Part
from benchmarks.pipeline.contestants import Check
from benchmarks.pipeline.ground import Ground
from benchmarks.pipeline.payloads import Request
from benchmarks.pipeline.worker_settings import URL_VARIABLE

PATIENCE_SECONDS = 60.0
"""How long one more result is waited for; what takes longer ends the benchmark."""

Sent = TypeVar("Sent")


class Queue(ABC, Generic[Sent]):
    """A contestant whose client sends a group of tasks and collects its results."""

    name: str
    settings: str
    share = 1.0

    def __init__(self) -> None:
        self._ground = Ground()

    @property
    def redis(self) -> Redis:
        return self._ground.redis

    @abstractmethod
    def connect(self, url: str) -> None:
        """Get ready to send."""

    @abstractmethod
    def commands(self) -> Iterable[Sequence[str]]:
        """Give the arguments of Python for each of the workers' processes."""

    @abstractmethod
    def send(self, tasks: Sequence[bytes]) -> Sent:
        """Send a group on its way; gives what `collect` needs."""

    @abstractmethod
    def collect(self, sent: Sent) -> list[bytes]:
        """Wait for all results of a group and give them in the order of the tasks."""

    def close(self) -> None:
        """Close the connections."""

    def environment(self) -> dict[str, str]:
        """Give what the workers are told beside where the server is."""
        return {}

    def parts(self) -> list[Part]:
        return self._ground.parts()

    def run(self, request: Request) -> Check:
        with self._ground.blaming():
            results = [self.collect(self.send(tasks)) for tasks in request.groups]
        return partial(_check, [request], [results])

    def run_at_once(self, requests: Sequence[Request]) -> Check:
        """Send the first groups of all; then, one after the other, the next when one is done."""
        results: list[list[list[bytes]]] = [[] for _ in requests]
        with self._ground.blaming():
            sent = [self.send(request.groups[0]) for request in requests]
            for following in range(1, len(requests[0].groups) + 1):
                for at, request in enumerate(requests):
                    results[at].append(self.collect(sent[at]))
                    if following < len(request.groups):
                        sent[at] = self.send(request.groups[following])
        return partial(_check, requests, results)

    def __enter__(self) -> Self:
        ground = self._ground.__enter__()
        try:
            url = ground.valkey.url
            self.connect(url)
            for arguments in self.commands():
                environment = {**os.environ, **self.environment(), URL_VARIABLE: url}
                ground.start("workers", [sys.executable, *arguments], environment)
        except BaseException:
            ground.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self._ground.__exit__(kind, error, trace)


def _check(requests: Sequence[Request], results: Sequence[Sequence[Sequence[bytes]]]) -> None:
    """Compare the results with the tasks; raises RuntimeError."""
    found = [[tuple(group) for group in groups] for groups in results]
    if found != [list(request.groups) for request in requests]:
        raise RuntimeError("the results are not those of the tasks, or not in their order")
