"""Child processes: tied to us, stopped by us, their logs told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vnclient.local import tether
from vnclient.local.process import Child


def start(log: Path, code: str, *, watched: bool = False) -> Child:
    """Start a child, by a thread of its own when it shall be watched instead of signalled."""
    made: list[Child] = []

    def make() -> None:
        made.append(Child([sys.executable, "-c", code], log_path=log))

    if not watched:
        make()
        return made[0]
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


@pytest.fixture(params=["signalled", "watched"])
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Child]:
    return lambda code: start(tmp_path / "log", code, watched=request.param == "watched")


def test_its_output_is_in_the_log_and_its_status_is_told(begin: Callable[[str], Child]) -> None:
    child = begin("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert child.wait(10)
    assert child.poll() == 7
    assert sorted(child.log_tail().splitlines()) == ["err", "out"]


def test_its_pid_is_the_commands_own(begin: Callable[[str], Child]) -> None:
    child = begin("import os; print(os.getpid(), os.getsid(0))")
    child.wait(10)
    assert child.log_tail() == f"{child.pid} {child.pid}"


def test_signals_have_their_default_meaning(tmp_path: Path) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads /proc")
    child = Child(["/bin/cat", str(status)], log_path=tmp_path / "log")
    child.wait(10)
    ignored = int(child.log_tail().partition("SigIgn:")[2].split()[0], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM):
        assert not ignored & (1 << number - 1)


def test_stop_kills_what_does_not_end(begin: Callable[[str], Child]) -> None:
    child = begin(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    while child.log_tail() != "deaf":
        assert not child.wait(0.01)
    assert child.stop(grace_seconds=0.05) == -signal.SIGKILL


DEAF = """
import sys, time
from pathlib import Path
from vnclient.local.process import Child
deaf = '''
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
'''
child = Child([sys.executable, "-c", deaf], log_path=Path(sys.argv[1]), insist=True)
while child.log_tail() != "deaf":
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_deaf_child_is_killed_after_its_parent_was(tmp_path: Path) -> None:
    impatient = tmp_path / "tether.py"
    impatient.write_text(
        Path(tether.__file__).read_text().replace("_GRACE_SECONDS = 10.0", "_GRACE_SECONDS = 0.1")
    )
    code = f"from vnclient.local import process; process._TETHER = {str(impatient)!r}\n{DEAF}"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, 0)  # deaf, as it should be
        parent.kill()
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_only_the_logs_end_is_told_and_only_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an earlier run\n")
    child = start(log, "print('\\n'.join(f'line {n}' for n in range(2000)))")
    child.wait(10)
    tail = child.log_tail().splitlines()
    assert tail[-1] == "line 1999"
    assert tail[0].startswith("line ")
    assert 100 < len(tail) < 1000
    assert start(log, "pass").wait(10)
    silent = start(log, "pass")
    silent.wait(10)
    assert silent.log_tail() == ""


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    child = Child(["/nowhere/at-all"], log_path=tmp_path / "log")
    child.wait(10)
    assert child.poll() == 127
    assert child.log_tail() == "cannot execute /nowhere/at-all: No such file or directory"


def test_descriptors_are_passed_on_only_by_name(tmp_path: Path) -> None:
    with (tmp_path / "passed").open("w+") as passed, (tmp_path / "kept").open("w+") as kept:
        code = (
            "import os\n"
            f"for number in ({passed.fileno()}, {kept.fileno()}):\n"
            "    try: print(os.fstat(number).st_ino)\n"
            "    except OSError: print('closed')\n"
        )
        child = Child(
            [sys.executable, "-c", code], log_path=tmp_path / "log", pass_fds=[passed.fileno()]
        )
        child.wait(10)
        inode = (tmp_path / "passed").stat().st_ino
    assert child.log_tail().split() == [str(inode), "closed"]
