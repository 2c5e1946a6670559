"""End the scripts of a worker that died too suddenly to do so itself (kill -9, out of memory).

The worker has one folder for the directories of all its tasks, and holds one end of a pipe. At the
other end waits a small process of its own, this file run as a program. The end of the pipe is the
end of the worker: every process that calls a directory in the folder its home, or is in one, is
killed then, and the folder is removed. Made in `main`; its `folder` is used by `script`.

    python -I -S lifeline.py FOLDER        standard input: never written to
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_LOOKS = 50  # at the process table: whoever forks faster than 50 looks kill is left


class Lifeline:
    """The worker's end of the pipe."""

    def __init__(self, parent: Path | None) -> None:
        """Make the folder in `parent`; None: in the system's place for temporary files."""
        self.folder = Path(tempfile.mkdtemp(prefix="vn-worker-", dir=parent))
        self._watcher = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", "-S", __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # what ends the worker's session must not end it
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go: what still runs in the folder is ended, then the folder is gone."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()


def watch(folder: str) -> None:
    """Wait for the end of the worker, then end what it left running, and remove the folder."""
    sys.stdin.buffer.read()
    for _ in range(_LOOKS):
        found = list(_at_home_in(os.fsencode(folder) + b"/"))
        for pid in found:
            _kill(pid)
        if not found:
            break
    shutil.rmtree(folder, ignore_errors=True)


def _at_home_in(folder: bytes) -> Iterator[int]:
    """Give the processes whose home or current directory is below the folder.

    None where there is no ``/proc``: there a script ends with its own limits only.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            current = os.readlink(os.fsencode(process / "cwd"))  # noqa: PTH115 - bytes
            is_there = current.startswith(folder)
            if is_there or b"\0HOME=" + folder in b"\0" + (process / "environ").read_bytes():
                yield int(process.name)
        except OSError:  # it ended just now, or is somebody else's
            continue


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


if __name__ == "__main__":
    watch(sys.argv[1])
