"""End the scripts of a worker that died too suddenly to do so itself (kill -9, out of memory).

The worker tells a pipe which script begins and which has ended; at the other end listens a small
process of its own, this file run as a program. The end of the pipe is the end of the worker: every
process in the sessions of scripts that still ran is killed then. Used by `script`; made in `main`.

    python -I -S lifeline.py        standard input: lines "+PID" and "-PID"

A process that left its script's session is found by a living worker only (`strays`).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

_LOOKS = 50  # at the process table: whoever forks faster than 50 looks kill is left


class Lifeline:
    """The worker's end of the pipe; nothing here raises or waits when the other end is gone."""

    def __init__(self) -> None:
        self._watcher = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # what ends the worker's session must not end it
        )
        assert self._watcher.stdin is not None
        self._pipe = self._watcher.stdin
        os.set_blocking(self._pipe.fileno(), False)
        self.holds = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def began(self, pid: int) -> None:
        """Say that a script has started as leader of the session `pid`."""
        self._say(f"+{pid}\n")

    def ended(self, pid: int) -> None:
        """Say that the script has ended; before it is reaped: later the id may be another's."""
        self._say(f"-{pid}\n")

    def close(self) -> None:
        """Let the watcher end; the scripts that still run end with it."""
        self._pipe.close()
        self._watcher.wait()

    def _say(self, line: str) -> None:
        if not self.holds:
            return
        try:
            os.write(self._pipe.fileno(), line.encode())  # short enough to go whole or not at all
        except OSError:  # it was killed, or stopped until the pipe was full
            # One that has missed a line must never act: it might kill a stranger.
            self._watcher.kill()
            self.holds = False


def watch(lines: Iterable[bytes]) -> None:
    """Follow what a worker says until it is gone, then end what it left running."""
    sessions: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        (sessions.add if line.startswith(b"+") else sessions.discard)(pid)
    for _ in range(_LOOKS):
        found = list(_members(sessions))
        for pid in found:
            _kill(pid)
        if not found:
            break


def _members(sessions: set[int]) -> Iterator[int]:
    """Give the processes of the sessions; where there is no ``/proc``, their leaders' groups."""
    if not sessions:
        return
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - pathlib is slow to load
    except OSError:
        yield from (-pid for pid in sessions)
        sessions.clear()
        return
    for pid in (int(name) for name in names if name.isdecimal()):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - likewise
                state, _parent, _group, session = file.read().rpartition(b")")[2].split()[:4]
        except (OSError, ValueError):  # it ended just now
            continue
        if int(session) in sessions and state not in b"ZX":
            yield pid


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


if __name__ == "__main__":
    watch(sys.stdin.buffer)
