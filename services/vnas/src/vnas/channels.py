"""A script's stdin, stdout and stderr: files in memory.

In comes the task document; out come the bytes that the script wrote. Files, unlike pipes, cannot
deadlock, break, or be held open by a grandchild, and the kernel's file size limit ends a flood.
`Channels` are the three of a script that runs once (`script`), `FreeText` is the one that takes
what a warm script prints (`warm`).
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

STDERR_TAIL_BYTES = 4 * 1024
"""How much of the end of stderr goes into an error."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The three files of one run; the script inherits these descriptors as 0, 1 and 2."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: BinaryIO

    def output_size(self) -> int:
        """Give how many bytes stdout holds now."""
        return os.fstat(self.stdout.fileno()).st_size

    def error_size(self) -> int:
        """Give how many bytes stderr holds now."""
        return os.fstat(self.stderr.fileno()).st_size

    def output(self) -> bytes:
        """Read all of stdout; look at `output_size` first."""
        return _read_from(self.stdout, 0)

    def stderr_tail(self) -> str:
        """Read the last 4 KiB of stderr; bytes that are no UTF-8 become U+FFFD."""
        return _tail(self.stderr)


@dataclass(frozen=True, slots=True)
class FreeText:
    """The file that a warm script inherits as 1 and 2, cleared before each task."""

    file: BinaryIO

    def clear(self) -> None:
        """Forget what was written so far."""
        self.file.truncate(0)

    def size(self) -> int:
        """Give how many bytes were written since."""
        return os.fstat(self.file.fileno()).st_size

    def tail(self) -> str:
        """Read the last 4 KiB; bytes that are no UTF-8 become U+FFFD."""
        return _tail(self.file)


@contextmanager
def open_channels(task_xml: bytes) -> Iterator[Channels]:
    """Make the three files, stdin filled and rewound; nothing is left of them afterwards."""
    with ExitStack() as stack:
        stdin, stdout, stderr = (
            stack.enter_context(_memory_file(name)) for name in ("stdin", "stdout", "stderr")
        )
        stdin.write(task_xml)
        stdin.seek(0)
        for written in (stdout, stderr):
            _append_only(written)
        yield Channels(stdin, stdout, stderr)


@contextmanager
def open_free_text() -> Iterator[FreeText]:
    """Make the file; nothing is left of it afterwards."""
    with _memory_file("text") as file:
        _append_only(file)
        yield FreeText(file)


def _append_only(file: BinaryIO) -> None:
    # `echo … > /dev/stderr` truncates a file; appending leaves no hole where it was.
    flags = fcntl.fcntl(file.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(file.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)


def _memory_file(name: str) -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create(f"vn-{name}", os.MFD_CLOEXEC), "w+b", buffering=0)  # noqa: PTH123 - a descriptor
    return tempfile.TemporaryFile(buffering=0)


def _tail(file: BinaryIO) -> str:
    start = max(0, os.fstat(file.fileno()).st_size - STDERR_TAIL_BYTES)
    return _read_from(file, start).decode(errors="replace")


def _read_from(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read()
