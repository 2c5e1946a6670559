"""A faster loop over Redis Streams, with payloads in the entries: its client.

`raw_entry_worker` is the other side. An entry carries tasks, one or several; results come back in a
list for each group of tasks. This is what VN does not do (ADR 0001: payloads never travel in
streams); `raw` keeps to that. What a worker had that dies stays pending; nobody takes it over.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from math import ceil

from redis import Redis

from benchmarks.pipeline.queues import PATIENCE_SECONDS, Queue
from benchmarks.pipeline.raw_entry_worker import GROUP, INDEX_BYTES, REPLY, STREAM
from benchmarks.pipeline.worker_settings import WORKERS

_PIPELINED = 256
"""Entries sent in one go; workers begin with them while the next ones are written."""

_COLLECTED = 1_000

_Sent = tuple[str, int]  # the list of the results, the number of tasks


class RawEntry(Queue[_Sent]):
    """Up to `tasks_per_entry` tasks go in one entry; workers read `entries_per_read` at once."""

    def __init__(self, name: str, *, tasks_per_entry: int, entries_per_read: int) -> None:
        super().__init__()
        self.name = name
        self.settings = (
            f"Redis Streams, payload in the entry; most tasks in an entry: {tasks_per_entry}, most "
            f"entries in a read: {entries_per_read}; workers pipeline RPUSH, XACK and XDEL, the "
            "client pipelines XADD and waits with BLMPOP"
        )
        self._tasks_per_entry = tasks_per_entry
        self._entries_per_read = entries_per_read
        self._numbers = count()

    def connect(self, url: str) -> None:
        self._url = url
        self._connection = Redis.from_url(url, socket_timeout=2 * PATIENCE_SECONDS)
        self._connection.xgroup_create(STREAM, GROUP, mkstream=True)

    def commands(self) -> Iterable[Sequence[str]]:
        for number in range(WORKERS):
            worker = ("-m", "benchmarks.pipeline.raw_entry_worker")
            yield (*worker, self._url, f"worker-{number}", str(self._entries_per_read))

    def send(self, tasks: Sequence[bytes]) -> _Sent:
        reply = f"reply:{next(self._numbers)}"
        entries = list(_shared_out(tasks, self._tasks_per_entry))
        for start in range(0, len(entries), _PIPELINED):
            with self._connection.pipeline(transaction=False) as pipe:
                for payloads in entries[start : start + _PIPELINED]:
                    pipe.xadd(STREAM, {REPLY: reply, **payloads})
                pipe.execute()
        return reply, len(tasks)

    def collect(self, sent: _Sent) -> list[bytes]:
        reply, left = sent
        results = [b""] * left
        while left:
            popped = self._connection.blmpop(
                PATIENCE_SECONDS, 1, reply, direction="LEFT", count=_COLLECTED
            )
            if popped is None:
                raise TimeoutError(f"{self.name}: no result for {PATIENCE_SECONDS:g} seconds")
            for result in popped[1]:
                results[int.from_bytes(result[:INDEX_BYTES], "big")] = result[INDEX_BYTES:]
            left -= len(popped[1])
        return results

    def close(self) -> None:
        self._connection.close()


def _shared_out(tasks: Sequence[bytes], most: int) -> Iterator[dict[str, bytes]]:
    """Share tasks out to as few entries as possible, evenly, each under its number."""
    entries = ceil(len(tasks) / most)
    size = ceil(len(tasks) / entries)
    for first in range(0, len(tasks), size):
        yield {str(first + at): task for at, task in enumerate(tasks[first : first + size])}
