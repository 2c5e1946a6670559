"""The engine against published numbers: every entry of the tables in ``tests/reference``.

How far it is from them, by kind, stands in the summary of the run (``conftest.py`` at the top).
"""

import pytest
import reference_table
from reference_table import Entry

from vnas.engine import kinds

ENTRIES = reference_table.read()
WITHOUT_PUBLISHED_NUMBERS = {"aggregate"}  # it adds up what others have valued


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.id) for entry in ENTRIES])
def test_the_engine_gives_the_published_number(entry: Entry, record_property) -> None:
    number = reference_table.evaluate(entry)
    record_property("published", [entry.kind, entry.relative_error(number)])
    assert number == pytest.approx(entry.expected, rel=0, abs=entry.tolerance), entry.source


def test_every_kind_is_held_to_a_published_number():
    assert {entry.kind for entry in ENTRIES} == kinds.VOCABULARY - WITHOUT_PUBLISHED_NUMBERS


def test_no_two_entries_share_a_name():
    names = [entry.id for entry in ENTRIES]
    assert len(names) == len(set(names))
    assert len(names) >= 80


def test_each_entry_says_where_it_is_from_and_allows_little():
    assert [entry.id for entry in ENTRIES if not (entry.work and entry.source)] == []
    wide = [entry.id for entry in ENTRIES if not 0 < entry.tolerance <= 0.03 * abs(entry.expected)]
    assert wide == []
