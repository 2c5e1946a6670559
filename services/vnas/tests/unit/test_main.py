"""The command line, as a person or another program starts it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vnas.main import main

TASK = (
    b"<vnml><project><group name='g'><valuation name='v'><a/>"
    b'<vndb externalId="5"/></valuation></group></project></vnml>'
)


def vnas(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess:
    """Run the real command: it adopts and kills children, which a test's process must not."""
    return subprocess.run(
        [Path(sys.executable).parent / "vnas", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={"PATH": os.environ["PATH"], **environment},
        timeout=30,
        check=False,
    )


@pytest.fixture
def taskfile(tmp_path: Path) -> Path:
    path = tmp_path / "task.xml"
    path.write_bytes(TASK)
    return path


# --- vnas value ----------------------------------------------------------------------------------


def test_a_task_is_valued_without_a_server(taskfile):
    digest = hashlib.sha256(Path("/bin/cat").read_bytes()).hexdigest()
    done = vnas("value", taskfile, "--script", "/bin/cat", REDIS_URL="redis://127.0.0.1:1")
    assert done.stderr == b""
    assert done.stdout.decode() == (
        f'<valuation name="v"><a/><vndb externalId="5" script="sha256:{digest}"/></valuation>\n'
    )
    assert done.returncode == 0


def test_a_task_may_come_on_stdin_and_the_script_from_the_settings(write_script):
    script = write_script(
        'echo "$VN_GROUP_NAME $VN_VALUATION_NAME $VN_TASK_ID $VN_ATTEMPT" >&2; echo 2'
    )
    done = vnas("value", "-", stdin=TASK, VNAS_SCRIPT=str(script))
    assert b"<amount>2</amount>" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("body", "options", "status", "code"),
    [
        pytest.param("exit 65", (), 65, "SCRIPT_REJECTED_DATA", id="bad data"),
        pytest.param("exit 70", (), 1, "SCRIPT_FAILED", id="failed"),
        pytest.param("sleep 60", ("--timeout", "200"), 1, "SCRIPT_TIMED_OUT", id="too slow"),
        pytest.param("echo nonsense", (), 1, "RESULT_INVALID", id="no result"),
    ],
)
def test_a_failed_valuation_is_reported_on_stderr(
    write_script, taskfile, body, options, status, code
):
    done = vnas("value", taskfile, "--script", write_script(f"echo why >&2; {body}"), *options)
    assert done.returncode == status
    assert done.stdout == b""
    report = json.loads(done.stderr.decode().splitlines()[-1])
    assert report["code"] == code
    if code != "RESULT_INVALID":  # the script ended well: what it said is not an error's
        assert done.stderr.startswith(b"why\n")


def test_a_file_that_is_no_xml_is_bad_data():
    done = vnas("value", "-", "--script", "/bin/cat", stdin=b"<vnml>")
    assert done.returncode == 65
    assert json.loads(done.stderr)["code"] == "XML_MALFORMED"


def test_a_file_that_is_not_there_is_said(tmp_path):
    done = vnas("value", tmp_path / "none.xml", "--script", "/bin/cat")
    assert done.returncode == 1
    assert b"none.xml: No such file" in done.stderr


def test_sigterm_stops_the_script_of_a_desk_too(write_script, taskfile, tmp_path):
    marker = tmp_path / "pid"
    script = write_script(f"echo $$ > {marker}.new; mv {marker}.new {marker}; sleep 60")
    with subprocess.Popen(
        [Path(sys.executable).parent / "vnas", "value", taskfile, "--script", script]
    ) as process:
        deadline = time.monotonic() + 10
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


# --- settings that are wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        pytest.param({"VNAS_SCRIPT": "/nonexistent/x"}, "VNAS_SCRIPT: there is no", id="missing"),
        pytest.param({"VNAS_SCRIPT": "/etc/passwd"}, "not executable", id="not executable"),
        pytest.param({"VNAS_SCRIPT": "/tmp"}, "is not a file", id="a directory"),
        pytest.param({"VNAS_TASK_DIRECTORY": "/nonexistent"}, "no such folder", id="no folder"),
        pytest.param({"VNAS_TASK_DIRECTORY": "/proc"}, "VNAS_TASK_DIRECTORY", id="not writable"),
        pytest.param({"LOG_LEVEL": "TRACE"}, "LOG_LEVEL", id="no such level"),
        pytest.param({"VNAS_SLOTS": "0"}, "VNAS_SLOTS", id="no slots"),
        pytest.param({"VNAS_SCRIPT_MODE": "turbo"}, "VNAS_SCRIPT_MODE", id="unknown mode"),
        pytest.param(
            {"REDIS_URL": "http://x", "VNAS_SCRIPT": "/bin/cat"}, "REDIS_URL", id="no such scheme"
        ),
    ],
)
def test_a_worker_with_a_wrong_setting_does_not_start(environment, words):
    done = vnas(**environment)
    assert done.returncode == 78
    assert words in done.stderr.decode().splitlines()[-1]
    assert b"Traceback" not in done.stderr


# --- vnas config ----------------------------------------------------------------------------------


def test_the_settings_in_force_are_shown_without_secrets(monkeypatch, capsys):
    monkeypatch.setenv("REDIS_URL", "redis://user:secret@host:6379/0")
    monkeypatch.setenv("VNAS_SLOTS", "3")
    assert main(["config", "--json"]) == 0
    text = capsys.readouterr().out
    assert "secret" not in text
    rows = {row["name"]: row for row in json.loads(text)}
    assert (rows["VNAS_SLOTS"]["value"], rows["VNAS_SLOTS"]["default"]) == ("3", False)
    assert rows["VNAS_SCRIPT"]["default"] is True
    assert rows["VNAS_SCRIPT"]["value"].endswith("vnas/vnas.sh")
    assert all(row["help"] for row in rows.values())
    assert main(["config"]) == 0
    assert "VNAS_SLOTS=3   (set)\n" in capsys.readouterr().out
