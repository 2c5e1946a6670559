"""Errors as ``application/problem+json`` (RFC 9457) with a stable code.

Every answer that is no success is made here: from `VnError`, from the framework's own errors, and
from the unexpected, which tells its correlation id and nothing else.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from vnapi.capacity import NoRoom
from vncore.codes import CODES, ErrorCode
from vncore.errors import InvalidRequest, StoreFull, StoreUnavailable, VnError
from vncore.logs import logger

_log = logger("vnapi")

MEDIA_TYPE = "application/problem+json"

_CLOSING = frozenset(
    (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    )
)
"""Answers given while the body may still be on its way: the connection ends with them."""

_RETRY_AFTER_SECONDS = "1"


def problem(
    known: ErrorCode,
    detail: str,
    facts: Mapping[str, Any] | None = None,
    *,
    http_status: int | None = None,
) -> dict[str, Any]:
    """Give a problem document; `facts` are members beyond those of the code."""
    return {
        "type": f"urn:vn:error:{known.name}",
        "title": known.cause,
        "status": http_status or known.http_status,
        "detail": detail,
        "code": known.name,
        "category": known.category.value,
        "retryable": known.retryable,
        **(facts or {}),
    }


def answer(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Give a problem document as a response with the headers that its status calls for."""
    http_status = int(document["status"])
    extra = dict(headers or {})
    if http_status in _CLOSING:
        extra["Connection"] = "close"
    if http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", _RETRY_AFTER_SECONDS)
    return JSONResponse(document, http_status, extra, media_type=MEDIA_TYPE)


def of(error: VnError, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe an error of ours: its code, its rule and its place."""
    rule = {"rule": error.rule} if error.rule else {}
    numbers = error.facts() if isinstance(error, NoRoom) else {}
    detail = error.message
    if isinstance(error, StoreUnavailable):
        _log.warning("store_failed", extra={"code": error.code, "error": error.message})
    if isinstance(error, StoreFull):
        detail = "the server that keeps requests has no memory left; nothing was kept"
    elif isinstance(error, StoreUnavailable):
        # Addresses stay in the log. A submission may have been kept although no answer came.
        detail = "the server that keeps requests does not answer; a submission may have been kept"
    return problem(
        error.known, detail, {**rule, **error.place.fields(), **numbers, **(facts or {})}
    )


def unexpected(correlation_id: str) -> dict[str, Any]:
    """Describe a fault of ours to the outside: the log has the rest, under the same id."""
    return problem(
        CODES["INTERNAL"],
        f"the fault is logged under the correlation id {correlation_id}",
        {"correlationId": correlation_id},
    )


def encoded(document: Mapping[str, Any]) -> bytes:
    """Write a problem document as JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def install(app: FastAPI) -> None:
    """Let every error of the application be answered from here."""
    app.add_exception_handler(VnError, _answer_vn_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)


async def _answer_vn_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VnError)
    headers: dict[str, str] = {}
    if isinstance(error, NoRoom):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if getattr(request.state, "body_unread", False):
        headers["Connection"] = "close"  # what is left of the body is no next request
    return answer(of(error), headers)


async def _answer_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    by_status = {
        HTTPStatus.NOT_FOUND: CODES["ROUTE_NOT_FOUND"],
        HTTPStatus.METHOD_NOT_ALLOWED: CODES["METHOD_NOT_ALLOWED"],
    }
    known = by_status.get(HTTPStatus(error.status_code), CODES["HTTP_MALFORMED"])
    document = problem(known, known.cure, http_status=error.status_code)
    return answer(document, error.headers)


async def _answer_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors()
    )
    return answer(of(InvalidRequest("PARAMETER_INVALID", wrong)))
