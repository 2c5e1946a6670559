"""How a client hands a request in, and tries again until it knows.

By the same key wherever there is one. Without a key nobody may send twice what might have got
through: then the client is left without an id, and the request counts as unknown.
"""

import asyncio
import time
from random import Random

import httpx

from .document import document
from .door import Door, Unanswered, facts_of
from .evidence import TERMINAL, Record

_SECONDS, _SYNC_SECONDS = 12.0, 30.0  # for an answer
_RETRY_SECONDS = (0.2, 1.5)


class Submission:
    """The submissions of one request; what they learn goes into the record."""

    def __init__(self, record: Record, door: Door, draw: Random) -> None:
        self.accepted = asyncio.Event()
        self.accepted_at = 0.0  # monotonic
        self.sync_body: bytes | None = None  # the response, where an answer was one
        self._record = record
        self._plan = record.plan
        self._body = document(record.plan)
        self._door = door
        self._draw = draw

    async def send(self, *, after_seconds: float = 0.0, sync: bool = False) -> None:
        """Hand it in; returns when it is in, was refused, or must not be tried again."""
        await asyncio.sleep(after_seconds)
        while True:
            try:
                answer = await self._post(self._body, sync=sync)
            except Unanswered as err:
                if err.sent and not self._plan.key:
                    self._record.unknown += 1
                    return
            else:
                if self._noted(answer):
                    return
                if self._is_doubtful(answer) and not self._plan.key:
                    return
            await self._pause()

    async def clash(self) -> None:
        """Use the key for another document: that is refused, and nothing changes."""
        while True:
            try:
                answer = await self._post(self._body + b"<!-- another -->", sync=False)
            except Unanswered:
                pass
            else:
                if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                    return
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    said = f"HTTP {answer.status_code} {answer.text[:200]}"
                    self._record.oddities.append(f"its key took another document: {said}")
                    return
            await self._pause()

    async def _post(self, body: bytes, *, sync: bool) -> httpx.Response:
        plan = self._plan
        params = {"sync": "Y" if sync else "N"}
        if plan.on_failure:
            params["onFailure"] = plan.on_failure
        if plan.deadline_ms is not None:
            params["deadlineMs"] = str(plan.deadline_ms)
        headers = {"Content-Type": "application/xml"}
        if plan.key:
            headers["Idempotency-Key"] = f'"{plan.key}"'
        return await self._door.call(
            "POST",
            "/valuation",
            params=params,
            headers=headers,
            content=body,
            read_seconds=_SYNC_SECONDS if sync else _SECONDS,
        )

    def _noted(self, answer: httpx.Response) -> bool:
        """Note an answer that settles it; False when it must be sent again."""
        facts = facts_of(answer)
        if answer.status_code == httpx.codes.OK:
            self.sync_body = answer.content
            where = answer.headers.get("Content-Location", "").split("/")
            self._accept(where[2] if len(where) > 2 else "", answer)
            return True
        if answer.status_code == httpx.codes.ACCEPTED or facts.get("requestStatus") in TERMINAL:
            self._accept(str(facts.get("requestId", "")), answer)
            return True
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            self._record.unknown += 1
        said = f"HTTP {answer.status_code} {answer.text[:300]}"
        self._record.lies.append(f"a submission was refused: {said}")
        return True

    def _is_doubtful(self, answer: httpx.Response) -> bool:
        """Note the id that a 503 names: the request may be in under it."""
        request_id = facts_of(answer).get("requestId")
        if request_id:
            self._record.doubtful_ids.add(str(request_id))
        return bool(request_id)

    def _accept(self, request_id: str, answer: httpx.Response) -> None:
        self._record.request_ids.add(request_id)
        if "Idempotency-Replayed" not in answer.headers:
            self._record.fresh += 1
        if not self.accepted.is_set():
            self.accepted_at = time.monotonic()
            self.accepted.set()

    async def _pause(self) -> None:
        await asyncio.sleep(self._draw.uniform(*_RETRY_SECONDS))
