"""A request in the hands of its one orchestrator: everything that vnvs may change of it.

`begin` raises the request's epoch and gives a `HeldRequest` with it; each change carries the epoch
into its script, so that an orchestrator that was superseded can change nothing (promise 3): it is
told by `Superseded`. Every method may raise StoreUnavailable and may then be called again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from vncore.clock import Clock
from vncore.connection import Connections, translated
from vncore.dispatching import Dispatching
from vncore.ending import Ending, batches_of_task_keys, finish_call
from vncore.keys import ORCHESTRATORS, Keys, update_readers
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus
from vncore.pieces import Fragment
from vncore.requests import LIFECYCLE_LENGTH
from vncore.scripts import Scripts, flattened
from vncore.settling import Settling
from vncore.streams import acknowledge


async def begin(
    connections: Connections,
    keys: Keys,
    entry: IngestEntry,
    entry_id: str,
    clock: Clock,
    *,
    orchestrator: str = "",
) -> "HeldRequest | None":
    """Become the one orchestrator of a request; `orchestrator` names it for people.

    Gives None when this run of the request is over, or it is unknown: its ingest entry is then
    taken off.
    """
    request_id, now = entry.request_id, clock()
    event = LifecycleEvent(request_id, entry.tenant, RequestStatus.STARTED, now, run=entry.run)
    epoch = await Scripts(connections.commands).call(
        "begin_request",
        [keys.state(request_id), keys.updates(request_id), keys.lifecycle],
        [
            now,
            update_readers(request_id),
            entry.run,
            orchestrator,
            LIFECYCLE_LENGTH,
            *flattened(event.to_fields()),
        ],
    )
    if epoch > 0:
        return HeldRequest(connections, keys, entry, entry_id, epoch, clock)
    await acknowledge(connections.commands, keys.ingest, ORCHESTRATORS, [entry_id])
    return None


class HeldRequest(Dispatching, Settling):
    """One request under one epoch, from its document to its end."""

    # --- the document -------------------------------------------------------------------------
    async def document(self) -> bytes | None:
        """Read the document as it was sent; None when it is gone."""
        with translated("read document"):
            return cast("bytes | None", await self.redis.get(self.keys.xml(self.request_id)))

    async def metadata(self) -> dict[str, Any]:
        """Read what vnapi noted beside the document."""
        with translated("read metadata"):
            text = await self.redis.get(self.keys.metadata(self.request_id))
        return cast("dict[str, Any]", json.loads(text or b"{}"))

    async def hydrated(self) -> dict[str, bytes]:
        """Read what `save_hydrated` kept; empty when nothing was."""
        with translated("read hydrated"):
            kept = await cast("Any", self.redis.hgetall(self.keys.hydrated(self.request_id)))
        return {name.decode(): value for name, value in kept.items()}

    async def save_hydrated(
        self, fields: Mapping[str, bytes], group_count: int, *, at_once: bool = True
    ) -> None:
        """Keep the hydrated document and what it was made from; else with the next change."""
        await self.change_when(
            "save_hydrated",
            [self.keys.hydrated(self.request_id)],
            [group_count, *flattened(dict(fields))],
            at_once=at_once,
        )

    async def save_fragments(self, fragments: Iterable[Fragment]) -> None:
        """Keep what task documents share, before they are dispatched."""
        await self.change(
            "save_fragments",
            [self.keys.fragments(self.request_id)],
            [part for fragment in fragments for part in (fragment.digest, fragment.body)],
        )

    # --- the end --------------------------------------------------------------------------------
    async def succeed(self, response: bytes, task_counts: Sequence[int], ttl_seconds: int) -> None:
        """End the request with its answer; `task_counts` has one number for each group."""
        await self._end(
            Ending(
                status=RequestStatus.SUCCEEDED,
                task_counts=tuple(task_counts),
                ttl_seconds=ttl_seconds,
                response=response,
            )
        )

    async def end_partial(
        self,
        response: bytes,
        report: Mapping[str, Any],
        task_counts: Sequence[int],
        ttl_seconds: int,
    ) -> None:
        """End the request with an answer that has failures in it, and their report."""
        await self._end(
            Ending(
                status=RequestStatus.PARTIAL,
                task_counts=tuple(task_counts),
                ttl_seconds=ttl_seconds,
                response=response,
                report=_written(report),
            )
        )

    async def fail(
        self,
        report: Mapping[str, Any],
        task_counts: Sequence[int],
        ttl_seconds: int,
        *,
        failed_group: int | None = None,
    ) -> None:
        """End the request with its failure report; `failed_group` is the one that ended it."""
        await self._end(
            Ending(
                status=RequestStatus.FAILED,
                task_counts=tuple(task_counts),
                ttl_seconds=ttl_seconds,
                report=_written(report),
                failed_group=failed_group,
            )
        )

    async def _end(self, ending: Ending) -> None:
        # Of a group whose opening still waits no task is out; the end does not count it, and gives
        # its hash no time to live.
        self.drop_waiting("start_group")
        # Before the terminal state: a successor of an orchestrator that dies in between does it
        # again, whereas nobody would after it.
        for batch in batches_of_task_keys(self.keys, self.request_id, ending.task_counts):
            self.with_next_change("expire_tasks", batch, [ending.ttl_seconds])
        names, arguments = finish_call(self.keys, self.entry, self.entry_id, ending, self.clock())
        await self.change("finish_request", names, arguments)


def _written(report: Mapping[str, Any]) -> bytes:
    return json.dumps(report, ensure_ascii=False).encode()
