"""Requests through the whole embedded stack with ``/bin/cat``, a process for each task."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from vnclient import AsyncClient, Client
from vnclient.local.stack import Stack, StackOptions

SINGLE_CALLS = 50


def document(groups: int, tasks: int) -> bytes:
    """Make a request whose tasks carry about 2 KB each."""
    filler = "x" * 1_800
    instruments = "".join(
        f"<instrument name='I{n}'><note>{filler}</note></instrument>" for n in range(tasks)
    )
    valuation = (
        "<valuation name='v' use='vn:link(/vnml/project/portfolio, instrument)'>"
        "<instrument select='.'/></valuation>"
    )
    body = "".join(f"<group name='G{n}'>{valuation}</group>" for n in range(groups))
    return f"<vnml><project><portfolio>{instruments}</portfolio>{body}</project></vnml>".encode()


def latency(vn: Client) -> str:
    """Give p50 and p95 of one request of one task, waited for within the call."""
    book, times = document(1, 1), []
    for _ in range(SINGLE_CALLS):
        start = time.perf_counter()
        vn.submit_sync(book)
        times.append((time.perf_counter() - start) * 1000)
    p95 = statistics.quantiles(times, n=20)[-1]
    return f"p50 {statistics.median(times):.1f} ms, p95 {p95:.1f} ms"


def throughput(vn: Client, groups: int, tasks: int) -> str:
    """Give tasks a second of one request."""
    book = document(groups, tasks)
    start = time.perf_counter()
    vn.submit_sync(book)
    return f"{groups * tasks / (time.perf_counter() - start):,.0f} tasks/s"


async def concurrent(url: str, requests: int, groups: int, tasks: int) -> str:
    """Give requests a second, all submitted at once."""
    book = document(groups, tasks)
    async with AsyncClient(url) as vn:
        start = time.perf_counter()
        accepted = await asyncio.gather(*(vn.submit(book) for _ in range(requests)))
        ends = await asyncio.gather(*(vn.wait(one.request_id) for one in accepted))
        took = time.perf_counter() - start
    if any(end.status != "succeeded" for end in ends):
        raise RuntimeError("not every request succeeded")
    return f"{requests / took:,.0f} requests/s"


def main() -> None:
    """Start the stack, measure, print the table."""
    with tempfile.TemporaryDirectory(prefix="vn-bench-") as folder:
        options = StackOptions(data_dir=Path(folder), script=Path("/bin/cat"))
        with Stack(options) as stack, Client(stack.url, timeout_seconds=300) as vn:
            vn.submit_sync(document(1, 4))  # warm
            print("| work | result |\n|---|---|")
            print(f"| 1 group x 1 task, synchronous | {latency(vn)} |")
            print(f"| 10 groups x 100 tasks | {throughput(vn, 10, 100)} |")
            print(f"| 1 group x 2,000 tasks | {throughput(vn, 1, 2_000)} |")
            hundred = asyncio.run(concurrent(stack.url, 100, 2, 5))
            print(f"| 100 requests of 2 groups x 5 tasks at once | {hundred} |")
