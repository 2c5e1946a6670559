"""Fixtures of the stream tests: an open request, and worker processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workbench import Bench, WorkerProcess, open_bench

from vncore.connection import Connections
from vncore.keys import Keys


@pytest.fixture
async def bench(connections: Connections, keys: Keys) -> Bench:
    return await open_bench(connections, keys)


@pytest.fixture
def start_worker(redis_url, tmp_path) -> Iterator[Callable[..., WorkerProcess]]:
    """Give a function that starts worker processes, ended with the test."""
    started: list[WorkerProcess] = []

    def start(script: Path, **settings: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(WorkerProcess(redis_url, script, log, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.end()
