"""Keys as they are sent, and the digests that are kept of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnapi.idempotency import idempotency_of, key_of
from vncore.errors import InvalidRequest
from vncore.ids import DEFAULT_TENANT, Tenant

DOCUMENT = b"<vnml/>"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], None, id="absent"),
        pytest.param(['"8e03978e-40d5"'], "8e03978e-40d5", id="quoted, as the draft has it"),
        pytest.param(["8e03978e-40d5"], "8e03978e-40d5", id="bare"),
        pytest.param([' \t"a" '], "a", id="blanks around"),
        pytest.param([r'"a\"b\\c"'], r'a"b\c', id="escapes in quotes"),
        pytest.param([r"a\b"], r"a\b", id="no escapes without"),
        pytest.param(['a"b'], 'a"b', id="a quote that begins nothing"),
        pytest.param(["!~"], "!~", id="first and last character"),
        pytest.param(["k" * 128], "k" * 128, id="the longest"),
        pytest.param(['"' + r"\"" * 128 + '"'], '"' * 128, id="the longest, escaped"),
    ],
)
def test_a_key_is_read(headers: list[str], expected: str | None) -> None:
    assert key_of(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([""], id="empty"),
        pytest.param(['""'], id="empty in quotes"),
        pytest.param(["k" * 129], id="too long"),
        pytest.param(['"' + "k" * 129 + '"'], id="too long in quotes"),
        pytest.param(["a b"], id="a blank inside"),
        pytest.param(['"a b"'], id="a blank in quotes"),
        pytest.param(["a\tb"], id="a tab"),
        pytest.param(["a\x00"], id="a control character"),
        pytest.param(["a\x7f"], id="delete"),
        pytest.param(["é"], id="not ASCII"),
        pytest.param(['"a'], id="no closing quote"),
        pytest.param(['"'], id="a quote alone"),
        pytest.param(['"a"b"'], id="a quote in quotes"),
        pytest.param([r'"a\"'], id="the closing quote escaped"),
        pytest.param([r'"a\x"'], id="an escape of nothing"),
        pytest.param(['"a";b=1'], id="parameters"),
        pytest.param(["a", "a"], id="two lines"),
        pytest.param(['"a", "b"'], id="two lines that a proxy joined"),
    ],
)
def test_what_is_no_key_is_refused(headers: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        key_of(headers)
    assert caught.value.code == "IDEMPOTENCY_KEY_INVALID"
    assert caught.value.http_status == 400


@given(st.lists(st.text(), max_size=3))
def test_whatever_is_sent_gives_a_key_or_a_refusal(headers: list[str]) -> None:
    try:
        key = key_of(headers)
    except InvalidRequest:
        return
    assert key is None or (1 <= len(key) <= 128 and key.isascii() and key.isprintable())


def digests(
    key: str = "k",
    tenant: Tenant = DEFAULT_TENANT,
    document: bytes = DOCUMENT,
    on_failure: str = "",
    deadline_ms: int | None = None,
) -> tuple[str, str]:
    found = idempotency_of(key, tenant, document, on_failure=on_failure, deadline_ms=deadline_ms)
    return found.key_digest, found.payload_digest


def test_digests_stay_what_they_are_because_running_servers_hold_them() -> None:
    assert digests("k-1", on_failure="continue", deadline_ms=500) == (
        "cc473ab97d0bf8cc1b687cbc36e9aa95b9c247866d28080c629cc511f7292f24",
        "f1c8c74f52e212cf7b3f1eb67270be13bdc095d44a2eda1a036b8cddcb5cecd9",
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"key": "k2"}, id="key"),
        pytest.param({"tenant": Tenant("other")}, id="tenant"),
        pytest.param({"tenant": Tenant("defaul"), "key": "tk"}, id="a letter moved over"),
    ],
)
def test_a_key_belongs_to_its_tenant(other: dict[str, str]) -> None:
    one, another = digests(), digests(**other)  # type: ignore[arg-type]
    assert one[0] != another[0]
    assert one[1] == another[1]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"document": b"<vnml />"}, id="document"),
        pytest.param({"on_failure": "stop"}, id="a policy named"),
        pytest.param({"deadline_ms": 1}, id="a deadline"),
        pytest.param({"document": b"1<vnml/>"}, id="a document that begins with a deadline"),
    ],
)
def test_what_changes_the_request_changes_its_digest(other: dict[str, object]) -> None:
    one, another = digests(), digests(**other)  # type: ignore[arg-type]
    assert one[0] == another[0]
    assert one[1] != another[1]
