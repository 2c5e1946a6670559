"""HTTP in, answers out: each endpoint as a few steps that can be read.

A submission is read (`body`), checked and submitted (`submit`), and perhaps waited for
(`lifecycle`); the other endpoints ask the request store. Errors are raised and become problem
documents in `problems`.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from vnapi import description, problems
from vnapi.answers import Accepted, Health, Ready, Status
from vnapi.body import read_document
from vnapi.lifecycle import LifecycleReader
from vnapi.prefer import Wait, wait_of
from vnapi.readiness import Readiness
from vnapi.submit import CheckedDocument, Submitter
from vncore.codes import CODES
from vncore.errors import InvalidRequest, StoreUnavailable
from vncore.ids import RequestId, new_request_id, parse_request_id
from vncore.messages import RequestStatus, Trace
from vncore.requests import RequestState, RequestStore

NO_STORE = {"Cache-Control": "no-store"}

STORED_XML = {
    **NO_STORE,
    # A browser runs scripts in XHTML that it is shown as application/xml, nosniff or not.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every document of a client: it is data, never a page."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints work with; made once in `main`."""

    store: RequestStore
    submitter: Submitter
    reader: LifecycleReader
    readiness: Readiness
    payload_max_bytes: int
    body_timeout_ms: int
    sync_wait_timeout_ms: int


def router(door: Door) -> APIRouter:
    """Give the endpoints."""
    routes = APIRouter()

    @routes.post("/valuation", **description.SUBMIT)
    async def submit(
        request: Request, sync: Annotated[str | None, Query(**description.SYNC)] = None
    ) -> Response:
        del sync  # for the description; every given value counts
        wait = wait_of(
            request.query_params.getlist("sync"),
            request.headers.getlist("prefer"),
            most_seconds=door.sync_wait_timeout_ms / 1000,
        )
        body = await read_document(
            request, max_bytes=door.payload_max_bytes, timeout_ms=door.body_timeout_ms
        )
        document = await door.submitter.check(body)
        return await _run(door, request, document, wait)

    @routes.get("/valuation/{request_id}/status", **description.STATUS)
    async def status(request_id: str) -> Response:
        known = await _known(door, request_id)
        failure = await door.store.failure(known.request_id) if known.status.is_terminal else None
        body = Status.of(known, failure).model_dump(mode="json")
        return JSONResponse(body, headers=NO_STORE)

    @routes.get("/valuation/{request_id}/results", **description.RESULTS)
    async def results(request_id: str) -> Response:
        known = await _known(door, request_id)
        if not known.status.is_terminal:
            return _not_ready(known)
        return await _outcome(door, known.request_id, known.status, failed_status=422)

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


async def _run(door: Door, request: Request, document: CheckedDocument, wait: Wait) -> Response:
    """Submit a checked document, and wait for its end where that is asked for."""
    request_id = request.state.request_id = new_request_id()
    trace: Trace = request.state.trace
    content_type = request.headers["content-type"]
    try:
        with door.reader.waiting_for(request_id) as waiter:  # before the first event can come
            await door.submitter.submit(request_id, document, trace, content_type)
            if wait.seconds is None:
                answer = _accepted(Accepted(request_id=request_id, status="accepted"))
            elif ended := await waiter.terminal_status(wait.seconds):
                answer = await _outcome(door, request_id, ended, failed_status=500)
            else:
                answer = _accepted(Accepted(request_id=request_id, status="pending"))
    except StoreUnavailable as err:
        # The server may have taken the request before it fell silent: the client can find out.
        return problems.answer(problems.of(err, {"requestId": request_id}))
    if wait.applied:
        answer.headers["Preference-Applied"] = ", ".join(wait.applied)
    return answer


def _accepted(accepted: Accepted) -> Response:
    location = f"/valuation/{accepted.request_id}/status"
    return JSONResponse(
        accepted.model_dump(mode="json"),
        status_code=202,
        headers={"Location": location, **NO_STORE},
    )


async def _known(door: Door, request_id: str) -> RequestState:
    """Find a request; 404 when it never was, 410 when it is gone."""
    checked_id = parse_request_id(request_id)
    state = await door.store.state(checked_id)
    if state is None:
        raise await _absent(door, checked_id)
    return state


async def _absent(door: Door, request_id: RequestId) -> InvalidRequest:
    if await door.store.has_expired(request_id):
        return InvalidRequest("REQUEST_EXPIRED", f"request {request_id} is no longer kept")
    return InvalidRequest("REQUEST_NOT_FOUND", f"there is no request {request_id}")


async def _outcome(
    door: Door, request_id: RequestId, status: RequestStatus, *, failed_status: int
) -> Response:
    """Answer with what a terminal request left: its response, or its failure report."""
    if status in {RequestStatus.SUCCEEDED, RequestStatus.PARTIAL}:
        document = await door.store.response(request_id)
        if document is None:
            raise await _absent(door, request_id)  # it expired a moment ago
        location = f"/valuation/{request_id}/results"
        return Response(
            document,
            media_type="application/xml",
            headers={"Content-Location": location, **STORED_XML},
        )
    report = await door.store.failure(request_id)
    facts: dict[str, Any] = {"requestId": request_id, "requestStatus": status.value}
    known = CODES["REQUEST_FAILED"]
    detail = f"the request ended {status.value}"
    if report is not None:
        known = CODES.get(report.get("code", ""), known)
        detail = report.get("message", detail)
        facts["failure"] = report
    return problems.answer(
        problems.problem(known, detail, facts, http_status=failed_status), NO_STORE
    )


def _not_ready(known: RequestState) -> Response:
    return problems.answer(
        problems.problem(
            CODES["RESULT_NOT_READY"],
            f"the request is {known.status.value}",
            {"requestId": known.request_id, "requestStatus": known.status.value},
        ),
        NO_STORE,
    )
