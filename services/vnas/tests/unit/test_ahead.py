"""How many tasks a worker takes ahead, and when one that was taken is given back."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnas import ahead as module
from vnas.ahead import AHEAD_SECONDS, Ahead
from vncore.holding import NotNow


def learned(*durations: float, slots: int = 2) -> Ahead:
    ahead = Ahead(slots)
    for seconds in durations:
        ahead._learn(seconds)
    return ahead


def test_a_worker_that_knows_nothing_yet_takes_as_many_as_it_has_slots():
    ahead = Ahead(3)
    assert [ahead.room(held) for held in range(5)] == [3, 2, 1, 0, 0]


def test_short_tasks_are_taken_ahead_and_long_ones_are_not():
    assert learned(*[0.01] * 50).most == 20
    assert learned(*[0.0001] * 50).most == 32
    assert learned(*[0.1] * 50).most == 2
    assert learned(*[0.3] * 50).most == 0


def test_one_long_task_counts_at_once_and_is_forgotten_slowly():
    ahead = learned(*[0.005] * 50, 2.0)
    assert ahead.most == 0
    for _ in range(20):
        ahead._learn(0.005)
    assert ahead.most == 0
    for _ in range(60):
        ahead._learn(0.005)
    assert ahead.most > 10


def test_nothing_is_read_before_half_of_those_ahead_are_gone():
    ahead = learned(*[0.01] * 50)
    assert [held for held in range(40) if ahead.room(held)] == list(range(12))
    assert ahead.room(11) == 11


@given(st.lists(st.floats(0, 100), max_size=20), st.integers(1, 64), st.integers(0, 200))
def test_what_is_ahead_is_little_work_and_there_is_always_room_when_a_slot_is_free(
    durations, slots, held
):
    ahead = learned(*durations, slots=slots)
    last = durations[-1] if durations else 1.0
    assert ahead.most * last <= AHEAD_SECONDS * slots * 1.001 or last < 0.001
    assert (ahead.room(held) > 0) >= (held < slots)
    assert held + ahead.room(held) <= max(held, slots + ahead.most)
    assert ahead.room(held) >= ahead.room(held + 1)


async def test_as_many_have_their_turn_as_there_are_slots_in_the_order_of_coming():
    ahead, began, gate = Ahead(2), [], asyncio.Event()

    async def task(number: int) -> None:
        async with ahead.turn():
            began.append(number)
            await gate.wait()

    tasks = [asyncio.ensure_future(task(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert began == [0, 1]
    gate.set()
    await asyncio.gather(*tasks)
    assert began == [0, 1, 2, 3, 4]


async def test_a_task_whose_turn_does_not_come_is_not_done_and_nothing_more_is_taken(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    ahead = learned(*[0.005] * 50, slots=1)
    async with ahead.turn():
        with pytest.raises(NotNow):
            async with ahead.turn():
                pytest.fail("it had its turn")
        assert ahead.most == 0
    async with ahead.turn():
        pass  # the slot is free again


async def test_an_ended_task_waits_for_others_only_while_more_are_ahead():
    ahead = learned(*[0.002] * 50)
    assert ahead.settle_wait_seconds() == 0.0
    async with ahead.turn(), ahead.turn():
        waiting = asyncio.ensure_future(enter(ahead))
        await asyncio.sleep(0)
        assert ahead.settle_wait_seconds() == pytest.approx(0.016), "half of 32, two at a time"
        for _ in range(200):
            ahead._learn(0.02)
        assert ahead.settle_wait_seconds() == 0.03
    await waiting


async def enter(ahead: Ahead) -> None:
    async with ahead.turn():
        pass


# --- entries of several tasks ---------------------------------------------------------------------


def test_an_entry_counts_by_its_tasks():
    ahead = learned(*[0.01] * 50)  # 20 ahead of 2
    with ahead.holding(12):
        assert ahead.room(1) == 0, "more than half of those ahead are there"
    assert ahead.room(0) > 0


def test_as_many_entries_are_taken_as_their_tasks_are_work_for():
    ahead = learned(*[0.01] * 50)
    for _ in range(50):
        with ahead.holding(10):
            pass
    assert ahead.room(0) == 2, "of about 10 tasks each, for 22"
    with ahead.holding(4) as held:
        assert ahead.room(1) == 1
        held.leave(4)
        assert ahead.room(1) == 2


def test_an_entry_of_which_nothing_is_known_yet_counts_as_one_task():
    ahead = learned(*[0.01] * 50)
    with ahead.holding(3):
        assert [ahead.room(held) > 0 for held in (1, 8, 9, 10)] == [True, True, True, False]


async def test_a_task_is_held_until_its_turn_is_over():
    ahead = Ahead(2)
    with ahead.holding(2) as held:
        async with held.turn():
            assert held.undone == 2
        assert held.undone == 1
        with pytest.raises(RuntimeError):
            async with held.turn():
                raise RuntimeError
        assert held.undone == ahead._undone == 1, "it is still to be done"
    assert ahead._undone == 0


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 64)), max_size=12))
def test_nothing_stays_counted_of_entries_that_are_held_no_more(entries):
    ahead = Ahead(4)
    for tasks, left in entries:
        with ahead.holding(tasks) as held:
            held.leave(min(left, tasks))
    assert ahead._undone == ahead._entries == 0
    assert ahead.room(0) >= 1
