"""What a client asks of its request beside the document: deadline, failure policy, key."""

import pytest
from starlette.datastructures import Headers, QueryParams

from vnapi.prefer import Wait
from vnapi.terms import MOST_DEADLINE_MS, Terms, deadline_of, on_failure_of, terms_of
from vncore.errors import InvalidRequest


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], None, id="absent"),
        pytest.param(["1"], 1, id="the least"),
        pytest.param(["60000"], 60_000, id="a minute"),
        pytest.param(["604800000"], MOST_DEADLINE_MS, id="a week"),
    ],
)
def test_a_deadline_is_a_number_of_milliseconds(values: list[str], expected: int | None) -> None:
    assert deadline_of(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([""], id="empty"),
        pytest.param(["0"], id="zero"),
        pytest.param(["-1"], id="negative"),
        pytest.param(["+1"], id="signed"),
        pytest.param(["1.5"], id="fraction"),
        pytest.param(["1e3"], id="exponent"),
        pytest.param(["1_000"], id="underscore"),
        pytest.param([" 1"], id="blank"),
        pytest.param(["1\n"], id="line end"),
        pytest.param(["007"], id="leading zeros"),
        pytest.param(["١٢"], id="other digits"),
        pytest.param(["604800001"], id="more than a week"),
        pytest.param(["9" * 5_000], id="no number that anybody reads"),
        pytest.param(["soon"], id="a word"),
        pytest.param(["1", "1"], id="twice"),
    ],
)
def test_any_other_deadline_is_refused(values: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="deadlineMs") as caught:
        deadline_of(values)
    assert caught.value.code == "PARAMETER_INVALID"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], "", id="absent"),
        pytest.param(["stop"], "stop", id="stop"),
        pytest.param(["continue"], "continue", id="continue"),
        pytest.param(["tolerate:3"], "tolerate:3", id="a number"),
        pytest.param([" tolerate:2.5% "], "tolerate:2.5%", id="a share, with blanks around"),
    ],
)
def test_a_failure_policy_is_kept_as_it_is_meant(values: list[str], expected: str) -> None:
    assert on_failure_of(values) == expected


@pytest.mark.parametrize(
    "values", [[""], ["Stop"], ["tolerate"], ["tolerate:101%"], ["${x}"], ["stop", "stop"]]
)
def test_any_other_failure_policy_is_refused(values: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="onFailure") as caught:
        on_failure_of(values)
    assert caught.value.code == "PARAMETER_INVALID"


def test_query_and_headers_are_read_together() -> None:
    query = QueryParams("sync=Y&deadlineMs=500&onFailure=tolerate:10%25")
    headers = Headers({"Idempotency-Key": '"k-1"', "Prefer": "wait=3"})
    assert terms_of(query, headers, most_seconds=9) == Terms(
        wait=Wait(3.0, ("wait=3",)),
        on_failure="tolerate:10%",
        deadline_ms=500,
        idempotency_key="k-1",
    )


def test_nothing_asked_is_nothing_but_no_wait() -> None:
    assert terms_of(QueryParams(""), Headers({}), most_seconds=9) == Terms(wait=Wait(None))
