"""The four cells: what each contestant is asked to do in a round, and what it came to.

Called by `run`; what comes out is printed by `tables`.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from benchmarks._meters import CpuWatch, MemoryWatch
from benchmarks.pipeline.contestants import Check, Contestant
from benchmarks.pipeline.payloads import Request, make_request

CALLS = 100
GROUPS, GROUP_TASKS = 10, 100
AT_ONCE, AT_ONCE_GROUPS, AT_ONCE_TASKS = 100, 2, 5
LARGE_TASKS = 10_000

_WARM_UP_CALLS = 5
_SINGLES = 10  # different requests of one task, taken in turn
_SHORTEST_SECONDS = 0.5
_NOT_COUNTED = ("cmdstat_info", "cmdstat_config")  # what the meters ask themselves


@dataclass(frozen=True, slots=True)
class Work:
    """The requests of the four cells, smaller by `scale`; that of single tasks only in number."""

    scale: float
    calls: int
    singles: tuple[Request, ...]
    groups: Request
    at_once: tuple[Request, ...]
    large: Request

    @classmethod
    def make(cls, scale: float) -> "Work":
        """Make them; contestants with the same scale get the same."""

        def scaled(count: int) -> int:
            return max(2, round(count * scale))

        return cls(
            scale=scale,
            calls=min(CALLS, max(5, round(10 * CALLS * scale))),
            singles=tuple(make_request(1, 1, number) for number in range(_SINGLES)),
            groups=make_request(GROUPS, scaled(GROUP_TASKS)),
            at_once=tuple(
                make_request(AT_ONCE_GROUPS, AT_ONCE_TASKS, number)
                for number in range(scaled(AT_ONCE))
            ),
            large=make_request(1, scaled(LARGE_TASKS)),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round of one contestant came to."""

    p50_ms: float
    p95_ms: float
    tasks_per_second: float
    commands_per_task: float
    cpu_us: Mapping[str, float]  # per task, by part, the client's own included
    others: float  # the share of the machine that something else used meanwhile
    requests_per_second: float
    large_seconds: float
    memory: Mapping[str, int]  # bytes at the peak of the last cell, by part


def measure(contestant: Contestant, work: Work) -> Figures:
    """Warm up and measure all cells; every result is checked, while the clock stands."""
    for number in range(_WARM_UP_CALLS):
        contestant.run(work.singles[number % _SINGLES])()
    contestant.run(work.at_once[0])()

    times = [
        _seconds(lambda number=number: contestant.run(work.singles[number % _SINGLES])) * 1000
        for number in range(work.calls)
    ]

    before = _commands(contestant.redis)
    with CpuWatch(contestant.parts()) as cpu:
        in_turn, checks = _again_and_again(lambda: contestant.run(work.groups))
    commands = _commands(contestant.redis) - before
    _check_all(checks)
    tasks = len(checks) * work.groups.tasks

    at_once, checks = _again_and_again(lambda: contestant.run_at_once(work.at_once))
    _check_all(checks)
    requests = len(checks) * len(work.at_once)

    with MemoryWatch(contestant.parts()) as memory:
        large, check = _timed(lambda: contestant.run(work.large))
    check()

    spent = {**cpu.seconds, "client": cpu.ours}
    return Figures(
        p50_ms=statistics.median(times),
        p95_ms=statistics.quantiles(times, n=20)[-1],
        tasks_per_second=tasks / in_turn,
        commands_per_task=commands / tasks,
        cpu_us={part: used / tasks * 1e6 for part, used in spent.items()},
        others=cpu.others,
        requests_per_second=requests / at_once,
        large_seconds=large,
        memory=memory.peak,
    )


def _seconds(act: Callable[[], Check]) -> float:
    seconds, check = _timed(act)
    check()
    return seconds


def _again_and_again(act: Callable[[], Check]) -> tuple[float, list[Check]]:
    """Do it until it has taken long enough to be measured; once, if that is long enough."""
    start, checks = time.perf_counter(), [act()]
    while (seconds := time.perf_counter() - start) < _SHORTEST_SECONDS:
        checks.append(act())
    return seconds, checks


def _check_all(checks: Sequence[Check]) -> None:
    for check in checks:
        check()


def _timed(act: Callable[[], Check]) -> tuple[float, Check]:
    start = time.perf_counter()
    check = act()
    return time.perf_counter() - start, check


def _commands(redis: Redis) -> int:
    """Give how many commands the server has run up to now, those within scripts included."""
    return sum(
        about["calls"]
        for command, about in redis.info("commandstats").items()
        if not command.startswith(_NOT_COUNTED)
    )
