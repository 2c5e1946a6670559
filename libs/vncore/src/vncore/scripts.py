"""The Lua scripts: every multi-key change that must not be seen half-done.

Each script is a file in ``vncore/lua`` with its contract in the header. Loaded once by digest; a
server that lost it (restart, failover) is given it again.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from vncore.connection import translated

Argument = str | bytes | int


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
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._redis.register_script(source(name))
        with translated(name):
            return await script(keys=keys, args=arguments)


def flattened(fields: dict[str, str | bytes]) -> list[str | bytes]:
    """Give stream or hash fields as a script takes them: name, value, name, value..."""
    return [part for field in fields.items() for part in field]
