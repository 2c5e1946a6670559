"""The bare loop: one warm process for each core, each with its share of the tasks and no more.

What VN is measured against: whoever has QuantLib, a list of tasks and `multiprocessing` gets this.
Called by `run`.
"""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from benchmarks._meters import Part

_Share = Sequence[bytes]


class BareLoop:
    """The processes; use it with ``with``. `load` comes before `run`, which may come often."""

    name = "bare"

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")  # nothing of ours in their memory
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._tasks = 0

    def load(self, documents: Sequence[bytes]) -> None:
        """Hand the tasks out, evenly, and return once every process has valued one of its own."""
        self._tasks = len(documents)
        for at, pipe in enumerate(self._pipes):
            pipe.send(list(documents[at :: len(self._pipes)]))
        for pipe in self._pipes:
            pipe.recv()

    def run(self) -> tuple[float, list[bytes]]:
        """Value all tasks; gives the seconds it took and the results, in the tasks' order."""
        start = time.perf_counter()
        for pipe in self._pipes:
            pipe.send(None)
        for pipe in self._pipes:
            pipe.recv()  # its share is done
        took = time.perf_counter() - start
        results = [b""] * self._tasks
        for at, pipe in enumerate(self._pipes):
            pipe.send(None)
            results[at :: len(self._pipes)] = pipe.recv()
        return took, results

    def parts(self) -> list[Part]:
        """Name the processes, for the meters."""
        return [Part("loop", process.pid or 0, "loop") for process in self._processes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()


def _work(pipe: Connection) -> None:
    """Value a share whenever it is asked for; a new share comes as a list. Ends with the pipe."""
    from vnas.engine import value

    share: _Share = ()
    try:
        while True:
            message = pipe.recv()
            if message is not None:
                share = message
                for document in share[:1]:
                    value(document)
                pipe.send("ready")
                continue
            results = [value(document) for document in share]
            pipe.send("done")
            pipe.recv()
            pipe.send(results)
    except EOFError:
        return
