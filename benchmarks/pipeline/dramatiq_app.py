"""The dramatiq broker that clients make and workers load; used by `with_dramatiq`."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.pipeline.worker_settings import URL_VARIABLE


def broker_on(url: str) -> tuple[RedisBroker, Any]:
    """Give the broker on a server, and the actor."""
    made = RedisBroker(url=url)
    made.add_middleware(Results(backend=RedisBackend(url=url)))
    return made, dramatiq.actor(echo, broker=made, store_results=True)


def echo(task: str) -> str:
    """Do nothing."""
    return task


if URL_VARIABLE in os.environ:  # in a worker
    broker, _ = broker_on(os.environ[URL_VARIABLE])
