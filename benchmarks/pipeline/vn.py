"""The contestant VN: `Echo` with workers that do nothing, `Cat` as users have it.

Both from the POST of a request to its response, over HTTP. `echo_worker` is the worker of the
first.
"""

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from benchmarks._meters import Part
from benchmarks.pipeline.contestants import Check
from benchmarks.pipeline.ground import Ground
from benchmarks.pipeline.payloads import Request
from benchmarks.pipeline.worker_settings import WORKERS
from vnclient import AsyncClient, Client
from vnclient.errors import ServerUnreachable
from vnclient.local.ports import free_port
from vnclient.local.services import service_command
from vnclient.local.stack import Stack, StackOptions

_HOST = "127.0.0.1"
_SCRIPT = Path("/bin/cat")
_START_SECONDS = 60.0
_PATIENCE_SECONDS = 300.0
"""How long a request may take; one that takes longer ends the benchmark."""

_SLOTS = 2
_OURS = ("VN", "REDIS", "HTTP_", "TASK_", "MAX_", "DEFAULT_", "REQUEST_", "FAILED_", "HYDRATION_")
"""Settings of ours begin with these; whoever runs the benchmark may have some."""

_PARTS = {"valkey": "server", "vnas": "workers"}
_STARTED_BY = {"vnvs": "hydration", "vnas": "scripts"}
"""What the members of the stack, and what they have started, are called in the tables."""

_GROUP = re.compile(rb"<group[ >].*?</group>", re.DOTALL)
_VALUATION = re.compile(rb"<valuation[ >].*?</valuation>", re.DOTALL)
_DIGEST = re.compile(rb' script="sha256:[0-9a-f]{64}"(?=/></valuation>)')
"""What a result has more than its task."""


class _OverHttp:
    """The client's side: synchronous requests."""

    url: str
    client: Client

    def run(self, request: Request) -> Check:
        response = self.client.value(request.document, timeout_seconds=_PATIENCE_SECONDS)
        return partial(_check_response, request, response)

    def run_at_once(self, requests: Sequence[Request]) -> Check:
        return asyncio.run(self._run_at_once(requests))

    async def _run_at_once(self, requests: Sequence[Request]) -> Check:
        async with AsyncClient(self.url, timeout_seconds=_PATIENCE_SECONDS) as vn:
            responses = await asyncio.gather(
                *(
                    vn.value(request.document, timeout_seconds=_PATIENCE_SECONDS)
                    for request in requests
                )
            )

        def check() -> None:
            for request, response in zip(requests, responses, strict=True):
                _check_response(request, response)

        return check


class Echo(_OverHttp):
    """vnapi and vnvs as they are, and workers that give each document back themselves."""

    name = "vn (echo)"
    settings = f"one vnapi, one vnvs, {WORKERS} vnas with {_SLOTS} slots, all else at its default"
    share = 1.0

    def __init__(self) -> None:
        self._ground = Ground()

    @property
    def redis(self) -> Redis:
        return self._ground.redis

    def parts(self) -> list[Part]:
        return [
            Part(part.name, part.pid, "hydration") if part.name == "vnvs" else part
            for part in self._ground.parts()
        ]

    def __enter__(self) -> Self:
        ground = self._ground.__enter__()
        try:
            self._start(ground)
        except BaseException:
            self._ground.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self._ground.__exit__(kind, error, trace)

    def _start(self, ground: Ground) -> None:
        tasks = ground.folder / "tasks"
        tasks.mkdir()
        port = free_port(_HOST, 0)
        environment = _inherited() | {
            "REDIS_URL": ground.valkey.url,
            "HTTP_HOST": _HOST,
            "HTTP_PORT": str(port),
            "VNAS_SCRIPT": str(_SCRIPT),
            "VNAS_TASK_DIRECTORY": str(tasks),
            "VNAS_SLOTS": str(_SLOTS),
        }
        ground.start("vnapi", service_command("vnapi"), environment)
        ground.start("vnvs", service_command("vnvs"), environment)
        for _ in range(WORKERS):
            command = [sys.executable, "-m", "benchmarks.pipeline.echo_worker"]
            ground.start("workers", command, environment)
        self.url = f"http://{_HOST}:{port}"
        self._wait_until_ready(ground)
        self.client = Client(self.url, timeout_seconds=_PATIENCE_SECONDS)

    def _wait_until_ready(self, ground: Ground) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with Client(self.url, timeout_seconds=5.0) as client:
            while not _is_ready(client):
                ground.require_alive()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} is not ready after {_START_SECONDS:g} s")
                time.sleep(0.05)


class Cat(_OverHttp):
    """The embedded stack, with a process for each task."""

    name = "vn (cat)"
    settings = f"the embedded stack, one vnas with {_SLOTS} slots, a process of {_SCRIPT} each task"
    share = 0.1

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vn-bench-")
        self._stack = Stack(
            StackOptions(data_dir=Path(self._folder.name), script=_SCRIPT, slots=_SLOTS)
        )
        self.redis: Redis

    def parts(self) -> list[Part]:
        return [
            Part(_PARTS.get(name, name), pid, _STARTED_BY.get(name, name))
            for name, pid in self._stack.pids().items()
        ]

    def __enter__(self) -> Self:
        self._stack.start()
        self.url = self._stack.url
        self.client = Client(self.url, timeout_seconds=_PATIENCE_SECONDS)
        self.redis = Redis.from_url(self._stack.valkey.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.redis.close()
        self.client.close()
        self._stack.stop()
        self._folder.cleanup()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def _is_ready(client: Client) -> bool:
    try:
        return bool(client.ready())
    except ServerUnreachable:
        return False


def _check_response(request: Request, response: bytes) -> None:
    """Compare the valuations with those of the tasks, in order; raises RuntimeError.

    Byte for byte, but for the script's digest that each result has besides.
    """
    groups = [_VALUATION.findall(group) for group in _GROUP.findall(response)]
    if list(map(len, groups)) != list(map(len, request.groups)):
        raise RuntimeError(f"there are other numbers of results: {list(map(len, groups))}")
    for results, tasks in zip(groups, request.groups, strict=True):
        for number, (result, task) in enumerate(zip(results, tasks, strict=True), start=1):
            unmarked, marks = _DIGEST.subn(b"", result)
            if marks != 1 or [unmarked] != _VALUATION.findall(task):
                raise RuntimeError(f"result {number} is not that of its task: {result[:500]!r}")
