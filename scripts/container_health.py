"""Tell whether the service in this container is well; the health check of all three images.

    container_health.py vnapi|vnvs|vnas

*vnapi*: ``/healthz`` answers. *vnvs, vnas*, which listen on no port: a consumer of this container
asked its queue for work a moment ago. Every live consumer reads, renews or reclaims within a block,
so a silent one hangs or has lost the server. Consumers carry the host name
(`vncore.streams.consumer_name`), and a container has a host name of its own.

Exit status 0 or 1, with the reason on standard error.
"""

import asyncio
import os
import socket
import sys
import urllib.error
import urllib.request

from vncore.connection import Connections
from vncore.errors import VnError
from vncore.keys import ORCHESTRATORS, WORKERS, Keys
from vncore.settings import CommonSettings, load
from vncore.streams import consumers_seen

_SILENT_BLOCKS = 3
_SILENT_AT_LEAST_MS = 30_000


def fault_of_door(port: int) -> str:
    """Say what is wrong with vnapi; empty when nothing is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=3):
            return ""
    except (urllib.error.URLError, OSError) as err:
        return f"/healthz: {err}"


async def fault_of_consumer(service: str, settings: CommonSettings) -> str:
    """Say what is wrong with vnvs or vnas. Raises VnError when the Redis server does not answer."""
    keys = Keys(settings.redis_key_prefix)
    stream, group = {"vnvs": (keys.ingest, ORCHESTRATORS), "vnas": (keys.dispatch, WORKERS)}[
        service
    ]
    prefix = f"{service}-{socket.gethostname()}-"
    url = settings.redis_url.get_secret_value()
    async with Connections(url, block_ms=settings.default_block_ms) as connections:
        seen = await consumers_seen(connections.commands, stream, group)
    silences = [consumer.idle_ms for consumer in seen if consumer.name.startswith(prefix)]
    if not silences:
        return f"no consumer {prefix}* in {group}"
    limit_ms = max(_SILENT_AT_LEAST_MS, _SILENT_BLOCKS * settings.default_block_ms)
    if min(silences) > limit_ms:
        return f"silent for {min(silences)} ms"
    return ""


def main(arguments: list[str]) -> int:
    """Check once; returns the exit status."""
    if arguments not in (["vnapi"], ["vnvs"], ["vnas"]):
        sys.stderr.write("usage: container_health.py vnapi|vnvs|vnas\n")
        return 2
    service = arguments[0]
    try:
        if service == "vnapi":
            fault = fault_of_door(int(os.environ.get("HTTP_PORT", "8080")))
        else:
            fault = asyncio.run(fault_of_consumer(service, load(CommonSettings)))
    except VnError as err:
        fault = err.message
    if fault:
        sys.stderr.write(f"{service}: {fault}\n")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
