"""What is written to a stream is read back from it; nonsense is refused by the field's name."""

import json
from dataclasses import replace
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.failures import Failure
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, Tenant
from vncore.keys import Keys
from vncore.messages import (
    TERMINAL,
    Fields,
    IngestEntry,
    LifecycleEvent,
    MalformedEntry,
    RequestStatus,
    TaskDispatch,
    TaskStatus,
    TaskUpdate,
    Trace,
    fields_of_tasks,
    tasks_of,
    updates_of,
)

KEYS = Keys("{vn-0}")
REQUEST = RequestId("6f1d7a8e-3a55-4b4e-9d0e-0d5a5b7f4a10")

texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = texts.filter(bool)
traces = st.builds(Trace, texts, texts)
tenants = names.map(Tenant)
numbers = st.integers(0, 2**53)
tasks = st.integers(1, 50_000).map(TaskId)
runs = st.integers(1, 99)
places = st.dictionaries(st.sampled_from(["group", "task", "line"]), names | numbers)
first = itemgetter(0)
failures = st.builds(
    Failure,
    code=names,
    category=names,
    message=texts,
    retryable=st.booleans(),
    rule=st.none() | names,
    place=places,
    attempts=st.integers(0, 9),
    exit_status=st.none() | st.integers(-64, 255),
    stderr_tail=texts,
    duration_ms=st.none() | numbers,
    worker_id=texts,
)


@given(
    st.builds(
        IngestEntry,
        st.just(REQUEST),
        tenants,
        group_count=numbers,
        submitted_at_ms=numbers,
        trace=traces,
        run=runs,
        on_failure=texts,
        deadline_ms=st.none() | numbers,
        idempotency=texts,
    )
)
def test_an_ingest_entry_survives_the_stream(entry: IngestEntry):
    assert IngestEntry.from_fields(entry.to_fields(KEYS)) == entry


@given(
    st.builds(
        LifecycleEvent,
        st.just(REQUEST),
        tenants,
        st.sampled_from(RequestStatus),
        numbers,
        *[st.none() | numbers] * 4,
        run=runs,
    )
)
def test_a_lifecycle_event_survives_the_stream(event: LifecycleEvent):
    assert LifecycleEvent.from_fields(event.to_fields()) == event


dispatches = st.builds(
    TaskDispatch,
    st.just(REQUEST),
    tenants,
    numbers,
    texts,
    tasks,
    texts,
    attempt=st.integers(1, 9),
    deadline_ms=st.none() | numbers,
    trace=traces,
    run=runs,
)


@given(dispatches)
def test_a_dispatch_entry_survives_the_stream(entry: TaskDispatch):
    assert TaskDispatch.from_fields(entry.to_fields(KEYS)) == entry


@given(dispatches, st.lists(st.tuples(tasks, texts), min_size=1, max_size=9, unique_by=first))
def test_an_entry_of_several_tasks_survives_the_stream(
    like: TaskDispatch, told: list[tuple[TaskId, str]]
):
    slice_ = [replace(like, task_id=task, valuation_name=name) for task, name in told]
    assert tasks_of(on_the_stream(fields_of_tasks(slice_, KEYS))) == tuple(slice_)


@given(dispatches)
def test_an_entry_of_one_task_is_written_as_ever(entry: TaskDispatch):
    assert fields_of_tasks([entry], KEYS) == entry.to_fields(KEYS)
    assert tasks_of(on_the_stream(entry.to_fields(KEYS))) == (entry,)


@given(
    tenants,
    st.lists(st.tuples(tasks, numbers), min_size=2, max_size=9, unique_by=first),
    texts,
    traces,
    runs,
)
def test_an_update_of_several_successes_survives_the_stream(
    tenant: Tenant, told: list[tuple[TaskId, int]], worker: str, trace: Trace, run: int
):
    updates = [
        TaskUpdate(
            REQUEST, tenant, 3, task, 2, TaskStatus.SUCCEEDED, ms, worker, trace=trace, run=run
        )
        for task, ms in told
    ]
    # As `settle_tasks` writes it.
    fields = {**updates[0].common_fields(), "status": "succeeded", "tasks": json.dumps(told)}
    assert updates_of(on_the_stream(fields)) == tuple(updates)


@given(tenants, tasks, st.none() | failures, texts)
def test_an_update_of_one_attempt_is_read_as_ever(
    tenant: Tenant, task: TaskId, failure: Failure | None, worker: str
):
    status = TaskStatus.FAILED if failure else TaskStatus.SUCCEEDED
    update = TaskUpdate(REQUEST, tenant, 3, task, 2, status, 17, worker, failure)
    assert updates_of(on_the_stream(update.to_fields(KEYS))) == (update,)


NONSENSE = [
    pytest.param("{", "cannot be read", id="no JSON"),
    pytest.param("7", "cannot be read", id="a number"),
    pytest.param("[7, 8]", "cannot be read", id="numbers"),
    pytest.param('[[1, "a", 2]]', "cannot be read", id="three of a kind"),
    pytest.param("[" * 100_000, "cannot be read", id="a deep hole"),
    pytest.param("[]", "names no tasks", id="nobody"),
    pytest.param("{}", "names no tasks", id="an object"),
    pytest.param('[["1", "a"]]', "names no tasks", id="a word for a number"),
    pytest.param('[[0, "a"]]', "names no tasks", id="task 0"),
    pytest.param('[[1.0, "a"]]', "names no tasks", id="a fraction"),
    pytest.param('[[true, "a"]]', "names no tasks", id="a truth"),
    pytest.param('[[1, "a"], [2, null]]', "names no tasks", id="one of two is told nothing"),
]


@pytest.mark.parametrize(("told", "said"), NONSENSE)
def test_nonsense_for_several_tasks_is_refused_by_name(told: str, said: str):
    dispatch = TaskDispatch(REQUEST, DEFAULT_TENANT, 0, "g", TaskId(1), "v")
    fields = on_the_stream(dispatch.common_fields(KEYS)) | {"tasks": told}
    with pytest.raises(MalformedEntry, match=f"field tasks {said}"):
        tasks_of(fields)
    with pytest.raises(MalformedEntry, match=f"field tasks {said}"):
        updates_of(_good() | {"tasks": told.replace('"a"', "5")})


@pytest.mark.parametrize("told", ['[[1, "5"]]', "[[1, null]]", "[[1, 0.5]]"])
def test_a_duration_that_is_no_number_is_refused(told: str):
    with pytest.raises(MalformedEntry, match="field tasks names no tasks"):
        updates_of(_good() | {"tasks": told})


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_whatever_stands_for_several_tasks_is_read_or_refused(told: str):
    dispatch = TaskDispatch(REQUEST, DEFAULT_TENANT, 0, "g", TaskId(1), "v")
    with pytest.raises(MalformedEntry):
        tasks_of(on_the_stream(dispatch.common_fields(KEYS)) | {"tasks": told})


@pytest.mark.parametrize("gone", ["requestId", "attempt", "groupIdx"])
def test_what_several_tasks_share_is_missed_by_name(gone: str):
    tasks = [TaskDispatch(REQUEST, DEFAULT_TENANT, 0, "g", TaskId(n), "v") for n in (1, 2)]
    with pytest.raises(MalformedEntry, match=f"{gone} is missing"):
        tasks_of(on_the_stream(fields_of_tasks(tasks, KEYS)) | {gone: ""})


def on_the_stream(fields: Fields) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


@given(tenants, tasks, st.none() | failures, texts, traces, runs)
def test_an_update_survives_the_stream(
    tenant: Tenant, task: TaskId, failure: Failure | None, worker: str, trace: Trace, run: int
):
    status = TaskStatus.FAILED if failure else TaskStatus.SUCCEEDED
    update = TaskUpdate(REQUEST, tenant, 3, task, 2, status, 17, worker, failure, trace, run)
    assert TaskUpdate.from_fields(update.to_fields(KEYS)) == update


@given(failures)
def test_a_failure_survives_json(failure: Failure):
    assert Failure.from_json(failure.to_json()) == failure


def _good() -> dict[str, str]:
    update = TaskUpdate(REQUEST, DEFAULT_TENANT, 0, TaskId(1), 1, TaskStatus.SUCCEEDED, 5, "worker")
    return {name: str(value) for name, value in update.to_fields(KEYS).items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"requestId": ""}, "requestId is missing", id="no request"),
        pytest.param({"taskId": "one"}, "taskId is no integer", id="task is a word"),
        pytest.param({"status": "done"}, "status 'done'", id="unknown status"),
        pytest.param({"status": "failed"}, "does not go with", id="failed without an error"),
        pytest.param({"error": "{}"}, "does not go with", id="error without a failure"),
        pytest.param({"status": "failed", "error": "{}"}, "no failure report", id="empty report"),
        pytest.param({"status": "failed", "error": "["}, "no failure report", id="broken report"),
    ],
)
def test_a_malformed_update_is_refused(change: dict[str, str], said: str):
    with pytest.raises(MalformedEntry, match=said):
        TaskUpdate.from_fields(_good() | change)


def test_what_was_written_before_there_were_runs_belongs_to_the_first():
    fields = _good()
    del fields["run"]
    assert TaskUpdate.from_fields(fields).run == 1


def test_an_event_with_an_unknown_status_is_refused():
    event = LifecycleEvent(REQUEST, DEFAULT_TENANT, RequestStatus.STARTED, 1)
    fields = {name: str(value) for name, value in event.to_fields().items()}
    with pytest.raises(MalformedEntry, match="unknown status"):
        LifecycleEvent.from_fields(fields | {"status": "lost"})


def test_exactly_four_states_are_terminal():
    assert {status for status in RequestStatus if status.is_terminal} == TERMINAL
    assert len(TERMINAL) == 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("no curve 'USD'", "no curve 'EUR'", True, id="names do not count"),
        pytest.param("row 3 of 7", "row 4 of 7", True, id="numbers do not count"),
        pytest.param("no curve", "no spot", False, id="words count"),
    ],
)
def test_failures_of_one_cause_share_a_fingerprint(one: str, other: str, same: bool):
    fingerprints = {Failure("X", "data", message).fingerprint for message in (one, other)}
    assert (len(fingerprints) == 1) is same
