"""Whether requests would be served now: the server, our reader, orchestrators and workers.

Called by ``/readyz``; each check says what it found, so that an operator sees what is missing.
"""

from dataclasses import dataclass

from redis.asyncio import Redis

from vnapi.lifecycle import LifecycleReader
from vncore.errors import StoreUnavailable
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
        *,
        fresh_ms: int,
        workers_expected: bool,
    ) -> None:
        """A consumer counts while its last sign of life is younger than `fresh_ms`."""
        self._redis = redis
        self._keys = keys
        self._store = store
        self._reader = reader
        self._fresh_ms = fresh_ms
        self._workers_expected = workers_expected

    async def look(self) -> Findings:
        """Check everything; never raises."""
        checks: dict[str, str] = {}
        failed: list[str] = []
        try:
            await self._store.ping()
        except StoreUnavailable:
            return Findings({"redis": "does not answer"}, ("redis",))
        checks["redis"] = "answers"
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
        return Findings(checks, tuple(failed))

    async def _seen(self, stream: str, group: str) -> int:
        try:
            consumers = await consumers_seen(self._redis, stream, group)
        except StoreUnavailable:
            return 0
        return sum(consumer.idle_ms <= self._fresh_ms for consumer in consumers)
