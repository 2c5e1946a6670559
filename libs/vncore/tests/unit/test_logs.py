"""Log lines are JSON with the fields of the request, group and task they are about."""

import asyncio
import json

import pytest

from vncore.logs import bound, logger


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_an_event_name_with_fields(capsys: pytest.CaptureFixture[str]):
    log = logger("test-fields", level="INFO")
    with bound(log, request="r1"), bound(log, group=0, task=3):
        log.warning("task_retried", extra={"attempt": 2})
    log.warning("done")
    first, second = lines(capsys.readouterr().err)
    assert first["message"] == "task_retried"
    assert (first["request"], first["group"], first["task"]) == ("r1", 0, 3)
    assert (first["service"], first["level"], first["attempt"]) == ("test-fields", "WARNING", 2)
    assert not {"request", "task"} & second.keys()


async def test_concurrent_requests_do_not_share_fields(capsys: pytest.CaptureFixture[str]):
    log = logger("test-concurrent", level="INFO")
    both = asyncio.Barrier(2)

    async def one(request: str) -> None:
        with bound(log, request=request):
            await both.wait()
            log.warning(request)

    await asyncio.gather(one("r1"), one("r2"))
    assert all(line["request"] == line["message"] for line in lines(capsys.readouterr().err))
