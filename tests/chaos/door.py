"""HTTP calls to a house whose doors come and go."""

from random import Random
from typing import Any

import httpx

from .plan import Features

_READ_SECONDS, _CONNECT_SECONDS, _POOL_SECONDS = 12.0, 2.0, 60.0


class Unanswered(Exception):
    """No answer came; `sent` tells whether the call may have got through."""

    def __init__(self, error: Exception, *, sent: bool) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.sent = sent


class Door:
    """Every vnapi of a house; each call goes to one of them by chance."""

    def __init__(self, urls: list[str], draw: Random) -> None:
        self._urls = urls
        self._draw = draw
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=40)
        self._http = httpx.AsyncClient(limits=limits, trust_env=False)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        read_seconds: float = _READ_SECONDS,
    ) -> httpx.Response:
        """Make one call; raises Unanswered."""
        url = self._draw.choice(self._urls)
        timeout = httpx.Timeout(read_seconds, connect=_CONNECT_SECONDS, pool=_POOL_SECONDS)
        try:
            return await self._http.request(
                method,
                f"{url}{path}",
                params=params,
                headers=headers,
                content=content,
                timeout=timeout,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as err:
            raise Unanswered(err, sent=False) from err
        except httpx.TransportError as err:
            raise Unanswered(err, sent=True) from err

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def facts_of(response: httpx.Response) -> dict[str, Any]:
    """Give the JSON object of an answer; empty when it is none."""
    try:
        facts = response.json()
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


async def features_of(door: Door) -> Features:
    """Ask the house's own description what it offers."""
    facts = facts_of(await door.call("GET", "/openapi.json"))
    paths = facts["paths"]
    parameters = {p["name"].lower() for p in paths["/valuation"]["post"].get("parameters", ())}
    return Features(
        keys="idempotency-key" in parameters,
        cancel="delete" in paths.get("/valuation/{request_id}", {}),
        policies="onfailure" in parameters,
        deadlines="deadlinems" in parameters,
        redrive="/valuation/{request_id}/redrive" in paths,
    )
