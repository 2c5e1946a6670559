"""The README's example and its tables say what is so."""

import re
from pathlib import Path

import pytest

from vnas.environment import script_environment
from vnas.settings import WorkerSettings
from vncore.errors import ScriptFailed

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    script = tmp_path / "price.py"
    script.write_text(code)
    script.chmod(0o755)
    return script


async def test_the_example_prices(make_runner, example, facts):
    document = b"<valuation><market><rate>0.25</rate></market></valuation>"
    assert await make_runner(example).run(document, facts) == b"80.0\n"


async def test_the_example_refuses_bad_data(make_runner, example, facts):
    with pytest.raises(ScriptFailed) as caught:
        await make_runner(example).run(b"<valuation/>", facts)
    assert caught.value.code == "SCRIPT_REJECTED_DATA"
    assert caught.value.place.element == "/vnml/project/group/valuation/market"


def test_every_setting_of_the_worker_is_in_the_table_with_its_default():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", README.read_text(), re.MULTILINE))
    fields = WorkerSettings.model_fields
    assert {name for name in rows if name.startswith("VNAS_")} == {
        name.upper() for name in fields if name.startswith("vnas_")
    }
    for name, shown in rows.items():
        if shown.isdecimal():
            assert int(shown) == fields[name.lower()].default, name


def test_every_variable_is_in_the_contract(facts, tmp_path):
    text = README.read_text()
    contract = text[text.index("**Environment**") : text.index("7. **Working")]
    for name in script_environment(facts, tmp_path):
        assert re.search(rf"\b{name}\b", contract), name
