"""A Python function as a valuation script, by itself: both modes, and how each call may end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = f"""#!{sys.executable}
import os, sys
from vnas import sdk
"""

TASK = (
    b"<vnml><project><group name='g'><valuation name='v'><instrument><years>2</years></instrument>"
    b"<vndb externalId='1'/></valuation></group></project></vnml>"
)


@pytest.fixture
def script(tmp_path):
    def write(function: str, *, serve: str = "sdk.serve(value)") -> Path:
        path = tmp_path / "script.py"
        path.write_text(f"{HEAD}\n{function}\n\n{serve}\n")
        path.chmod(0o755)
        return path

    return write


def once(script: Path, document: bytes = TASK) -> "subprocess.CompletedProcess[bytes]":
    clean = {"PATH": os.environ["PATH"], "VN_TASK_ID": "7"}
    return subprocess.run([script], input=document, env=clean, capture_output=True, check=False)


class Persistent:
    """The worker's end, at its plainest: blocking, one frame after the other."""

    def __init__(self, script: Path) -> None:
        tasks_in, self.tasks = os.pipe()
        answers, answers_out = os.pipe()
        descriptors = Path(sys.modules["vnas"].__path__[0]) / "descriptors.py"
        self.process = subprocess.Popen(
            [sys.executable, descriptors, str(tasks_in), str(answers_out), script],
            env={"PATH": os.environ["PATH"], "VN_SCRIPT_MODE": "persistent"},
            pass_fds=(tasks_in, answers_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(tasks_in)
        os.close(answers_out)
        self.answers = os.fdopen(answers, "rb")
        assert self.answers.readline() == b"READY 1\n"

    def ask(self, directory: Path, document: bytes = TASK, nonce: str = "n1") -> tuple[int, bytes]:
        facts = f'{{"VN_TASK_DIRECTORY": "{directory}", "VN_TASK_ID": "7"}}'.encode()
        header = f"TASK {nonce} {len(facts)} {len(document)}\n".encode()
        os.write(self.tasks, header + facts + document)
        verb, echoed, status, size = self.answers.readline().split()
        assert (verb, echoed) == (b"RESULT", nonce.encode())
        return int(status), self.answers.read(int(size))

    def finish(self) -> tuple[int, bytes]:
        os.close(self.tasks)
        printed, _ = self.process.communicate(timeout=20)
        self.answers.close()
        return self.process.returncode, printed


ENDINGS = [
    pytest.param("return 101.25", 0, b"101.25", b"", id="a float"),
    pytest.param("return 10**20", 0, b"1e+20", b"", id="an integer"),
    pytest.param("import decimal; return decimal.Decimal('0.10')", 0, b"0.10", b"", id="a decimal"),
    pytest.param(
        "v.set('seen', 'yes'); return v",
        0,
        b'<valuation name="v" seen="yes"><instrument><years>2</years></instrument>'
        b'<vndb externalId="1"/></valuation>',
        b"",
        id="the valuation itself",
    ),
    pytest.param("raise sdk.Rejected('no years')", 65, b"", b"no years\n", id="data at fault"),
    pytest.param("raise sdk.TryAgain('busy')", 75, b"", b"busy\n", id="something passing"),
    pytest.param("sys.exit(3)", 3, b"", b"", id="an exit status"),
    pytest.param("sys.exit('so')", 1, b"", b"so\n", id="an exit with words"),
    pytest.param("return 1 / 0", 1, b"", b"ZeroDivisionError", id="an exception"),
    pytest.param("return None", 1, b"", b"returned NoneType", id="nothing"),
    pytest.param("return True", 1, b"", b"returned bool", id="a truth value"),
    pytest.param("return 'text'", 1, b"", b"returned str", id="text"),
    pytest.param("return os.environ['VN_TASK_ID'] + 0.0", 1, b"", b"TypeError", id="an error"),
    pytest.param("return float(os.environ['VN_TASK_ID'])", 0, b"7.0", b"", id="a fact"),
]


@pytest.mark.parametrize(("body", "status", "output", "words"), ENDINGS)
def test_a_call_ends_the_same_way_in_both_modes(script, tmp_path, body, status, output, words):
    path = script(f"def value(v):\n    {body}")
    alone = once(path)
    warm = Persistent(path)
    first = warm.ask(tmp_path)
    again = warm.ask(tmp_path, nonce="n2")
    ended, printed = warm.finish()
    assert (alone.returncode, alone.stdout) == (status, output)
    assert first == again == (status, output)
    assert ended == 0, "the end of the tasks is the end of the script"
    assert words in alone.stderr
    assert words in printed


def test_a_document_that_is_no_task_is_the_datas_fault(script):
    ended = once(script("def value(v):\n    return 1.0"), b"<vnml/>")
    assert ended.returncode == 65
    assert b"project/group/valuation" in ended.stderr


def test_what_a_function_prints_is_no_result(script, tmp_path):
    warm = Persistent(script("def value(v):\n    print('RESULT x 0 0'); return 1.0"))
    assert warm.ask(tmp_path) == (0, b"1.0")
    assert warm.finish() == (0, b"RESULT x 0 0\n")


def test_each_task_is_worked_on_in_its_own_directory(script, tmp_path):
    warm = Persistent(
        script(
            "import tempfile\n"
            "def value(d):\n    return f'{os.getcwd()} {tempfile.gettempdir()}'.encode()",
            serve="sdk.serve_documents(value)",
        )
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert warm.ask(tmp_path / name) == (0, f"{tmp_path / name} {tmp_path / name}".encode())
    assert warm.finish()[0] == 0


def test_a_program_that_the_function_starts_does_not_hold_the_pipes(script, tmp_path):
    warm = Persistent(
        script(
            "import subprocess\n"
            "def value(d):\n    return subprocess.run(['ls', '/proc/self/fd'], capture_output=True,"
            " close_fds=False).stdout",
            serve="sdk.serve_documents(value)",
        )
    )
    status, listed = warm.ask(tmp_path)
    assert status == 0
    assert listed.split() == [b"0", b"1", b"2", b"3"], "3 is what ls itself opened"
    assert warm.finish()[0] == 0


def test_what_a_function_prints_in_exec_mode_is_no_result_either(script):
    ended = once(script("def value(v):\n    print('noise'); os.system('echo more'); return 1.0"))
    assert (ended.returncode, ended.stdout) == (0, b"1.0")
    assert sorted(ended.stderr.split()) == [b"more", b"noise"]


def test_a_worker_that_ends_while_it_writes_a_task_leaves_no_error(script, tmp_path):
    warm = Persistent(script("def value(v):\n    return 1.0"))
    os.write(warm.tasks, b"TASK n1 2 1000\n{}<vnml>")
    assert warm.finish() == (0, b"")
