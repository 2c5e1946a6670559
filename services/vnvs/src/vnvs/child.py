"""One hydration child as its orchestrator sees it: started, called, killed, reaped.

In comes a function with its arguments; out goes what it returned or raised. Called by `pool` only,
which decides what the death of a child means.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from vncore.errors import VnError
from vnvs.frames import HEADER, MAX_FRAME_BYTES, Answer, dumps, loads_answer, pieces

Asked = Callable[[Any], Awaitable[Any]]
"""What a function may ask of its caller, in the midst of a call."""

Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Fetches documents for the child, several at a time; see `vnvs.hydration` for the values."""

_PATIENCE_SECONDS = 5.0
"""How much longer than its own deadline a child may be silent: it may be stopped, or starved."""

_GOODBYE_SECONDS = 0.5

_BUFFER_BYTES = 1024 * 1024  # of answers that are read on

_TOKENS = 256  # of documents that a child may still have

_COMMAND = (sys.executable, "-P", "-s", "-m", "vnvs.hydration_child")


class ChildEnded(Exception):
    """A child ended in the midst of a call; `status` is as `subprocess` gives it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}" if status >= 0 else f"signal {-status}")
        self.status = status


class ChildStuck(Exception):
    """A child was silent longer than its deadline and some patience; it has to be killed."""


class ChildCrashed(Exception):
    """The function raised what it should not; the message is the traceback from the child."""


class HydrationChild:
    """A process that answers calls one by one."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._tokens: deque[str] = deque(maxlen=_TOKENS)
        self.in_step = True
        """Whether the next call can be made; False during a call and after a broken one."""

    @classmethod
    async def start(cls, memory_bytes: int) -> Self:
        """Start a child that may use `memory_bytes` of address space (0: no limit).

        It inherits nothing: no descriptor but its own, and an environment without any of ours.
        """
        ours, process = _spawn(memory_bytes)
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER_BYTES)
        except BaseException:
            ours.close()
            process.kill()
            raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process.poll() is None

    @property
    def remembers(self) -> bool:
        """Whether it may have documents from other calls in its memory."""
        return bool(self._tokens)

    def had(self, token: str) -> bool:
        """Tell whether a call that named this token was made here before."""
        return token in self._tokens

    def remember(self, token: str) -> None:
        """Note that a call with this token was made here."""
        if token in self._tokens:
            self._tokens.remove(token)
        self._tokens.append(token)

    async def call(
        self,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        *,
        asked: Mapping[str, Asked],
        seconds: float,
    ) -> Any:
        """Call a module-level function by keywords; it has `seconds`, not counting what it asks.

        It gets one more argument for each of `asked`: a function of one argument. Raises the
        VnError that the function raised, or what one of `asked` raised, ChildCrashed, ChildEnded,
        ChildStuck.
        """
        self.in_step = False
        try:
            await self._send((function, dict(arguments), list(asked), seconds), seconds)
            while True:
                kind, value = await self._receive(seconds)
                if kind is not Answer.ASK:
                    break
                await self._send(await _asked(asked, value), seconds)
        except (ConnectionError, asyncio.IncompleteReadError) as err:
            raise ChildEnded(await self.end()) from err
        self.in_step = True
        if kind is Answer.DONE:
            return value
        if kind is Answer.FAILED and isinstance(value, VnError):
            raise value
        raise ChildCrashed(str(value))

    async def end(self) -> int:
        """End the process, by force if it does not go by itself, and give its exit status."""
        self._writer.close()
        try:
            # With its socket closed it is about to end, if it has not, with a telling status.
            return await asyncio.to_thread(self._process.wait, _GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def kill(self) -> None:
        """Kill the process; `end` still has to reap it."""
        self._process.kill()

    async def _send(self, message: object, seconds: float) -> None:
        body = dumps(message)
        try:
            async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                for piece in pieces(body):
                    self._writer.write(piece)
                await self._writer.drain()
        except TimeoutError:
            raise ChildStuck from None

    async def _receive(self, seconds: float) -> tuple[Answer, Any]:
        try:
            async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                (size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if size > MAX_FRAME_BYTES:
                    raise ChildCrashed(f"a frame of {size} bytes")
                frame = await self._reader.readexactly(size)
        except TimeoutError:
            raise ChildStuck from None
        try:
            return loads_answer(frame)
        except Exception as err:  # whatever bytes a broken child sends
            raise ChildCrashed(f"an answer that cannot be read: {err}") from err


async def _asked(asked: Mapping[str, Asked], question: Any) -> Any:
    """Answer a child, which may ask for what its call named and nothing else."""
    match question:
        case (str(name), argument) if name in asked:
            return await asked[name](argument)
    raise ChildCrashed(f"a question that nobody answers: {str(question)[:80]}")


def _spawn(memory_bytes: int) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """Start the process; takes a millisecond or two, however large this one is (vfork)."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*_COMMAND, str(theirs.fileno()), str(memory_bytes)],
            stdin=subprocess.PIPE,  # the lifeline: never written to, closed by our end
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=_environment(),
            process_group=0,  # Ctrl-C is for the orchestrator
        )
    return ours, process


def _environment() -> dict[str, str]:
    """Give a child what Python needs to find the same modules, and nothing else of ours."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path),
    }
