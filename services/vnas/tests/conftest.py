"""What the tests of the worker share: real little scripts, and a runner for them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vnas.environment import TaskFacts
from vnas.limits import ScriptLimits, find_prlimit
from vnas.script import ScriptRunner
from vncore.ids import RequestId, TaskId

sys.path.append(str(Path(__file__).parent / "support"))

WriteScript = Callable[..., Path]
MakeRunner = Callable[..., ScriptRunner]


@pytest.fixture
def write_script(tmp_path: Path) -> WriteScript:
    """Give a function that writes an executable script, ``/bin/sh`` unless told otherwise."""

    def write(body: str, *, interpreter: str = "/bin/sh", name: str = "script") -> Path:
        path = tmp_path / name
        path.write_text(f"#!{interpreter}\n{body}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def make_runner(tmp_path: Path) -> MakeRunner:
    """Give a function that makes a runner; limits by keyword, task directories under tmp_path."""
    directories = tmp_path / "tasks"
    directories.mkdir()

    def make(script: Path, *, prlimit: str | None = find_prlimit(), **limits: int) -> ScriptRunner:
        return ScriptRunner(
            script,
            ScriptLimits(**{"timeout_ms": 20_000, **limits}),
            prlimit=prlimit,
            directories=directories,
        )

    return make


@pytest.fixture
def facts() -> TaskFacts:
    """The facts of some attempt."""
    return TaskFacts(
        request_id=RequestId("5b2f8c1e-0c57-4e52-9a51-0d4f6f1f9f10"),
        group_index=1,
        group_name="prices",
        task_id=TaskId(7),
        valuation_name="bond <7> ü",
        attempt=2,
        deadline="1790000000000",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
