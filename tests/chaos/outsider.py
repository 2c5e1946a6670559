"""One client of the house: sends a request, follows it to its end, and does to it what is planned.

It knows what any client knows. Calls that are not answered are made again; how that goes for the
submission itself is in `submission`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from random import Random
from typing import Any

import httpx

from .door import Door, Unanswered, facts_of
from .evidence import TERMINAL, Kept, Record, RunSeen
from .plan import Place, RequestPlan
from .submission import Submission

_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.5, 4.0
_RETRY_SECONDS = (0.2, 1.5)

Snapshot = Callable[[str, RequestPlan], Awaitable[dict[Place, Kept]]]
"""Gives a request's tasks as the server keeps them."""


class Outsider:
    """The client of one request; `record` holds what it was told."""

    def __init__(
        self,
        plan: RequestPlan,
        door: Door,
        draw: Random,
        *,
        ended: Callable[[str], asyncio.Event],
        snapshot: Snapshot,
        mend: Callable[[int], None],
    ) -> None:
        """`ended` gives an event that is set when the request may have ended."""
        self.record = Record(plan)
        self._plan = plan
        self._door = door
        self._draw = draw
        self._ended = ended
        self._snapshot = snapshot
        self._mend = mend
        self._submission = Submission(self.record, door, draw)

    async def run(self) -> None:
        """Do all of it; returns when the last run has ended, or the request was not taken."""
        asking = asyncio.gather(
            self._submission.send(sync=self._plan.sync),
            *(self._submission.send(after_seconds=seconds) for seconds in self._plan.copies),
        )
        accepted = asyncio.ensure_future(self._submission.accepted.wait())
        try:
            await asyncio.wait((asking, accepted), return_when=asyncio.FIRST_COMPLETED)
            if self._submission.accepted.is_set():
                await self._follow()
            await asking
            told = self._submission.sync_body
            if told is not None and all(told != seen.body for seen in self.record.runs.values()):
                self.record.oddities.append("the synchronous answer is none of the results")
        finally:
            asking.cancel()
            accepted.cancel()
            await asyncio.gather(asking, accepted, return_exceptions=True)

    async def look_again(self) -> None:
        """At the very end: see that everything still reads as it did; cancelled at the latest."""
        record = self.record
        if not record.accepted:
            return
        request_id = self._request_id
        facts: dict[str, Any] = {}
        while facts.get("status") not in TERMINAL:  # a redrive that was sent twice may still run
            answer = await self._answered("GET", f"/valuation/{request_id}/status")
            facts = facts_of(answer)
            found = facts.get("status", answer.text[:200])
            record.final_answer = f"HTTP {answer.status_code} {found}"
            if answer.status_code != httpx.codes.OK:
                return
            await asyncio.sleep(0 if found in TERMINAL else _FIRST_LOOK_SECONDS)
        record.final = await self._seen(facts)
        record.runs.setdefault(record.final.run, record.final)
        record.kept_finally = await self._snapshot(request_id, self._plan)
        if self._plan.key:
            await self._submission.send()

    # --- following ----------------------------------------------------------------------------
    @property
    def _request_id(self) -> str:
        return min(self.record.request_ids)

    async def _follow(self) -> None:
        plan, record = self._plan, self.record
        cancelling = None
        if plan.cancel_after is not None:
            cancelling = asyncio.create_task(self._cancel(plan.cancel_after))
        if plan.clash:
            await self._submission.clash()
        seen = await self._until_ended(1)
        record.seconds = time.monotonic() - self._submission.accepted_at
        if cancelling is not None:
            await cancelling
        if plan.redrive and seen.status in {"partial", "failed", "cancelled"}:
            await self._redrive(seen)
            await self._until_ended(seen.run + 1)

    async def _until_ended(self, run: int) -> RunSeen:
        """Look until run `run`, or a later one, has ended."""
        request_id, pause = self._request_id, _FIRST_LOOK_SECONDS
        ended = self._ended(request_id)
        while True:
            facts = await self._status()
            if facts.get("run", run) >= run and facts.get("status") in TERMINAL:
                seen = await self._seen(facts)
                self.record.runs[seen.run] = seen
                return seen
            try:
                await asyncio.wait_for(ended.wait(), pause)
            except TimeoutError:
                pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
            ended.clear()

    async def _status(self) -> dict[str, Any]:
        """Ask where it stands; an answer that it is not there is noted, and asked again."""
        answer = await self._answered("GET", f"/valuation/{self._request_id}/status")
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            said = f"an accepted request was called unknown: HTTP {answer.status_code}"
            if said not in self.record.lies:
                self.record.lies.append(said)
            await asyncio.sleep(_LONGEST_LOOK_SECONDS)
        return facts_of(answer)

    async def _seen(self, facts: dict[str, Any]) -> RunSeen:
        """Read what a run has left; or a later one, if a call that was sent twice began it."""
        while True:
            answer = await self._answered("GET", f"/valuation/{self._request_id}/results")
            now = await self._status()
            if now.get("run") == facts.get("run"):
                break
            facts = now
            while facts.get("status") not in TERMINAL:
                await asyncio.sleep(_FIRST_LOOK_SECONDS)
                facts = await self._status()
        has_response = answer.status_code == httpx.codes.OK
        return RunSeen(
            run=facts.get("run", 1),
            status=facts["status"],
            code=(facts.get("failure") or {}).get("code", "") if not has_response else "",
            body=answer.content if has_response else None,
            groups=tuple((g["expected"], g["completed"], g["failed"]) for g in facts["groups"]),
            received_ms=_ms(facts["receivedAt"]),
            completed_ms=_ms(facts["completedAt"]),
        )

    # --- what is done to it -------------------------------------------------------------------
    async def _cancel(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        answer = await self._answered("DELETE", f"/valuation/{self._request_id}")
        if answer.status_code == httpx.codes.ACCEPTED:
            self.record.cancelled = True
        elif answer.status_code != httpx.codes.CONFLICT:
            self.record.lies.append(f"a cancel was answered {answer.status_code} {answer.text}")

    async def _redrive(self, seen: RunSeen) -> None:
        """Begin the next run; an unanswered call is made again unless it got through."""
        record, request_id = self.record, self._request_id
        record.kept = await self._snapshot(request_id, self._plan)
        if self._plan.mend:
            self._mend(self._plan.number)
            record.mended_before = seen.run + 1
        while True:
            try:
                answer = await self._door.call("POST", f"/valuation/{request_id}/redrive")
            except Unanswered:
                pass
            else:
                if answer.status_code == httpx.codes.ACCEPTED:
                    return
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    status = await self._status()
                    if status.get("run", 0) <= seen.run:
                        said = f"HTTP {answer.status_code} {answer.text[:200]}"
                        record.lies.append(f"a redrive of a {seen.status} request: {said}")
                    return
            if (await self._status()).get("run", 0) > seen.run:
                return
            await self._pause()

    async def _answered(self, method: str, path: str) -> httpx.Response:
        """Make a call that may be made twice until it is answered by more than 503."""
        while True:
            try:
                answer = await self._door.call(method, path)
            except Unanswered as err:
                self.record.stray_cancel |= method == "DELETE" and err.sent
            else:
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return answer
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    said = f"{method} {path.split('/')[-1]} was answered {answer.text[:300]}"
                    self.record.lies.append(said)
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._draw.uniform(*_RETRY_SECONDS))


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
