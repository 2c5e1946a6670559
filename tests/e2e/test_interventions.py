"""What a client may do about a request, on the whole house: repeat, limit, cancel, redrive."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from books import document

from vnclient import Client
from vnclient.errors import RequestFailed, RequestOver
from vncore.xml import parse


def until(condition: Callable[[], object], seconds: float) -> float:
    """Wait for a condition; gives how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "the condition was not met in time"
        time.sleep(0.02)
    return time.monotonic() - began


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_book_sent_twice_with_one_key_is_valued_once(client: Client):
    book = document(1, 3, "slow")
    first = client.submit(book, idempotency_key="one-book")
    again = client.submit(book, idempotency_key="one-book")
    assert (again.request_id, again.replayed, first.replayed) == (first.request_id, True, False)
    ended = client.wait(first.request_id, timeout_seconds=30)
    assert ended.succeeded
    assert client.value(book, idempotency_key="one-book") == client.results(first.request_id)


def test_a_cancelled_requests_scripts_are_gone_within_two_seconds(client: Client, tmp_path: Path):
    pids = tmp_path / "pids"
    accepted = client.submit(document(2, 1, f"hangs:{pids}"))
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 20)
    script, grandchild = map(int, pids.read_text().split())
    assert is_alive(script)
    assert is_alive(grandchild)

    client.cancel(accepted.request_id)
    until(lambda: not is_alive(script) and not is_alive(grandchild), 2)

    client.cancel(accepted.request_id)  # again: no matter
    ended = client.status(accepted.request_id)
    assert ended.status == "cancelled"
    with pytest.raises(RequestFailed):
        client.results(accepted.request_id)


def test_a_request_that_has_succeeded_cannot_be_cancelled(client: Client):
    accepted = client.submit(document(1, 1))
    client.wait(accepted.request_id, timeout_seconds=30)
    with pytest.raises(RequestOver):
        client.cancel(accepted.request_id)


def test_a_partial_book_is_made_whole_by_a_redrive(client: Client, tmp_path: Path):
    flag = tmp_path / "market-data"
    book = document(2, 2).replace(
        b"</group>", f"<valuation name='wants:{flag}'/></group>".encode(), 1
    )
    accepted = client.submit(book, on_failure="continue")
    ended = client.wait(accepted.request_id, timeout_seconds=30)
    assert ended.status == "partial"
    partial = client.results(accepted.request_id)
    [failure] = parse(partial).iter("failure")
    assert failure.get("code") == "SCRIPT_REJECTED_DATA"

    flag.touch()
    redriven = client.redrive(accepted.request_id)
    assert redriven.run == 2
    ended = client.wait(accepted.request_id, timeout_seconds=30)
    assert (ended.status, ended.run) == ("succeeded", 2)
    whole = client.results(accepted.request_id)
    assert not list(parse(whole).iter("failure"))
    assert whole == client.value(book)  # as if nothing had ever failed


def test_a_request_ends_at_its_deadline_and_its_scripts_with_it(client: Client, tmp_path: Path):
    pids = tmp_path / "pids"
    accepted = client.submit(document(1, 1, f"hangs:{pids}"), deadline_ms=1_500)
    ended = client.wait(accepted.request_id, timeout_seconds=20)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == ("failed", "REQUEST_DEADLINE_EXCEEDED")
    script, grandchild = map(int, pids.read_text().split())
    until(lambda: not is_alive(script) and not is_alive(grandchild), 3)
