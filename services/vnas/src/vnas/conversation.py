"""The worker's side of the two pipes to a warm script, on the event loop.

Tasks go out as frames, answers come in; what the script may say when is `frames`. Knows nothing
of the process behind it: `warm`, which owns one of these, tells it when that has ended.
"""

import asyncio
import os

from vnas.frames import Answer, AnswerReader, NoFrame, TooLarge, shown

_READ_BYTES = 1 << 18

_Awaited = asyncio.Future[Answer | None]


class Ended(Exception):
    """The script ended, or closed its answers, and whatever was awaited will not come."""


class Conversation:
    """One question at a time; any fault is final. Belongs to one event loop."""

    def __init__(self, max_output_bytes: int) -> None:
        """Make the pipes; `tasks_in` and `answers_out` are for the script."""
        self.tasks_in, self._tasks = os.pipe()
        self._answers, self.answers_out = os.pipe()
        os.set_blocking(self._tasks, False)
        os.set_blocking(self._answers, False)
        self.fault: NoFrame | TooLarge | Ended | None = None  # what ended it
        self._reader = AnswerReader(max_output_bytes)
        self._awaited: _Awaited | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._answers, self._receive)

    def let_go(self) -> None:
        """Close the script's ends, once it has them or never will."""
        os.close(self.tasks_in)
        os.close(self.answers_out)

    async def readiness(self) -> None:
        """Wait until the script says that it is ready; raises as `ask` does."""
        await self._result(self._expect())

    async def ask(self, frame: bytes) -> Answer:
        """Send a task and wait for the answer.

        Raises NoFrame or TooLarge when something else came, Ended when nothing will. Cancelled:
        the script may be anywhere in its work.
        """
        answer = self._expect()
        await self._send(frame, answer)
        found = await self._result(answer)
        assert found is not None, "a script that is ready says nothing but answers"
        return found

    def finish(self) -> None:
        """Close the tasks, which tells the script to end. It may still answer."""
        if self._tasks >= 0:
            os.close(self._tasks)
            self._tasks = -1

    def end(self) -> None:
        """Take what an ended script left in its pipe, then give up what is awaited."""
        while self.fault is None and self._receive():
            pass
        self._fail(Ended())

    def close(self) -> None:
        """Close this side of both pipes."""
        self._fail(Ended())
        self.finish()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1

    def _expect(self) -> _Awaited:
        if self.fault is not None:
            raise self.fault
        self._awaited = self._loop.create_future()
        return self._awaited

    async def _result(self, awaited: _Awaited) -> Answer | None:
        try:
            return await awaited
        finally:
            self._awaited = None

    async def _send(self, frame: bytes, answer: _Awaited) -> None:
        left = memoryview(frame)
        while left and not answer.done():  # done: it was not read to its end, and `answer` tells
            try:
                left = left[os.write(self._tasks, left) :]
            except BlockingIOError:
                await self._writable(answer)
            except BrokenPipeError:
                return  # the end of the process is about to be seen
        if left and not answer.exception():
            raise NoFrame("an answer before the whole task was read")

    async def _writable(self, answer: _Awaited) -> None:
        """Wait until more of a task can be written, or the answer is there."""
        writable = self._loop.create_future()
        self._loop.add_writer(self._tasks, _resolve, writable)
        try:
            await asyncio.wait((writable, answer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_writer(self._tasks)

    def _receive(self) -> bool:
        """Read once; tells whether there was anything, and there may be more."""
        try:
            data = os.read(self._answers, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._fail(Ended())
            return False
        awaited = self._awaited
        if awaited is None or awaited.done():
            self._fail(NoFrame(f"something that nobody asked for: {shown(data)}"))
            return False
        was_ready = self._reader.is_ready
        try:
            answer = self._reader.feed(data)
        except (NoFrame, TooLarge) as err:
            self._fail(err)
            return False
        if answer is not None or self._reader.is_ready != was_ready:
            awaited.set_result(answer)
        return True

    def _fail(self, fault: NoFrame | TooLarge | Ended) -> None:
        if self.fault is None:
            self.fault = fault
            self._loop.remove_reader(self._answers)
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(self.fault)


def _resolve(writable: "asyncio.Future[None]") -> None:
    if not writable.done():
        writable.set_result(None)
