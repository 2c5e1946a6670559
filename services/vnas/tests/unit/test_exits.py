"""What an exit status and the last line of stderr mean."""

import pytest

from vnas.exits import check_exit, describe_exit, last_line
from vncore.errors import ScriptFailed


def test_status_0_is_no_error_whatever_stderr_holds():
    check_exit(0, "VNP-201 /a: sentence\n")


@pytest.mark.parametrize(
    ("exit_status", "words"),
    [
        pytest.param(3, "exited with status 3", id="status"),
        pytest.param(-11, "was ended by SIGSEGV", id="signal"),
        pytest.param(-40, "was ended by signal 40", id="real-time signal"),
    ],
)
def test_an_exit_is_said_in_words(exit_status, words):
    assert describe_exit(exit_status) == words


BAD_DATA = "the script exited with status 65 (bad data)"


@pytest.mark.parametrize(
    ("stderr", "message", "element"),
    [
        pytest.param("VNP-203 /a/b: no\n", "VNP-203 /a/b: no", "/a/b", id="engine line"),
        pytest.param("x\nVNP-203 /a: c\n\n \n", "VNP-203 /a: c", "/a", id="blank lines after it"),
        pytest.param("VNP-203 /a/b: c: d", "VNP-203 /a/b: c: d", "/a/b", id="another colon"),
        pytest.param(
            "VNP-206 /a[@n='X: Y']: d", "VNP-206 /a[@n='X: Y']: d", "/a[@n='X: Y']", id="quotes"
        ),
        pytest.param(
            'VNP-206 /a[@n="it\'s"]/b: d',
            'VNP-206 /a[@n="it\'s"]/b: d',
            '/a[@n="it\'s"]/b',
            id="both",
        ),
        pytest.param("VNP-203 /a: c\nmore", f"{BAD_DATA}: more", None, id="not the last line"),
        pytest.param("VNP-20 /a: b", f"{BAD_DATA}: VNP-20 /a: b", None, id="no such code"),
        pytest.param("", BAD_DATA, None, id="silent"),
        pytest.param("y" * 400, f"{BAD_DATA}: {'y' * 300}…", None, id="a long line"),
    ],
)
def test_the_last_line_of_stderr_is_told(stderr, message, element):
    with pytest.raises(ScriptFailed) as caught:
        check_exit(65, stderr)
    assert caught.value.message == message
    assert caught.value.place.element == element
    assert caught.value.code == "SCRIPT_REJECTED_DATA"


def test_an_engine_line_keeps_its_code_when_a_retry_may_help():
    with pytest.raises(ScriptFailed) as caught:
        check_exit(70, "VNP-501 /vnml: the engine could not start\n")
    assert caught.value.message.startswith("VNP-501 ")
    assert (caught.value.code, caught.value.retryable) == ("SCRIPT_FAILED", True)


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("\n \n", ""), ("a\n b \n\n", "b"), ("a\rb", "b")]
)
def test_the_last_line_is_the_last_that_is_not_blank(text, line):
    assert last_line(text) == line
