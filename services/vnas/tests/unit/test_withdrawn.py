"""Work for requests that are over, ended by looks at the store."""

import asyncio
from collections.abc import Collection
from typing import cast

import pytest

from vnas import withdrawn
from vnas.withdrawn import Withdrawals, Withdrawn, watching
from vncore.errors import StoreUnavailable
from vncore.ids import RequestId
from vncore.tasks import Run, TaskStore

ONE, TWO = (RequestId("one"), 1), (RequestId("two"), 1)


class Store:
    """Tells what it is told to tell, and notes what it was asked."""

    def __init__(self) -> None:
        self.ended: set[Run] = set()
        self.asked: list[set[Run]] = []
        self.away = 0

    async def over(self, runs: Collection[Run]) -> set[Run]:
        self.asked.append(set(runs))
        assert len(runs) == len(set(runs)), "each is asked for once"
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away", passing=True)
        return set(runs) & self.ended


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def withdrawals(store: Store) -> Withdrawals:
    return Withdrawals(cast("TaskStore", store))


async def for_ever() -> None:
    await asyncio.Event().wait()


async def begun(*work: "asyncio.Future[object]") -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(one.done() for one in work)


async def test_all_work_for_a_request_that_is_over_ends_and_no_other(store, withdrawals):
    first, second, other = (
        asyncio.ensure_future(withdrawals.unless_over(run, for_ever())) for run in (ONE, ONE, TWO)
    )
    await begun(first, second, other)
    await withdrawals.look()
    await begun(first, second, other)
    store.ended = {ONE}
    await withdrawals.look()
    for one in (first, second):
        with pytest.raises(Withdrawn):
            await one
    await begun(other)
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other


async def test_another_run_of_the_same_request_goes_on(store, withdrawals):
    again = (ONE[0], 2)
    work = asyncio.ensure_future(withdrawals.unless_over(again, for_ever()))
    await begun(work)
    store.ended = {ONE}
    await withdrawals.look()
    await begun(work)
    work.cancel()


async def test_what_the_work_gives_or_raises_comes_through(withdrawals):
    async def fails(error: Exception) -> None:
        raise error

    async def seven() -> int:
        return 7

    assert await withdrawals.unless_over(ONE, seven()) == 7
    for error in (ValueError("x"), TimeoutError("its own")):
        with pytest.raises(type(error)) as raised:
            await withdrawals.unless_over(ONE, fails(error))
        assert raised.value is error


async def test_nothing_is_asked_when_nothing_is_done(store, withdrawals):
    await withdrawals.look()
    work = asyncio.ensure_future(withdrawals.unless_over(ONE, for_ever()))
    await begun(work)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await withdrawals.look()
    assert store.asked == []


async def test_one_question_is_for_all_that_is_done(store, withdrawals):
    work = [
        asyncio.ensure_future(withdrawals.unless_over(run, for_ever()))
        for run in (ONE, ONE, TWO, TWO)
    ]
    await begun(*work)
    await withdrawals.look()
    assert store.asked == [{ONE, TWO}]
    for one in work:
        one.cancel()


async def test_an_outage_of_the_store_ends_nothing_and_the_next_look_does(store, monkeypatch):
    monkeypatch.setattr(withdrawn, "LOOK_SECONDS", 0.01)
    store.ended, store.away = {ONE}, 3
    async with asyncio.timeout(10), watching(cast("TaskStore", store)) as withdrawals:
        with pytest.raises(Withdrawn):
            await withdrawals.unless_over(ONE, for_ever())
    assert len(store.asked) == 4
