"""The worker's side of the persistent protocol, spoken by hand (docs/SCRIPTS.md).

So that scripts are held to the page, and not to what the worker happens to accept.
"""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from vnas import descriptors


class Conversation:
    """One persistent script and the two pipes to it."""

    def __init__(self, script: Path, folder: Path, *, path: str, blocking: bool = True) -> None:
        self.folder = folder
        self.task_id = "1"
        tasks_in, self._tasks = os.pipe()
        self._answers, answers_out = os.pipe()
        os.set_blocking(tasks_in, blocking)
        placing = [sys.executable, "-I", "-S", descriptors.__file__]
        self.process = subprocess.Popen(
            [*placing, str(tasks_in), str(answers_out), str(script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": path, "VN_SCRIPT_MODE": "persistent"},
            cwd=folder,
            pass_fds=(tasks_in, answers_out),
        )
        os.close(tasks_in)
        os.close(answers_out)
        self._count = 0

    def read(self, length: int) -> bytes:
        data = b""
        while len(data) < length and (more := os.read(self._answers, length - len(data))):
            data += more
        return data

    def header(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return line

    def send(self, data: bytes, *, piece: int = 1 << 20) -> None:
        for at in range(0, len(data), piece):
            os.write(self._tasks, data[at : at + piece])

    def ask(self, document: bytes, *, piece: int = 1 << 20) -> tuple[int, bytes]:
        self._count += 1
        nonce = f"n0nce{self._count}".encode()
        with_own = self.folder / nonce.decode()
        with_own.mkdir()
        facts = (
            f'{{"VN_REQUEST_ID": "r", "VN_GROUP_INDEX": "0", "VN_GROUP_NAME": "Zinssätze", '
            f'"VN_TASK_ID": "{self.task_id}", "VN_VALUATION_NAME": "€", "VN_ATTEMPT": "1", '
            f'"VN_DEADLINE": "", "TRACEPARENT": "", "VN_TASK_DIRECTORY": "{with_own}"}}'
        ).encode()
        frame = b"TASK %s %d %d\n" % (nonce, len(facts), len(document)) + facts + document
        self.send(frame, piece=piece)
        found = re.fullmatch(rb"RESULT (\w+) (\d{1,3}) (\d+)\n", self.header())
        assert found is not None
        assert found[1] == nonce
        return int(found[2]), self.read(int(found[3]))

    def end(self) -> int:
        """Close the tasks, and give the exit status."""
        os.close(self._tasks)
        self._tasks = -1
        return self.process.wait(timeout=20)

    def printed(self) -> str:
        """Give what the script printed since this was last asked; it is out once it answered."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        os.set_blocking(descriptor, False)
        data = b""
        with suppress(BlockingIOError):
            while more := os.read(descriptor, 1 << 16):
                data += more
        return data.decode()

    def close(self) -> None:
        for descriptor in (self._tasks, self._answers):
            if descriptor >= 0:
                os.close(descriptor)
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
