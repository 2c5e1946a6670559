"""The command line of `python -m vncore`: what it takes, and how it ends when it cannot ask."""

import pytest

from vncore.__main__ import EX_CONFIG, EX_UNAVAILABLE, EX_USAGE, main, parser

ID = "6f1d7a8e-3a55-4b4e-9d0e-0d5a5b7f4a10"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fsck", {"command": "fsck", "json": False}),
        ("fsck --json", {"command": "fsck", "json": True}),
        ("cleanup", {"command": "cleanup", "dry_run": False, "json": False}),
        (
            "stored some-id 0 7 --result",
            {"command": "stored", "request": "some-id", "group": 0, "task": 7, "result": True},
        ),
        ("cleanup --dry-run --json", {"command": "cleanup", "dry_run": True, "json": True}),
    ],
)
def test_a_command_is_read(line: str, said: dict[str, object]):
    assert vars(parser().parse_args(line.split())) == said


@pytest.mark.parametrize("line", ["", "fsk", "fsck --dry-run", "cleanup now"])
def test_what_is_no_command_is_refused(line: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        main(line.split())
    assert refused.value.code == 2
    assert "usage: python -m vncore" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stored nonsense", "request id"),
        (f"stored {ID} 0", "named by its group (from 0) and its number"),
        (f"stored {ID} --result", "named by its group (from 0) and its number"),
    ],
)
def test_what_names_no_document_is_status_64(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
):
    assert main(line.split()) == EX_USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fsck", "cleanup"])
def test_a_server_that_cannot_be_asked_is_status_2(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/v.sock")
    assert main([command]) == EX_UNAVAILABLE
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("vncore: the server cannot be asked: ")


@pytest.mark.parametrize(
    ("name", "value"), [("REDIS_URL", "http://127.0.0.1"), ("REQUEST_TTL_SECONDS", "soon")]
)
def test_a_wrong_setting_is_status_78(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(name, value)
    assert main(["fsck"]) == EX_CONFIG
    assert name in capsys.readouterr().err
