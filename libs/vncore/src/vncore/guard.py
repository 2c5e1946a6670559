"""Whether the Redis server is one that promises can be given on: asked before anything is taken.

A server that may evict keys loses documents and results of running requests; power loss is survived
only by one that syncs before it answers (why not WAITAOF: ADR 0019). `check_server` is called at
start and after each outage (`serving`), for a server may come back with another configuration.
`server_facts` and `server_faults` are its two halves, for ``/readyz``.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal, cast

from aws_lambda_powertools import Logger
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from vncore.connection import translated
from vncore.errors import Misconfigured, StoreUnavailable

Eviction = Literal["refuse", "warn"]
Durability = Literal["memory", "fsync"]

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server tells about itself; None where it does not."""

    maxmemory_policy: str | None
    aof_enabled: bool | None = None  # this and the next: only asked for with durability ``fsync``
    appendfsync: str | None = None


@dataclass(frozen=True, slots=True)
class ServerFault:
    """What is wrong with a server, why it matters and what to do about it."""

    about: Literal["eviction", "durability"]
    found: str
    message: str


async def check_server(
    redis: Redis, *, eviction: Eviction, durability: Durability, log: Logger
) -> None:
    """Return once the server answers and is as the settings demand.

    Waits, as long as it takes, for a server that does not answer, and logs that once. An evicting
    server is only logged, loudly, where `eviction` is ``warn``.

    Raises Misconfigured.
    """
    facts = await _facts_in_time(redis, durability, log)
    refused: list[str] = []
    for fault in server_faults(facts, durability=durability):
        if fault.about == "eviction" and eviction == "warn":
            log.warning("server_may_evict", extra={"found": fault.found, "error": fault.message})
        else:
            refused.append(fault.message)
    if refused:
        raise Misconfigured(" ".join(refused))


async def server_facts(redis: Redis, *, durability: Durability) -> ServerFacts:
    """Ask the server once. Raises StoreUnavailable when it does not answer."""
    policy = (await _allowed(redis.info("memory"))).get("maxmemory_policy")
    if durability == "memory":
        return ServerFacts(policy)
    aof_enabled = (await _allowed(redis.info("persistence"))).get("aof_enabled")
    appendfsync = (await _allowed(redis.config_get("appendfsync"))).get("appendfsync")
    return ServerFacts(policy, None if aof_enabled is None else bool(aof_enabled), appendfsync)


def server_faults(facts: ServerFacts, *, durability: Durability) -> list[ServerFault]:
    """Give what is wrong with a server for the promises that are wanted; empty when nothing is."""
    faults: list[ServerFault] = []
    if facts.maxmemory_policy != _NO_EVICTION:
        faults.append(_eviction_fault(facts.maxmemory_policy))
    if durability == "fsync":
        if not facts.aof_enabled:
            faults.append(_durability_fault("appendonly", "yes", _yes_or_no(facts.aof_enabled)))
        if facts.appendfsync != _SYNC_ALWAYS:
            faults.append(_durability_fault("appendfsync", _SYNC_ALWAYS, facts.appendfsync))
    return faults


_NO_EVICTION = "noeviction"
_SYNC_ALWAYS = "always"


def _eviction_fault(policy: str | None) -> ServerFault:
    if policy is None:
        found = "unknown"
        said = "the Redis server does not tell its maxmemory-policy (INFO memory is not allowed)"
        cure = "Allow INFO to the user of REDIS_URL"
    else:
        found = policy
        said = f"the Redis server's maxmemory-policy is {policy}"
        cure = (
            f"Set it to {_NO_EVICTION} (CONFIG SET maxmemory-policy {_NO_EVICTION}, and in the"
            " server's configuration or parameter group)"
        )
    return ServerFault(
        "eviction",
        found,
        f"{said}: a server that evicts keys when its memory is full loses documents and results of"
        f" running requests. {cure}; REDIS_EVICTION=warn starts all the same.",
    )


def _durability_fault(setting: str, wanted: str, found: str | None) -> ServerFault:
    if found is None:
        said = f"the Redis server does not tell its {setting} (INFO or CONFIG GET is not allowed)"
        cure = "Allow INFO and CONFIG GET to the user of REDIS_URL"
    else:
        said = f"the Redis server's {setting} is {found}"
        cure = f"Set {setting} {wanted} in the server's configuration"
    return ServerFault(
        "durability",
        f"{setting} {found or 'unknown'}",
        f"DURABILITY=fsync promises that an accepted request survives a power cut, and {said}."
        f" {cure}, or promise less with DURABILITY=memory.",
    )


def _yes_or_no(flag: bool | None) -> str | None:  # noqa: FBT001 - as the server says it
    return None if flag is None else "yes" if flag else "no"


async def _facts_in_time(redis: Redis, durability: Durability, log: Logger) -> ServerFacts:
    pause = _FIRST_PAUSE_SECONDS
    waiting = False
    while True:
        try:
            facts = await server_facts(redis, durability=durability)
        except StoreUnavailable as err:
            if not waiting:
                log.warning("server_awaited", extra={"error": err.message})
            waiting = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            if waiting:
                log.info("server_answers")
            return facts


async def _allowed(asking: Any) -> dict[str, Any]:
    """Give the answer; empty when this user may not ask, or the command has another name here."""
    with translated("ask the server about itself"):
        try:
            return cast("dict[str, Any]", await asking)
        except NoPermissionError:
            return {}
        except ResponseError as err:
            if "unknown command" in str(err).lower():
                return {}
            raise
