"""Questions that go out together, each with its own answer."""

import asyncio

import pytest

from vncore.together import Together


class Server:
    """Answers a number with its double, and remembers what was asked at once."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.error: Exception | None = None

    async def answer(self, numbers: list[int]) -> list[int]:
        self.asked.append(list(numbers))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [2 * number for number in numbers]


@pytest.fixture
def server() -> Server:
    return Server()


async def test_questions_of_one_turn_go_out_together_each_has_its_answer(
    server: Server,
) -> None:
    together = Together(server.answer)
    answers = await asyncio.gather(*(together.ask(number) for number in range(5)))
    assert answers == [0, 2, 4, 6, 8]
    assert server.asked == [[0, 1, 2, 3, 4]]
    assert await together.ask(5) == 10
    assert server.asked[1:] == [[5]]


async def test_a_question_waits_for_others_as_long_as_it_is_told(server: Server) -> None:
    together = Together(server.answer, lambda: 0.05)
    first = asyncio.ensure_future(together.ask(1))
    await asyncio.sleep(0.01)
    second = asyncio.ensure_future(together.ask(2))
    assert await asyncio.gather(first, second) == [2, 4]
    assert server.asked == [[1, 2]]


async def test_many_questions_do_not_wait_any_longer(server: Server) -> None:
    together = Together(server.answer, lambda: 60.0)
    answers = await asyncio.wait_for(
        asyncio.gather(*(together.ask(number) for number in range(64))), timeout=5
    )
    assert answers == [2 * number for number in range(64)]
    assert [len(numbers) for numbers in server.asked] == [64]


async def test_an_error_is_told_to_all_who_asked_and_to_nobody_else(server: Server) -> None:
    together = Together(server.answer)
    server.error = ValueError("away")
    outcomes = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    server.error = None
    assert await together.ask(3) == 6


async def test_a_question_that_was_given_up_is_not_sent(server: Server) -> None:
    together = Together(server.answer, lambda: 0.02)
    given_up = asyncio.ensure_future(together.ask(1))
    other = asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await other == 4
    assert server.asked == [[2]]


async def test_one_who_gives_up_later_harms_nobody(server: Server) -> None:
    together = Together(server.answer)
    given_up, other = (asyncio.ensure_future(together.ask(number)) for number in (1, 2))
    while not server.asked:
        await asyncio.sleep(0)
    given_up.cancel()
    assert await other == 4
    assert given_up.cancelled() or await asyncio.wait([given_up])
