"""The bare loop over Redis Streams: one of its workers, a process started by `raw`.

    python -m benchmarks.pipeline.raw_worker URL NAME ENTRIES_PER_READ

An entry names three keys: of the payload, of the result, and of the stream in which the client
waits for the word that results are there; an update names all those of one read.
"""

import sys
from collections import defaultdict

from redis import Redis

STREAM, GROUP = "tasks", "workers"
PAYLOAD, RESULT, UPDATES = "payload", "result", "updates"
RESULTS = "results"
"""The field of an update: the keys, with spaces between them."""

TTL_SECONDS = 3_600
"""Of payloads and results, should nobody take them."""

_BLOCK_MS = 5_000


def value(task: bytes) -> bytes:
    """Do nothing."""
    return task


def work(redis: Redis, name: str, entries_per_read: int) -> None:
    """Read, value, answer and acknowledge, until the process is ended."""
    while True:
        streams = redis.xreadgroup(
            GROUP, name, {STREAM: ">"}, count=entries_per_read, block=_BLOCK_MS
        )
        if not streams:
            continue
        entries = dict(streams)[STREAM.encode()]
        payloads = [fields[PAYLOAD.encode()] for _, fields in entries]
        with redis.pipeline(transaction=False) as pipe:
            for payload in payloads:
                pipe.get(payload)
            tasks = pipe.execute()
        ids = [entry_id for entry_id, _ in entries]
        done: defaultdict[bytes, list[bytes]] = defaultdict(list)
        with redis.pipeline(transaction=False) as pipe:
            for (_, fields), task in zip(entries, tasks, strict=True):
                result = fields[RESULT.encode()]
                pipe.set(result, value(task), ex=TTL_SECONDS)
                done[fields[UPDATES.encode()]].append(result)
            for updates, results in done.items():
                pipe.xadd(updates, {RESULTS: b" ".join(results)})
            pipe.unlink(*payloads)
            pipe.xack(STREAM, GROUP, *ids)
            pipe.xdel(STREAM, *ids)
            pipe.execute()


if __name__ == "__main__":
    _, url, own_name, at_once = sys.argv
    work(Redis.from_url(url), own_name, int(at_once))
