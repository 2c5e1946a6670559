"""The embedded stack for real: Valkey and the three services, started, killed, stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vnclient import Client
from vnclient.errors import DataFolderLocked, DidNotStart, PortInUse
from vnclient.local.services import SERVICES
from vnclient.local.stack import Stack, StackOptions

XML = (
    b'<vnml><project><group name="g"><valuation name="v"><a/></valuation></group></project></vnml>'
)
CAT = Path("/bin/cat")

pytestmark = pytest.mark.timeout(120)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def runs(pid: int) -> bool:
    """Whether the process lives; one that ended and waits for its reaper does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(pid: int) -> set[int]:
    """The living descendants of a process."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), set()).add(int(entry.parent.name))
    found: set[int] = set()
    new = children.get(pid, set())
    while new:
        found |= new
        new = set().union(*(children.get(one, set()) for one in new)) - found
    return found


def leftovers(pids: set[int]) -> list[str]:
    """Which of these still run, by command line."""
    until(lambda: not any(runs(pid) for pid in pids), seconds=10)
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids if runs(pid)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("stack")
    with Stack(StackOptions(data_dir=data_dir, script=CAT, slots=2)) as running:
        yield running


def test_a_started_stack_values_a_request(stack: Stack) -> None:
    with Client(stack.url) as client:
        assert client.ready()
        response = client.value(XML, timeout_seconds=30)
    assert b'<vndb externalId="1"' in response


def test_every_member_writes_its_log(stack: Stack) -> None:
    written = {path.stem for path in stack.log_dir.glob("*.log")}
    assert written == {"valkey", *SERVICES}


def test_a_second_stack_on_the_same_folder_is_refused(stack: Stack) -> None:
    with pytest.raises(DataFolderLocked, match="in use by another stack"):
        Stack(stack.options).start()
    with Client(stack.url) as client:
        assert client.ready()


def test_a_port_in_use_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    before = family(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on"):
            Stack(StackOptions(data_dir=tmp_path, http_port=port)).start()
    assert leftovers(family(os.getpid()) - before) == []


def test_a_service_that_ends_at_start_is_an_error_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = family(os.getpid())
    monkeypatch.setenv("PAYLOAD_MAX_BYTES", "many")
    with pytest.raises(DidNotStart, match="PAYLOAD_MAX_BYTES") as caught:
        Stack(StackOptions(data_dir=tmp_path, script=CAT)).start()
    assert caught.value.name == "vnapi"
    assert leftovers(family(os.getpid()) - before) == []


def test_a_stack_that_promises_power_cuts_has_a_server_that_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABILITY", "fsync")
    options = StackOptions(data_dir=tmp_path / "vn", script=CAT)
    with Stack(options) as stack, Client(stack.url) as client:
        assert client.value(XML, timeout_seconds=30)


def test_what_is_killed_comes_back_and_the_stack_works_on(stack: Stack) -> None:
    back: list[str] = []
    enough = threading.Event()

    def tell(said: str) -> None:
        back.append(said)
        if sum("is back" in one for one in back) == len(SERVICES):
            enough.set()

    stack._tell = tell
    before = stack.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    guard = threading.Timer(30, enough.set)
    guard.start()
    stack.supervise(enough)
    guard.cancel()
    after = stack.pids()
    assert all(after[name] != before[name] for name in before), back
    assert any("valkey ended" in said for said in back)
    with Client(stack.url) as client:
        assert until(lambda: _ready(client))
        assert client.value(XML, timeout_seconds=30)


def _ready(client: Client) -> bool:
    try:
        return client.ready()
    except Exception:  # noqa: BLE001 - it is starting
        return False


def test_after_stop_nothing_runs_and_results_are_there_at_the_next_start(tmp_path: Path) -> None:
    options = StackOptions(data_dir=tmp_path, script=CAT)
    before = family(os.getpid())
    with Stack(options) as first, Client(first.url) as client:
        request_id = client.submit(XML).request_id
        assert client.wait(request_id, timeout_seconds=30).succeeded
        started = family(os.getpid()) - before
        assert len(started) > len(SERVICES)
    assert leftovers(started) == []
    with Stack(options) as second, Client(second.url) as client:
        assert b"vndb" in client.results(request_id)


Vn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def vn(tmp_path: Path) -> Iterator[Vn]:
    """Start the command as a process of its own, in a folder of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "vnclient.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def await_line(process: "subprocess.Popen[str]", part: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if part in line:
            return line
    raise AssertionError(f"it never said {part!r}")


def test_vn_run_prints_the_response_and_leaves_nothing(vn: Vn, tmp_path: Path) -> None:
    file = tmp_path / "request.xml"
    file.write_bytes(XML)
    process = vn("run", str(file), "--script", "/bin/cat")
    started: set[int] = set()
    while process.poll() is None:
        started |= family(process.pid)
        time.sleep(0.02)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.startswith("<?xml")
    assert "group 1/1 g: 1 of 1" in err
    assert [path.name for path in tmp_path.iterdir()] == ["request.xml"]
    assert len(started) > len(SERVICES)
    assert leftovers(started) == []


def test_vn_run_of_a_failing_request_ends_with_1_and_says_why(vn: Vn, tmp_path: Path) -> None:
    file, script = tmp_path / "request.xml", tmp_path / "fail.sh"
    file.write_bytes(XML)
    script.write_text("#!/bin/sh\necho no curve for you >&2\nexit 65\n")
    script.chmod(0o755)
    out_file = tmp_path / "out.xml"
    process = vn(*("run", str(file), "--script", str(script), "--out", str(out_file), "--json"))
    out, err = process.communicate()
    assert process.returncode == 1, err
    told = json.loads(out)
    assert (told["status"], told["response"]) == ("failed", None)
    assert "no curve for you" in told["failure"]["stderr"]
    assert not out_file.exists()


def test_vn_up_serves_until_ctrl_c_and_stops_cleanly(vn: Vn, tmp_path: Path) -> None:
    process = vn("up", "--port", "0", "--script", "/bin/cat")
    url = await_line(process, "VN is up at").split()[-1]
    with Client(url) as client:
        assert client.value(XML, timeout_seconds=30)
    started = family(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "stopped" in err
    assert leftovers(started) == []
    kept = sorted(path.name for path in (tmp_path / ".vn").iterdir())
    assert kept == ["logs", "tasks", "valkey"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A script that never ends by itself."""
    script = tmp_path / "sleeper.sh"
    script.write_text("#!/bin/sh\nexec sleep 601\n")
    script.chmod(0o755)
    return script


def sleeps(pids: set[int]) -> bool:
    def command(pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            return []

    return any(command(pid)[:2] == ["sleep", "601"] for pid in pids)


def test_vn_up_killed_with_9_takes_everything_with_it(
    vn: Vn, tmp_path: Path, sleeper: Path
) -> None:
    process = vn(
        *("up", "--port", "0", "--script", str(sleeper)),
        VNAS_DRAIN_MS="0",
        VNVS_DRAIN_MS="0",
    )
    url = await_line(process, "VN is up at").split()[-1]
    with Client(url) as client:
        client.submit(XML)
    assert until(lambda: sleeps(family(process.pid)))
    started = family(process.pid)
    process.kill()
    process.communicate()
    assert leftovers(started) == []


def test_vn_run_that_is_terminated_stops_everything(vn: Vn, tmp_path: Path, sleeper: Path) -> None:
    file = tmp_path / "request.xml"
    file.write_bytes(XML)
    process = vn(
        *("run", str(file), "--script", str(sleeper)),
        VNAS_DRAIN_MS="0",
        VNVS_DRAIN_MS="0",
    )
    assert until(lambda: sleeps(family(process.pid)))
    started = family(process.pid)
    process.terminate()
    out, err = process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
    assert err.splitlines()[-1] == "vn: interrupted"
    assert leftovers(started) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["request.xml", "sleeper.sh"]


def test_vn_up_on_a_locked_folder_says_so_in_one_line(vn: Vn, stack: Stack) -> None:
    data_dir = str(stack.options.data_dir)
    process = vn("up", "--port", "0", "--data", data_dir)
    _, err = process.communicate()
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert "in use by another stack" in err
