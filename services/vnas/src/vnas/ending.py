"""Wait, on the event loop, until a child process has ended.

By a descriptor of the process (``pidfd``) where the system has them, else in a thread. Used by
`script`.
"""

import asyncio
import os
import subprocess
import threading
from contextlib import suppress


async def ended(process: "subprocess.Popen[bytes]") -> None:
    """Return once the process has ended; it may or may not be reaped then. Does not kill."""
    if process.returncode is not None:
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, or a sandbox that forbids it
        await _ended_by_thread(process)
        return
    try:
        await _readable(descriptor)
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)


async def _ended_by_thread(process: "subprocess.Popen[bytes]") -> None:
    # A thread each, not the shared pool: that has few, and each of these waits for minutes.
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        process.wait()
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(event.set)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    await event.wait()
