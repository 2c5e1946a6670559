"""The published values of ``tests/reference``: entries with source, inputs and expected number.

A TOML file holds sets; a set says once what its rows share: kind, source, tolerance, and the XML
of market, model, calculator and instrument with ``{column}`` where a row's value goes. Each row is
one published number; it may end with a table of what it has otherwise (``{ tolerance = 1e-4 }``).

`read` gives the entries of all files, `document` turns one into a task document, `evaluate` has
the engine value it. Used by the reference test and by ``scripts/pricing_doc.py``.

    {days:date}      the evaluation date plus that many days
    {fixings:dates}  a <date> for each number of days
    {vol:nodes}      a <node> for each pair of days and value
"""

import datetime as dt
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from vnas import engine

FOLDER = Path(__file__).resolve().parent.parent / "reference"
_PARTS = ("market", "model", "calculator", "instrument", "analytics")


@dataclass(frozen=True, slots=True)
class Entry:
    """One published number and the task that must give it."""

    group: str  # the set that it is a row of
    id: str
    kind: str
    output: str  # the element of ``analytics``
    read: str  # where the number stands in ``analytics``, as an XPath
    work: str  # the book or file, short
    source: str  # and where in it
    remark: str  # how the inputs were written in the vocabulary; empty: as they are
    date: dt.date  # of the evaluation
    inputs: Mapping[str, Any]  # the columns of the row and what the set gives to all of its rows
    parts: Mapping[str, str]  # the XML of market, model, calculator, instrument and analytics
    expected: float
    tolerance: float  # absolute

    def relative_error(self, number: float) -> float:
        """Tell how far a number is from the published one."""
        return abs(number - self.expected) / abs(self.expected)


def read(folder: Path = FOLDER) -> list[Entry]:
    """Read every table of the folder, in the order of file names and rows."""
    entries: list[Entry] = []
    for path in sorted(folder.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, given in table.items():
            entries += _entries(name, given)
    return entries


def document(entry: Entry) -> bytes:
    """Write the task document of an entry."""
    part = entry.parts
    return (
        "<vnml><project><group><valuation>"
        f"<market name='m'>{part['market']}</market>"
        f"<model>{part['model']}</model><calculator>{part['calculator']}</calculator>"
        f"<analytics><evaluation><date>{entry.date}</date></evaluation>{part['analytics']}"
        f"</analytics><instrument name='{entry.id}'><{entry.kind}>{part['instrument']}"
        f"</{entry.kind}></instrument></valuation></group></project></vnml>"
    ).encode()


def evaluate(entry: Entry) -> float:
    """Have the engine value the entry's task; gives the number that was asked for.

    Raises ValueError when the result does not hold it, or holds a warning: then the engine did not
    take the inputs as the table means them.
    """
    result = etree.fromstring(engine.value(document(entry)))
    analytics = result.find("project/group/valuation/analytics")
    assert analytics is not None
    for message in analytics.findall("message"):
        if message.get("code") != "VNP-106":  # values come from the quote: meant so
            raise ValueError(f"{entry.id}: {message.get('code')} {message.text}")
    return float(str(analytics.xpath(f"string({entry.read})")))


def _entries(name: str, given: Mapping[str, Any]) -> Iterator[Entry]:
    columns = given["columns"]
    for row in given["rows"]:
        own = row[-1] if isinstance(row[-1], dict) else {}
        cells = row[:-1] if own else row
        if len(cells) != len(columns):
            raise ValueError(f"{name}: {row} has {len(cells)} values for {len(columns)} columns")
        cell = {**given.get("given", {}), **dict(zip(columns, cells, strict=True)), **own}
        said = {"output": "price", "remark": "", **given, **cell}  # what a row says goes first
        date = dt.date.fromisoformat(said["date"])
        fill = _Filler(date).format
        parts = {part: fill(given.get(part, ""), **cell) for part in _PARTS}
        parts["analytics"] = parts["analytics"] or f"<{said['output']}/>"
        yield Entry(
            group=name,
            id=f"{name}-{said['id']}",
            kind=said["kind"],
            output=said["output"],
            read=fill(given.get("read", "{output}/amount"), **{**cell, "output": said["output"]}),
            work=said["work"],
            source=said["source"],
            remark=said["remark"],
            date=date,
            inputs=cell,
            parts=parts,
            expected=float(said["expected"]),
            tolerance=float(said["tolerance"]),
        )


class _Filler(string.Formatter):
    """Puts a row's values into the XML of its set."""

    def __init__(self, date: dt.date) -> None:
        self.date = date

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "date":
            return self._after(value)
        if format_spec == "dates":
            return "".join(f"<date>{self._after(days)}</date>" for days in value)
        if format_spec == "nodes":
            return "".join(f'<node date="{self._after(days)}">{v}</node>' for days, v in value)
        return format(value, format_spec)

    def _after(self, days: int) -> str:
        return str(self.date + dt.timedelta(days=days))
