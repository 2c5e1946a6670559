"""``make bench`` can run every module of its folder."""

import importlib
import pkgutil
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
    assert {"hydration", "requests"} <= set(NAMES)
