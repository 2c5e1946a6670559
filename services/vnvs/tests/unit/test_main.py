"""The command line: one document on a desk, and the settings in force."""

import io
import json
import sys
from pathlib import Path

import pytest

from vncore.xml import parse
from vnvs.main import EX_CONFIG, EX_FAULT, main
from vnvs.settings import VnvsSettings

DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<vnml><project>
  <market name="USD" href="usd.xml"/>
  <portfolio><instrument name="B1"/><instrument name="B2"/></portfolio>
  <group name="prices">
    <valuation name="bond" use="vn:link(/vnml/project/portfolio, instrument)">
      <market select="/vnml/project/market"/><instrument select="."/>
    </valuation>
  </group>
  <group name="more"><valuation name="v"/></group>
</project></vnml>"""

MARKET = b"<vnml><project><market name='USD'><rate>0.04</rate></market></project></vnml>"

FAULTY = b"""<vnml><project><group name="g">
  <valuation name="a"><market select="/vnml/absent"/></valuation>
  <valuation name="b"><market select="/vnml["/></valuation>
</group></project></vnml>"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch):
    for name in VnvsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HYDRATION_PROCESSES", "1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "usd.xml").write_bytes(MARKET)
    path = tmp_path / "request.xml"
    path.write_bytes(DOCUMENT)
    return path


def test_a_document_is_hydrated_beside_its_files(
    file: Path, capfdbinary: pytest.CaptureFixture[bytes]
):
    assert main(["hydrate", str(file)]) == 0
    project = parse(capfdbinary.readouterr().out).find("project")
    assert project.findtext("market/rate") == "0.04"
    assert project.find("market").get("href") is None


def test_the_first_groups_tasks_come_one_after_another(
    file: Path, capfdbinary: pytest.CaptureFixture[bytes]
):
    assert main(["hydrate", str(file), "--tasks"]) == 0
    written = capfdbinary.readouterr().out
    first, second = (b"<?xml" + part for part in written.split(b"<?xml")[1:])
    for number, task in ((1, first), (2, second)):
        valuation = parse(task).find("project/group/valuation")
        assert valuation.find("instrument").get("name") == f"B{number}"
        assert valuation.find("vndb").get("externalId") == str(number)


def test_as_json_the_sources_are_told(file: Path, capfdbinary: pytest.CaptureFixture[bytes]):
    assert main(["hydrate", str(file), "--json"]) == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert [group["name"] for group in told["groups"]] == ["prices", "more"]
    [source] = told["sources"]
    assert source["uri"] == f"file://{file.parent}/usd.xml"
    assert source["size"] == len(MARKET)
    assert "<rate>0.04</rate>" in told["document"]
    assert main(["hydrate", str(file), "--tasks", "--json"]) == 0
    tasks = json.loads(capfdbinary.readouterr().out)
    assert [(task["task"], task["valuation"]) for task in tasks] == [(1, "bond"), (2, "bond")]


def test_a_good_document_checks_out(file: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["hydrate", str(file), "--check", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == []


def test_a_check_tells_all_faults(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / "faulty.xml"
    path.write_bytes(FAULTY)
    assert main(["hydrate", str(path), "--check", "--json"]) == EX_FAULT
    faults = json.loads(capfd.readouterr().out)
    assert [fault["valuation"] for fault in faults] == ["a", "b"]
    assert all(fault["rule"] and fault["code"] for fault in faults)
    assert main(["hydrate", str(path), "--check"]) == EX_FAULT
    told = capfd.readouterr()
    assert told.out == ""
    for fault in faults:
        assert fault["code"] in told.err
        assert f"valuation: {fault['valuation']}" in told.err


def test_the_first_fault_is_told_readably(file: Path, capfd: pytest.CaptureFixture[str]):
    file.write_bytes(DOCUMENT.replace(b"usd.xml", b"absent.xml"))
    assert main(["hydrate", str(file)]) == EX_FAULT
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.startswith("HREF_UNAVAILABLE (rule R7): ")
    assert f"uri: file://{file.parent}/absent.xml" in told.err
    assert "line: 3" in told.err


def test_malformed_xml_has_a_line(file: Path, capfd: pytest.CaptureFixture[str]):
    file.write_bytes(b"<vnml>\n<project></vnml>")
    assert main(["hydrate", str(file), "--json"]) == EX_FAULT
    [fault] = json.loads(capfd.readouterr().err)
    assert (fault["code"], fault["line"]) == ("XML_MALFORMED", 2)


@pytest.mark.parametrize("inside", [True, False], ids=["wide enough", "too narrow"])
def test_a_file_root_may_be_given(file: Path, capfd: pytest.CaptureFixture[str], *, inside: bool):
    folder = file.parent / "requests"
    folder.mkdir()
    moved = folder / "request.xml"
    absolute = f"file://{file.parent}/usd.xml".encode()
    moved.write_bytes(DOCUMENT.replace(b"usd.xml", absolute))
    arguments = ["hydrate", str(moved)]
    if inside:
        arguments += ["--file-root", str(file.parent)]
    assert main(arguments) == (0 if inside else EX_FAULT)
    assert inside or capfd.readouterr().err.startswith("HREF_FORBIDDEN")


def test_standard_input_has_no_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    stdin = io.TextIOWrapper(io.BytesIO(DOCUMENT))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["hydrate", "-"]) == EX_FAULT
    assert capfd.readouterr().err.startswith("HREF_FORBIDDEN")


def test_a_missing_file_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["hydrate", str(tmp_path / "absent.xml")]) == EX_FAULT
    assert "No such file" in capfd.readouterr().err


def test_config_shows_the_settings_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("REDIS_URL", "rediss://:secret@host:6379")
    assert main(["config", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capfd.readouterr().out)}
    assert "secret" not in rows["REDIS_URL"]["value"]
    assert rows["HYDRATION_PROCESSES"] | {"help": ""} == {
        "name": "HYDRATION_PROCESSES",
        "value": "1",
        "default": False,
        "help": "",
    }
    assert all(row["help"] for row in rows.values())
    assert main(["config"]) == 0
    assert "HYDRATION_PROCESSES=1   (set)" in capfd.readouterr().out


def test_a_wrong_setting_ends_with_78(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HYDRATION_PROCESSES", "none")
    assert main(["config"]) == EX_CONFIG
    assert "HYDRATION_PROCESSES" in capfd.readouterr().err
