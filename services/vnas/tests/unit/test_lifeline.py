"""Scripts of a worker that is gone, ended by its lifeline."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import is_alive

from vnas.lifeline import Lifeline

Start = Callable[..., "subprocess.Popen[bytes]"]


def until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a function that starts a sleeper somewhere, in a session of its own."""
    started = []

    def sleeper(current: Path, home: Path) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            ["/bin/sleep", "60"], cwd=current, env={"HOME": str(home)}, start_new_session=True
        )
        started.append(process)
        return process

    yield sleeper
    for process in started:
        process.kill()
        process.wait()


def test_what_is_at_home_in_the_folder_ends_with_the_worker_and_nothing_else(start, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Lifeline(tmp_path) as lifeline:
        task = lifeline.folder / "a task's"
        task.mkdir()
        (task / "left").touch()
        neighbour = Path(f"{lifeline.folder}-not")
        neighbour.mkdir()
        inside = start(task, task)
        moved = start(elsewhere, task)
        without_home = start(task, elsewhere)
        others = [start(elsewhere, elsewhere), start(neighbour, neighbour)]
    assert [one.wait(10) for one in (inside, moved, without_home)] == [-signal.SIGKILL] * 3
    assert [other.poll() for other in others] == [None, None]
    assert not lifeline.folder.exists()
    assert elsewhere.exists()
    assert neighbour.exists()


def test_the_folder_is_for_this_user_alone(tmp_path):
    with Lifeline(tmp_path) as lifeline:
        assert lifeline.folder.stat().st_mode & 0o777 == 0o700


def test_a_worker_killed_by_force_leaves_no_script_and_no_folder_behind(write_script, tmp_path):
    marker, folders, task = tmp_path / "pid", tmp_path / "folders", tmp_path / "task.xml"
    folders.mkdir()
    task.write_bytes(b"<valuation name='v'/>")
    script = write_script(
        f"setsid sleep 61 & echo $! > {marker}.new; echo $$ >> {marker}.new;"
        f" mv {marker}.new {marker}; sleep 60"
    )
    with subprocess.Popen(
        [Path(sys.executable).parent / "vnas", "value", task, "--script", script],
        env={"PATH": os.environ["PATH"], "VNAS_TASK_DIRECTORY": str(folders)},
    ) as worker:
        assert until(marker.exists)
        worker.kill()
    for pid in marker.read_text().split():
        assert until(lambda pid=int(pid): not is_alive(pid))
    assert until(lambda: not list(folders.iterdir()))
