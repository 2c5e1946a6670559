"""The contestant dramatiq.

Redis broker and results in Redis, JSON, dramatiq's default. Two processes of one thread: more
threads would only wait for each other where tasks never wait. Workers look for tasks again after
pauses that grow while there are none, up to `worker_timeout`: its default of a second would be
seen as latency.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pipeline.dramatiq_app import broker_on
from benchmarks.pipeline.queues import PATIENCE_SECONDS, Queue
from benchmarks.pipeline.worker_settings import WORKERS

_WORKERS = f"-p {WORKERS} -t 1"
_PREFETCHED, _IDLE_MS = "32", "2"


class Dramatiq(Queue[list[Any]]):
    """Enqueues one message after the other and gets one result after another."""

    name = "dramatiq"
    settings = (
        f"RedisBroker and RedisBackend, `{_WORKERS}`, dramatiq_queue_prefetch={_PREFETCHED}, "
        f"dramatiq_worker_timeout={_IDLE_MS}, default middleware, JSON"
    )

    def connect(self, url: str) -> None:
        self._broker, self._echo = broker_on(url)

    def commands(self) -> Iterable[Sequence[str]]:
        yield ("-m", "dramatiq", "benchmarks.pipeline.dramatiq_app:broker", *_WORKERS.split())

    def environment(self) -> dict[str, str]:
        return {"dramatiq_queue_prefetch": _PREFETCHED, "dramatiq_worker_timeout": _IDLE_MS}

    def send(self, tasks: Sequence[bytes]) -> list[Any]:
        return [self._echo.send(task.decode()) for task in tasks]

    def collect(self, sent: list[Any]) -> list[bytes]:
        timeout_ms = int(PATIENCE_SECONDS * 1000)
        backend = self._broker.get_results_backend()
        return [
            message.get_result(backend=backend, block=True, timeout=timeout_ms).encode()
            for message in sent
        ]

    def close(self) -> None:
        self._broker.close()
