"""What Redis holds of a request while it runs and after its end; called by `run`.

The request goes through vnapi, vnvs and workers that give each task's document back themselves, all
started afresh with a server of their own, so that peaks are the request's.
Nobody reads the response.
"""

import time
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from benchmarks.hydration.course import require_succeeded
from benchmarks.pipeline.vn import Echo

_TIMEOUT_SECONDS = 300.0
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes, and how long the request took."""

    keys_bytes: int  # of all keys of the request, by MEMORY USAGE, after its end
    grown_bytes: int  # by how much used_memory is more than before
    peak_bytes: int  # the most by which it was more
    seconds: float  # from the POST to the end of the request


def stored(request: bytes) -> Stored:
    """Run a request and look at its server."""
    with Echo() as vn:
        before = used_memory(vn.redis)
        start = time.perf_counter()
        accepted = vn.client.submit(request)
        status = vn.client.wait(accepted.request_id, timeout_seconds=_TIMEOUT_SECONDS)
        took = time.perf_counter() - start
        require_succeeded(status)
        # The peak first: to look at the keys takes memory too.
        peak = peak_memory(vn.redis)
        return Stored(
            keys_bytes=_bytes_of(vn.redis, accepted.request_id),
            grown_bytes=used_memory(vn.redis) - before,
            peak_bytes=peak - before,
            seconds=took,
        )


def used_memory(redis: Redis) -> int:
    """Give what a server holds now."""
    return int(redis.info("memory")["used_memory"])


def peak_memory(redis: Redis) -> int:
    """Give the most that a server has held since its start."""
    return int(redis.info("memory")["used_memory_peak"])


def _bytes_of(redis: Redis, request_id: str) -> int:
    keys = list(redis.scan_iter(f"*{request_id}*", count=_AT_ONCE))
    size = 0
    for start in range(0, len(keys), _AT_ONCE):
        with redis.pipeline(transaction=False) as pipe:
            for key in keys[start : start + _AT_ONCE]:
                cast("Any", pipe).memory_usage(key, samples=0)
            size += sum(each or 0 for each in pipe.execute())
    return size
