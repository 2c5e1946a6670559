"""The Lua scripts: every multi-key change that must not be seen half-done.

Each script is a file in ``vncore/lua`` with its contract in the header. Loaded once by digest; a
server that lost it (restart, failover) is given it again.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from vncore.connection import translated

Argument = str | bytes | int

Call = tuple[Sequence[str], Sequence[Argument]]
"""The keys and the arguments of one call."""


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
        with translated(name):
            try:
                return await self._run_all(name, calls)
            except NoScriptError:  # the server is new to it; then it ran none
                await self._redis.script_load(source(name))
                return await self._run_all(name, calls)

    async def _run_all(self, name: str, calls: Sequence[Call]) -> Sequence[Any]:
        digest = self._script(name).sha
        async with self._redis.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.evalsha(digest, len(keys), *keys, *arguments)
            return cast("Sequence[Any]", await pipe.execute())

    def _script(self, name: str) -> Any:
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._redis.register_script(source(name))
        return script


def flattened(fields: dict[str, str | bytes]) -> list[str | bytes]:
    """Give stream or hash fields as a script takes them: name, value, name, value..."""
    return [part for field in fields.items() for part in field]
