"""Every script is a file with its contract in the header and only touches the keys it is given."""

import re
from importlib.resources import files

import pytest

from vncore.scripts import source

SCRIPTS = sorted(
    file.name.removesuffix(".lua")
    for file in files("vncore").joinpath("lua").iterdir()
    if file.name.endswith(".lua")
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_states_its_contract(name: str):
    text = source(name)
    header = "\n".join(line for line in text.splitlines() if line.startswith("--"))
    assert text.startswith("#!lua")
    assert f"-- {name}: " in header
    for part in ("KEYS 1", "ARGV 1", "returns"):
        assert part in header


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_builds_no_key_of_its_own(name: str):
    code = re.sub(r"--.*", "", source(name))
    assert "cache:" not in code
    assert "state:" not in code
    assert "stream:" not in code


@pytest.mark.parametrize(
    "name",
    [
        "acknowledge_updates",
        "cancel_request",
        "complete_group",
        "expire_tasks",
        "fail_tasks",
        "finish_request",
        "put_off_tasks",
        "retry_task",
        "schedule_retry",
        "settle_tasks",
    ],
)
def test_a_script_that_finishes_work_runs_when_memory_is_full(name: str):
    assert source(name).splitlines()[0] == "#!lua flags=allow-oom"
