"""Frames between an orchestrator and its hydration children: length, then a pickle.

Called by `child` (the orchestrator's end, asyncio) and `hydration_child` (the other end, blocking).
The child believes its parent. The parent does not believe the child, which handles hostile
documents in C code: what comes from there is unpickled by `loads_answer`, which makes nothing but
hydration's own data classes, pieces of documents, and VN's errors. What an answer has many times,
such as a fragment of all its task documents, crosses once.
"""

import io
import pickle
import socket
import struct
from enum import StrEnum
from typing import Any

HEADER = struct.Struct(">Q")

MAX_FRAME_BYTES = 1024**3
"""Far above what the limits of hydration let through: a larger frame is a broken child."""

_SMALL_BYTES = 64 * 1024

EXIT_OUT_OF_MEMORY = 71
"""The exit status by which a child says that it met its memory limit."""

_ANSWER_MODULES = frozenset({"vncore.codes", "vncore.errors", "vncore.pieces"})
_HYDRATION = "vnvs.hydration"
_RESTORE_ERROR = ("vncore.errors", "_restore")  # how a VnError pickles itself


class Answer(StrEnum):
    """What a child says; each comes with one value."""

    ASK = "ask"  # what it waits for: the name of one of the call's `asked`, and its argument
    DONE = "done"  # what the function returned
    FAILED = "failed"  # the VnError that the function raised
    CRASHED = "crashed"  # the traceback of any other exception


def dumps(message: object) -> bytes:
    """Pickle a message."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def loads_call(frame: bytes) -> Any:
    """Unpickle what the parent sent; for the child only."""
    return pickle.loads(frame)  # noqa: S301 - the parent started this process


def loads_answer(frame: bytes) -> tuple[Answer, Any]:
    """Unpickle what a child sent; raises pickle.UnpicklingError for what no child of ours sends."""
    kind, value = _AnswerUnpickler(io.BytesIO(frame)).load()
    return Answer(kind), value


class _AnswerUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        ours = module in _ANSWER_MODULES or f"{module}.".startswith(f"{_HYDRATION}.")
        if ours and "." not in name:
            found = super().find_class(module, name)
            is_own_class = isinstance(found, type) and found.__module__ == module
            if is_own_class or (module, name) == _RESTORE_ERROR:
                return found
        raise pickle.UnpicklingError(f"an answer may not contain {module}.{name}")


def pieces(body: bytes) -> tuple[bytes, ...]:
    """Give a frame in as many writes as is cheapest: a small one wakes its reader once."""
    header = HEADER.pack(len(body))
    return (header + body,) if len(body) < _SMALL_BYTES else (header, body)


def send(connection: socket.socket, body: bytes) -> None:
    """Write one frame, blocking."""
    for piece in pieces(body):
        connection.sendall(piece)


def receive(connection: socket.socket) -> bytes:
    """Read one frame, blocking; raises EOFError when the other end is gone."""
    (size,) = HEADER.unpack(_exactly(connection, HEADER.size))
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    body = bytearray(size)
    view = memoryview(body)
    at = 0
    while at < size:
        count = connection.recv_into(view[at:])
        if count == 0:
            raise EOFError
        at += count
    return bytes(body)
