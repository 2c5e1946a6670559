"""The huey that clients make and workers load; used by `with_huey`."""

import os
from typing import Any

from huey import RedisHuey

from benchmarks.pipeline.worker_settings import URL_VARIABLE


def instance(url: str) -> tuple[RedisHuey, Any]:
    """Give huey on a server, and the task."""
    made = RedisHuey("bench", url=url, blocking=True, notify_result=True)
    return made, made.task(name="echo")(echo)


def echo(task: bytes) -> bytes:
    """Do nothing."""
    return task


if URL_VARIABLE in os.environ:  # in a worker
    huey, _ = instance(os.environ[URL_VARIABLE])
