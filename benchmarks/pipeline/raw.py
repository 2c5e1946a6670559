"""The bare loop over Redis Streams: its client. `raw_worker` is the other side.

What somebody writes who wants no more than this and keeps payloads out of streams, as VN does (ADR
0001): a task is a key and an entry that names it, a consumer group shares the entries out, results
are keys, and an update stream for each group of tasks tells which are there. Everything is
pipelined, and each key has its own GET and SET. A worker that dies leaves its entries pending;
nobody takes them over.
"""

from collections.abc import Iterable, Sequence
from itertools import count, islice

from redis import Redis

from benchmarks.pipeline.queues import PATIENCE_SECONDS, Queue
from benchmarks.pipeline.raw_worker import (
    GROUP,
    PAYLOAD,
    RESULT,
    RESULTS,
    STREAM,
    TTL_SECONDS,
    UPDATES,
)
from benchmarks.pipeline.worker_settings import WORKERS

_PIPELINED = 256
"""Tasks sent in one go; workers begin with them while the next ones are written."""

_ENTRIES_PER_READ = 32

_Sent = tuple[str, int]  # the update stream, the number of tasks


class Raw(Queue[_Sent]):
    """One entry a task, which names the keys of its payload and of its result."""

    name = "raw"
    settings = (
        "Redis Streams, payloads and results in keys; most entries in a read: "
        f"{_ENTRIES_PER_READ}; workers pipeline GET, then SET, XADD of one update a read, UNLINK, "
        "XACK and XDEL; the client pipelines SET and XADD, waits with XREAD and pipelines GETDEL"
    )

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    def connect(self, url: str) -> None:
        self._url = url
        self._connection = Redis.from_url(url, socket_timeout=2 * PATIENCE_SECONDS)
        self._connection.xgroup_create(STREAM, GROUP, mkstream=True)

    def commands(self) -> Iterable[Sequence[str]]:
        for number in range(WORKERS):
            worker = ("-m", "benchmarks.pipeline.raw_worker")
            yield (*worker, self._url, f"worker-{number}", str(_ENTRIES_PER_READ))

    def send(self, tasks: Sequence[bytes]) -> _Sent:
        number = next(self._numbers)
        updates = f"updates:{number}"
        numbered = enumerate(tasks)
        while some := list(islice(numbered, _PIPELINED)):
            with self._connection.pipeline(transaction=False) as pipe:
                for at, task in some:
                    payload, result = f"task:{number}:{at}", f"result:{number}:{at}"
                    pipe.set(payload, task, ex=TTL_SECONDS)
                    pipe.xadd(STREAM, {PAYLOAD: payload, RESULT: result, UPDATES: updates})
                pipe.execute()
        return updates, len(tasks)

    def collect(self, sent: _Sent) -> list[bytes]:
        updates, left = sent
        results = [b""] * left
        seen = b"0"
        while left:
            streams = self._connection.xread({updates: seen}, block=int(PATIENCE_SECONDS * 1000))
            if not streams:
                raise TimeoutError(f"{self.name}: no result for {PATIENCE_SECONDS:g} seconds")
            (_, entries), *_ = streams
            seen = entries[-1][0]
            keys = [key for _, fields in entries for key in fields[RESULTS.encode()].split()]
            with self._connection.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.getdel(key)
                for key, result in zip(keys, pipe.execute(), strict=True):
                    results[int(key.rpartition(b":")[2])] = result
            left -= len(keys)
        self._connection.unlink(updates)
        return results

    def close(self) -> None:
        self._connection.close()
