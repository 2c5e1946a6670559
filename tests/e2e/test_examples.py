"""Every example runs, by the command that examples/README.md gives for it, in each of its modes."""

import re
import subprocess
from pathlib import Path

import pytest
from examples import (
    CHECKS,
    EXAMPLES,
    GUIDE,
    PATH,
    ROOT,
    SCRIPTS,
    TOOLS,
    check_zeros,
    examples,
    tasks_of,
    valuations,
)


@pytest.fixture(scope="module")
def zeros() -> list[bytes]:
    return tasks_of("shell")


@pytest.fixture(scope="module")
def trades() -> list[bytes]:
    return tasks_of("ore")


# --- through the pipeline -------------------------------------------------------------------------


def commands() -> dict[str, str]:
    """Give the command of each example in the README, by its folder."""
    readme = (EXAMPLES / "README.md").read_text()
    found = re.findall(r"^vn run (examples/(\w+)/.*?) *(?:#.*)?$", readme, re.MULTILINE)
    return {folder: command for command, folder in found if folder != "requests"}


def test_the_readme_has_a_command_for_every_example_and_names_every_request() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()} - {"requests"}
    assert set(commands()) == folders == set(SCRIPTS)
    readme = (EXAMPLES / "README.md").read_text()
    requests = {path.name for path in (EXAMPLES / "requests").glob("*.xml")}
    assert {name for name in requests if name not in readme} == set()


@examples("shell", "python", "node", "ore")
def test_the_command_of_the_readme_values_the_example(example: str, tmp_path: Path) -> None:
    out = tmp_path / "response.xml"
    command = [str(TOOLS / "vn"), "run", *commands()[example].split(), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("--script-mode persistent" in commands()[example]) == (example != "shell")
    priced = valuations(out.read_bytes())
    assert len(priced) == 3
    CHECKS[example](priced)


def value(task: bytes, example: str, *options: str) -> bytes:
    command = [str(TOOLS / "vn"), "value", "-", "--script", str(SCRIPTS[example]), *options]
    done = subprocess.run(command, input=task, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_one_task_is_valued_in_exec_mode(zeros: list[bytes]) -> None:
    check_zeros(valuations(value(zeros[-1], "shell")))


@examples("python", "node", "ore")
def test_one_task_is_valued_alike_in_both_modes(
    example: str, zeros: list[bytes], trades: list[bytes]
) -> None:
    task = (trades if example == "ore" else zeros)[-1]
    persistent = value(task, example, "--script-mode", "persistent")
    CHECKS[example](valuations(persistent))
    assert persistent == value(task, example, "--script-mode", "exec")


def test_the_three_zero_examples_share_one_request() -> None:
    requests = {(EXAMPLES / name / "request.xml").read_bytes() for name in SCRIPTS if name != "ore"}
    assert len(requests) == 1


# --- run by themselves ----------------------------------------------------------------------------


Ended = subprocess.CompletedProcess[bytes]


def run_once(example: str, task: bytes, folder: Path, **more: str) -> Ended:
    return subprocess.run(
        [str(SCRIPTS[example])],
        input=task,
        cwd=folder,
        env={"PATH": PATH, **more},
        capture_output=True,
    )


BOND = b"<zeroCouponBond>"
FLAT = b"<rate>0.0412</rate>"
ZERO_FAULTS = {
    "another kind": (b"zeroCouponBond", b"fixedRateBond", b"zeroCouponBond"),
    "no rate": (FLAT, b"", b"rate"),
    "two rates": (FLAT, FLAT + FLAT, b"rate"),
    "a rate in another unit": (FLAT, b'<rate unit="percent">4.12</rate>', b"rate"),
    "a rate that is no number": (FLAT, b"<rate>high</rate>", b""),
    "no face": (b"<faceAmount>1000000</faceAmount>", b"", b"faceAmount"),
    "a day that is none": (b"2026-09-17</mat", b"2026-99-99-17</mat", b""),
    "matured": (b"2026-09-17", b"2025-09-17", b"maturityDate"),
}


@examples("shell", "python", "node")
def test_a_document_at_fault_is_rejected_with_a_sentence(
    example: str, zeros: list[bytes], tmp_path: Path
) -> None:
    assert run_once(example, zeros[0], tmp_path).returncode == 0
    for name, (there, instead, word) in ZERO_FAULTS.items():
        broken = zeros[0].replace(there, instead)
        assert broken != zeros[0], name
        done = run_once(example, broken, tmp_path)
        assert (name, done.returncode, done.stdout) == (name, 65, b"")
        assert word in done.stderr.splitlines()[-1], name


def test_without_ore_its_script_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "ORE.py").write_text("raise ImportError\n")
    done = run_once("ore", b"<valuation/>", tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (127, b"")
    assert b"pip install" in done.stderr


# --- the guide ------------------------------------------------------------------------------------


def test_what_the_guide_shows_of_an_example_is_the_example() -> None:
    shown = re.findall(
        r"\]\(\.\./(examples/[\w./]+)\)[^\n]*\n\n```\w+\n(.*?)```", GUIDE.read_text(), re.DOTALL
    )
    assert {path for path, _ in shown} >= {"examples/python/price.py", "examples/shell/price.sh"}
    for path, code in shown:
        assert code == (ROOT / path).read_text(), path
