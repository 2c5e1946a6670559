"""Processes that outlive their script: found, killed and reaped after each task.

The worker is a subreaper (`hardening`), so whatever a script leaves behind, be it by ``setsid`` or
a double fork, becomes a child of the worker. A child that is no running script is a stray. Used by
`script`; only in a process whose children are all scripts, such as the worker.
"""

import asyncio
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_GIVE_UP_SECONDS = 2.0
"""How long one sweep goes on; what is left then is found by the next one."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.0005, 0.05


class StrayChildren:
    """Sweeps the children of this process; those alive when it was made are spared for ever."""

    def __init__(self) -> None:
        self._spared = frozenset(_children())

    async def sweep(self, running: Collection[int]) -> int:
        """Kill and reap every stray; `running` is a live view of the running scripts' ids.

        An orphan in the session of a script that still runs is spared: it ends with that script.
        Killing one process makes its children strays, so this repeats until there are none.
        Returns how many are still there after two seconds: 0, but for a fork bomb or a process
        stuck in the kernel.
        """
        give_up_at = asyncio.get_running_loop().time() + _GIVE_UP_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while strays := [pid for pid in _children() if self._is_stray(pid, running)]:
            for pid in strays:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if asyncio.get_running_loop().time() > give_up_at:
                return len(strays)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return 0

    def lingering(self, script: int, running: Collection[int]) -> set[int]:
        """Give what lives besides a script that has ended its work and runs on.

        Its descendants, the orphans of its session, and every stray: whose that is nobody can
        tell any more.
        """
        others = [other for other in running if other != script]
        orphans = {pid for pid in _children() if pid != script and self._is_stray(pid, others)}
        return orphans | descendants(script)

    def _is_stray(self, pid: int, running: Collection[int]) -> bool:
        if pid in running or pid in self._spared:
            return False
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return False  # it had ended; now it is reaped
        try:
            return os.getsid(pid) not in running
        except ProcessLookupError:
            return False


def descendants(process: int) -> set[int]:
    """Give the living descendants of a process, but for those whose parent has ended."""
    return {pid for pid in _descendants(process) if not _has_ended(pid)}


def _children(process: int | str = "self") -> Iterator[int]:
    """Give the ids of all children of a process, this one by default.

    None where there is no ``/proc``. By system calls alone, since it is asked for every task.
    """
    threads = f"/proc/{process}/task"
    try:
        found = os.listdir(threads)  # noqa: PTH208 - as quick as it gets
    except OSError:
        return
    known = False
    for thread in found:
        with suppress(OSError):  # the thread ended, or the kernel has no such file
            yield from map(int, _read(f"{threads}/{thread}/children").split())
            known = True
    if not known and found:
        yield from _children_by_search(os.getpid() if process == "self" else int(process))


def _descendants(process: int) -> Iterator[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _has_ended(process: int) -> bool:
    """Tell whether a process is gone, or a zombie that its parent has not reaped."""
    try:
        return _read(f"/proc/{process}/stat").rpartition(b")")[2].split()[0] in b"ZX"
    except OSError:
        return True


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - twice as fast
        return file.read()


def _children_by_search(parent: int) -> Iterator[int]:
    """Do the same on a kernel without ``children`` files: look at every process."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            after_name = status.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                yield int(status.parent.name)
