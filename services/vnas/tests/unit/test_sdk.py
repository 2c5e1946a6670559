"""A Python function as a valuation script, by itself: both modes, and how each call may end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conversation import Conversation

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


@pytest.fixture
def warm(tmp_path):
    """Give a function that starts a script in persistent mode, ended with the test."""
    begun: list[Conversation] = []

    def start(script: Path) -> Conversation:
        conversation = Conversation(script, tmp_path, path=os.environ["PATH"])
        begun.append(conversation)
        conversation.task_id = "7"
        assert conversation.header() == b"READY 1\n"
        return conversation

    yield start
    for conversation in begun:
        conversation.close()


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
def test_a_call_ends_the_same_way_in_both_modes(script, warm, body, status, output, words):
    path = script(f"def value(v):\n    {body}")
    alone = once(path)
    talk = warm(path)
    first = talk.ask(TASK)
    again = talk.ask(TASK)
    ended, printed = talk.end(), talk.printed().encode()
    assert (alone.returncode, alone.stdout) == (status, output)
    assert first == again == (status, output)
    assert ended == 0, "the end of the tasks is the end of the script"
    assert words in alone.stderr
    assert words in printed


def test_a_document_that_is_no_task_is_the_datas_fault(script):
    ended = once(script("def value(v):\n    return 1.0"), b"<vnml/>")
    assert ended.returncode == 65
    assert b"project/group/valuation" in ended.stderr


def test_what_a_function_prints_is_no_result(script, warm):
    talk = warm(script("def value(v):\n    print('RESULT x 0 0'); return 1.0"))
    assert talk.ask(TASK) == (0, b"1.0")
    assert (talk.end(), talk.printed()) == (0, "RESULT x 0 0\n")


def test_each_task_is_worked_on_in_its_own_directory(script, warm):
    talk = warm(
        script(
            "import tempfile\n"
            "def value(d):\n    return f'{os.getcwd()} {tempfile.gettempdir()}'.encode()",
            serve="sdk.serve_documents(value)",
        )
    )
    answers = [talk.ask(TASK) for _ in range(2)]
    own = [folder for folder in sorted(talk.folder.iterdir()) if folder.is_dir()]
    assert answers == [(0, f"{folder} {folder}".encode()) for folder in own]
    assert len(own) == 2
    assert talk.end() == 0


def test_a_program_that_the_function_starts_does_not_hold_the_pipes(script, warm):
    talk = warm(
        script(
            "import subprocess\n"
            "def value(d):\n    return subprocess.run(['ls', '/proc/self/fd'], capture_output=True,"
            " close_fds=False).stdout",
            serve="sdk.serve_documents(value)",
        )
    )
    status, listed = talk.ask(TASK)
    assert status == 0
    assert listed.split() == [b"0", b"1", b"2", b"3"], "3 is what ls itself opened"
    assert talk.end() == 0


def test_what_a_function_prints_in_exec_mode_is_no_result_either(script):
    ended = once(script("def value(v):\n    print('noise'); os.system('echo more'); return 1.0"))
    assert (ended.returncode, ended.stdout) == (0, b"1.0")
    assert sorted(ended.stderr.split()) == [b"more", b"noise"]


def test_a_worker_that_ends_while_it_writes_a_task_leaves_no_error(script, warm):
    talk = warm(script("def value(v):\n    return 1.0"))
    talk.send(b"TASK n1 2 1000\n{}<vnml>")
    assert (talk.end(), talk.printed()) == (0, "")
