"""What nobody will come for goes; nothing of a request that runs is touched."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from assignments import settle_only

from vncore import held
from vncore.cancel import cancel
from vncore.cleanup import CleanupReport, clean_up
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.dispatching import NewTask
from vncore.fsck import check
from vncore.ids import DEFAULT_TENANT, RequestId, TaskId, new_request_id
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.messages import IngestEntry, TaskDispatch, Trace
from vncore.redrive import redrive
from vncore.requests import Idempotency, RequestStore, Submission
from vncore.scripts import Scripts
from vncore.streams import ensure_group, read_group
from vncore.tasks import TaskStore

TTL_SECONDS, FAILED_TTL_SECONDS = 600, 6_000
DAYS_MS = 86_400_000
NOTHING = CleanupReport(dry_run=False)


@pytest.fixture(params=["", "{vn-0}:"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(request.param)


async def clean(
    connections: Connections, keys: Keys, *, dry_run: bool = False, patience_ms: int = 10_000
) -> CleanupReport:
    return await clean_up(
        connections.commands,
        keys,
        request_ttl_seconds=TTL_SECONDS,
        failed_ttl_seconds=FAILED_TTL_SECONDS,
        task_wait_timeout_ms=patience_ms,
        clock=epoch_ms,
        dry_run=dry_run,
    )


async def running(connections: Connections, keys: Keys, key: str = "a1b2") -> held.HeldRequest:
    """A request with two tasks out: the first has a result, the second is in a worker's hands."""
    redis = connections.commands
    submission = Submission(
        new_request_id(),
        b"<vnml/>",
        group_count=1,
        received_at_ms=epoch_ms(),
        idempotency=Idempotency(key, "c3d4"),
    )
    await RequestStore(redis, keys).submit(submission)
    return await begun(connections, keys)


async def begun(connections: Connections, keys: Keys) -> held.HeldRequest:
    redis = connections.commands
    await ensure_group(redis, keys.ingest, ORCHESTRATORS)
    await ensure_group(redis, keys.dispatch, WORKERS)
    [delivery] = await read_group(
        redis, keys.ingest, ORCHESTRATORS, "orchestrator", count=1, block_ms=None
    )
    entry = IngestEntry.from_fields(delivery.fields)
    request = await held.begin(connections, keys, entry, delivery.entry_id, epoch_ms)
    assert request is not None
    await request.save_hydrated({"document": b"<vnml/>"}, 1)
    await request.start_group(0, "prices", 2)
    await request.dispatch([a_task(request, 1), a_task(request, 2)])
    taken = await read_group(redis, keys.dispatch, WORKERS, "worker", count=2, block_ms=None)
    if len(taken) == 1:  # a redrive keeps the first one's result
        return request
    await settle_only(TaskStore(redis, keys), taken[0], b"<valuation/>")
    return request


def a_task(request: held.HeldRequest, task: int) -> NewTask:
    dispatch = TaskDispatch(
        request.request_id,
        DEFAULT_TENANT,
        0,
        "prices",
        TaskId(task),
        "bond",
        run=request.entry.run,
    )
    return NewTask(dispatch, b"<task/>", b"[]")


async def cancelled(connections: Connections, keys: Keys, request_id: RequestId) -> None:
    await cancel(connections.commands, keys, request_id, ttl_seconds=TTL_SECONDS, clock=epoch_ms)


async def everything(connections: Connections, *but: str) -> dict[bytes, tuple[bytes, int]]:
    redis = connections.commands
    return {
        name: (await redis.dump(name), await redis.pexpiretime(name))
        for name in sorted(await redis.keys())
        if name.decode() not in but
    }


# --- what stays -----------------------------------------------------------------------------------


async def test_nothing_of_a_running_request_is_touched(connections: Connections, keys: Keys):
    await running(connections, keys)
    before = await everything(connections)
    assert await clean(connections, keys, patience_ms=0) == NOTHING
    assert await everything(connections) == before


async def test_nothing_of_a_request_that_runs_again_is_touched(
    connections: Connections, keys: Keys
):
    request = await running(connections, keys)
    await cancelled(connections, keys, request.request_id)
    await redrive(
        connections.commands,
        keys,
        request.request_id,
        deadline_at_ms=None,
        trace=Trace(),
        clock=epoch_ms,
    )
    await begun(connections, keys)
    before = await everything(connections, keys.dispatch)
    done = await clean(connections, keys, patience_ms=0)
    assert done == replace(NOTHING, dispatch_entries=1)  # the second task of the first run
    assert await everything(connections, keys.dispatch) == before
    left = await connections.commands.xrange(keys.dispatch)
    assert [fields[b"run"] for _, fields in left] == [b"2"]


async def test_nothing_of_an_ended_request_is_left_to_do(connections: Connections, keys: Keys):
    request = await running(connections, keys)
    await request.fail({"code": "X"}, [2], FAILED_TTL_SECONDS, failed_group=0)
    before = await everything(connections)
    assert await clean(connections, keys) == NOTHING
    assert await everything(connections) == before


async def test_an_empty_server_needs_no_cleaning(connections: Connections, keys: Keys):
    assert await clean(connections, keys) == NOTHING


# --- entries --------------------------------------------------------------------------------------


async def test_an_entry_of_a_cancelled_request_goes_once_its_worker_is_silent(
    connections: Connections, keys: Keys
):
    request = await running(connections, keys)
    await cancelled(connections, keys, request.request_id)
    assert await clean(connections, keys) == NOTHING  # its worker finds out by itself
    assert (await clean(connections, keys, patience_ms=0)).dispatch_entries == 1
    assert await connections.commands.xlen(keys.dispatch) == 0
    assert (await connections.commands.xpending(keys.dispatch, WORKERS))["pending"] == 0


async def test_queued_entries_of_requests_that_are_over_or_gone_go(
    connections: Connections, keys: Keys
):
    redis = connections.commands
    request = await running(connections, keys)
    gone = replace(a_task(request, 1).dispatch, request_id=new_request_id())
    await redis.xadd(keys.dispatch, gone.to_fields(keys))
    await redis.xadd(keys.dispatch, a_task(request, 3).dispatch.to_fields(keys))  # of a live run
    assert (await clean(connections, keys)).dispatch_entries == 1
    await cancelled(connections, keys, request.request_id)
    assert (await clean(connections, keys)).dispatch_entries == 1
    assert await redis.xlen(keys.dispatch) == 1  # what the worker has


async def test_entries_of_the_dead_are_found_behind_pages_of_the_living(
    connections: Connections, keys: Keys
):
    redis = connections.commands
    request = await running(connections, keys)
    living = a_task(request, 3).dispatch.to_fields(keys)
    dead = replace(a_task(request, 1).dispatch, request_id=new_request_id()).to_fields(keys)
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(2_500):
            pipe.xadd(keys.dispatch, dead if number % 2 else living)
        await pipe.execute()
    assert (await clean(connections, keys)).dispatch_entries == 1_250
    assert await redis.xlen(keys.dispatch) == 1 + 1_250


async def test_ingest_entries_of_requests_that_are_over_or_gone_go(
    connections: Connections, keys: Keys
):
    redis = connections.commands
    request = await running(connections, keys)
    gone = replace(request.entry, request_id=new_request_id())
    await redis.xadd(keys.ingest, gone.to_fields(keys))
    assert (await clean(connections, keys)).ingest_entries == 1
    assert await redis.xlen(keys.ingest) == 1
    await request.succeed(b"<answer/>", [2], TTL_SECONDS)
    await redis.xadd(keys.ingest, request.entry.to_fields(keys))
    assert (await clean(connections, keys)).ingest_entries == 1
    assert await redis.xlen(keys.ingest) == 0


async def test_what_cannot_be_read_is_left_to_those_who_read_it(
    connections: Connections, keys: Keys
):
    await connections.commands.xadd(keys.dispatch, {"a": "b"})
    await connections.commands.xadd(keys.ingest, {"a": "b"})
    assert await clean(connections, keys) == NOTHING


# --- consumers ------------------------------------------------------------------------------------


async def test_a_consumer_that_holds_nothing_and_is_silent_for_an_hour_goes(
    connections: Connections, keys: Keys, monkeypatch: pytest.MonkeyPatch
):
    redis = connections.commands
    for stream, group in ((keys.ingest, ORCHESTRATORS), (keys.dispatch, WORKERS)):
        await ensure_group(redis, stream, group)
        await redis.xgroup_createconsumer(stream, group, "old")
    await running(connections, keys)  # whose consumers hold an entry each
    assert (await clean(connections, keys)).consumers == 0
    monkeypatch.setattr("vncore.cleanup.FORGOTTEN_MS", -1)  # an hour later
    assert (await clean(connections, keys, dry_run=True)).consumers == 2
    assert (await clean(connections, keys)).consumers == 2
    for stream, group, name in (
        (keys.ingest, ORCHESTRATORS, b"orchestrator"),
        (keys.dispatch, WORKERS, b"worker"),
    ):
        assert [row["name"] for row in await redis.xinfo_consumers(stream, group)] == [name]
    assert (await clean(connections, keys)).consumers == 0


# --- keys -----------------------------------------------------------------------------------------


async def test_an_update_stream_without_a_live_request_goes(connections: Connections, keys: Keys):
    redis = connections.commands
    request = await running(connections, keys)
    ended = await running(connections, keys, key="5e6f")
    await ended.succeed(b"<answer/>", [2], TTL_SECONDS)
    for request_id in (ended.request_id, new_request_id()):
        await redis.xadd(keys.updates(request_id), {"a": "b"})
    assert (await clean(connections, keys)).update_streams == 2
    assert await redis.keys("*updates*") == [keys.updates(request.request_id).encode()]


def state(keys: Keys, request_id: RequestId) -> str:
    return keys.state(request_id)


def group(keys: Keys, request_id: RequestId) -> str:
    return keys.group(request_id, 0)


def result(keys: Keys, request_id: RequestId) -> str:
    return keys.task_result(request_id, 0, TaskId(1))


def idempotency(keys: Keys, request_id: RequestId) -> str:
    return keys.idempotency(DEFAULT_TENANT, "a1b2")


@pytest.mark.parametrize("name", [Keys.xml, Keys.response, group, result, idempotency])
async def test_a_key_without_an_end_gets_that_of_its_request(
    connections: Connections, keys: Keys, name: Callable[[Keys, RequestId], str]
):
    redis = connections.commands
    request = await running(connections, keys)
    await request.succeed(b"<answer/>", [2], 300)
    key = name(keys, request.request_id)
    assert await redis.persist(key)
    assert (await clean(connections, keys)).keys == 1
    assert await redis.pexpiretime(key) == await redis.pexpiretime(keys.state(request.request_id))
    assert await clean(connections, keys) == NOTHING


@pytest.mark.parametrize(
    ("end", "ttl_seconds"),
    [
        pytest.param(lambda one: one.succeed(b"<a/>", [2], 1), TTL_SECONDS, id="succeeded"),
        pytest.param(lambda one: one.fail({"code": "X"}, [2], 1), FAILED_TTL_SECONDS, id="failed"),
    ],
)
async def test_a_request_without_an_end_gets_that_of_its_kind(
    connections: Connections,
    keys: Keys,
    end: Callable[[held.HeldRequest], Awaitable[None]],
    ttl_seconds: int,
):
    redis = connections.commands
    request = await running(connections, keys)
    await end(request)
    owned = [name for name in await redis.keys() if await redis.persist(name)]
    await redis.persist(keys.index)
    assert (await clean(connections, keys)).keys == len(set(owned) - {keys.index.encode()})
    assert ttl_seconds - 5 <= await redis.ttl(keys.state(request.request_id)) <= ttl_seconds
    assert (await check(redis, keys, pause_seconds=0)).clean
    assert await clean(connections, keys) == NOTHING


async def test_task_keys_of_a_cancelled_request_end_with_it(connections: Connections, keys: Keys):
    """Whoever cancels may die before the keys of tasks have their shorter time to live."""
    redis = connections.commands
    request = await running(connections, keys)
    await cancelled(connections, keys, request.request_id)
    names = [key for key in await redis.keys() if b"cache:task:" in key]
    for name in names:
        await redis.expire(name, 604_800)
    assert (await clean(connections, keys)).keys == len(names) == 4
    ends = {await redis.pexpiretime(name) for name in names}
    assert ends == {await redis.pexpiretime(keys.state(request.request_id))}


async def test_keys_of_nobody_get_an_end(connections: Connections, keys: Keys):
    redis = connections.commands
    gone = new_request_id()
    record = keys.idempotency(DEFAULT_TENANT, "5e6f")
    await redis.set(record, f"{gone} 7a8b")
    await redis.set(keys.idempotency(DEFAULT_TENANT, "empty"), "")
    await redis.hset(keys.group(gone, 0), "status", "started")
    await redis.hset(keys.state(gone), "retryCount", 1)
    await redis.set(keys.task_result(gone, 0, TaskId(1)), "<valuation/>", ex=604_800)
    await redis.set(keys.xml(gone), "<vnml/>", ex=100)
    await redis.set(f"{keys.prefix}somebody:else", "1")
    assert (await clean(connections, keys)).keys == 5
    assert TTL_SECONDS - 5 <= await redis.ttl(record) <= TTL_SECONDS
    assert await redis.ttl(keys.xml(gone)) <= 100
    assert await redis.ttl(f"{keys.prefix}somebody:else") == -1
    assert (await check(redis, keys, pause_seconds=0)).clean
    assert await clean(connections, keys) == NOTHING


async def test_ids_are_forgotten_after_two_weeks(connections: Connections, keys: Keys):
    redis = connections.commands
    now = epoch_ms()
    old = {f"old-{number}": now - 14 * DAYS_MS - 60_000 - number for number in range(1_200)}
    await redis.zadd(keys.index, {**old, "young": now - 13 * DAYS_MS})
    assert (await clean(connections, keys)).index_entries == 1_200
    assert await redis.zrange(keys.index, 0, -1) == [b"young"]


async def test_a_request_that_runs_again_in_the_moment_of_the_deed_is_spared(
    connections: Connections, keys: Keys
):
    """What was over when it was looked at need not be when its keys are to go."""
    request = await running(connections, keys)
    owned = [keys.state(request.request_id), keys.xml(request.request_id)]
    before = await everything(connections)
    scripts = Scripts(connections.commands)
    assert await scripts.call("end_keys", [owned[0], *owned], [1_000]) == 0
    updates = keys.updates(request.request_id)
    assert await scripts.call("drop_updates", [owned[0], updates], []) == 0
    assert await everything(connections) == before


# --- saying so ------------------------------------------------------------------------------------


async def test_a_dry_run_counts_the_same_and_changes_nothing(connections: Connections, keys: Keys):
    redis = connections.commands
    request = await running(connections, keys)
    await cancelled(connections, keys, request.request_id)
    await redis.persist(keys.xml(request.request_id))
    await redis.xadd(keys.updates(request.request_id), {"a": "b"})
    await redis.xadd(keys.ingest, request.entry.to_fields(keys))
    await redis.zadd(keys.index, {"old": 1})
    before = await everything(connections)
    planned = await clean(connections, keys, dry_run=True, patience_ms=0)
    assert await everything(connections) == before
    done = await clean(connections, keys, patience_ms=0)
    assert done == replace(planned, dry_run=False)
    assert done == CleanupReport(
        dry_run=False,
        update_streams=1,
        dispatch_entries=1,
        ingest_entries=1,
        keys=1,
        index_entries=1,
    )
    assert await clean(connections, keys, patience_ms=0) == NOTHING


def test_a_report_says_what_was_done():
    report = CleanupReport(dry_run=True, consumers=2, keys=31)
    assert "would be:" in str(report)
    assert "       2  silent consumers removed" in str(report).splitlines()
    assert report.to_json()["dryRun"] is True
    assert report.to_json()["keys"] == 31
