"""The script as a file: its digest follows what is in it."""

import hashlib
import os

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
