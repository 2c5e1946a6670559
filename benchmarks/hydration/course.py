"""One large request as its client sees it: sent, watched until its end, read to its end.

Called by `run` with a contestant of the benchmark `pipeline` that is started.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from urllib.parse import urlsplit

from benchmarks._meters import peaks
from benchmarks.pipeline.vn import Cat, Echo
from vnclient import Client
from vnclient.answers import Status

_LOOK_SECONDS = 0.1
_SOCKET_SECONDS = 120.0
_BUFFER_BYTES = 1024 * 1024
_MARK = b'<vndb externalId="'
_LONGEST_MARK = len(_MARK) + 20  # with its number and the quote behind it


@dataclass(slots=True)
class Course:
    """What was seen, in seconds from one thing to the next; None: it did not come in time."""

    tasks: int
    request_bytes: int
    submit: float = 0.0  # from the POST to the answer 202
    first_result: float | None = None  # from there until one task, at least, was done
    last_result: float | None = None  # from there until all were
    succeeded: float | None = None  # from there until the request was
    reading: float | None = None  # the response, from its GET to its last byte
    response_bytes: int = 0
    done: int = 0  # tasks, when the patience was over
    memory: dict[str, list[int]] = field(default_factory=dict)  # peaks of processes, by part
    server_bytes: int = 0  # the most that Redis held

    @property
    def all(self) -> float | None:
        """From the POST to the last byte of the response."""
        steps = (self.first_result, self.last_result, self.succeeded, self.reading)
        found = [step for step in steps if step is not None]
        return self.submit + sum(found) if len(found) == len(steps) else None


def run_course(
    vn: Echo | Cat, request: bytes, tasks: int, patience_seconds: float, peak: Callable[[], int]
) -> Course:
    """Take a request through; one that does not end in time is cancelled. `peak` asks Redis."""
    course = Course(tasks, len(request))
    start = time.perf_counter()
    request_id = vn.client.submit(request).request_id
    course.submit = time.perf_counter() - start
    if _watch(course, vn.client, request_id, patience_seconds):
        began = time.perf_counter()
        course.response_bytes, found = read_response(vn.url, request_id)
        course.reading = time.perf_counter() - began
        if found != tasks:
            raise RuntimeError(f"the response has {found} results, not {tasks}")
    else:
        vn.client.cancel(request_id)
    course.memory = peaks(vn.parts())
    course.server_bytes = peak()
    return course


def require_succeeded(status: Status) -> None:
    """Raise RuntimeError for a request that has ended otherwise."""
    if not status.succeeded:
        why = status.failure.message if status.failure else ""
        raise RuntimeError(f"the request is {status.status}: {why}")


def read_response(url: str, request_id: str) -> tuple[int, int]:
    """Read a response to its end, keeping none of it; gives its bytes and its results.

    Raises RuntimeError where results are not in the order of their numbers.
    """
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=_SOCKET_SECONDS)
    try:
        connection.request("GET", f"/valuation/{request_id}/results")
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {answer.read(500)!r}")
        return count_results(answer.readinto)
    finally:
        connection.close()


def count_results(read_into: Callable[[memoryview], int]) -> tuple[int, int]:
    """Count bytes, and results by their marks, which must have the numbers 1, 2, 3 …."""
    buffer = bytearray(_LONGEST_MARK + _BUFFER_BYTES)
    view = memoryview(buffer)
    size = found = kept = 0  # kept: bytes at the beginning, of a mark that may not have ended
    while got := read_into(view[kept : kept + _BUFFER_BYTES]):
        size += got
        end, at = kept + got, 0
        while (start := buffer.find(_MARK, at, end)) >= 0:
            number_at = start + len(_MARK)
            number_end = buffer.find(b'"', number_at, end)
            if number_end < 0:
                break
            found += 1
            if buffer[number_at:number_end] != b"%d" % found:
                raise RuntimeError(
                    f"result {found} has the number {bytes(buffer[number_at:number_end])!r}"
                )
            at = number_end
        kept = min(_LONGEST_MARK, end - at)
        buffer[:kept] = buffer[end - kept : end]
    return size, found


def _watch(course: Course, client: Client, request_id: str, patience_seconds: float) -> bool:
    """Look at the status until the request has ended, and tell whether it did in time."""
    start = last = time.perf_counter()
    while True:
        status = client.status(request_id)
        now = time.perf_counter()
        expected = sum(group.expected for group in status.groups)
        course.done = sum(group.completed for group in status.groups)
        if course.first_result is None and course.done:
            course.first_result, last = now - last, now
        if course.last_result is None and 0 < expected == course.done:
            course.last_result, last = now - last, now
        if status.is_terminal:
            require_succeeded(status)
            course.succeeded = now - last
            return True
        if now - start > patience_seconds:
            return False
        time.sleep(_LOOK_SECONDS)
