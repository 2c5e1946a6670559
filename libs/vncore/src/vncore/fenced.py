"""What everything that an orchestrator does to its request stands on: the epoch in each change.

The epoch is the fencing token of the request's lease; the lease itself is the pending ingest entry,
which `serving` keeps fresh (ADR 0005). Whoever acts with an epoch that is not the current one is
told by `Superseded` and has changed nothing. Used by `dispatching`, `settling` and `held`.
"""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis

from vncore.clock import Clock
from vncore.connection import Connections, translated
from vncore.errors import Superseded
from vncore.fragments import Fragments
from vncore.keys import Keys
from vncore.messages import IngestEntry, LifecycleEvent, RequestStatus
from vncore.scripts import Argument, NamedCall, Scripts

BATCH_KEYS = 500
"""How many keys one command or script call is given at most."""


class Fenced:
    """One request under one epoch."""

    def __init__(
        self,
        connections: Connections,
        keys: Keys,
        entry: IngestEntry,
        entry_id: str,
        epoch: int,
        clock: Clock,
    ) -> None:
        self.entry = entry
        self.request_id = entry.request_id
        self.epoch = epoch
        self.redis: Redis = connections.commands
        self.readers: Redis = connections.readers
        self.block_ms = connections.block_ms
        self.keys = keys
        self.entry_id = entry_id
        self.clock = clock
        self.scripts = Scripts(connections.commands)
        self.fragments = Fragments(connections.commands, keys)
        self._waiting: list[NamedCall] = []  # changes that go with the next one

    async def assert_held(self) -> None:
        """Raise Superseded when the request is in other hands, or over."""
        with translated("look at the epoch"):
            state = self.keys.state(self.request_id)
            epoch = await cast("Any", self.redis.hget(state, "epoch"))
        if epoch is None or int(epoch) != self.epoch:
            raise Superseded(self.request_id)

    async def change(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script with the epoch as its first argument, after those that wait for it.

        Raises Superseded.
        """
        waiting, self._waiting = self._waiting, []
        try:
            outcomes = await self.scripts.call_in_order(
                [*waiting, self._call(script, keys, arguments)]
            )
        except BaseException:
            self._waiting = waiting + self._waiting  # made again, should they have been made
            raise
        if -1 in outcomes:
            raise Superseded(self.request_id)
        return outcomes[-1]

    async def change_when(
        self, script: str, keys: Sequence[str], arguments: Sequence[Argument], *, at_once: bool
    ) -> None:
        """Make a change now, or with the next one."""
        if at_once:
            await self.change(script, keys, arguments)
        else:
            self.with_next_change(script, keys, arguments)

    def with_next_change(
        self, script: str, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> None:
        """Let a change wait for the next one, before which it is made in the same round trip.

        For those that nobody waits for, and whose outcome tells nothing but Superseded.
        """
        self._waiting.append(self._call(script, keys, arguments))

    def drop_waiting(self, script: str) -> None:
        """Do not make the changes by this script that still wait."""
        self._waiting = [call for call in self._waiting if call[0] != script]

    def _call(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> NamedCall:
        return script, [self.keys.state(self.request_id), *keys], [self.epoch, *arguments]

    def event(
        self,
        status: RequestStatus,
        now: int,
        group_index: int,
        expected: int,
        completed: int,
        failed: int,
    ) -> LifecycleEvent:
        """Make the event of a step of a group; the counts are numbers of tasks."""
        return LifecycleEvent(
            self.request_id,
            self.entry.tenant,
            status,
            now,
            group_index,
            expected,
            completed,
            failed,
            self.entry.run,
        )
