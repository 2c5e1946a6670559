"""The Lua scripts: every multi-key change that must not be seen half-done.

Each script is a file in ``vncore/lua`` with its contract in the header. Loaded once by digest; a
server that lost it (restart, failover) is given it again.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from vncore.connection import translated

Argument = str | bytes | int

Call = tuple[Sequence[str], Sequence[Argument]]
"""The keys and the arguments of one call."""

NamedCall = tuple[str, Sequence[str], Sequence[Argument]]
"""The same, with the script's name before them."""


@cache
def source(name: str) -> str:
    """Read the script `name` (without ``.lua``)."""
    return files("vncore").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """Calls scripts on one client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._registered: dict[str, Any] = {}

    async def call(self, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script; raises StoreUnavailable."""
        with translated(name):
            return await self._script(name)(keys=keys, args=arguments)

    async def call_all(self, name: str, calls: Sequence[Call]) -> Sequence[Any]:
        """Run a script for each of these keys and arguments, in order and in one round trip.

        Each is atomic by itself. Raises StoreUnavailable when any was not run, or failed: call all
        of them again.
        """
        return await self.call_in_order([(name, *call) for call in calls])

    async def call_in_order(self, calls: Sequence[NamedCall]) -> Sequence[Any]:
        """Run scripts by name, in order and in one round trip; as `call_all` otherwise."""
        if len(calls) == 1:
            return [await self.call(*calls[0])]
        last = calls[-1][0]
        at = len(calls)
        while at and calls[at - 1][0] == last:
            at -= 1
        # Only the last script is called by its digest: one before it that were new to the server
        # would be overtaken.
        with translated(last):
            answers = await self._run_all(calls[:at], calls[at:])
            if any(isinstance(answer, NoScriptError) for answer in answers):
                await self._redis.script_load(source(last))
                answers[at:] = await self._run_all((), calls[at:])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    async def _run_all(
        self, in_full: Sequence[NamedCall], by_digest: Sequence[NamedCall]
    ) -> list[Any]:
        """Give answers, or what calls failed with."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, keys, arguments in in_full:
                pipe.eval(source(name), len(keys), *keys, *arguments)
            for name, keys, arguments in by_digest:
                pipe.evalsha(self._script(name).sha, len(keys), *keys, *arguments)
            return await pipe.execute(raise_on_error=False)

    def _script(self, name: str) -> Any:
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._redis.register_script(source(name))
        return script


def flattened(fields: dict[str, str | bytes]) -> list[str | bytes]:
    """Give stream or hash fields as a script takes them: name, value, name, value..."""
    return [part for field in fields.items() for part in field]
