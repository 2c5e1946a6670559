"""The script as a file: its digest follows what is in it."""

import hashlib
import os
import threading

import pytest

from vnas.scriptfile import ScriptFile, shipped_script
from vncore.errors import Misconfigured


def test_the_digest_is_that_of_the_file_and_follows_its_changes(write_script):
    path = write_script("echo 1")
    script = ScriptFile(path)
    assert script.digest() == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    write_script("echo 2")
    os.utime(path, ns=(1, 1))
    assert script.digest() == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


async def test_a_changed_file_is_read_beside_the_event_loop(write_script, monkeypatch):
    path = write_script("echo 1")
    script = ScriptFile(path)
    readers: list[str] = []
    digest = ScriptFile.digest

    def noted(self: ScriptFile) -> str:
        readers.append(threading.current_thread().name)
        return digest(self)

    monkeypatch.setattr(ScriptFile, "digest", noted)
    assert await script.current_digest() == digest(script)
    assert readers == [], "nothing is read again"
    write_script("echo 2")
    os.utime(path, ns=(1, 1))
    now = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert await script.current_digest() == now
    assert len(readers) == 1
    assert readers[0] != threading.current_thread().name


def test_a_relative_path_is_made_absolute(write_script, monkeypatch):
    path = write_script("echo 1")
    monkeypatch.chdir(path.parent)
    assert ScriptFile(path.relative_to(path.parent)).path == path


def test_a_link_to_a_script_is_a_script(write_script, tmp_path):
    (tmp_path / "link").symlink_to(write_script("echo 1"))
    assert ScriptFile(tmp_path / "link").path == tmp_path / "link"


def test_a_dangling_link_is_misconfigured(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(Misconfigured, match="there is no file"):
        ScriptFile(tmp_path / "link")


def test_the_shipped_script_stands_in_the_package():
    assert shipped_script().name == "vnas.sh"
    assert (shipped_script().parent / "script.py").is_file()
