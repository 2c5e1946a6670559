"""Start a child process that cannot outlive us, with its output in a log file.

`valkey.ValkeyServer` and `stack.Stack` start everything through `Child`. A child runs in a session
of its own, so that Ctrl-C in the terminal reaches us alone and we choose the order of stopping.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_TETHER = str(Path(__file__).with_name("tether.py"))
_TAIL_BYTES = 4096


class Child:
    """One running child process, tied to our life by `tether`.

    `argv` is the command; what it prints is appended to `log_path`. It has our pid as parent, ends
    when we end however we end, and `pid` is the command's own. With `insist` it is also killed when
    it is then deaf to SIGTERM. Raises OSError when Python itself cannot be started; a command that
    does not exist ends with status 127 and says so in the log.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        insist: bool = False,
    ) -> None:
        self.argv = tuple(argv)
        self.log_path = log_path
        self._pipe: int | None = None
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        self._process = self._start(env, tuple(pass_fds), insist=insist)

    def _start(
        self, env: Mapping[str, str] | None, pass_fds: tuple[int, ...], *, insist: bool
    ) -> "subprocess.Popen[bytes]":
        in_main_thread = threading.current_thread() is threading.main_thread()
        signalled = sys.platform == "linux" and in_main_thread
        reading: int | None = None
        if insist or not signalled:
            reading, self._pipe = os.pipe()
            pass_fds = (*pass_fds, reading)
        tie = [
            str(os.getpid()) if signalled else "-",
            str(reading) if reading is not None else "-",
        ]
        try:
            with self.log_path.open("ab") as log:
                return subprocess.Popen(  # noqa: S603 - our own tether, no shell
                    [sys.executable, "-I", "-S", _TETHER, *tie, *self.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    pass_fds=pass_fds,
                    start_new_session=True,
                )
        except OSError:
            self._release()
            raise
        finally:
            if reading is not None:
                os.close(reading)

    @property
    def pid(self) -> int:
        """The command's process id; also its session and process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Give the exit status, negative for a signal, or None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._release()
        return status

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the end; False if it still runs when the time is over."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        self._release()
        return True

    def stop(self, grace_seconds: float) -> int:
        """Ask it to end, kill it when it does not within the grace; give the exit status."""
        self._process.terminate()
        if not self.wait(grace_seconds):
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """Kill it and what it left in its process group (SIGKILL); return once it is gone."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._release()

    def log_tail(self) -> str:
        """Give the last 4 KiB of what this child wrote to its log, from a line's start."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                start = max(self._log_start, size - _TAIL_BYTES)
                log.seek(start)
                tail = log.read().decode(errors="replace")
        except OSError:
            return ""
        if start > self._log_start:
            tail = tail.partition("\n")[2]
        return tail.strip()

    def _release(self) -> None:
        if self._pipe is None:
            return
        with contextlib.suppress(OSError):  # the watcher may have gone already
            os.write(self._pipe, b".")  # it has ended: the watcher must not signal a stranger's pid
        os.close(self._pipe)
        self._pipe = None
