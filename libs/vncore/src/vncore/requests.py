"""Requests as vnapi sees them: submitted whole, then looked at.

Written by `RequestStore.submit` in one atomic step; everything else here only reads. What else a
client may do to a request is in `cancel` and `redrive`.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.errors import InvalidRequest
from vncore.fragments import Fragments
from vncore.ids import DEFAULT_TENANT, RequestId, Tenant
from vncore.keys import Keys
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus, Trace
from vncore.responses import Chunk, ResponseReader
from vncore.scripts import Scripts, flattened

LIFECYCLE_LENGTH = 10_000
"""About how many events the lifecycle stream keeps; it only notifies, nothing is lost by it."""

REMEMBERED_SECONDS = 14 * 86_400
"""How long an expired id is told from an unknown one."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's key, and what it was sent with: digests, as SAFETY §4 makes them."""

    key_digest: str
    payload_digest: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked document on its way in."""

    request_id: RequestId
    document: bytes
    group_count: int
    received_at_ms: int
    tenant: Tenant = DEFAULT_TENANT
    trace: Trace = Trace()
    metadata: Mapping[str, str | int] = field(default_factory=dict)  # headers, size: for people
    on_failure: str = ""  # of groups that say nothing themselves; empty: stop
    deadline_at_ms: int | None = None
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission."""

    request_id: RequestId  # of the first one, when it was a repetition
    replayed: bool  # it was here before, and nothing was changed


@dataclass(frozen=True, slots=True)
class GroupState:
    """How far one group is."""

    index: int  # counts from 0
    name: str
    status: str  # started, completed or failed; reopened: waits for its turn in a new run
    expected: int  # tasks
    completed: int  # tasks with a result
    failed: int  # tasks out of attempts
    on_failure: str  # what holds for it: see vncore.failure_policy


@dataclass(frozen=True, slots=True)
class RequestState:
    """Where a request stands."""

    request_id: RequestId
    tenant: Tenant
    status: RequestStatus
    group_count: int
    current_group: int | None  # None before the first group
    groups: tuple[GroupState, ...]  # those that have started
    received_at_ms: int
    started_at_ms: int | None
    completed_at_ms: int | None
    retry_count: int  # how often an orchestrator took it over from another
    run: int = 1  # one more with each redrive
    epoch: int = 0  # of the orchestrator that has it, or of who ended it
    on_failure: str = ""  # of groups that say nothing themselves; empty: stop
    deadline_at_ms: int | None = None
    idempotency: str = ""  # digest of the client's key


# Not all of the hash: it may hold a failure of each of 50,000 tasks.
_GROUP_FIELDS = ["status", "name", "expected", "completed", "failed", "onFailure"]


class RequestStore:
    """Submits requests and answers questions about them."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._responses = ResponseReader(redis, keys, Fragments(redis, keys))

    async def submit(self, submission: Submission) -> Submitted:
        """Write document, metadata, state, ingest entry and event in one step.

        A second call with the same id, or with the same idempotency key and the same digest,
        changes nothing and gives the first one's id. Raises InvalidRequest
        (``IDEMPOTENCY_KEY_REUSED``) when the key was used with something else; StoreUnavailable:
        the request may be in or not, so a caller that gives up must say that it does not know.
        """
        keys, request_id, now = self._keys, submission.request_id, submission.received_at_ms
        tenant, idempotency = submission.tenant, submission.idempotency
        state: dict[str, str | bytes] = {
            "status": RequestStatus.RECEIVED.value,
            "tenant": tenant,
            "run": "1",
            "groupCount": str(submission.group_count),
            "retryCount": "0",
            "epoch": "0",
            "receivedAt": str(now),
            "onFailure": submission.on_failure,
        }
        if submission.deadline_at_ms is not None:
            state["deadlineAt"] = str(submission.deadline_at_ms)
        if idempotency is not None:
            state["idempotency"] = idempotency.key_digest
        entry = IngestEntry(
            request_id,
            tenant,
            submission.group_count,
            now,
            submission.trace,
            on_failure=submission.on_failure,
            deadline_ms=submission.deadline_at_ms,
            idempotency=idempotency.key_digest if idempotency else "",
        )
        event = LifecycleEvent(request_id, tenant, RequestStatus.RECEIVED, now)
        ingest_fields = entry.to_fields(keys)
        outcome, known_id = await self._scripts.call(
            "submit_request",
            [
                keys.xml(request_id),
                keys.metadata(request_id),
                keys.state(request_id),
                keys.ingest,
                keys.lifecycle,
                keys.index,
                *([keys.idempotency(tenant, idempotency.key_digest)] if idempotency else []),
            ],
            [
                request_id,
                now,
                now - REMEMBERED_SECONDS * 1000,
                REMEMBERED_SECONDS,
                submission.document,
                json.dumps(dict(submission.metadata), ensure_ascii=False),
                LIFECYCLE_LENGTH,
                idempotency.payload_digest if idempotency else "",
                2 * len(state),
                *flattened(state),
                2 * len(ingest_fields),
                *flattened(ingest_fields),
                *flattened(event.to_fields()),
            ],
        )
        if outcome == -1:  # see the script's contract
            raise InvalidRequest(
                "IDEMPOTENCY_KEY_REUSED",
                "the Idempotency-Key was used before with another document or other parameters",
            )
        return Submitted(RequestId(known_id.decode()), replayed=outcome == 0)

    async def state(self, request_id: RequestId) -> RequestState | None:
        """Read where a request stands; None when it is unknown or expired."""
        with translated("read state"):
            fields = _decoded(await self._hash(self._keys.state(request_id)))
        if "status" not in fields:
            return None
        group_count = int(fields["groupCount"])
        return RequestState(
            request_id=request_id,
            tenant=Tenant(fields.get("tenant", DEFAULT_TENANT)),
            status=RequestStatus(fields["status"]),
            group_count=group_count,
            current_group=_optional_int(fields.get("currentGroup")),
            groups=await self._groups(request_id, group_count),
            received_at_ms=int(fields["receivedAt"]),
            started_at_ms=_optional_int(fields.get("startedAt")),
            completed_at_ms=_optional_int(fields.get("completedAt")),
            retry_count=int(fields.get("retryCount", "0")),
            run=int(fields.get("run", "1")),
            epoch=int(fields.get("epoch", "0")),
            on_failure=fields.get("onFailure", ""),
            deadline_at_ms=_optional_int(fields.get("deadlineAt")),
            idempotency=fields.get("idempotency", ""),
        )

    async def status(self, request_id: RequestId) -> RequestStatus | None:
        """Read the status alone; None when the request is unknown or expired."""
        with translated("read status"):
            status = await cast("Any", self._redis.hget(self._keys.state(request_id), "status"))
        return RequestStatus(status.decode()) if status else None

    async def has_expired(self, request_id: RequestId) -> bool:
        """Tell whether an id without a state was a request once (kept for 14 days)."""
        with translated("read index"):
            return await self._redis.zscore(self._keys.index, request_id) is not None

    async def response(self, request_id: RequestId) -> bytes | None:
        """Read the whole answer; None when there is none (yet, or any more).

        For tools and tests: what may be large is read by `response_chunks`, which says what raises.
        """
        chunks = await self.response_chunks(request_id)
        return None if chunks is None else b"".join([chunk async for chunk in chunks])

    async def response_chunks(self, request_id: RequestId) -> AsyncIterator[Chunk] | None:
        """Give the answer chunk by chunk; None when there is none (yet, or any more).

        Its results are read while it is iterated, the first ones before the first chunk, which
        raises ResponseBroken when some of it is gone; so may any later one, and StoreUnavailable.
        """
        with translated("read response"):
            stored = cast("bytes | None", await self._redis.get(self._keys.response(request_id)))
        return None if stored is None else self._responses.chunks(request_id, stored)

    async def failure(self, request_id: RequestId) -> dict[str, Any] | None:
        """Read the failure report; None when the request has not failed."""
        with translated("read failure"):
            report = await self._redis.get(self._keys.failure(request_id))
        return cast("dict[str, Any]", json.loads(report)) if report else None

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the server answers."""
        with translated("ping"):
            await cast("Any", self._redis.ping())

    async def _groups(self, request_id: RequestId, count: int) -> tuple[GroupState, ...]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for index in range(count):
                pipe.hmget(self._keys.group(request_id, index), _GROUP_FIELDS)
            with translated("read groups"):
                rows = await pipe.execute() if count else []
        return tuple(
            GroupState(
                index=index,
                name=(name or b"").decode(),
                status=status.decode(),
                expected=int(expected or 0),
                completed=int(completed or 0),
                failed=int(failed or 0),
                on_failure=(on_failure or b"").decode(),
            )
            for index, (status, name, expected, completed, failed, on_failure) in enumerate(rows)
            if status
        )

    async def _hash(self, key: str) -> dict[bytes, bytes]:
        return cast("dict[bytes, bytes]", await cast("Any", self._redis.hgetall(key)))


def _decoded(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _optional_int(text: str | None) -> int | None:
    return int(text) if text else None
