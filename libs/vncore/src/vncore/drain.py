"""End a consumer by signals, in two steps: drain, then hand back.

Called by the ``main`` of services that `vncore.serving.serve` a stream.
"""

import asyncio
import signal
from contextlib import suppress

from aws_lambda_powertools import Logger


async def until_stopped(
    serving: "asyncio.Future[None]", stop: asyncio.Event, *, drain_ms: int, log: Logger
) -> None:
    """Wait for the end of `serving`, which takes nothing more once `stop` is set.

    SIGTERM or SIGINT sets it; what runs then may end within `drain_ms`. A second signal, or the
    end of that time, cancels `serving`: what it had begun is handed back. Further signals change
    nothing. Raises what `serving` raises.
    """
    loop = asyncio.get_running_loop()
    handing_back = False

    def end_now() -> None:
        nonlocal handing_back
        if handing_back:
            return  # cancelled again, it would leave undone what it has to clear away
        handing_back = True
        log.warning("handing_back")
        serving.cancel()

    def on_signal() -> None:
        if stop.is_set():
            end_now()
            return
        log.info("draining")
        stop.set()
        loop.call_later(drain_ms / 1000, end_now)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    with suppress(asyncio.CancelledError):
        await serving
