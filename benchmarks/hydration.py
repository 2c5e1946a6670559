"""Hydration of one ``use`` with more and more tasks: the time per task should stay the same.

Every valuation takes the shared market, its instrument, and one rate that it finds by name among as
many as there are tasks. The group pass is the median of three runs.
"""

import statistics
import time
from datetime import date

from vnvs.hydration import Context, Fetched, hydrate_document, hydrate_group

TASKS = (1_000, 5_000, 10_000, 20_000)
CONTEXT = Context(received=date(2026, 1, 2))


def no_fetch(uris: object) -> dict[str, Fetched]:
    raise AssertionError(f"nothing to fetch: {uris}")


def request(tasks: int) -> bytes:
    fixings = "".join(f'<quote name="Q{n}"><rate>0.0{n}</rate></quote>' for n in range(tasks))
    bonds = "".join(
        f'<instrument name="B{n}"><quote>Q{n}</quote><faceAmount>100</faceAmount></instrument>'
        for n in range(tasks)
    )
    return f"""<vnml><project>
      <market name="USD"><rate>0.04</rate><spread>0.001</spread></market>
      <portfolio><quotes>{fixings}</quotes></portfolio>
      <portfolio name="bonds">{bonds}</portfolio>
      <group name="prices">
        <valuation name="bond" use="vn:link(/vnml/project/portfolio[@name='bonds'], instrument)">
          <market select="/vnml/project/market[@name='USD']"/>
          <quote select="/vnml/project/portfolio/quotes/quote[@name='${{select(./quote)}}']/rate"/>
          <analytics><price><amount/></price></analytics>
          <instrument select="."/>
        </valuation>
      </group>
    </project></vnml>""".encode()


def measure(tasks: int) -> None:
    document = request(tasks)
    started = time.perf_counter()
    hydrated = hydrate_document(document, no_fetch, CONTEXT)
    document_seconds = time.perf_counter() - started
    runs = []
    for _ in range(3):
        started = time.perf_counter()
        made = hydrate_group(hydrated.xml, 0, no_fetch, CONTEXT)
        runs.append(time.perf_counter() - started)
    assert len(made) == tasks
    seconds = statistics.median(runs)
    size = sum(len(task.xml) for task in made) // tasks
    print(
        f"| {tasks:,} | {len(document) / 1e6:.1f} MB | {document_seconds:.2f} s | {seconds:.2f} s "
        f"| {seconds / tasks * 1e6:.0f} µs | {size} B |"
    )


def main() -> None:
    """Measure each size and print the table."""
    print("| tasks | document | document pass | group pass | per task | bytes per task |")
    print("|---:|---:|---:|---:|---:|---:|")
    for count in TASKS:
        measure(count)
