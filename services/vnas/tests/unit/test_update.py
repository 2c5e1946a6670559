"""How an outcome is told when the server does not answer at once."""

import pytest
from tenacity import wait_none

from vnas import update
from vnas.update import Outcome, settle
from vncore.errors import StoreUnavailable
from vncore.failures import Failure
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId
from vncore.messages import TaskDispatch, TaskStatus
from vncore.tasks import Settled

TASK = TaskDispatch(RequestId("r"), DEFAULT_TENANT, 0, "g", TaskId(1), "v", attempt=2)


class Store:
    """A store whose server is away for the first calls."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.calls = []

    async def settle(self, entry_id, task_update, result):
        self.calls.append((entry_id, task_update, result))
        if len(self.calls) <= self.away:
            raise StoreUnavailable("away")
        return Settled.KEPT


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(update, "_WAIT", wait_none())


@pytest.mark.parametrize("away", [0, 3])
async def test_a_result_waits_for_a_server_that_is_away(away):
    store = Store(away)
    outcome = Outcome(5, result=b"<valuation/>")
    assert await settle(store, "1-1", TASK, outcome, worker_id="w") is Settled.KEPT
    assert len(store.calls) == away + 1
    entry_id, told, result = store.calls[-1]
    assert (entry_id, result) == ("1-1", b"<valuation/>")
    assert (told.status, told.attempt, told.duration_ms) == (TaskStatus.SUCCEEDED, 2, 5)
    assert told.failure is None


async def test_a_server_that_stays_away_leaves_the_entry_pending(monkeypatch):
    monkeypatch.setattr(update, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(StoreUnavailable):
        await settle(Store(9), "1-1", TASK, Outcome(5, result=b"x"), worker_id="w")


async def test_a_failure_is_told_with_the_update():
    store, failure = Store(0), Failure("SCRIPT_FAILED", "script", "m")
    await settle(store, "1-1", TASK, Outcome(5, failure=failure), worker_id="w")
    [(_, told, result)] = store.calls
    assert (told.status, told.failure, result) == (TaskStatus.FAILED, failure, b"")
