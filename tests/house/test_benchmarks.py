"""``make bench`` can run every module of its folder."""

import importlib
import pkgutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from vnvs.hydration import Context, Fetched, hydrate_document, hydrate_group

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
    assert {"hydration", "pricing", "requests"} <= set(NAMES)


def test_the_pricing_books_have_different_tasks_and_a_smaller_book_is_the_beginning_of_a_larger(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.syspath_prepend(ROOT)
    for book in importlib.import_module("benchmarks.pricing.books").BOOKS:
        small, large = _tasks(book.document(3)), _tasks(book.document(20))
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


def test_a_benchmark_that_takes_no_options_gets_none():
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _run("hydration", "--tasks", "5")
    assert "options go to one benchmark" in refused.value.stderr


def _tasks(request: bytes) -> list[bytes]:
    context = Context(received=date(2025, 11, 25))

    def fetch(uris: object) -> dict[str, Fetched]:
        raise AssertionError(f"nothing to fetch: {uris}")

    hydrated = hydrate_document(request, fetch, context)
    return [task.xml for task in hydrate_group(hydrated.xml, 0, fetch, context)]


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    sys.stderr.write(done.stderr)  # what went wrong, should the next line say that it did
    done.check_returncode()
    return done.stdout
