"""Whether requests would be served now: the server, how it is set, our reader, who works.

How much waits is told beside it, and is no reason to be unready: statuses and results are served.

Called by ``/readyz``; each check says what it found, so that an operator sees what is missing.
"""

from dataclasses import dataclass

from redis.asyncio import Redis

from vnapi.capacity import Capacity, described
from vnapi.lifecycle import LifecycleReader
from vncore.errors import StoreUnavailable
from vncore.guard import Durability, Eviction, server_facts, server_faults
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.requests import RequestStore
from vncore.streams import consumers_seen


@dataclass(frozen=True, slots=True)
class Findings:
    """What each check found, in order, and which failed."""

    checks: dict[str, str]
    failed: tuple[str, ...]


class Readiness:
    """Looks at what vnapi depends on."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        store: RequestStore,
        reader: LifecycleReader,
        capacity: Capacity,
        *,
        fresh_ms: int,
        workers_expected: bool,
        eviction: Eviction,
        durability: Durability,
    ) -> None:
        """A consumer counts while its last sign of life is younger than `fresh_ms`.

        `eviction` and `durability` are what the settings demand of the server.
        """
        self._redis = redis
        self._keys = keys
        self._store = store
        self._reader = reader
        self._capacity = capacity
        self._fresh_ms = fresh_ms
        self._workers_expected = workers_expected
        self._eviction: Eviction = eviction
        self._durability: Durability = durability

    async def look(self) -> Findings:
        """Check everything; never raises."""
        checks: dict[str, str] = {}
        failed: list[str] = []
        try:
            await self._store.ping()
            load = await self._capacity.load()
            facts = await server_facts(self._redis, durability=self._durability)
        except StoreUnavailable:
            return Findings({"redis": "does not answer"}, ("redis",))
        checks["redis"] = "answers"
        faults = server_faults(facts, durability=self._durability)
        checks["server"] = ", ".join(fault.found for fault in faults) or "is as it must be"
        if any(fault.about != "eviction" or self._eviction == "refuse" for fault in faults):
            failed.append("server")
        checks["lifecycle"] = "follows" if self._reader.connected else "is not connected"
        if not self._reader.connected:
            failed.append("lifecycle")
        groups = {"orchestrators": (self._keys.ingest, ORCHESTRATORS)}
        if self._workers_expected:
            groups["workers"] = (self._keys.dispatch, WORKERS)
        for name, (stream, group) in groups.items():
            seen = await self._seen(stream, group)
            checks[name] = f"{seen} seen"
            if not seen:
                failed.append(name)
        checks |= described(load, self._capacity.limits)
        return Findings(checks, tuple(failed))

    async def _seen(self, stream: str, group: str) -> int:
        try:
            consumers = await consumers_seen(self._redis, stream, group)
        except StoreUnavailable:
            return 0
        return sum(consumer.idle_ms <= self._fresh_ms for consumer in consumers)
