"""Whether there is room for another request: how much waits, and how full the server is.

Called by `routes` before a body is read, and by `readiness`. One look at the server serves every
call of the next tenth of a second, so the limits are soft: what comes between two looks gets in.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from vncore.connection import translated
from vncore.errors import VnError
from vncore.keys import Keys

_FRESH_SECONDS = 0.1
_MOST_SECONDS = 30  # of Retry-After


@dataclass(frozen=True, slots=True)
class Limits:
    """From which load on requests are refused; the settings of the same names."""

    backlog_max_requests: int
    backlog_max_tasks: int
    redis_memory_max_percent: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one look found."""

    requests: int  # that have not ended
    tasks: int  # that are queued or run
    memory_bytes: int  # in use, as far as it counts against the limit
    memory_max_bytes: int  # 0: the server has no limit


class NoRoom(VnError):
    """There is no room for a request now; nothing was read of it and nothing was written."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        setting: str,
        limit: int,
        found: int,
        retry_after_seconds: int,
    ) -> None:
        super().__init__(code, message)
        self.setting = setting  # the name of the limit
        self.limit = limit
        self.found = found
        self.retry_after_seconds = retry_after_seconds

    def facts(self) -> dict[str, str | int]:
        """Give the numbers under their wire names."""
        return {"setting": self.setting, "limit": self.limit, "found": self.found}


class Capacity:
    """Looks at the server, seldom, and refuses what it has no room for."""

    def __init__(self, redis: Redis, keys: Keys, limits: Limits) -> None:
        self.limits = limits
        self._redis = redis
        self._keys = keys
        self._look_began = 0.0
        self._look: asyncio.Task[Load] | None = None

    async def admit(self) -> None:
        """Return when there is room; raises NoRoom, or StoreUnavailable when the look fails."""
        refused = refusal(await self.load(), self.limits)
        if refused is not None:
            raise refused

    async def load(self) -> Load:
        """Give what the latest look found; calls that come together share one."""
        now = asyncio.get_running_loop().time()
        look = self._look
        if look is None or (look.done() and now - self._look_began > _FRESH_SECONDS):
            self._look_began = now
            look = self._look = asyncio.create_task(self._ask())
            look.add_done_callback(_notice)
        return await asyncio.shield(look)  # a caller that leaves must not end it for the others

    async def _ask(self) -> Load:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xlen(self._keys.ingest)
            pipe.xlen(self._keys.dispatch)
            pipe.info("memory")
            with translated("look at the load"):
                requests, tasks, memory = cast("tuple[int, int, Any]", await pipe.execute())
        # Buffers for replicas and the append-only file are no part of what maxmemory limits.
        uncounted = int(memory.get("mem_not_counted_for_evict", 0))
        in_use = int(memory["used_memory"]) - uncounted
        return Load(requests, tasks, in_use, int(memory.get("maxmemory", 0)))


def refusal(load: Load, limits: Limits) -> NoRoom | None:
    """Say why a request is refused under this load; None: it is not."""
    for what, found, setting, limit in (
        ("requests", load.requests, "BACKLOG_MAX_REQUESTS", limits.backlog_max_requests),
        ("tasks", load.tasks, "BACKLOG_MAX_TASKS", limits.backlog_max_tasks),
    ):
        if found >= limit:
            return NoRoom(
                "BACKLOG_FULL",
                f"{found} {what} have not ended; {setting} is {limit}",
                setting=setting,
                limit=limit,
                found=found,
                retry_after_seconds=_patience(found - limit, limit),
            )
    allowed = load.memory_max_bytes * limits.redis_memory_max_percent // 100
    if load.memory_max_bytes and load.memory_bytes >= allowed:
        percent = _percent(load)
        return NoRoom(
            "STORE_FULL",
            f"the server that keeps requests uses {percent} % of its memory;"
            f" REDIS_MEMORY_MAX_PERCENT is {limits.redis_memory_max_percent}",
            setting="REDIS_MEMORY_MAX_PERCENT",
            limit=limits.redis_memory_max_percent,
            found=percent,
            retry_after_seconds=_patience(
                load.memory_bytes - allowed, load.memory_max_bytes - allowed
            ),
        )
    return None


def described(load: Load, limits: Limits) -> dict[str, str]:
    """Say in words how much there is of what is limited."""
    memory = "has no limit"
    if load.memory_max_bytes:
        memory = f"{_percent(load)} % in use, up to {limits.redis_memory_max_percent} %"
    return {
        "backlog": (
            f"{load.requests} of {limits.backlog_max_requests} requests,"
            f" {load.tasks} of {limits.backlog_max_tasks} tasks"
        ),
        "memory": memory,
    }


def _patience(over: int, most: int) -> int:
    """Give the seconds to wait: 1 at the limit, growing to 30 when it is passed by `most`."""
    return 1 + round((_MOST_SECONDS - 1) * min(over / max(most, 1), 1))


def _percent(load: Load) -> int:
    return 100 * load.memory_bytes // load.memory_max_bytes


def _notice(look: asyncio.Task[Load]) -> None:
    """Take note of how a look ended that nobody may be waiting for any more."""
    if not look.cancelled():
        look.exception()
