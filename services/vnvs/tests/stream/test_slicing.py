"""Tasks that are known to be short share dispatch entries; nothing else comes out of it."""

from dataclasses import replace

import pytest
from orchestration import BROKEN, REJECTED, House, priced, prices, run

from vncore.connection import Connections
from vncore.errors import StoreUnavailable
from vncore.keys import WORKERS, Keys
from vncore.messages import RequestStatus, TaskDispatch
from vncore.streams import ensure_group
from vnvs import workforce
from vnvs.durations import Durations
from vnvs.workforce import Workforce

INSTRUMENTS = "".join(f'<instrument name="I{n}"/>' for n in range(40))
BOOK = f"""<vnml><project><portfolio>{INSTRUMENTS}</portfolio>
  <group name="prices" onFailure="continue">
    <valuation name="bond" use="vn:link(/vnml/project/portfolio, instrument)">
      <analytics><price><amount/></price></analytics><instrument select="."/>
    </valuation>
  </group></project></vnml>""".encode()
WHOLE = [f"1.{task:03d}" for task in range(1, 41)]


async def book(house: House, **told) -> tuple[list[str], list[int]]:
    """Run the book; gives its prices, and how many tasks the entries had."""
    house.worker = replace(house.worker, entries=[], taken=[], **told)
    response = await house.tools.store.response(await run(house, BOOK))
    assert response is not None
    await house.assert_nothing_is_left()
    return prices(response), house.worker.entries


async def test_tasks_share_entries_once_their_kind_is_known_to_be_short(house: House):
    assert await book(house, duration_ms=2) == (WHOLE, [1] * 40)
    assert await book(house, duration_ms=2) == (WHOLE, [10] * 4)
    assert await book(house, duration_ms=50) == (WHOLE, [10] * 4)
    assert await book(house) == (WHOLE, [1] * 40)


async def test_a_book_in_slices_is_the_same_as_one_by_one(house: House):
    def answer(task: TaskDispatch, xml: bytes):
        if task.task_id == 7:
            return REJECTED
        return BROKEN if task.attempt < 2 and task.task_id % 6 == 0 else priced(xml, task)

    singly, entries = await book(house, answer=answer, duration_ms=2)
    assert max(entries) == 1
    in_slices, entries = await book(house, answer=answer, duration_ms=2)
    assert entries == [10] * 4 + [1] * 6, "what failed is tried again by itself"
    assert in_slices == singly
    assert len(in_slices) == 39


async def test_a_request_that_fails_withdraws_the_slices_that_nobody_has_begun(house: House):
    house.worker.duration_ms = 2
    await run(house, BOOK)
    house.worker.answer = lambda task, xml: REJECTED
    house.worker.taken.clear()
    request_id = await run(house, BOOK.replace(b' onFailure="continue"', b""))
    assert await house.tools.store.status(request_id) is RequestStatus.FAILED
    await house.assert_nothing_is_left()


# --- who shares them ------------------------------------------------------------------------------


@pytest.fixture
def counting(connections: Connections, keys: Keys) -> Workforce:
    return Workforce(connections.commands, keys)


async def joined(connections: Connections, keys: Keys, *names: str) -> None:
    await ensure_group(connections.commands, keys.dispatch, WORKERS)
    for name in names:
        await connections.commands.xgroup_createconsumer(keys.dispatch, WORKERS, name)


async def test_a_house_without_workers_is_cut_for_one(counting: Workforce):
    assert await counting.count() == 1


async def test_workers_are_counted_again_after_a_while(
    connections: Connections, keys: Keys, counting: Workforce, monkeypatch: pytest.MonkeyPatch
):
    now = 1_000.0
    monkeypatch.setattr(workforce.time, "monotonic", lambda: now)
    await joined(connections, keys, "a", "b", "c")
    assert await counting.count() == 3
    await joined(connections, keys, "d")
    assert await counting.count() == 3
    now += workforce._FRESH_SECONDS
    assert await counting.count() == 4


async def test_a_worker_that_is_silent_is_not_counted(
    connections: Connections, keys: Keys, counting: Workforce, monkeypatch: pytest.MonkeyPatch
):
    await joined(connections, keys, "a", "b")
    monkeypatch.setattr(workforce, "_ALIVE_MS", -1)
    assert await counting.count() == 1


async def test_the_last_known_number_stands_while_it_cannot_be_told(
    connections: Connections, keys: Keys, counting: Workforce, monkeypatch: pytest.MonkeyPatch
):
    await joined(connections, keys, "a", "b")
    assert await counting.count() == 2

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(workforce, "consumers_seen", away)
    monkeypatch.setattr(workforce, "_FRESH_SECONDS", 0.0)
    counting._good_until = 0.0
    assert await counting.count() == 2


async def test_a_group_is_cut_for_all_workers(house: House):
    await joined(house.connections, house.keys, "a", "b", "c", "d", "e")
    house.tools = replace(house.tools, durations=Durations())
    await book(house, duration_ms=1)
    assert (await book(house, duration_ms=1))[1] == [4] * 10
