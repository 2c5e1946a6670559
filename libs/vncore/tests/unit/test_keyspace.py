"""Names of keys are read back as what `keys` spelled them for."""

import pytest

from vncore.ids import RequestId, TaskId, Tenant
from vncore.keys import Keys
from vncore.keyspace import KeySpace, Kind

ID = RequestId("3f2b8a64-1c0d-4e5f-9a7b-0123456789ab")


@pytest.fixture(params=["", "{vn-0}:", "a.b*[c]:"])
def keys(request: pytest.FixtureRequest) -> Keys:
    return Keys(request.param)


@pytest.mark.parametrize(
    ("spell", "kind", "group_index"),
    [
        pytest.param(lambda keys: keys.state(ID), Kind.STATE, None, id="state"),
        pytest.param(lambda keys: keys.group(ID, 12), Kind.GROUP, 12, id="group"),
        pytest.param(lambda keys: keys.updates(ID), Kind.UPDATES, None, id="updates"),
        pytest.param(lambda keys: keys.xml(ID), Kind.CACHE, None, id="document"),
        pytest.param(lambda keys: keys.metadata(ID), Kind.CACHE, None, id="metadata"),
        pytest.param(lambda keys: keys.hydrated(ID), Kind.CACHE, None, id="hydrated"),
        pytest.param(lambda keys: keys.fragments(ID), Kind.CACHE, None, id="fragments"),
        pytest.param(lambda keys: keys.response(ID), Kind.CACHE, None, id="response"),
        pytest.param(lambda keys: keys.failure(ID), Kind.CACHE, None, id="report"),
        pytest.param(lambda keys: keys.task_xml(ID, 0, TaskId(7)), Kind.TASK, 0, id="task"),
        pytest.param(lambda keys: keys.task_traces(ID, 1), Kind.TASK, 1, id="traces"),
        pytest.param(lambda keys: keys.task_result(ID, 2, TaskId(700)), Kind.TASK, 2, id="result"),
    ],
)
def test_a_key_of_a_request_is_known(keys: Keys, spell, kind: Kind, group_index: int | None):
    name = KeySpace(keys).read(spell(keys))
    assert (name.kind, name.request_id, name.group_index) == (kind, ID, group_index)


def test_a_record_of_an_idempotency_key_does_not_tell_whose_it_is(keys: Keys):
    name = KeySpace(keys).read(keys.idempotency(Tenant("desk:7"), "0af1"))
    assert (name.kind, name.request_id) == (Kind.IDEMPOTENCY, None)


@pytest.mark.parametrize("shared", ["ingest", "dispatch", "lifecycle", "index"])
def test_what_all_requests_share_is_known(keys: Keys, shared: str):
    assert KeySpace(keys).read(getattr(keys, shared)).kind is Kind.SHARED


@pytest.mark.parametrize(
    "other",
    [
        "somebody:else",
        f"state:request:{ID}:group:x",
        f"state:request:{ID}:group:1\n",
        f"state:request:{ID[:-1]}",
        f"cache:task:{ID}:1:2:pdf",
        f"other:state:request:{ID}",
    ],
)
def test_everything_else_is_unknown(keys: Keys, other: str):
    assert KeySpace(keys).read(f"{keys.prefix}{other}").kind is Kind.UNKNOWN
    assert KeySpace(keys).read(f"x{keys.state(ID)}").kind is Kind.UNKNOWN
