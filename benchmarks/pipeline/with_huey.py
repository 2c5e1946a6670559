"""The contestant huey.

Two worker processes, blocking pops, quiet, no scheduler for periodic tasks. `notify_result` lets
the client block for a result, where it would look for it every tenth of a second. Arguments and
results are pickled, huey's default.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pipeline.huey_app import instance
from benchmarks.pipeline.queues import PATIENCE_SECONDS, Queue
from benchmarks.pipeline.worker_settings import WORKERS

_WORKERS = f"-k process -w {WORKERS} -n -q"


class Huey(Queue[list[Any]]):
    """Enqueues one task after the other, for want of another way, and gets result after result."""

    name = "huey"
    settings = f"RedisHuey, `{_WORKERS}`, blocking, notify_result, pickle"

    def connect(self, url: str) -> None:
        self._huey, self._echo = instance(url)

    def commands(self) -> Iterable[Sequence[str]]:
        consumer = ("huey.bin.huey_consumer", "benchmarks.pipeline.huey_app.huey")
        yield ("-m", *consumer, *_WORKERS.split())

    def send(self, tasks: Sequence[bytes]) -> list[Any]:
        return [self._echo(task) for task in tasks]

    def collect(self, sent: list[Any]) -> list[bytes]:
        return [result.get(blocking=True, timeout=PATIENCE_SECONDS) for result in sent]

    def close(self) -> None:
        self._huey.storage.pool.disconnect()
