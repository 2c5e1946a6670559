"""How attempts are told when the server does not answer at once."""

import pytest
from tenacity import wait_none

from vnas import update
from vnas.update import settle
from vncore.errors import StoreUnavailable
from vncore.failures import Failure
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId
from vncore.messages import TaskDispatch
from vncore.tasks import Assignment, Settled, Settlement

TASKS = tuple(
    TaskDispatch(RequestId("r"), DEFAULT_TENANT, 0, "g", TaskId(task), "v", attempt=2)
    for task in (1, 2)
)
ASSIGNMENT = Assignment("1-1", "w", TASKS)
ENDED = [
    Settlement(TASKS[0], 5, b"<valuation/>"),
    Settlement(TASKS[1], 7, failure=Failure("SCRIPT_FAILED", "script", "m")),
]


class Store:
    """A store whose server is away for the first calls."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.calls = []

    async def settle(self, assignment, settlements):
        self.calls.append((assignment, settlements))
        if len(self.calls) <= self.away:
            raise StoreUnavailable("away")
        return [Settled.DUPLICATE, Settled.KEPT]


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(update, "_WAIT", wait_none())


@pytest.mark.parametrize("away", [0, 3])
async def test_what_attempts_came_to_waits_for_a_server_that_is_away(away):
    store = Store(away)
    assert await settle(store, ASSIGNMENT, ENDED) == [Settled.DUPLICATE, Settled.KEPT]
    assert store.calls == [(ASSIGNMENT, ENDED)] * (away + 1)


async def test_a_server_that_stays_away_leaves_the_entry_pending(monkeypatch):
    monkeypatch.setattr(update, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(StoreUnavailable):
        await settle(Store(9), ASSIGNMENT, ENDED)


async def test_a_failure_is_told_in_the_log_with_its_cause_and_what_became_of_it(monkeypatch):
    told = []
    monkeypatch.setattr(update._log, "warning", lambda event, extra: told.append((event, extra)))
    await settle(Store(0), ASSIGNMENT, ENDED)
    [(event, fields)] = told
    assert event == "task_failed"
    assert fields["fingerprint"]
    assert {name: fields[name] for name in ("task_id", "duration_ms", "settled", "code")} == {
        "task_id": 2,
        "duration_ms": 7,
        "settled": "kept",
        "code": "SCRIPT_FAILED",
    }
