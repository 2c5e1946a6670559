"""The loop with payloads in the entries: one of its workers, a process started by `raw_entry`.

    python -m benchmarks.pipeline.raw_entry_worker URL NAME ENTRIES_PER_READ

A field of an entry is a task under its number in the group, but for the one that names the list
where the results go: there each has its number in front of it, in `INDEX_BYTES` bytes.
"""

import sys
from collections import defaultdict

from redis import Redis

STREAM, GROUP = "tasks", "workers"
REPLY = "reply"
INDEX_BYTES = 4

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
        answers: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for _, fields in entries:
            reply = fields.pop(REPLY.encode())
            answers[reply] += [
                int(number).to_bytes(INDEX_BYTES, "big") + value(task)
                for number, task in fields.items()
            ]
        ids = [entry_id for entry_id, _ in entries]
        with redis.pipeline(transaction=False) as pipe:
            for reply, results in answers.items():
                pipe.rpush(reply, *results)
            pipe.xack(STREAM, GROUP, *ids)
            pipe.xdel(STREAM, *ids)
            pipe.execute()


if __name__ == "__main__":
    _, url, own_name, at_once = sys.argv
    work(Redis.from_url(url), own_name, int(at_once))
