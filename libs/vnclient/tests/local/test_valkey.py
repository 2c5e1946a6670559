"""The embedded Valkey, for real: it refuses a locked folder, survives crashes, dies with us."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from vnclient.errors import DataFolderLocked, DidNotStart, LocalStackError, PortInUse
from vnclient.local.valkey import ValkeyServer

PARENT = """
import sys, threading, time
from vnclient.local.valkey import ValkeyServer
server = ValkeyServer(sys.argv[1])
if sys.argv[2] == "main thread":
    server.start()
else:
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
print(server.pid, flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def runs(pid: int) -> bool:
    """Whether the process lives; one that ended and waits for its reaper does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    try:
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def client(server: ValkeyServer) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with ValkeyServer(tmp_path_factory.mktemp("valkey") / "data") as running:
        yield running


def test_it_answers_at_its_url_and_keeps_what_a_queue_needs_kept(server: ValkeyServer) -> None:
    with client(server) as connected:
        assert connected.ping()
        settings = connected.config_get("appendonly", "save", "maxmemory-policy", "port")
    assert settings == {
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "port": "0",
    }
    assert server.answers()


def test_only_the_user_can_open_the_socket(server: ValkeyServer) -> None:
    assert server.socket_path.stat().st_mode & 0o077 == 0


def test_a_second_server_on_the_same_folder_is_refused(server: ValkeyServer) -> None:
    with pytest.raises(DataFolderLocked, match="in use by another stack") as caught:
        ValkeyServer(server.data_dir).start()
    assert caught.value.holder == str(os.getpid())
    assert server.answers()


def test_data_survives_kill_9_of_the_server(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as server:
        with client(server) as connected:
            for number in range(200):
                connected.xadd("entries", {"number": number})
        first = server.pid
        server.kill()
        assert not server.alive
        server.start()
        assert server.pid != first
        with client(server) as connected:
            assert connected.xlen("entries") == 200


def test_after_stop_the_folder_is_free_and_the_data_is_there(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as server, client(server) as connected:
        connected.set("kept", "yes")
    assert not server.alive
    with ValkeyServer(tmp_path) as again, client(again) as connected:
        assert connected.get("kept") == "yes"


@pytest.mark.parametrize("started_from", ["main thread", "another thread"])
def test_it_ends_with_its_parent_even_on_kill_9_and_frees_the_folder(
    tmp_path: Path, started_from: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), started_from], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        probe = ValkeyServer(tmp_path)
        with client(probe) as connected:
            connected.set("kept", "yes")
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert until(lambda: not runs(pid))
    with ValkeyServer(tmp_path) as again, client(again) as connected:
        assert connected.get("kept") == "yes"


def test_the_watcher_of_a_server_that_ended_leaves_no_process(tmp_path: Path) -> None:
    def watchers() -> int:
        found = 0
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += str(tmp_path).encode() in entry.read_bytes()
            except OSError:
                continue
        return found

    if not Path("/proc/self/cmdline").exists():
        pytest.skip("counts processes in /proc")
    server = ValkeyServer(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    assert watchers() == 2  # the server and its watcher
    server.stop()
    assert until(lambda: watchers() == 0)


def test_a_folder_with_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / ("long" * 30)) as server:
        assert len(str(server.socket_path)) <= 100
        assert server.socket_path.parent.stat().st_mode & 0o077 == 0
        with client(server) as connected:
            assert connected.ping()
        place = server.socket_path.parent
    assert not place.exists()


def test_a_path_with_blanks_and_signs_still_makes_a_url(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "my data 100%?#") as server, client(server) as connected:
        assert connected.ping()


def test_a_loopback_port_is_opened_only_on_request(tmp_path: Path, server: ValkeyServer) -> None:
    with pytest.raises(LocalStackError, match="no TCP port"):
        _ = server.tcp_url
    with (
        ValkeyServer(tmp_path, port=0) as reachable,
        redis.Redis.from_url(reachable.tcp_url) as connected,
    ):
        assert connected.ping()
        with pytest.raises(PortInUse, match=str(reachable.port)):
            ValkeyServer(tmp_path / "other", port=reachable.port).start()


def test_options_reach_the_server(tmp_path: Path) -> None:
    with (
        ValkeyServer(tmp_path, options=["--appendfsync", "always"]) as server,
        client(server) as connected,
    ):
        assert connected.config_get("appendfsync") == {"appendfsync": "always"}


@pytest.mark.parametrize(
    ("executable", "options", "said"),
    [
        pytest.param(None, ["--no-such-option", "1"], "no-such-option", id="bad option"),
        pytest.param("/nowhere/redis-server", [], "cannot execute", id="no such binary"),
        pytest.param("/bin/false", [], "status 1", id="ends silently"),
    ],
)
def test_a_server_that_does_not_start_is_an_error_with_its_log(
    tmp_path: Path, executable: str | None, options: list[str], said: str
) -> None:
    server = ValkeyServer(tmp_path, executable=executable, options=options)
    with pytest.raises(DidNotStart, match=said):
        server.start()
    assert not server.alive
    with ValkeyServer(tmp_path) as again:  # the folder is free again
        assert again.answers()


def test_a_server_that_stays_silent_is_an_error_and_is_stopped(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o700)
    server = ValkeyServer(tmp_path / "data", executable=silent, start_timeout_seconds=0.2)
    with pytest.raises(DidNotStart, match="did not answer within"):
        server.start()
    assert not server.alive


def test_a_private_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    data = tmp_path / ("long" * 30)
    place = ValkeyServer(data).socket_path.parent
    place.chmod(0o777)
    with pytest.raises(LocalStackError, match="not private"):
        ValkeyServer(data).start()
