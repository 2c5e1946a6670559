"""Log lines are JSON with the fields of the request, group and task they are about."""

import ast
import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

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


# Names that logging gives to its records (an extra field of that name raises), and those that our
# lines have anyway (a field of that name would stand in their place).
TAKEN = vars(logging.makeLogRecord({})).keys() | {
    *("message", "asctime", "level", "location", "timestamp", "service", "exception")
}


def field_names(source: str) -> Iterator[tuple[int, str]]:
    """Give the line and name of every field that a module adds to its log lines."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "bound":
            yield from ((node.lineno, keyword.arg or "") for keyword in node.keywords)
        for keyword in node.keywords:
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                for key in keyword.value.keys:
                    if isinstance(key, ast.Constant):
                        yield key.lineno, str(key.value)


def test_no_field_takes_the_name_of_one_that_every_line_has():
    root = Path(__file__).parents[4]
    modules = sorted(root.glob("libs/*/src/**/*.py")) + sorted(root.glob("services/*/src/**/*.py"))
    fields = [
        (f"{module.relative_to(root)}:{line}", name)
        for module in modules
        for line, name in field_names(module.read_text(encoding="utf-8"))
    ]
    assert len(fields) > 30, "the search finds them"
    assert [where for where, name in fields if name in TAKEN] == []


def test_a_field_with_a_name_that_is_taken_is_noticed():
    source = 'log.info("x", extra={"message": 1, "task": 2})\nbound(log, service="y")'
    assert [name for _, name in field_names(source) if name in TAKEN] == ["message", "service"]
