"""The celery application that clients make and workers load; used by `with_celery`."""

import os
from typing import Any

from celery import Celery as Application

from benchmarks.pipeline.worker_settings import URL_VARIABLE

PREFETCH_MULTIPLIER = 64


def application(url: str) -> tuple[Application, Any]:
    """Give the application on a server (``unix://…``), and the task."""
    place = url.removeprefix("unix://")
    made = Application(
        "bench",
        broker=f"redis+socket://{place}",
        backend=f"redis+socket://{place}",
        set_as_current=False,
    )
    made.conf.update(
        worker_prefetch_multiplier=PREFETCH_MULTIPLIER,
        worker_disable_rate_limits=True,
        worker_send_task_events=False,
        task_send_sent_event=False,
        task_acks_late=False,
        broker_connection_retry_on_startup=True,
    )
    return made, made.task(name="echo")(echo)


def echo(task: str) -> str:
    """Do nothing."""
    return task


if URL_VARIABLE in os.environ:  # in a worker
    app, _ = application(os.environ[URL_VARIABLE])
