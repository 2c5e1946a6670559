"""What a running process uses: looked at between tasks, and its processor time granted by task.

A process that runs once has its limit from the start (`limits`); the clock of one that runs for
many goes on from task to task, so its limit has to move. Linux; elsewhere nothing is known and
nothing is granted. Used by `warm`.
"""

import math
import os
from contextlib import suppress
from dataclasses import dataclass

try:
    import resource
except ImportError:  # not a Unix
    resource = None  # type: ignore[assignment]

_UTIME, _STIME, _RSS = 11, 12, 21
"""Where these stand in ``/proc/<pid>/stat`` behind the name; proc_pid_stat(5)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used up to now, and holds."""

    cpu_seconds: float = 0.0  # all its threads together
    resident_bytes: int = 0


def usage_of(pid: int) -> Usage:
    """Look at a process; all zero where there is no ``/proc``, or it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - twice as fast
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return Usage()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return Usage(
        cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        resident_bytes=int(fields[_RSS]) * os.sysconf("SC_PAGE_SIZE"),
    )


class CpuAllowance:
    """Moves the limit of a process's processor time before each of its tasks."""

    def __init__(self, pid: int, seconds_each: int) -> None:
        """Take the process and what each task may use; 0: no limit."""
        self._pid = pid
        self._seconds_each = seconds_each
        self._granted = 0

    def grant(self, used_seconds: float) -> None:
        """Let the process use its seconds on top of what it has used.

        The limit that the kernel answers with SIGXCPU; a script that ignores the signal runs into
        its time limit.
        """
        until = math.ceil(used_seconds) + self._seconds_each
        if not self._seconds_each or until == self._granted:
            return
        if resource is None or not hasattr(resource, "prlimit"):
            return
        with suppress(OSError):  # it has just ended
            _soft, hard = resource.prlimit(self._pid, resource.RLIMIT_CPU)
            soft = until if hard == resource.RLIM_INFINITY else min(until, hard)
            resource.prlimit(self._pid, resource.RLIMIT_CPU, (soft, hard))
        self._granted = until
