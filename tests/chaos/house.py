"""A whole house of separate processes on one folder, each of which may be ended at any moment.

    with House(folder, options) as house:
        house.members["vnas-1"].kill()

Valkey with its append-only file, and any number of vnapi, vnvs and vnas. Everything written is
below the folder: ``valkey/``, ``logs/``, ``tasks/``.
"""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from vnclient.client import Client
from vnclient.errors import ServerUnreachable
from vnclient.local.ports import free_port
from vnclient.local.process import Child
from vnclient.local.services import service_command
from vnclient.local.valkey import ValkeyServer

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_GONE_SECONDS = 15.0
_OURS = ("VN", "REDIS", "HTTP_", "TASK_", "MAX_", "DEFAULT_", "REQUEST_", "FAILED_", "HYDRATION_")


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseOptions:
    """How many of each, and what they are told beside the defaults."""

    script: Path
    warm_script: Path | None = None  # every second vnas runs this one, in persistent mode
    vnapi: int = 2
    vnvs: int = 2
    vnas: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)


class Member:
    """One process of a service: started, ended and started again under the same name."""

    def __init__(self, name: str, environment: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.service = name.partition("-")[0]
        self._environment = environment
        self._log_path = log_path
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped for a while."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it; from the main thread, so that it ends with us."""
        self._child = Child(
            service_command(self.service), log_path=self._log_path, env=self._environment
        )

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, not to what it started."""
        if self.alive:
            os.kill(self.pid, number)

    def kill(self, *, whole_group: bool = False) -> None:
        """Kill it (SIGKILL), with or without what is in its process group; return once it is gone.

        Without, its children must notice by themselves.
        """
        assert self._child is not None
        if whole_group:
            self._child.kill()
        else:
            self.signal(signal.SIGKILL)
            self._child.wait(_STOP_SECONDS)

    def status(self) -> int | None:
        """Give the exit status; None while it runs."""
        assert self._child is not None
        return self._child.poll()

    def stop(self, grace_seconds: float) -> None:
        """End it as an operator would."""
        if self._child is not None:
            self._child.stop(grace_seconds)

    def log_tail(self) -> str:
        """Give the end of its log."""
        return "" if self._child is None else self._child.log_tail()


class House:
    """The house; start and stop it by ``with``, from the main thread."""

    def __init__(self, folder: Path, options: HouseOptions) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.valkey = ValkeyServer(folder / "valkey", log_path=self.logs / "valkey.log")
        self.members: dict[str, Member] = {}
        self.urls: list[str] = []
        self._tasks = folder / "tasks"
        self._options = options

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """Give the environment of each service, but for vnapi's port."""
        ours = {
            "REDIS_URL": self.valkey.url,
            "VNAS_SCRIPT": str(self._options.script),
            "VNAS_TASK_DIRECTORY": str(self._tasks),
            **self._options.settings,
        }
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(_OURS)}
        return inherited | ours

    def stop(self) -> None:
        """End everything, also what is stopped just now; a second call does nothing."""
        for member in self.members.values():
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        for member in self.members.values():
            member.stop(_STOP_SECONDS)
        if self.valkey.alive:
            os.kill(self.valkey.pid, signal.SIGCONT)
        self.valkey.stop()

    def survivors(self) -> list[str]:
        """Once everything was stopped: name processes and task folders that are left."""
        deadline = time.monotonic() + _GONE_SECONDS  # those who clean up need a moment
        while (left := [*self._processes(), *self._folders()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _start(self) -> None:
        self._tasks.mkdir(parents=True)
        self.valkey.start()
        environment = self.environment()
        options = self._options
        counts = {"vnapi": options.vnapi, "vnvs": options.vnvs, "vnas": options.vnas}
        for service, count in counts.items():
            for number in range(1, count + 1):
                own = environment
                if service == "vnapi":
                    port = free_port(_HOST, 0)
                    own = environment | {"HTTP_HOST": _HOST, "HTTP_PORT": str(port)}
                    self.urls.append(f"http://{_HOST}:{port}")
                if service == "vnas" and number % 2 == 0 and options.warm_script is not None:
                    own = environment | {
                        "VNAS_SCRIPT": str(options.warm_script),
                        "VNAS_SCRIPT_MODE": "persistent",
                    }
                name = f"{service}-{number}"
                self.members[name] = Member(name, own, self.logs / f"{name}.log")
        for member in self.members.values():
            member.start()
        for url in self.urls:
            self._wait_until_ready(url)

    def _wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with Client(url, timeout_seconds=5.0) as client:
            while True:
                try:
                    if client.ready():
                        return
                except ServerUnreachable:
                    pass
                for member in self.members.values():
                    if not member.alive:
                        raise RuntimeError(f"{member.name} ended at start: {member.log_tail()}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the house is not ready; see {self.logs}")
                time.sleep(0.1)

    def _processes(self) -> list[str]:
        """Name processes that have our folder in their command, environment or as their place."""
        here, found = os.fsencode(self.folder), []
        for process in Path("/proc").glob("[0-9]*"):
            if process.name == str(os.getpid()):
                continue
            try:
                command = (process / "cmdline").read_bytes()
                place = os.fsencode((process / "cwd").readlink())
                belongs = here in command + (process / "environ").read_bytes() + place
            except OSError:  # it ended just now, or is somebody else's
                continue
            if belongs:
                shown = command.replace(b"\0", b" ").decode(errors="replace")
                found.append(f"process {process.name} is left: {shown[:200]}")
        return found

    def _folders(self) -> list[str]:
        return [f"folder {path} is left" for path in self._tasks.glob("*")]
