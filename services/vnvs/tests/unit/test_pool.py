"""The pool with real children: deadlines hold inside C code, and no death spreads."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from pathlib import Path

import pool_functions as functions
import pytest

from vncore.errors import HydrationFailed, StoreUnavailable
from vncore.pieces import Results
from vnvs.child import ChildCrashed
from vnvs.hydration import CompleteGroup, GroupResults, HydrationLimits
from vnvs.hydrator import Hydrator, OpenDocument
from vnvs.pool import HydrationPool

EXPLOSIVE = b"<a>" + b"<b/>" * 100_000 + b"</a>"
MEMORY_BYTES = 1024 * 1024 * 1024


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def pool() -> AsyncIterator[HydrationPool]:
    async with HydrationPool(processes=2, seconds=20, memory_bytes=MEMORY_BYTES) as pool:
        yield pool


@pytest.fixture
async def hasty() -> AsyncIterator[HydrationPool]:
    async with HydrationPool(processes=1, seconds=0.5, memory_bytes=MEMORY_BYTES) as pool:
        yield pool


async def never(uris: Sequence[str]) -> dict[str, str]:
    raise AssertionError(f"asked for {uris}")


async def test_nothing_is_started_before_the_first_call(pool: HydrationPool):
    assert pool.idle_pids == []
    assert await pool.run(functions.pid) == pool.idle_pids[0] != os.getpid()


async def test_an_idle_child_is_used_again(pool: HydrationPool):
    assert await pool.run(functions.pid) == await pool.run(functions.pid)


async def test_children_work_side_by_side_and_never_more_than_allowed(pool: HydrationPool):
    async with asyncio.TaskGroup() as tasks:
        pids = [tasks.create_task(pool.run(functions.pid)) for _ in range(8)]
    assert 1 <= len({pid.result() for pid in pids}) <= 2
    assert len(pool.idle_pids) <= 2


async def test_megabytes_pass_both_ways(pool: HydrationPool):
    body = os.urandom(20 * 1024 * 1024)
    assert await pool.run(functions.echo, value=body) == body


async def test_an_error_of_vn_arrives_whole(pool: HydrationPool):
    with pytest.raises(HydrationFailed) as failed:
        await pool.run(functions.refuse)
    error = failed.value
    assert (error.code, error.rule, error.place.line) == ("SELECT_NOTHING", "S2", 3)
    assert len(pool.idle_pids) == 1


async def test_any_other_exception_is_a_crash_with_its_traceback(pool: HydrationPool):
    with pytest.raises(ChildCrashed, match="ZeroDivisionError: on purpose"):
        await pool.run(functions.crash)
    assert await pool.run(functions.echo, value=1) == 1


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(functions.give_a_function, id="a function"),
        pytest.param(functions.give_an_object, id="an object of another class"),
    ],
)
async def test_an_answer_holds_nothing_but_hydrations_own_data(
    pool: HydrationPool, function: Callable[[], object]
):
    with pytest.raises(ChildCrashed, match="may not contain"):
        await pool.run(function)
    assert await pool.run(functions.echo, value=1) == 1


async def test_a_deadline_ends_a_child_inside_c_code(hasty: HydrationPool):
    started = time.monotonic()
    with pytest.raises(HydrationFailed) as failed:
        await hasty.run(functions.explode, document=EXPLOSIVE)
    assert failed.value.code == "HYDRATION_TIMED_OUT"
    assert failed.value.category == "timeout"
    assert time.monotonic() - started < 5
    assert await hasty.run(functions.echo, value=1) == 1


async def test_the_event_loop_runs_on_while_a_child_works(hasty: HydrationPool):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(HydrationFailed):
        await hasty.run(functions.explode, document=EXPLOSIVE)
    ticking.cancel()
    assert ticks > 10


async def test_a_stopped_child_is_given_up(hasty: HydrationPool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vnvs.child._PATIENCE_SECONDS", 0.2)
    with pytest.raises(HydrationFailed) as failed:
        await hasty.run(functions.stop_itself)
    assert failed.value.code == "HYDRATION_TIMED_OUT"


async def test_the_memory_limit_ends_a_call_and_only_that(pool: HydrationPool):
    with pytest.raises(HydrationFailed) as failed:
        await pool.run(functions.hoard, size=2 * MEMORY_BYTES)
    assert failed.value.code == "HYDRATION_OUT_OF_MEMORY"
    assert failed.value.category == "capacity"
    assert await pool.run(functions.hoard, size=1024) == 1024


@pytest.mark.parametrize("megabytes", [110, 150])
async def test_a_document_too_large_for_the_memory_limit_is_not_called_malformed(megabytes: int):
    """Without memory libxml2 knows of no cause: its errors look like bad XML or bad XPath."""
    document = b"<vnml><project>" + b"<b/>" * 900_000 + b"<group/></project></vnml>"
    limits = {"processes": 1, "seconds": 20.0, "memory_bytes": megabytes * 1024 * 1024}
    async with HydrationPool(**limits) as small:
        hydrator = Hydrator(small, HydrationLimits(), None)
        with pytest.raises(HydrationFailed) as failed:
            await hydrator.document(document, date(2026, 9, 17), _empty)
    assert failed.value.code == "HYDRATION_OUT_OF_MEMORY"


async def test_a_fault_of_the_document_stays_one(pool: HydrationPool):
    hydrator = Hydrator(pool, HydrationLimits(), None)
    document = b"<vnml><project><m select='/vnml['/><group/></project></vnml>"
    with pytest.raises(HydrationFailed) as failed:
        await hydrator.document(document, date(2026, 9, 17), _empty)
    assert failed.value.code == "XPATH_SYNTAX"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="killed each time"),
        pytest.param(signal.SIGSEGV, id="a fault in C"),
    ],
)
async def test_a_death_in_the_midst_of_a_call_is_told_and_the_next_call_works(
    pool: HydrationPool, number: signal.Signals
):
    with pytest.raises(HydrationFailed, match=f"signal {number.value}") as failed:
        await pool.run(functions.die, number=number)
    assert failed.value.code == "HYDRATION_CRASHED"
    assert await pool.run(functions.echo, value=1) == 1


async def test_a_child_killed_from_outside_costs_one_more_try(pool: HydrationPool, tmp_path: Path):
    done = await pool.run(
        functions.die_once, marker=str(tmp_path / "marker"), number=signal.SIGKILL
    )
    assert done == "done"


async def test_a_child_that_died_while_idle_is_replaced(pool: HydrationPool):
    before = await pool.run(functions.pid)
    os.kill(before, signal.SIGKILL)
    await until(lambda: is_gone(before))
    after = await pool.run(functions.pid)
    assert after != before


async def test_a_cancelled_call_ends_its_child(pool: HydrationPool):
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def fetch(uris: Sequence[str]) -> dict[str, str]:
        await pids.put(int(uris[1]))
        return {}

    call = asyncio.create_task(
        pool.run(functions.say_pid_and_wait, marker="", uri="u", asked={"fetch": fetch})
    )
    pid = await asyncio.wait_for(pids.get(), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: is_gone(pid))
    assert await pool.run(functions.echo, value=1) == 1


async def test_fetching_is_done_by_the_parent(pool: HydrationPool):
    async def fetch(uris: Sequence[str]) -> dict[str, object]:
        refused = HydrationFailed("HREF_FORBIDDEN", "no")
        return {uri: "body" if uri == "good" else refused for uri in uris}

    answers = await pool.run(functions.fetch_both, uris=["good", "bad"], asked={"fetch": fetch})
    assert answers == {"good": "body", "bad": "HREF_FORBIDDEN"}


async def test_while_the_parent_fetches_the_childs_time_stands_still(hasty: HydrationPool):
    async def slow(uris: Sequence[str]) -> dict[str, str]:
        await asyncio.sleep(0.3)  # the time itself is the point: four of them are over the deadline
        return dict.fromkeys(uris, "")

    assert await hasty.run(functions.fetch_again_and_again, times=4, asked={"fetch": slow}) == 4
    with pytest.raises(HydrationFailed) as failed:
        await hasty.run(functions.fetch_then_explode, document=EXPLOSIVE, asked={"fetch": slow})
    assert failed.value.code == "HYDRATION_TIMED_OUT"


async def test_an_error_of_the_fetch_itself_reaches_the_caller(pool: HydrationPool):
    async def broken(uris: Sequence[str]) -> dict[str, str]:
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await pool.run(functions.fetch_both, uris=["u"], asked={"fetch": broken})
    assert await pool.run(functions.fetch_both, uris=[], asked={"fetch": _empty}) == {}


async def _empty(uris: Sequence[str]) -> dict[str, str]:
    return {}


async def test_a_child_may_ask_only_what_its_call_names(pool: HydrationPool):
    with pytest.raises(ChildCrashed, match="nobody answers"):
        await pool.run(functions.ask_for_another, asked={"named": _empty})
    assert await pool.run(functions.echo, value=1) == 1


# --- documents that stay open ---------------------------------------------------------------------

OPEN = b"""<vnml><project><market name="M"/>
<group name="a"><valuation><m select="/vnml/project/market"/></valuation></group>
<group name="b"><valuation><m select="//group[1]/valuation/r"/></valuation></group>
<group name="c"><valuation><m select="//group[1]/valuation/r"/></valuation></group>
</project></vnml>"""


class Opened:
    """A document in a pool, and what its children ask for."""

    def __init__(self, pool: HydrationPool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hydrator = Hydrator(pool, HydrationLimits(), None)
        self.asked: list[str] = []
        given = OpenDocument._get_xml

        async def count(document: OpenDocument, _: object) -> bytes:
            self.asked.append("document")
            return await given(document, _)

        monkeypatch.setattr(OpenDocument, "_get_xml", count)

    async def open(self) -> None:
        hydrated, self.document = await self.hydrator.document(OPEN, date(2026, 9, 17), _empty)
        self.groups = hydrated.groups

    async def results(self, group_index: int) -> GroupResults:
        self.asked.append(f"results {group_index}")
        return GroupResults([b"<valuation><r>%d</r></valuation>" % group_index])

    async def task(self, index: int) -> bytes:
        made = await self.document.group(self.groups[index], self.results, _empty)
        return made.tasks[0].xml


@pytest.fixture
async def opened(pool: HydrationPool, monkeypatch: pytest.MonkeyPatch) -> Opened:
    opened = Opened(pool, monkeypatch)
    await opened.open()
    return opened


async def test_a_document_and_the_results_in_it_stay_open_in_a_child(opened: Opened):
    assert b'<valuation><market name="M"/>' in await opened.task(0)
    assert b"<valuation><r>0</r>" in await opened.task(1)
    assert b"<valuation><r>0</r>" in await opened.task(2)
    pieces = await opened.document.assemble([CompleteGroup(1)] * 3, expected=3, failed=0)
    assert [piece.group_index for piece in pieces if isinstance(piece, Results)] == [0, 1, 2]
    assert opened.asked == ["results 0", "results 1"]


async def test_when_its_child_is_gone_a_document_is_opened_again(
    opened: Opened, pool: HydrationPool
):
    expected = [await opened.task(index) for index in range(3)]
    opened.asked.clear()
    for index in range(3):
        for pid in pool.idle_pids:
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: is_gone(pid))
        assert await opened.task(index) == expected[index]
    assert opened.asked == [
        "document",
        "document",
        "results 0",
        "document",
        "results 0",
        "results 1",
    ]


async def test_while_its_child_is_busy_another_one_opens_a_document(
    opened: Opened, pool: HydrationPool
):
    first = await opened.task(0)
    going_on = asyncio.Event()
    waiting = asyncio.Event()

    async def wait(_: object) -> dict[str, str]:
        waiting.set()
        await going_on.wait()
        return {}

    busy = asyncio.create_task(
        pool.run(functions.fetch_both, uris=[], asked={"fetch": wait}, near=opened.document._token)
    )
    await waiting.wait()
    assert await opened.task(0) == first
    going_on.set()
    await busy
    assert opened.asked == ["document"]


async def test_a_call_goes_to_the_child_that_had_the_same_document(pool: HydrationPool):
    async with asyncio.TaskGroup() as tasks:
        pids = {
            token: tasks.create_task(pool.run(functions.pid_after_a_while, near=token))
            for token in ("a", "b")
        }
    assert pids["a"].result() != pids["b"].result()
    for token in "abbaab":
        assert await pool.run(functions.pid, near=token) == pids[token].result()


async def test_a_cancelled_pass_leaves_the_document_to_be_opened_again(opened: Opened):
    first = await opened.task(0)
    asked = asyncio.Event()

    async def hang(_: int) -> GroupResults:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    going = asyncio.create_task(opened.document.group(opened.groups[1], hang, _empty))
    await asked.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert await opened.task(0) == first
    assert opened.asked == ["document"]


async def test_lack_of_memory_beside_other_documents_costs_one_more_try(pool: HydrationPool):
    size = MEMORY_BYTES * 6 // 10
    first = await pool.run(functions.hoard_and_keep, size=size, near="a")
    second = await pool.run(functions.hoard_and_keep, size=size, near="b")
    assert first != second
    with pytest.raises(HydrationFailed) as failed:
        await pool.run(functions.hoard, size=2 * MEMORY_BYTES, near="c")
    assert failed.value.code == "HYDRATION_OUT_OF_MEMORY"


async def test_a_child_knows_nothing_of_our_environment(
    pool: HydrationPool, monkeypatch: pytest.MonkeyPatch
):
    for name in ("REDIS_URL", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HOME"):
        monkeypatch.setenv(name, "secret")
    environment = await pool.run(functions.environment)
    assert environment.keys() - {"LD_LIBRARY_PATH"} == {
        "LC_ALL",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
    }
    assert "secret" not in environment.values()


async def test_a_child_inherits_no_descriptor(pool: HydrationPool):
    held = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(held, True)
    descriptors = await pool.run(functions.open_descriptors)
    os.close(held)
    assert len(descriptors) == 5  # the standard three, its socket, the listing itself


async def test_closing_the_pool_ends_its_children():
    pool = HydrationPool(processes=2, seconds=5, memory_bytes=MEMORY_BYTES)
    pid = await pool.run(functions.pid)
    await pool.aclose()
    assert is_gone(pid)


PARENT = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
import pool_functions as functions
from vnvs.pool import HydrationPool

async def main():
    pool = HydrationPool(processes=2, seconds=60, memory_bytes=0)
    idle = asyncio.create_task(pool.run(functions.pid))
    busy = await pool.run(functions.pid)
    print(busy, await idle, flush=True)
    await pool.run(functions.explode, document=b"<a>" + b"<b/>" * 100_000 + b"</a>")

asyncio.run(main())
"""


def test_a_parent_killed_leaves_no_child_not_even_one_inside_c_code():
    support = str(Path(functions.__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, support], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(set(children)) == 2
        deadline = time.monotonic() + 10
        while not any(_is_running(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.01)
        parent.kill()
    deadline = time.monotonic() + 5
    while not all(is_gone(pid) for pid in children):
        assert time.monotonic() < deadline, "a child outlived its parent"
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
