"""The way of tasks through VN against a bare loop over Redis and three task queues, side by side.

The tasks do nothing: what is measured is everything around them. Each one is a document of about
2.5 KB and gives as much back; two worker processes, one embedded Valkey for each contestant, over
its unix socket. All results are gathered in task order and checked byte for byte.

- raw: a loop over Redis Streams written for this, pipelined, one entry for each task, with payloads
  in keys of their own, as VN has them; raw-entry: the same with payloads in the entries; raw-lean:
  with up to 32 tasks in an entry, payloads and all
- huey, dramatiq, celery: the task documents as arguments, the group waited for by the client
- vn (echo): VN over HTTP, from the POST to the response, with workers that give a task's document
  back themselves; vn (cat): the embedded stack as users have it, a process of `/bin/cat` each task
"""

from collections.abc import Sequence

ON_DEMAND = True  # takes minutes: run when it is named, not with all the others


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print the tables; ``--help`` lists the options."""
    # Here, not above: the workers import this package, and should hold no more than they need.
    from benchmarks.pipeline.run import run

    run(arguments)
