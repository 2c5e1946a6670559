"""Every rule of VNML has a table row that is named after it; every hydration code has a test."""

import re
from pathlib import Path

import pytest

import vnvs.hydration
from vncore.codes import CODES

RULES = {
    "D": 5,
    "T": 4,
    "V": 1,
    "R": 7,
    "U": 5,
    "P": 5,
    "S": 6,
    "M": 7,
    "K": 5,
    "F": 4,
}
# K2 is the worker's part: what a script's output means.
ELSEWHERE = {"K2"}
TESTS = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
TEXT = "\n".join(path.read_text() for path in TESTS)


@pytest.mark.parametrize(
    "rule",
    [
        f"{letter}{number}"
        for letter, count in RULES.items()
        for number in range(1, count + 1)
        if f"{letter}{number}" not in ELSEWHERE
    ],
)
def test_a_rule_has_a_test_that_names_it(rule):
    rows = re.findall(rf'id="{rule} [^"]+"', TEXT)
    named = re.findall(rf"def test_{rule.lower()}_\w+", TEXT)
    assert rows or named, f"no test names {rule}"


SOURCE = "\n".join(path.read_text() for path in Path(vnvs.hydration.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("code", [code for code in CODES if f'"{code}"' in SOURCE])
def test_a_code_that_hydration_raises_has_a_test_that_reaches_it(code):
    assert f'"{code}"' in TEXT
