"""A submission is whole or not there, and once only for each idempotency key."""

import asyncio

import pytest

from vncore.cancel import cancel
from vncore.connection import Connections
from vncore.errors import InvalidRequest
from vncore.ids import DEFAULT_TENANT, Tenant, new_request_id
from vncore.keys import Keys
from vncore.messages import RequestStatus
from vncore.requests import Idempotency, RequestStore, Submission

KEY, OTHER_KEY = "a" * 64, "b" * 64


def submission(
    payload: str = "one", key: str | None = KEY, tenant: Tenant = DEFAULT_TENANT
) -> Submission:
    return Submission(
        new_request_id(),
        payload.encode(),
        group_count=1,
        received_at_ms=1_000,
        tenant=tenant,
        on_failure="continue",
        deadline_at_ms=9_000,
        idempotency=Idempotency(key, f"digest-of-{payload}") if key else None,
    )


@pytest.fixture
def store(connections: Connections, keys: Keys) -> RequestStore:
    return RequestStore(connections.commands, keys)


async def test_what_came_with_a_submission_is_in_its_state(store: RequestStore):
    request = submission()
    submitted = await store.submit(request)
    assert (submitted.request_id, submitted.replayed) == (request.request_id, False)
    state = await store.state(request.request_id)
    assert state is not None
    assert (state.run, state.on_failure, state.deadline_at_ms) == (1, "continue", 9_000)


async def test_a_key_sent_again_gives_the_first_request(
    store: RequestStore, connections: Connections, keys: Keys
):
    first, again = submission(), submission()
    await store.submit(first)
    submitted = await store.submit(again)
    assert (submitted.request_id, submitted.replayed) == (first.request_id, True)
    assert await store.state(again.request_id) is None
    assert await connections.commands.xlen(keys.ingest) == 1


async def test_a_key_sent_with_something_else_is_refused(
    store: RequestStore, connections: Connections, keys: Keys
):
    await store.submit(submission("one"))
    with pytest.raises(InvalidRequest) as refused:
        await store.submit(submission("two"))
    assert (refused.value.code, refused.value.http_status) == ("IDEMPOTENCY_KEY_REUSED", 422)
    assert await connections.commands.xlen(keys.ingest) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(submission(key=OTHER_KEY), id="another key"),
        pytest.param(submission(tenant=Tenant("desk")), id="another tenant"),
        pytest.param(submission(key=None), id="no key"),
    ],
)
async def test_only_the_same_key_of_the_same_tenant_is_a_repetition(
    store: RequestStore, other: Submission
):
    await store.submit(submission())
    assert not (await store.submit(other)).replayed


async def test_of_many_submissions_at_once_with_one_key_one_becomes_the_request(
    store: RequestStore, connections: Connections, keys: Keys
):
    outcomes = await asyncio.gather(*(store.submit(submission()) for _ in range(50)))
    assert len({one.request_id for one in outcomes}) == 1
    assert sum(not one.replayed for one in outcomes) == 1
    assert await connections.commands.xlen(keys.ingest) == 1


async def test_a_key_is_remembered_exactly_as_long_as_its_request(
    store: RequestStore, connections: Connections, keys: Keys
):
    request = submission()
    await store.submit(request)
    record = keys.idempotency(DEFAULT_TENANT, KEY)
    assert await connections.commands.ttl(record) == -1  # it runs
    ended = await cancel(
        connections.commands, keys, request.request_id, ttl_seconds=60, clock=lambda: 2_000
    )
    assert ended is RequestStatus.CANCELLED
    lives = [
        await connections.commands.pttl(key) for key in (record, keys.state(request.request_id))
    ]
    assert 0 < lives[0] <= 60_000
    assert abs(lives[0] - lives[1]) < 1_000
    await connections.commands.delete(record)  # as its time to live does
    assert not (await store.submit(submission())).replayed


async def test_a_request_without_a_key_leaves_no_record(
    store: RequestStore, connections: Connections
):
    await store.submit(submission(key=None))
    assert not [key async for key in connections.commands.scan_iter("request:idempotency:*")]
