"""The contestant celery.

A prefork pool of two processes, no gossip, mingle, heartbeat nor events; acknowledged early, as by
default; results in Redis, JSON, celery's default. A high prefetch multiplier is what its
documentation recommends for short tasks.
"""

from collections.abc import Iterable, Sequence

from celery.result import AsyncResult

from benchmarks.pipeline.celery_app import PREFETCH_MULTIPLIER, application
from benchmarks.pipeline.queues import PATIENCE_SECONDS, Queue
from benchmarks.pipeline.worker_settings import WORKERS

_WORKERS = f"-P prefork -c {WORKERS} --without-gossip --without-mingle --without-heartbeat"


class Celery(Queue[list[AsyncResult]]):
    """Sends over one connection and gets one result after another, as they are pushed.

    To wait for the whole set natively takes half a second more after its last result.
    """

    name = "celery"
    settings = (
        f"`{_WORKERS}`, prefetch multiplier {PREFETCH_MULTIPLIER}, no events, early "
        "acknowledgement, results in Redis, JSON"
    )

    def connect(self, url: str) -> None:
        self._app, self._echo = application(url)

    def commands(self) -> Iterable[Sequence[str]]:
        app = ("-A", "benchmarks.pipeline.celery_app:app")
        yield ("-m", "celery", *app, "worker", "-l", "WARNING", *_WORKERS.split())

    def send(self, tasks: Sequence[bytes]) -> list[AsyncResult]:
        with self._app.producer_or_acquire() as producer:
            return [self._echo.apply_async((task.decode(),), producer=producer) for task in tasks]

    def collect(self, sent: list[AsyncResult]) -> list[bytes]:
        return [result.get(timeout=PATIENCE_SECONDS).encode() for result in sent]

    def close(self) -> None:
        self._app.close()
