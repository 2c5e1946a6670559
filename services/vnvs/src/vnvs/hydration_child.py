"""The process in which hydration happens, so that it can be killed at a deadline.

    python -m vnvs.hydration_child SOCKET_FD MEMORY_BYTES

Started by `child.HydrationChild` only. Reads calls from the socket, answers them one by one, ends
with the socket. What `hydration.kept` remembers between calls is a matter of speed alone.

Neither lxml nor XPath has a time limit and a signal *handler* runs only after the evaluation, so
SIGALRM keeps its default action: the kernel ends this process even inside C code, and the parent
reads from the exit status why it ended.
"""

import ctypes
import fcntl
import os
import re
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lxml import etree

import vnvs.hydration.kept  # noqa: F401 - loaded before the first call and before the memory limit
from vncore.errors import VnError
from vnvs.frames import EXIT_OUT_OF_MEMORY, Answer, dumps, loads_call, receive, send

_LIFELINE = 0  # standard input: a pipe that the parent never writes to
_TRIM_BYTES = 4 * 1024 * 1024  # documents above this leave enough behind to give back


def main() -> None:
    """Serve calls until the parent is gone."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    _limit(int(sys.argv[2]))
    _die_with_parent()
    with suppress(EOFError, ConnectionError):
        while True:
            size = _serve_one(connection)
            if size > _TRIM_BYTES:
                _give_memory_back()


def _serve_one(connection: socket.socket) -> int:
    """Answer one call; gives its size in bytes, both ways."""
    asking = _Asking(connection)
    call = receive(connection)
    try:
        answer = _answer(call, asking)
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)  # nothing that allocates, here
    send(connection, answer)
    return len(call) + asking.received_bytes + len(answer)


def _answer(call: bytes, asking: "_Asking") -> bytes:
    function, arguments, asked, seconds = loads_call(call)
    timer = _Timer(seconds)
    for name in asked:
        arguments[name] = asking.for_(name, timer)
    try:
        with timer:
            return dumps((Answer.DONE.value, function(**arguments)))
    except (EOFError, ConnectionError):
        raise
    except Exception as err:  # noqa: BLE001 - the parent logs it and fails the request
        if _is_lack_of_memory(err):
            raise MemoryError from None
        if isinstance(err, VnError):
            return dumps((Answer.FAILED.value, err))
        return dumps((Answer.CRASHED.value, traceback.format_exc()))


def _is_lack_of_memory(err: BaseException) -> bool:
    """Look through the causes: libxml2 without memory fails, and cannot say of what.

    lxml then calls it an unknown error, and whoever caught that took it for bad XML or XPath.
    """
    cause: BaseException | None = err
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        if isinstance(cause, etree.LxmlError) and "unknown error" in str(cause):
            return _is_near_the_memory_limit()
        cause = cause.__cause__ or cause.__context__
    return False


def _is_near_the_memory_limit() -> bool:
    """Tell whether a quarter of the limit was in use: a buffer grows to twice its size at once."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return True
    peak = re.search(r"^VmPeak:\s+(\d+) kB$", status, re.MULTILINE)
    return peak is None or int(peak[1]) * 1024 > limit / 4


class _Timer:
    """The deadline of one call; the kernel ends the process when it passes."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(self._left, 1e-6))  # 0 would mean: never

    def __exit__(self, *_: object) -> None:
        self._left = signal.setitimer(signal.ITIMER_REAL, 0)[0]

    def stopped(self) -> "_Pause":
        return _Pause(self)


class _Pause:
    """While the parent is asked, the time of the call stands still."""

    def __init__(self, timer: _Timer) -> None:
        self._timer = timer

    def __enter__(self) -> None:
        self._timer.__exit__()

    def __exit__(self, *_: object) -> None:
        self._timer.__enter__()


class _Asking:
    """What the parent does for a call: it fetches, and has what was made before."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.received_bytes = 0

    def for_(self, name: str, timer: _Timer) -> Callable[[Any], Any]:
        """Give the function of one argument that asks the parent."""

        def ask(argument: Any) -> Any:
            with timer.stopped():
                send(self._connection, dumps((Answer.ASK.value, (name, argument))))
                reply = receive(self._connection)
                self.received_bytes += len(reply)
                return loads_call(reply)

        return ask


def _limit(memory_bytes: int) -> None:
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # hydration writes no files
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM, signal.SIGIO})


def _die_with_parent() -> None:
    """Ask the kernel for SIGIO, whose default action is death, when the lifeline closes.

    The end of the socket alone would be seen only after the call at hand.
    """
    if sys.platform != "linux":
        return  # elsewhere SIGIO is ignored by default: the deadline ends a call at the latest
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(_LIFELINE, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_LIFELINE, fcntl.F_GETFL)
    fcntl.fcntl(_LIFELINE, fcntl.F_SETFL, flags | os.O_ASYNC)
    lifeline = select.poll()
    lifeline.register(_LIFELINE, 0)
    if lifeline.poll(0):  # the parent died before the kernel was asked
        sys.exit(0)


def _give_memory_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    main()
