"""The embedded stack: Valkey, vnapi, one vnvs and one vnas, each a child process of ours.

    with Stack(StackOptions(data_dir=Path(".vn"))) as stack:
        Client(stack.url).submit(...)

`vn run` uses it for one request, `vn up` supervises it in the foreground. Everything is written
below the data folder (``valkey/``, ``logs/``, ``tasks/``); every process ends with us, whatever
ends us.
"""

import os
import shutil
import socket
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vnclient.answers import Readiness
from vnclient.client import Client
from vnclient.errors import (
    DataFolderLocked,
    DidNotStart,
    LocalStackError,
    ServerUnreachable,
    VnClientError,
)
from vnclient.local.ports import bound_socket
from vnclient.local.process import Child
from vnclient.local.services import SERVICES, service_command
from vnclient.local.valkey import ValkeyServer

HOST = "127.0.0.1"

_POLL_SECONDS = 0.05
_LOOK_SECONDS = 0.25
_STOP_GRACE_SECONDS = 10.0
_DRAIN_MS = "3000"  # what runs longer stays pending in Valkey and is done at the next start
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 1.0, 30.0
_STEADY_SECONDS = 60.0  # a service that ran this long starts again without its earlier backoff
_LOG_MAX_BYTES = 20 * 1024 * 1024
_MISSED = {"orchestrators": "vnvs", "workers": "vnas"}  # whose readiness check tells of whom


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What the embedded stack runs on; everything else comes from the environment."""

    data_dir: Path
    http_port: int = 0  # 0: any free loopback port
    slots: int | None = None  # scripts at once; None: VNAS_SLOTS, else as many as cores
    script: Path | None = None  # None: VNAS_SCRIPT, else the shipped engine
    script_mode: str | None = None  # None: VNAS_SCRIPT_MODE, else persistent if shipped
    file_root: Path | None = None  # None: HYDRATION_FILE_ROOT, else file:// is refused
    start_timeout_seconds: float = 60.0


class Stack:
    """The stack on one data folder; start it by ``with`` or `start`, from the main thread.

    `tell` gets a sentence when `supervise` sees a process end or brings it back.
    """

    def __init__(self, options: StackOptions, *, tell: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.log_dir = options.data_dir.absolute() / "logs"
        # What DURABILITY=fsync promises, the services demand of their server.
        durable = os.environ.get("DURABILITY") == "fsync"
        self.valkey = ValkeyServer(
            options.data_dir.absolute() / "valkey",
            options=("--appendfsync", "always") if durable else (),
            log_path=self.log_dir / "valkey.log",
        )
        self._task_dir = options.data_dir.absolute() / "tasks"
        self.url = ""  # while it runs
        self._tell = tell or (lambda _said: None)
        self._members: dict[str, _Member] = {}
        self._door: socket.socket | None = None  # that vnapi listens on, one after the other

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything and return once the server takes requests.

        Raises MissingExtra, DataFolderLocked, PortInUse, and DidNotStart with the tail of the log
        of the one that did not; after an error nothing is left running.
        """
        for name in SERVICES:
            service_command(name)  # all of them, before anything is started
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the services, then Valkey, each by SIGTERM and a grace; a second call does nothing.

        An interrupt meanwhile (a second Ctrl-C) kills what is left at once.
        """
        try:
            for name in SERVICES:
                if name in self._members:
                    self._members[name].child.stop(_STOP_GRACE_SECONDS)
            self.valkey.stop()
        except BaseException:
            for member in self._members.values():
                member.child.kill()
            self.valkey.kill()
            self.valkey.stop()
            raise
        finally:
            self._members.clear()
            if self._door is not None:
                self._door.close()
                self._door = None
            self.url = ""

    def pids(self) -> dict[str, int]:
        """Give the process id of each member by name."""
        return {"valkey": self.valkey.pid} | {
            name: member.child.pid for name, member in self._members.items()
        }

    def supervise(self, until: threading.Event) -> None:
        """Bring back what ends, with backoff, and tell it, until the event is set."""
        while not until.wait(_LOOK_SECONDS):
            if not self.valkey.alive:
                self._tell("valkey ended; starting it again on the same data")
                self.valkey.start()
            for member in self._members.values():
                member.look(self._tell)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Supervise in the background for as long as the block lasts.

        When Valkey cannot be brought back it tells why and interrupts the main thread.
        """
        over = threading.Event()

        def supervise() -> None:
            try:
                self.supervise(over)
            except LocalStackError as err:
                self._tell(str(err))
                interrupt_main()

        thread = threading.Thread(target=supervise, name="supervise", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _start_all(self) -> None:
        data_dir = self.options.data_dir.absolute()
        try:
            self.valkey.start()
        except DataFolderLocked as err:
            raise DataFolderLocked(data_dir, err.holder) from err
        shutil.rmtree(
            self._task_dir, ignore_errors=True
        )  # what a killed worker left; we hold the lock
        self._task_dir.mkdir()
        # Ours from now on: of two stacks that start together, neither ends up with the other's.
        self._door = bound_socket(HOST, self.options.http_port)
        self.url = f"http://{HOST}:{self._door.getsockname()[1]}"
        environment = self._environment()
        for name in SERVICES:
            own, inherited = environment, tuple[int, ...]()
            if name == "vnapi":
                inherited = (self._door.fileno(),)
                own = environment | {"HTTP_SOCKET_FD": str(self._door.fileno())}
            self._members[name] = _Member(name, own, self._log(name), inherited)
        self._wait_until_ready()

    def _environment(self) -> dict[str, str]:
        options, environment = self.options, dict(os.environ)
        environment["REDIS_URL"] = self.valkey.url
        environment.setdefault("VNAS_SLOTS", str(_cores()))
        environment.setdefault("VNAS_TASK_DIRECTORY", str(self._task_dir))
        for drain in ("VNVS_DRAIN_MS", "VNAS_DRAIN_MS"):
            environment.setdefault(drain, _DRAIN_MS)
        if options.slots is not None:
            environment["VNAS_SLOTS"] = str(options.slots)
        if options.script is not None:
            environment["VNAS_SCRIPT"] = str(options.script.absolute())
        if options.script_mode is not None:
            environment["VNAS_SCRIPT_MODE"] = options.script_mode
        elif "VNAS_SCRIPT" not in environment:
            environment.setdefault("VNAS_SCRIPT_MODE", "persistent")
        if options.file_root is not None:
            environment["HYDRATION_FILE_ROOT"] = str(options.file_root.absolute())
        return environment

    def _log(self, name: str) -> Path:
        path = self.log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.options.start_timeout_seconds
        with Client(self.url, timeout_seconds=5.0) as client:
            while not (found := _readiness(client)):
                for name, member in self._members.items():
                    if member.child.poll() is not None:
                        raise _did_not_start(name, member.child, "ended at start")
                if time.monotonic() > deadline:
                    name = next((_MISSED[one] for one in _MISSED if one in found.detail), "vnapi")
                    patience = f"{self.options.start_timeout_seconds:g} s"
                    missing = f"was not ready within {patience} ({found.detail})"
                    raise _did_not_start(name, self._members[name].child, missing)
                time.sleep(_POLL_SECONDS)


class _Member:
    """One service of the stack and its restarts."""

    def __init__(
        self,
        name: str,
        environment: dict[str, str],
        log_path: Path,
        inherited: tuple[int, ...],  # descriptors
    ) -> None:
        self.name = name
        self._environment = environment
        self._log_path = log_path
        self._inherited = inherited
        self._backoff_seconds = _FIRST_BACKOFF_SECONDS
        self._start_at: float | None = None  # monotonic; None: it runs
        self.child = self._start()

    def _start(self) -> Child:
        self._started = time.monotonic()
        return Child(
            service_command(self.name),
            log_path=self._log_path,
            env=self._environment,
            pass_fds=self._inherited,
        )

    def look(self, tell: Callable[[str], None]) -> None:
        """Notice the end, tell it, and start again once the backoff is over."""
        now = time.monotonic()
        if self._start_at is None:
            status = self.child.poll()
            if status is None:
                return
            if now - self._started > _STEADY_SECONDS:
                self._backoff_seconds = _FIRST_BACKOFF_SECONDS
            self._start_at = now + self._backoff_seconds
            tell(
                f"{self.name} ended ({_ending(status)}); starting it again in "
                f"{self._backoff_seconds:g} s; its log: {self._log_path}"
            )
            self._backoff_seconds = min(self._backoff_seconds * 2, _LONGEST_BACKOFF_SECONDS)
        elif now >= self._start_at:
            self._start_at = None
            self.child = self._start()
            tell(f"{self.name} is back (process {self.child.pid})")


def _did_not_start(name: str, child: Child, what: str) -> LocalStackError:
    status = child.poll()
    reason = what if status is None else f"{what} ({_ending(status)})"
    return DidNotStart(name, reason, child.log_path, child.log_tail())


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _readiness(client: Client) -> Readiness:
    try:
        return client.ready()
    except ServerUnreachable as err:
        return Readiness(ready=False, detail=err.reason)
    except VnClientError as err:
        raise LocalStackError(f"what answers at {client.url} is not our vnapi: {err}") from err


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
