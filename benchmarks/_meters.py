"""What processes use: processor time and memory by part of the stack, and how far a group is.

On Linux only, and from outside: what is measured does not know. Used by the benchmarks `pricing`,
`pipeline` and `hydration`.
"""

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from vncore.ids import RequestId
from vncore.keys import Keys

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PPID, _OWN, _OF_CHILDREN = 1, slice(11, 13), slice(13, 15)
"""Where these stand in ``/proc/<pid>/stat`` behind the name; proc_pid_stat(5)."""

_SCHEDULER_CLOCK = 2
"""With the pid this makes the number of a process's clock; clock_getcpuclockid(3)."""

_MEMORY_SECONDS = 0.1
_PROGRESS_SECONDS, _PROGRESS_SHARE = 0.02, 0.005
"""From one look to the next: the longer of a fiftieth of a second and half a percent of the time up
to now, since each look costs the server a little."""

_FEWEST_LOOKS = 10  # from the first result to the last; else the two ends are too wide


@dataclass(frozen=True, slots=True)
class Part:
    """A process, and what the processes that it has started are called."""

    name: str
    pid: int
    descendants: str


class CpuWatch:
    """Looks at the processor time of processes before and after its ``with``.

    What has ended and was reaped counts as well, in steps of a hundredth of a second.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.seconds: Mapping[str, float] = {}  # by part
        self.ours = 0.0  # our own
        self.others = 0.0  # the share of the machine that neither the parts nor we have used

    def __enter__(self) -> Self:
        self._before = _cpu_seconds(self._parts)
        self._our_start, self._machine = time.process_time(), _machine_seconds()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (busy, in_all), self.ours = _machine_seconds(), time.process_time() - self._our_start
        used = _cpu_seconds(self._parts)
        self.seconds = {name: used[name] - self._before.get(name, 0.0) for name in used}
        others = busy - self._machine[0] - self.ours - sum(self.seconds.values())
        went_by = in_all - self._machine[1]  # 0 when all was over within a tick
        self.others = max(0.0, others / went_by) if went_by else 0.0


def memory_bytes(parts: Sequence[Part]) -> Counter[str]:
    """Give the proportional set size of each part: pages that several share are counted once."""
    stats = _stats()
    held: Counter[str] = Counter()
    for part in parts:
        held[part.name] += _proportional(part.pid)
        for pid in _descendants(part.pid, stats):
            held[part.descendants] += _proportional(pid)
    return held


class MemoryWatch:
    """Looks at the memory of processes as long as its ``with`` lasts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.peak: Mapping[str, int] = {}  # by part, in the moment when the sum was highest

    def look(self) -> None:
        """Look once."""
        held = memory_bytes(self._parts)
        if held.total() > sum(self.peak.values()):
            self.peak = held

    def __enter__(self) -> Self:
        self._watching = _Repeated(self.look, _MEMORY_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.stop()


@dataclass(frozen=True, slots=True)
class Progress:
    """When results came, in seconds since the start; as exact as `_PROGRESS_SECONDS` says."""

    first: float
    last: float
    between: int  # results between these two moments

    @property
    def rate(self) -> float:
        """Results a second between the first one and the last one."""
        return self.between / (self.last - self.first)


class ProgressWatch:
    """Looks at how many results the first group of the next request has."""

    def __init__(self, redis: Redis, keys: Keys, tasks: int) -> None:
        self._redis = redis
        self._keys = keys
        self._tasks = tasks
        self._seen: list[tuple[float, int]] = []  # seconds, results

    def look(self) -> None:
        """Look once."""
        now = time.perf_counter() - self._start
        if self._group is None and (newest := self._newest()) != self._before:
            self._group = self._keys.group(RequestId(newest.decode()), 0)
        if self._group is not None:
            self._seen.append((now, int(self._redis.hget(self._group, "completed") or 0)))

    def progress(self) -> Progress | None:
        """Give what was seen; None when all came within a few looks."""
        some = [(at, done) for at, done in self._seen if 0 < done < self._tasks]
        all_there = next(((at, done) for at, done in self._seen if done >= self._tasks), None)
        if all_there is None or len(some) < _FEWEST_LOOKS:
            return None
        (first, at_first), (last, at_last) = some[0], all_there
        return Progress(first, last, at_last - at_first)

    def __enter__(self) -> Self:
        self._group: str | None = None
        self._before = self._newest()
        self._start = time.perf_counter()
        self._watching = _Repeated(self.look, _PROGRESS_SECONDS, _PROGRESS_SHARE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.stop()

    def _newest(self) -> bytes:
        """Name the request that came last; empty where there is none."""
        return b"".join(self._redis.zrevrange(self._keys.index, 0, 0))


class _Repeated:
    """Calls a function again and again, in a thread of its own, and once more at the end.

    The pause is `seconds`, or that `share` of the time up to now if it is longer.
    """

    def __init__(self, look: Callable[[], None], seconds: float, share: float = 0.0) -> None:
        self._over = threading.Event()
        self._look = look
        self._seconds = seconds
        self._share = share
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _repeat(self) -> None:
        while not self._over.wait(self._pause()):
            self._look()

    def _pause(self) -> float:
        return max(self._seconds, self._share * (time.monotonic() - self._start))


def _cpu_seconds(parts: Sequence[Part]) -> dict[str, float]:
    stats = _stats()
    used: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        own = stats[part.pid]
        used[part.name] += _own_seconds(part.pid, own)
        used[part.descendants] += _seconds(own[_OF_CHILDREN])
        for pid in _descendants(part.pid, stats):
            used[part.descendants] += _own_seconds(pid, stats[pid])
            used[part.descendants] += _seconds(stats[pid][_OF_CHILDREN])
    return dict(used)


def _own_seconds(pid: int, stat: Sequence[bytes]) -> float:
    """Give the processor time of a process by its own clock, which does not go by ticks."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULER_CLOCK)
    except OSError:  # it has just ended
        return _seconds(stat[_OWN])


def _machine_seconds() -> tuple[float, float]:
    """Give the processor time up to now of all cores: busy, and in all."""
    line = Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, idle, waiting, *more = map(int, line.split()[1:9])
    busy = user + nice + system + sum(more)  # interrupts, and what other machines have stolen
    return busy / _TICKS, (busy + idle + waiting) / _TICKS


def _stats() -> dict[int, list[bytes]]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = path.read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has just ended
            continue
    return found


def _descendants(process: int, stats: Mapping[int, Sequence[bytes]]) -> list[int]:
    children = [pid for pid, stat in stats.items() if int(stat[_PPID]) == process]
    return children + [pid for child in children for pid in _descendants(child, stats)]


def _seconds(ticks: Sequence[bytes]) -> float:
    return sum(map(int, ticks)) / _TICKS


def _proportional(pid: int) -> int:
    """Give the proportional set size; the resident one where only that can be read."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0  # it has just ended


@dataclass(frozen=True, slots=True)
class Resident:
    """The resident set of a process, in bytes."""

    now: int
    peak: int  # since its start, or since `forget_peak`


def own_memory() -> Resident:
    """Look at the process at hand."""
    return _resident("self")


def forget_peak() -> None:
    """Let the peak of the process at hand be what it holds now; proc_pid_clear_refs(5)."""
    Path("/proc/self/clear_refs").write_text("5")


def peaks(parts: Sequence[Part]) -> dict[str, list[int]]:
    """Give the peak of the resident set of every process that lives, by part."""
    stats = _stats()
    found: defaultdict[str, list[int]] = defaultdict(list)
    for part in parts:
        found[part.name].append(_resident(str(part.pid)).peak)
        for pid in _descendants(part.pid, stats):
            with suppress(OSError, KeyError):  # it has just ended
                found[part.descendants].append(_resident(str(pid)).peak)
    return dict(found)


def _resident(pid: str) -> Resident:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines if line.startswith("Vm"))
    now, peak = (int(sizes[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Resident(now, peak)
