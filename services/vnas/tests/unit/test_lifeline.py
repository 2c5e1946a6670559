"""Scripts of a worker that is gone, ended by its lifeline."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnas.lifeline import Lifeline

TASK = b"<valuation name='v'/>"


def until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A script that sleeps, in a session of its own with a background process."""
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 60 & echo $!; wait"],
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_still_runs_is_killed_when_the_worker_is_gone(sleeper):
    background = int(sleeper.stdout.readline())
    with Lifeline() as lifeline:
        lifeline.began(sleeper.pid)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert until(lambda: not is_alive(background))


def test_what_has_ended_is_left_alone(sleeper):
    with Lifeline() as lifeline:
        lifeline.began(sleeper.pid)
        lifeline.ended(sleeper.pid)
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGSTOP, id="stopped until the pipe is full"),
    ],
)
def test_a_watcher_that_missed_something_never_acts(sleeper, end):
    with Lifeline() as lifeline:
        lifeline.began(sleeper.pid)
        os.kill(lifeline._watcher.pid, end)
        for _ in range(100_000):  # more than a pipe takes
            lifeline.ended(1)
            if not lifeline.holds:
                break
    assert not lifeline.holds
    assert sleeper.poll() is None


def test_a_worker_killed_by_force_leaves_no_script_behind(write_script, tmp_path):
    marker = tmp_path / "pid"
    script = write_script(f"echo $$ > {marker}.new; mv {marker}.new {marker}; sleep 60")
    task = tmp_path / "task.xml"
    task.write_bytes(TASK)
    with subprocess.Popen(
        [Path(sys.executable).parent / "vnas", "value", task, "--script", script]
    ) as worker:
        assert until(marker.exists)
        worker.kill()
    assert until(lambda: not is_alive(int(marker.read_text())))
