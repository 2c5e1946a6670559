"""``make bench`` can run every module of its folder."""

import importlib
import io
import math
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = [
    module.name
    for module in pkgutil.iter_modules([str(ROOT / "benchmarks")])
    if not module.name.startswith("_")
]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_can_be_run_and_says_what_it_measures(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(ROOT)
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.main)
    assert module.__doc__


def test_there_are_benchmarks():
    assert {"hydration", "pipeline", "pricing", "requests"} <= set(NAMES)


def test_the_pricing_books_have_different_tasks_and_a_smaller_book_is_the_beginning_of_a_larger(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.syspath_prepend(ROOT)
    task_documents = importlib.import_module("benchmarks._hydrating").task_documents
    for book in importlib.import_module("benchmarks.pricing.books").BOOKS:
        (small,), (large,) = task_documents(book.document(3)), task_documents(book.document(20))
        assert large[:3] == small
        assert len(set(large)) == len(large) == 20


def test_the_pricing_benchmark_gets_the_same_prices_in_all_ways():
    tables = _run("pricing", "--tasks", "5", "--exec-tasks", "1", "--rounds", "1")
    assert "Every price was the same" in tables
    for book in (
        "bonds",
        "options",
        "callable bonds",
        "American options",
        "American options, fine",
    ):
        for way in ("bare", "exec", "persistent"):
            assert f"| {book} | {way} |" in tables


def test_the_pipeline_benchmark_fills_every_cell_of_its_contestants():
    contestants = ("raw", "raw-entry", "raw-lean", "huey", "vn (echo)")
    tables = _run("pipeline", "--scale", "0.001", "--rounds", "1", "--only", *contestants)
    assert "Every result was there, in the order of the tasks" in tables
    rows = [line.strip("| ").split(" | ") for line in tables.splitlines() if line[:1] == "|"]
    for contestant in contestants:
        cells, costs, *_ = (row for row in rows if row[0] == contestant and len(row) in (11, 6))
        figures = [re.sub("[^0-9.]", "", cell) for cell in (*cells[1:6], cells[7], cells[9])]
        assert all(float(figure) > 0 for figure in figures), cells
        assert all(float(re.sub("[^0-9.]", "", cell)) > 0 for cell in costs[1:5]), costs


def test_the_hydration_benchmark_fills_every_table():
    sizes = ("--tasks", "10", "20", "--market-kb", "1", "--two-groups-tasks", "10")
    others = ("--selects", "10", "20", "--big-tasks", "20", "--cat-seconds", "0")
    tables = _run("hydration", *sizes, *others)
    assert "Every result was there, in the order of the tasks" in tables
    rows = [line.strip("| ").split(" | ") for line in tables.splitlines() if line[:1] == "|"]
    names = [row[0] for row in rows]
    for name, rows_of_it in {
        "1 KB": 2 * 2,  # passes and storage, for both numbers of tasks
        "passes, seconds": 2,  # growth in tasks, and in market data
        "keys": 2,
        "5 instruments in 2 groups": 1,
        "distinct selects": 2,
        "vn (echo)": 2,  # its course and its memory
    }.items():
        assert names.count(name) == rows_of_it, tables
    assert "not in time" not in tables


def test_results_are_counted_in_order_wherever_a_chunk_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)
    course = importlib.import_module("benchmarks.hydration.course")

    def counted(response: bytes, chunk_bytes: int) -> tuple[int, int]:
        stream = io.BytesIO(response)
        return course.count_results(lambda view: stream.readinto(view[:chunk_bytes]))

    response = b"<vnml>%s</vnml>" % b"".join(
        b'<valuation><vndb externalId="%d" script="x"/></valuation>' % number
        for number in range(1, 121)
    )
    for chunk_bytes in (1, 7, 19, 50, 1_000, 1_000_000):
        assert counted(response, chunk_bytes) == (len(response), 120)
    with pytest.raises(RuntimeError, match="result 7 "):
        counted(response.replace(b'"7"', b'"9"'), 50)


def test_growth_is_told_by_its_exponent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)
    exponent = importlib.import_module("benchmarks.hydration.growth").exponent
    assert math.isclose(exponent([1, 10, 100], [3, 30, 300]), 1)
    assert math.isclose(exponent([2, 4], [5, 20]), 2)
    assert exponent([2], [5]) is None


def test_a_benchmark_that_takes_no_options_gets_none():
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _run("requests", "--tasks", "5")
    assert "options go to one benchmark" in refused.value.stderr


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    sys.stderr.write(done.stderr)  # what went wrong, should the next line say that it did
    done.check_returncode()
    return done.stdout
