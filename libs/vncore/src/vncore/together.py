"""Ask the server for many callers in one round trip.

Callers ask one by one and get their own answers; what is asked in the same turn of the event loop,
or while one may wait a moment for more, goes out together. Used by `tasks`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

_MOST = 64  # questions in one round trip


def at_once() -> float:
    """Wait for nobody beyond this turn of the event loop."""
    return 0.0


class Together(Generic[Q, A]):
    """Gathers questions for a function that answers several, in order."""

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        wait_seconds: Callable[[], float] = at_once,
    ) -> None:
        """`wait_seconds` is asked when there is a first question: how long to wait for others."""
        self._answer = answer
        self._wait_seconds = wait_seconds
        self._asked: list[tuple[Q, asyncio.Future[A]]] = []
        self._due: asyncio.Handle | None = None
        self._answering: set[asyncio.Future[None]] = set()

    async def ask(self, question: Q) -> A:
        """Give the answer to a question, or raise what answering raised for all of them.

        Cancelled before it was sent, a question is not sent.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[A] = loop.create_future()
        self._asked.append((question, waiting))
        if self._due is None:
            seconds = self._wait_seconds()
            self._due = (
                loop.call_later(seconds, self._send) if seconds else loop.call_soon(self._send)
            )
        elif len(self._asked) >= _MOST:
            self._due.cancel()
            self._send()
        return await waiting

    def _send(self) -> None:
        asked, self._asked, self._due = self._asked, [], None
        if wanted := [(question, waiting) for question, waiting in asked if not waiting.done()]:
            answering = asyncio.ensure_future(self._answer_all(wanted))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    async def _answer_all(self, wanted: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in wanted])
        except BaseException as err:  # noqa: BLE001 - told to all who wait; nobody else would be
            for _, waiting in wanted:
                if not waiting.done():
                    waiting.set_exception(err)
            return
        for (_, waiting), answer in zip(wanted, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)
