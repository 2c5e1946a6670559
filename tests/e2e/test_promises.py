"""What DESIGN promises, tried on the whole house over real streams."""

import asyncio
import itertools
import re
from collections import defaultdict
from typing import Any

import pytest
from books import document

from vnclient import AsyncClient, Client
from vnclient.answers import Accepted
from vnclient.errors import RequestFailed
from vncore.connection import Connections
from vncore.ids import RequestId
from vncore.keys import ORCHESTRATORS, WORKERS, Keys

KEYS = Keys()


class StreamLog:
    """Every command the server executed on the dispatch and update streams, in its order."""

    _FIELD = re.compile(r" (groupIdx|taskId|durationMs) (\d+)")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.dispatched: list[tuple[float, int, int]] = []  # server time, group, task
        self.settled: list[tuple[float, int, int, float]] = []  # ..., duration in seconds
        self.order: list[tuple[str, int]] = []

    def add(self, command: dict[str, Any]) -> None:
        text = command["command"]
        if not text.startswith("XADD") or self.request_id not in text:
            return
        fields = {name: int(value) for name, value in self._FIELD.findall(text)}
        time = float(command["time"])
        if text.startswith(f"XADD {KEYS.dispatch}"):
            self.dispatched.append((time, fields["groupIdx"], fields["taskId"]))
            self.order.append(("dispatched", fields["groupIdx"]))
        elif text.startswith(f"XADD {KEYS.updates(RequestId(self.request_id))}"):
            seconds = fields["durationMs"] / 1000
            self.settled.append((time, fields["groupIdx"], fields["taskId"], seconds))
            self.order.append(("settled", fields["groupIdx"]))


async def test_groups_run_one_after_another_and_tasks_of_a_group_at_once(
    aclient: AsyncClient, stack_redis: Connections
):
    groups, tasks = 3, 20
    seen: list[dict[str, Any]] = []
    async with stack_redis.readers.monitor() as monitor:

        async def listen() -> None:
            async for command in monitor.listen():
                seen.append(command)  # noqa: PERF401 - an endless source: taken as it comes

        listening = asyncio.create_task(listen())
        accepted = await aclient.submit(document(groups, tasks, "slow"))
        await aclient.wait(accepted.request_id, timeout_seconds=40)
        listening.cancel()

    log = StreamLog(accepted.request_id)
    for command in seen:
        log.add(command)

    assert len(log.dispatched) == len(log.settled) == groups * tasks
    settled_by_group: dict[int, int] = defaultdict(int)
    for what, group in log.order:
        if what == "settled":
            settled_by_group[group] += 1
        elif group > 0:
            assert settled_by_group[group - 1] == tasks, f"group {group} began too early"

    for group in range(groups):
        spans = sorted((end - long, end) for end, g, _, long in log.settled if g == group)
        overlapping = sum(1 for one, other in itertools.pairwise(spans) if other[0] < one[1])
        assert overlapping >= tasks // 2, "tasks of a group ran one after another"


async def test_a_hundred_concurrent_requests_succeed_and_leave_nothing_behind(
    aclient: AsyncClient, stack_redis: Connections
):
    book = document(2, 5)
    accepted = await asyncio.gather(*(aclient.submit(book) for _ in range(100)))
    ends = await asyncio.gather(
        *(aclient.wait(one.request_id, timeout_seconds=50) for one in accepted)
    )
    assert [end.status for end in ends] == ["succeeded"] * 100
    answers = {await aclient.results(one.request_id) for one in accepted}
    assert len(answers) == 1, "the same document gave different responses"

    redis = stack_redis.commands
    assert await redis.xlen(KEYS.ingest) == 0
    assert await redis.xlen(KEYS.dispatch) == 0
    for stream, group in ((KEYS.ingest, ORCHESTRATORS), (KEYS.dispatch, WORKERS)):
        assert (await redis.xpending(stream, group))["pending"] == 0
    lasting = {KEYS.ingest, KEYS.dispatch, KEYS.lifecycle}
    left = {key.decode() async for key in redis.scan_iter(count=1000)} - lasting
    assert len(left) > 100
    without_end = {key for key in left if await redis.ttl(key) < 0}
    assert not without_end
    assert not {key for key in left if key.startswith("stream:task:updates:")}


def test_an_answer_comes_within_the_call_when_asked_for(client: Client):
    answer = client.submit_sync(document(1, 3))
    assert not isinstance(answer, Accepted)
    assert b'expected="3"' in answer.document
    assert answer.document.count(b"<vndb ") == 3


def test_a_failing_script_is_tried_three_times_and_its_stderr_reported(client: Client):
    with pytest.raises(RequestFailed) as failed:
        client.value(document(1, 1, "fail"), timeout_seconds=50)
    failure = failed.value.failure
    [task] = failure.tasks
    assert (failure.group, task.attempts) == ("G0", 3)
    assert "no such curve: 1" in task.stderr


def test_a_document_that_the_engine_refuses_is_not_tried_again(client: Client):
    with pytest.raises(RequestFailed) as failed:
        client.value(document(1, 1, "reject"), timeout_seconds=30)
    [task] = failed.value.failure.tasks
    assert task.attempts == 1
    assert "VNP-201" in failed.value.failure.message


def test_an_attempt_that_fails_once_does_not_fail_the_request(client: Client):
    response = client.value(document(1, 2, "flaky"), timeout_seconds=40)
    assert b'failed="0"' in response


def test_the_workers_environment_never_reaches_the_script(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(RequestFailed) as failed:
        client.value(document(1, 1, "leak"), timeout_seconds=30)
    [task] = failed.value.failure.tasks
    names = set(task.stderr.split())
    assert "VN_TASK_ID" in names
    allowed = {"HOME", "LANG", "OLDPWD", "PATH", "PWD", "SHLVL", "TMPDIR", "TRACEPARENT", "_"}
    assert {name for name in names if not name.startswith("VN_")} <= allowed
    assert not {name for name in names if "REDIS" in name}
