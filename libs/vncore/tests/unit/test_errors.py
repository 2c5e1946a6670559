"""Errors carry facts, cross process borders whole, and each code is explained."""

import pickle
import re

import pytest

from vncore.codes import CODES
from vncore.errors import HydrationFailed, InvalidRequest, Place, ScriptFailed, VnError
from vncore.failures import Failure
from vncore.ids import new_request_id, parse_request_id


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_code_has_cause_cure_and_an_error_status(code):
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", code.name)
    assert code.cause.endswith(".")
    assert code.cure.endswith(".")
    assert 400 <= code.http_status < 600


def test_an_unknown_code_is_a_fault_in_the_code():
    with pytest.raises(KeyError):
        VnError("NO_SUCH_CODE", "x")


def test_a_report_names_the_rule_and_what_is_known_of_the_place():
    error = HydrationFailed(
        "XML_MALFORMED", "broken", rule="R7", place=Place(uri="s3://b/k", line=3, group_index=0)
    )
    assert error.report() == {
        "code": "XML_MALFORMED",
        "category": "document",
        "retryable": False,
        "rule": "R7",
        "message": "broken",
        "groupIndex": 0,
        "line": 3,
        "uri": "s3://b/k",
    }


def test_an_error_crosses_a_process_border_whole():
    error = ScriptFailed(
        "INTERNAL", "exit status 1", place=Place(task=3), exit_status=1, stderr_tail="boom"
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ScriptFailed
    assert str(again) == "exit status 1"
    assert Failure.of(again, attempts=2) == Failure.of(error, attempts=2)
    assert again.stderr_tail == "boom"


def test_a_failure_keeps_the_place_it_has_and_learns_the_rest():
    failure = Failure("X", "data", "m", place={"line": 3}).at(line=9, task=4)
    assert failure.place == {"line": 3, "task": 4}


def test_a_new_request_id_is_accepted():
    request_id = new_request_id()
    assert parse_request_id(request_id) == request_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "6F1D7A8E-3A55-4B4E-9D0E-0D5A5B7F4A10",
        "6f1d7a8e-3a55-4b4e-9d0e-0d5a5b7f4a10\n",
        "6f1d7a8e3a554b4e9d0e0d5a5b7f4a10",
        "../state",
    ],
)
def test_an_id_from_outside_is_checked_before_it_touches_a_key(text: str):
    with pytest.raises(InvalidRequest):
        parse_request_id(text)
