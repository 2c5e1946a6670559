"""What a contestant stands on: a folder, an embedded Valkey on it, and processes of ours.

Used by `queues` and `vn`.
"""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from benchmarks._meters import Part
from vnclient.local.process import Child
from vnclient.local.valkey import ValkeyServer

_STOP_SECONDS = 5.0
_ROOT = str(Path(__file__).parents[2])


class Ground:
    """A folder, a Valkey on it, and processes that end with it; use it with ``with``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vn-bench-")
        self.folder = Path(self._folder.name)
        self.valkey = ValkeyServer(self.folder / "valkey")
        self.children: list[tuple[str, Child]] = []  # with the name of its part
        self.redis: Redis

    def start(self, part: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process of ours, from the main thread; `benchmarks` can be imported in it."""
        log_path = self.folder / f"{part}-{len(self.children)}.log"
        paths = [_ROOT, *filter(None, [environment.get("PYTHONPATH")])]
        own = {**environment, "PYTHONPATH": os.pathsep.join(paths)}
        self.children.append((part, Child(argv, log_path=log_path, env=own, insist=True)))

    def parts(self) -> list[Part]:
        """Name the processes; those that one has started belong to the same part."""
        parts = [Part("server", self.valkey.pid, "server")]
        return parts + [Part(part, child.pid, part) for part, child in self.children]

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Raise, in place of another error, RuntimeError with its log when a process has ended."""
        try:
            yield
        except Exception as err:
            self.require_alive(err)
            raise

    def require_alive(self, cause: Exception | None = None) -> None:
        """Raise RuntimeError with the end of its log when a process has ended."""
        for part, child in self.children:
            if child.poll() is not None:
                raise RuntimeError(f"one of the {part} has ended: {child.log_tail()}") from cause

    def __enter__(self) -> Self:
        self.valkey.start()
        self.redis = Redis.from_url(self.valkey.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, child in self.children:
            child.stop(_STOP_SECONDS)
            with suppress(ProcessLookupError):  # what it has left behind, should it have failed
                os.killpg(child.pid, signal.SIGKILL)
        self.redis.close()
        self.valkey.stop()
        self._folder.cleanup()
