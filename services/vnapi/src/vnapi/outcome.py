"""What there is to say of a request that was submitted: where it is, or what it left.

Called by `routes`, for calls that waited and for those that ask by id.
"""

from typing import Any, Literal

from fastapi.responses import JSONResponse, Response

from vnapi import problems
from vnapi.answers import Accepted
from vnapi.streamed import document_of
from vncore.codes import CODES
from vncore.errors import InvalidRequest
from vncore.ids import RequestId
from vncore.logs import logger
from vncore.messages import RequestStatus
from vncore.requests import RequestState, RequestStore
from vncore.responses import ResponseBroken

_log = logger("vnapi")

NO_STORE = {"Cache-Control": "no-store"}

STORED_XML = {
    **NO_STORE,
    # A browser runs scripts in XHTML that it is shown as application/xml, nosniff or not.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every document of a client: it is data, never a page."""

STATUS_HEADER = "VN-Request-Status"
"""Says beside a response document how its request ended: ``succeeded`` or ``partial``."""

_LOOKS = 3


async def find(store: RequestStore, request_id: RequestId) -> RequestState:
    """Find a request; 404 when it never was, 410 when it is gone."""
    state = await store.state(request_id)
    if state is None:
        raise await absent(store, request_id)
    return state


async def absent(store: RequestStore, request_id: RequestId) -> InvalidRequest:
    """Give the error for a request that is not there: it never was, or it is gone."""
    if await store.has_expired(request_id):
        return InvalidRequest("REQUEST_EXPIRED", f"request {request_id} is no longer kept")
    return InvalidRequest("REQUEST_NOT_FOUND", f"there is no request {request_id}")


def place(request_id: RequestId) -> dict[str, str]:
    """Give the headers of an answer that says where to look."""
    return {"Location": f"/valuation/{request_id}/status", **NO_STORE}


def accepted(request_id: RequestId, status: Literal["accepted", "pending"]) -> Response:
    """Answer with the id of a request that runs on its own."""
    body = Accepted(request_id=request_id, status=status)
    return JSONResponse(body.model_dump(mode="json"), status_code=202, headers=place(request_id))


def not_ready(known: RequestState) -> Response:
    """Answer that a request has not ended."""
    status = known.status.value
    facts = {"requestId": known.request_id, "requestStatus": status}
    detail = f"the request is {status}"
    return problems.answer(problems.problem(CODES["RESULT_NOT_READY"], detail, facts), NO_STORE)


async def outcome_of(
    store: RequestStore, request_id: RequestId, status: RequestStatus, *, failed_status: int
) -> Response | None:
    """Answer with what a request left that ended with `status`: a response, or a problem.

    None: it was redriven meanwhile, and runs. Raises InvalidRequest when it is gone, ResponseBroken
    when it is there and a part of its response is not.
    """
    broken: ResponseBroken | None = None
    for _ in range(_LOOKS):
        try:
            answer, broken = await _left(store, request_id, status, failed_status), None
        except ResponseBroken as err:
            answer, broken = None, err
        if answer is not None and status is RequestStatus.SUCCEEDED:
            return answer  # nothing comes after it
        now = await store.status(request_id)
        if now is None:
            break
        if not now.is_terminal:
            return None
        if answer is not None and now is status:
            return answer
        status = now  # of a later run, which ended between the looks: so may be what we read
    else:
        if broken is not None:
            facts = {"request_id": request_id, "code": broken.code, "error": broken.message}
            _log.error("response_broken", extra=facts)
            raise broken
    raise await absent(store, request_id)  # it expired a moment ago


async def _left(
    store: RequestStore, request_id: RequestId, status: RequestStatus, failed_status: int
) -> Response | None:
    if status in {RequestStatus.SUCCEEDED, RequestStatus.PARTIAL}:
        chunks = await store.response_chunks(request_id)
        if chunks is None:
            return None
        where = {"Content-Location": f"/valuation/{request_id}/results"}
        headers = {STATUS_HEADER: status.value, **where, **STORED_XML}
        return await document_of(request_id, chunks, headers)
    facts: dict[str, Any] = {"requestId": request_id, "requestStatus": status.value}
    if status is RequestStatus.CANCELLED:
        known = CODES["REQUEST_CANCELLED"]
        detail = "the request was cancelled before it ended"
        return problems.answer(problems.problem(known, detail, facts), NO_STORE)
    report = await store.failure(request_id)
    if report is None:
        return None
    known = CODES.get(report.get("code", ""), CODES["REQUEST_FAILED"])
    detail = report.get("message", "the request ended failed")
    problem = problems.problem(
        known, detail, {**facts, "failure": report}, http_status=failed_status
    )
    return problems.answer(problem, NO_STORE)
