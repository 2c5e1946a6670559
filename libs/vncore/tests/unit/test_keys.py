"""Key names are fixed by the design; every key carries the prefix."""

import pytest

from vncore.ids import RequestId, TaskId, Tenant
from vncore.keys import Keys, update_readers

REQUEST = RequestId("R")
SPELLED = {
    "ingest": "stream:request:ingest",
    "lifecycle": "stream:request:lifecycle",
    "dispatch": "stream:task:dispatch",
    "index": "index:requests",
    "updates": "stream:task:updates:R",
    "state": "state:request:R",
    "group": "state:request:R:group:2",
    "xml": "cache:request:R:xml",
    "metadata": "cache:request:R:metadata",
    "hydrated": "cache:request:R:hydrated",
    "fragments": "cache:request:R:fragments",
    "response": "cache:request:R:response",
    "failure": "cache:request:R:failure",
    "idempotency": "request:idempotency:desk:D",
    "task_xml": "cache:task:R:2:7:xml",
    "task_traces": "cache:task:R:2:traces",
    "task_result": "cache:task:R:2:7:result",
}


def spelled(keys: Keys, name: str) -> str:
    member = getattr(keys, name)
    if isinstance(member, str):
        return member
    arguments = {
        "group": (REQUEST, 2),
        "task_traces": (REQUEST, 2),
        "idempotency": (Tenant("desk"), "D"),
    }.get(name, (REQUEST, 2, TaskId(7)) if name.startswith("task_") else (REQUEST,))
    return str(member(*arguments))


@pytest.mark.parametrize(("name", "key"), SPELLED.items(), ids=SPELLED)
def test_a_key_is_spelled_as_designed(name: str, key: str):
    assert spelled(Keys(), name) == key
    assert spelled(Keys("{vn-0}"), name) == "{vn-0}" + key


def test_no_key_is_missing_from_the_table():
    public = {name for name in dir(Keys) if not name.startswith("_")} - {"prefix"}
    assert public == set(SPELLED)


def test_a_requests_update_group_is_its_own():
    assert update_readers(REQUEST) == "req::R"
