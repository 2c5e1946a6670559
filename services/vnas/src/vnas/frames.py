r"""The frames between the worker and a warm script: bytes to facts and back (docs/SCRIPTS.md).

    script -> worker   READY 1\n                                        once, when it can price
    worker -> script   TASK <nonce> <facts bytes> <document bytes>\n<facts><document>
    script -> worker   RESULT <nonce> <status> <output bytes>\n<output>

Pure; no descriptors here. Used by `warm` and, from the other end, by `sdk`. Imports nothing heavy:
every warm script loads it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

PROTOCOL = 1
TASKS_DESCRIPTOR, ANSWERS_DESCRIPTOR = 3, 4
"""Where a warm script reads its tasks and writes its answers."""

MODE_VARIABLE, PERSISTENT = "VN_SCRIPT_MODE", "persistent"
TASK_DIRECTORY = "VN_TASK_DIRECTORY"
"""The one fact that exec mode does not have: there it is the working directory from the start."""

LONGEST_HEADER = 200
_TASK = re.compile(rb"TASK ([0-9A-Za-z]{1,64}) ([0-9]{1,12}) ([0-9]{1,12})\n")
_READY = re.compile(rb"READY ([0-9]{1,3})\n")
_RESULT = re.compile(rb"RESULT ([0-9A-Za-z]{1,64}) ([0-9]{1,3}) ([0-9]{1,12})\n")


class NoFrame(Exception):
    """What arrived is not what the protocol allows there."""


class TooLarge(Exception):
    """An answer announces more bytes than it may have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script answers to one task."""

    nonce: str
    status: int  # what a script run once would exit with: 0, 65, 75, ...
    output: bytes


def ready_frame() -> bytes:
    """Give what a script says once it can price."""
    return b"READY %d\n" % PROTOCOL


def task_frame(nonce: str, facts: Mapping[str, str], document: bytes) -> bytes:
    """Give what a script is sent for one task."""
    told = json.dumps(facts, ensure_ascii=False).encode()
    return b"TASK %s %d %d\n" % (nonce.encode(), len(told), len(document)) + told + document


def answer_frame(answer: Answer) -> bytes:
    """Give what a script sends back."""
    header = f"RESULT {answer.nonce} {answer.status} {len(answer.output)}\n"
    return header.encode() + answer.output


def parse_task_header(header: bytes) -> tuple[str, int, int]:
    """Read nonce, bytes of facts and bytes of document; raises NoFrame."""
    found = _TASK.fullmatch(header)
    if found is None:
        raise NoFrame(f"not the header of a task: {shown(header)}")
    return found[1].decode(), int(found[2]), int(found[3])


class AnswerReader:
    """Puts what a script wrote together: first its readiness, then answers, byte by byte or not."""

    def __init__(self, max_output_bytes: int) -> None:
        self._max_output_bytes = max_output_bytes
        self._buffer = bytearray()
        self._awaited = 0  # bytes of header and output; 0 while the header is not whole
        self._header: tuple[str, int, int] = ("", 0, 0)  # nonce, status, where the output starts
        self.is_ready = False

    def feed(self, data: bytes) -> Answer | None:
        """Take what arrived; give an answer once one is whole.

        A script speaks when it is asked only: bytes after its readiness or after an answer belong
        to neither. Raises NoFrame for them and for anything else, and TooLarge.
        """
        self._buffer += data
        if not self.is_ready:
            self._take_readiness()
        elif self._awaited or self._take_header():
            return self._take_answer()
        return None

    def _take_answer(self) -> Answer | None:
        if len(self._buffer) < self._awaited:
            return None
        nonce, status, start = self._header
        output = bytes(self._buffer[start : self._awaited])
        self._finish_frame(self._awaited)
        return Answer(nonce, status, output)

    def _finish_frame(self, length: int) -> None:
        del self._buffer[:length]
        self._awaited = 0
        if self._buffer:
            raise NoFrame(f"more than was asked for: {shown(bytes(self._buffer[:80]))}")

    def _take_readiness(self) -> None:
        header = self._whole_header()
        if header is None:
            return
        found = _READY.fullmatch(header)
        if found is None:
            raise NoFrame(f"READY {PROTOCOL} was to come first, not {shown(header)}")
        if int(found[1]) != PROTOCOL:
            raise NoFrame(f"it speaks version {int(found[1])} of the protocol, not {PROTOCOL}")
        self._finish_frame(len(header))
        self.is_ready = True

    def _take_header(self) -> bool:
        header = self._whole_header()
        if header is None:
            return False
        found = _RESULT.fullmatch(header)
        if found is None:
            raise NoFrame(f"not the header of an answer: {shown(header)}")
        output_bytes = int(found[3])
        if output_bytes > self._max_output_bytes:
            raise TooLarge(output_bytes)
        self._header = (found[1].decode(), int(found[2]), len(header))
        self._awaited = len(header) + output_bytes
        return True

    def _whole_header(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, LONGEST_HEADER)
        if end >= 0:
            return bytes(self._buffer[: end + 1])
        if len(self._buffer) >= LONGEST_HEADER:
            raise NoFrame(f"not a header: {shown(bytes(self._buffer[:80]))}")
        return None


def shown(data: bytes) -> str:
    """Put bytes into a message: the first of them, on one line."""
    return repr(data[:80])[1:]
