"""A document that came in whole is checked, then submitted in one atomic step.

Called by `routes`; everything that can be refused is refused here, before anything is queued.
"""

import asyncio
import ctypes
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from lxml import etree

from vnapi.idempotency import idempotency_of
from vnapi.terms import Terms
from vncore import xml
from vncore.clock import Clock
from vncore.errors import Place, UnprocessableDocument, VnError
from vncore.failure_policy import FailurePolicy
from vncore.ids import DEFAULT_TENANT, RequestId
from vncore.messages import Trace
from vncore.requests import RequestStore, Submission, Submitted

MAX_NAME_CHARACTERS = 256
"""The longest name of a group or valuation: it goes into messages, logs and environments."""

_LARGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that is a valuation request."""

    body: bytes  # as sent, in its own encoding
    group_count: int


class Submitter:
    """Checks documents in threads, few large ones at once, and submits them."""

    def __init__(
        self,
        store: RequestStore,
        limits: xml.XmlLimits,
        *,
        large_at_once: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._limits = limits
        self._parsing = asyncio.Semaphore(large_at_once)
        self._writing = asyncio.Semaphore(large_at_once)
        self._clock = clock

    async def check(self, body: bytes) -> CheckedDocument:
        """Refuse what is no valuation request; see `check_document`."""
        is_large = len(body) > _LARGE_BYTES
        async with self._parsing if is_large else nullcontext():
            return await asyncio.to_thread(_check, body, self._limits, trim=is_large)

    async def submit(
        self,
        request_id: RequestId,
        document: CheckedDocument,
        terms: Terms,
        trace: Trace,
        content_type: str,
    ) -> Submitted:
        """Make the request exist, unless its client has sent it before.

        Raises InvalidRequest (``IDEMPOTENCY_KEY_REUSED``) and StoreUnavailable.
        """
        idempotency = None
        if terms.idempotency_key is not None:
            idempotency = await asyncio.to_thread(
                idempotency_of,
                terms.idempotency_key,
                DEFAULT_TENANT,
                document.body,
                on_failure=terms.on_failure,
                deadline_ms=terms.deadline_ms,
            )
        is_large = len(document.body) > _LARGE_BYTES
        async with self._writing if is_large else nullcontext():  # what is written is a copy
            now = self._clock()
            return await self._store.submit(
                Submission(
                    request_id=request_id,
                    document=document.body,
                    group_count=document.group_count,
                    received_at_ms=now,
                    trace=trace,
                    on_failure=terms.on_failure,
                    deadline_at_ms=None if terms.deadline_ms is None else now + terms.deadline_ms,
                    idempotency=idempotency,
                    metadata={
                        "contentType": content_type[:200],
                        "documentBytes": len(document.body),
                        "correlationId": trace.correlation_id,
                        "traceparent": trace.traceparent,
                    },
                )
            )


def check_document(body: bytes, limits: xml.XmlLimits) -> CheckedDocument:
    """Parse a document and check that it is a valuation request (VNML D1).

    Raises MalformedDocument as `xml.parse` does, and UnprocessableDocument (``NO_PROJECT``,
    ``NO_GROUP``, ``NAME_TOO_LONG``, ``ON_FAILURE_INVALID``).
    """
    root = xml.parse(body, limits=limits)
    if root.tag != "vnml":
        raise UnprocessableDocument(
            "NO_PROJECT",
            f"the root element is {_shown(root.tag)}, not vnml without a namespace",
            rule="D1",
            place=_place(root),
        )
    projects = root.findall("project")
    if len(projects) != 1:
        raise UnprocessableDocument(
            "NO_PROJECT",
            f"vnml has {len(projects)} project elements instead of one",
            rule="D1",
            place=_place(projects[1] if projects else root),
        )
    groups = projects[0].findall("group")
    if not groups:
        raise UnprocessableDocument(
            "NO_GROUP", "the project has no group", rule="D1", place=_place(projects[0])
        )
    _refuse_long_names(root)
    _refuse_unknown_policies(groups)
    return CheckedDocument(body, len(groups))


_TOO_LONG_NAMES = (
    f"/vnml/project/group[string-length(@name) > {MAX_NAME_CHARACTERS}]"
    f" | /vnml/project/group/valuation[string-length(@name) > {MAX_NAME_CHARACTERS}]"
)


def _refuse_long_names(root: etree._Element) -> None:
    found: Any = etree.XPath(_TOO_LONG_NAMES)(root)
    if found:
        raise UnprocessableDocument(
            "NAME_TOO_LONG",
            f"the name of a {found[0].tag} has {len(found[0].get('name'))} characters;"
            f" the limit is {MAX_NAME_CHARACTERS}",
            place=_place(found[0]),
        )


def _refuse_unknown_policies(groups: Sequence[etree._Element]) -> None:
    for group in groups:
        policy = group.get("onFailure")
        if policy is None or "$" in policy:  # what a variable or expression gives is seen later
            continue
        try:
            FailurePolicy.parse(policy)
        except ValueError as err:
            named = f" {_shown(name)}" if (name := group.get("name")) else ""
            raise UnprocessableDocument(
                "ON_FAILURE_INVALID",
                f"onFailure of group{named}: {err}",
                rule="F1",
                place=_place(group),
            ) from err


def _place(element: etree._Element) -> Place:
    line: Any = element.sourceline
    return Place(line=line)


def _shown(tag: str) -> str:
    return tag if len(tag) <= 100 else f"{tag[:100]}…"


def _check(body: bytes, limits: xml.XmlLimits, *, trim: bool) -> CheckedDocument:
    try:
        return check_document(body, limits)
    except VnError as err:
        # Its answer may take a while, and frames that it comes through hold tree and texts.
        for error in (err, err.__cause__):
            traceback.clear_frames(error.__traceback__ if error else None)
        raise
    finally:
        if trim:
            _give_memory_back()


def _give_memory_back() -> None:
    """Return to the system what a large tree took; glibc would keep it for this thread."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
