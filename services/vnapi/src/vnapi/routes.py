"""HTTP in, answers out: each endpoint as a few steps that can be read.

A submission is admitted (`terms`, `capacity`), read (`body`) when there is room for it (`room`),
checked and submitted (`submit`), and perhaps waited for (`lifecycle`); the other endpoints ask by
id (`outcome`). Errors are raised and become problem documents in `problems`.
"""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from vnapi import description, problems
from vnapi.answers import Cancelled, Health, Ready, Redriven, Status
from vnapi.body import discard, read_document
from vnapi.capacity import Capacity
from vnapi.controls import Controls
from vnapi.lifecycle import LifecycleReader, Waiter
from vnapi.outcome import NO_STORE, absent, accepted, find, not_ready, outcome_of, place
from vnapi.prefer import Wait
from vnapi.readiness import Readiness
from vnapi.room import Room
from vnapi.submit import Submitter
from vnapi.terms import Terms, deadline_of, terms_of
from vncore.codes import CODES
from vncore.errors import InvalidRequest, StoreUnavailable, VnError
from vncore.ids import RequestId, new_request_id, parse_request_id
from vncore.messages import RequestStatus, Trace
from vncore.requests import RequestStore, Submitted


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints work with; made once in `main`."""

    store: RequestStore
    submitter: Submitter
    controls: Controls
    capacity: Capacity
    room: Room
    reader: LifecycleReader
    readiness: Readiness
    payload_max_bytes: int
    body_timeout_ms: int
    sync_wait_timeout_ms: int


def router(door: Door) -> APIRouter:
    """Give the endpoints."""
    routes = APIRouter()

    @routes.post("/valuation", **description.SUBMIT)
    async def submit(request: Request) -> Response:
        terms = await _admitted(door, request)
        return await _run(door, request, terms)

    @routes.delete("/valuation/{request_id}", **description.CANCEL)
    async def cancel(request: Request, request_id: str) -> Response:
        checked_id = request.state.request_id = parse_request_id(request_id)
        status = await door.controls.cancel(checked_id)
        if status is None:
            raise await absent(door.store, checked_id)
        if status is not RequestStatus.CANCELLED:
            return _over(checked_id, status)
        body = Cancelled(request_id=checked_id).model_dump(mode="json")
        return JSONResponse(body, status_code=202, headers=place(checked_id))

    @routes.post("/valuation/{request_id}/redrive", **description.REDRIVE)
    async def redrive(request: Request, request_id: str) -> Response:
        checked_id = request.state.request_id = parse_request_id(request_id)
        deadline_ms = deadline_of(request.query_params.getlist("deadlineMs"))
        await find(door.store, checked_id)  # whether there is room matters only for what is there
        await door.capacity.admit()
        try:
            run = await door.controls.redrive(checked_id, deadline_ms, request.state.trace)
        except InvalidRequest as err:
            return problems.answer(problems.of(err, {"requestId": checked_id}), NO_STORE)
        if run is None:
            raise await absent(door.store, checked_id)
        body = Redriven(request_id=checked_id, run=run).model_dump(mode="json")
        return JSONResponse(body, status_code=202, headers=place(checked_id))

    @routes.get("/valuation/{request_id}/status", **description.STATUS)
    async def status(request_id: str) -> Response:
        known = await find(door.store, parse_request_id(request_id))
        failure = await door.store.failure(known.request_id) if known.status.is_terminal else None
        body = Status.of(known, failure).model_dump(mode="json")
        return JSONResponse(body, headers=NO_STORE)

    @routes.get("/valuation/{request_id}/results", **description.RESULTS)
    async def results(request_id: str) -> Response:
        checked_id = parse_request_id(request_id)
        while True:
            known = await find(door.store, checked_id)
            if not known.status.is_terminal:
                return not_ready(known)
            left = await outcome_of(door.store, checked_id, known.status, failed_status=422)
            if left is not None:
                return left  # otherwise it runs again since we looked

    @routes.get("/healthz", **description.HEALTH)
    async def healthz() -> Health:
        return Health()

    @routes.get("/readyz", **description.READY)
    async def readyz() -> Response:
        found = await door.readiness.look()
        if found.failed:
            detail = f"failed: {', '.join(found.failed)}"
            facts = {"checks": found.checks, "failed": list(found.failed)}
            return problems.answer(problems.problem(CODES["NOT_READY"], detail, facts), NO_STORE)
        return JSONResponse(Ready(checks=found.checks).model_dump(), headers=NO_STORE)

    return routes


async def _admitted(door: Door, request: Request) -> Terms:
    """Decide what can be decided before the body is read."""
    try:
        terms = terms_of(
            request.query_params, request.headers, most_seconds=door.sync_wait_timeout_ms / 1000
        )
        await door.capacity.admit()
    except VnError:
        request.state.body_unread = not await discard(request, max_bytes=door.payload_max_bytes)
        raise
    return terms


async def _run(door: Door, request: Request, terms: Terms) -> Response:
    """Submit the document that is sent, and wait for its end where that is asked for."""
    request_id = new_request_id()
    headers: dict[str, str] = {}
    try:
        with door.reader.waiting_for(request_id) as waiter:  # before the first event can come
            submitted = await _submitted(door, request, request_id, terms)
            # Not by `replayed`: a call to the server that was repeated finds our own request.
            if submitted.request_id == request_id:
                answer = await _awaited(door, request_id, waiter, terms.wait)
        if submitted.request_id != request_id:
            request_id = request.state.request_id = submitted.request_id
            headers["Idempotency-Replayed"] = "true"
            answer = await _replayed(door, request_id, terms.wait)
    except StoreUnavailable as err:
        # The server may have taken the request before it fell silent: the client can find out.
        return problems.answer(problems.of(err, {"requestId": request_id}))
    if terms.wait.applied:
        headers["Preference-Applied"] = ", ".join(terms.wait.applied)
    answer.headers.update(headers)
    return answer


async def _submitted(
    door: Door, request: Request, request_id: RequestId, terms: Terms
) -> Submitted:
    """Read, check and submit a document; nobody has it in memory any more when this returns."""
    with door.room.hold() as hold:
        body = await read_document(
            request, max_bytes=door.payload_max_bytes, timeout_ms=door.body_timeout_ms, hold=hold
        )
        document = await door.submitter.check(body)
        request.state.request_id = request_id
        trace: Trace = request.state.trace
        content_type = request.headers["content-type"]
        return await door.submitter.submit(request_id, document, terms, trace, content_type)


async def _replayed(door: Door, request_id: RequestId, wait: Wait) -> Response:
    """Answer for a request that was submitted before, as its first submission would be now."""
    if wait.seconds is None:
        return accepted(request_id, "accepted")
    known = await find(door.store, request_id)
    with door.reader.waiting_for(request_id, known.run) as waiter:
        status = await door.store.status(request_id)
        if status is None:
            raise await absent(door.store, request_id)
        if status.is_terminal:  # perhaps before anybody here listened: no event will tell
            waiter.wake(status)
        return await _awaited(door, request_id, waiter, wait)


async def _awaited(door: Door, request_id: RequestId, waiter: Waiter, wait: Wait) -> Response:
    if wait.seconds is None:
        return accepted(request_id, "accepted")
    ended = await waiter.terminal_status(wait.seconds)
    if ended is not None:
        left = await outcome_of(door.store, request_id, ended, failed_status=500)
        if left is not None:
            return left
    return accepted(request_id, "pending")


def _over(request_id: RequestId, status: RequestStatus) -> Response:
    error = InvalidRequest("REQUEST_OVER", f"the request has ended {status.value}")
    facts = {"requestId": request_id, "requestStatus": status.value}
    return problems.answer(problems.of(error, facts), NO_STORE)
