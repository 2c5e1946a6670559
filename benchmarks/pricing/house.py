"""VN as it is: the embedded stack, from the POST of a request to its response.

Called by `run`, once for each script mode. Our own work as the client is in the seconds, not in the
processor time.
"""

import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from benchmarks._meters import Part, ProgressWatch
from vnclient import Client
from vnclient.local.stack import Stack, StackOptions
from vncore.keys import Keys

PARTS = ("valkey", "vnapi", "vnvs", "hydration", "vnas", "scripts")
_STARTED_BY = {"vnvs": "hydration", "vnas": "scripts"}
_PATIENCE_SECONDS = 300.0


class House:
    """A stack on a data folder of its own, in one of the script modes; use it with ``with``."""

    def __init__(self, mode: str) -> None:
        self.name = mode
        self._folder = tempfile.TemporaryDirectory(prefix="vn-bench-")
        self._stack = Stack(StackOptions(data_dir=Path(self._folder.name), script_mode=mode))

    def run(self, document: bytes) -> tuple[float, bytes]:
        """Value a request; gives the seconds it took and the response."""
        start = time.perf_counter()
        response = self._client.value(document)
        return time.perf_counter() - start, response

    def parts(self) -> list[Part]:
        """Name the processes, for the meters."""
        pids = self._stack.pids()
        return [Part(name, pids[name], _STARTED_BY.get(name, name)) for name in pids]

    def watch(self, tasks: int) -> ProgressWatch:
        """Give what sees the results of the next request come."""
        return ProgressWatch(self._redis, Keys(), tasks)

    def __enter__(self) -> Self:
        self._stack.start()
        self._client = Client(self._stack.url, timeout_seconds=_PATIENCE_SECONDS)
        self._redis = Redis.from_url(self._stack.valkey.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._redis.close()
        self._client.close()
        self._stack.stop()
        self._folder.cleanup()
