"""Write the generated parts of docs/PRICING.md, or check that they are current.

    pricing_doc.py            rewrite them
    pricing_doc.py --check    change nothing; exit status 1 when the page is outdated

What each kind can do is asked of the engine itself: a method and a process that no kind has make it
name those that there are, and a task with every output shows which have a meaning. How good the
numbers are comes from the table of published values (``services/vnas/tests/reference``), priced
here. Called by ``make docs`` and ``make test``.
"""

import argparse
import dataclasses
import datetime as dt
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lxml import etree

from vnas import engine
from vnas.engine import kinds, model, outputs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "PRICING.md"
sys.path.append(str(ROOT / "services" / "vnas" / "tests" / "support"))

import reference_table  # noqa: E402 - found by the line above
from reference_table import Entry  # noqa: E402

_ORDER = (
    *("zeroCouponBond", "fixedRateBond", "floatingRateBond", "cancellableBond"),
    *("schedule", "deposit", "homeLoan"),
    *("vanillaSwap", "forwardRateAgreement", "capFloor", "swaption"),
    *("europeanOption", "americanOption", "barrierOption", "asianOption", "fxOption"),
    *("equityForward", "future", "fxForward", "creditDefaultSwap"),
    *("yieldCurve", "aggregate"),
)
_SMALLEST = 1e-12  # below it the last bits of a platform decide
_ALWAYS = {"evaluation", "price", "calculated", "message"}
_LISTED = re.compile(r"there is ([\w, ]+)$")
_HELD = (
    "<valuation><instrument name='B'/><analytics><price><amount currency='USD'>1</amount></price>"
    "</analytics></valuation>"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the generated parts of docs/PRICING.md.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail when outdated")
    parser.add_argument("--page", type=Path, default=PAGE, help="another file than docs/PRICING.md")
    options = parser.parse_args(arguments)
    written = options.page.read_text(encoding="utf-8")
    entries = reference_table.read()
    current = filled(written, {"kinds": kinds_table(entries), "accuracy": accuracy(entries)})
    if not options.check:
        options.page.write_text(current, encoding="utf-8")
        return 0
    if written == current:
        return 0
    sys.stderr.write(f"{options.page} is not what the engine does; run: make docs\n")
    return 1


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Put each part between its markers, ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``.

    Raises ValueError when the page lacks the markers of a part.
    """
    for name, text in parts.items():
        opening = re.search(rf"<!-- {name}: [^\n]*-->\n", page)
        closing = page.find(f"<!-- end of {name} -->")
        if opening is None or closing < opening.end():
            raise ValueError(f"the page has no part named {name}")
        page = page[: opening.end()] + text + page[closing:]
    return page


def kinds_table(entries: Iterable[Entry]) -> str:
    """Render what each kind can do, as the engine says it of one row of every set."""
    firsts = {entry.group: entry for entry in reversed([*entries, _aggregate()])}
    samples: dict[str, list[Entry]] = {}
    for entry in reversed(firsts.values()):
        samples.setdefault(entry.kind, []).append(entry)
    _complete(samples)
    rows = [
        (
            f"`{kind}`",
            _names(_union(map(_methods, samples[kind]))),
            _names(_union(map(_processes, samples[kind]))),
            _names(sorted(_union(map(_outputs, samples[kind])))),
        )
        for kind in _ORDER
    ]
    return _table(("kind", "methods, default first", "processes", "outputs besides `price`"), rows)


def accuracy(entries: Sequence[Entry]) -> str:
    """Render how far the engine is from published values, kind by kind."""
    rows = []
    for kind in _ORDER:
        mine = [entry for entry in entries if entry.kind == kind]
        if mine:
            works = sorted({entry.work for entry in mine})
            rows.append((f"`{kind}`", str(len(mine)), _worst(mine), "; ".join(works)))
    rows.append(("all", str(len(entries)), "", ""))
    return _table(("kind", "values", "worst relative error below", "sources"), rows)


# --- asking the engine ---------------------------------------------------------------------------


def _methods(sample: Entry) -> list[str]:
    listed = _refused(sample, "calculator", "<method>none</method>")
    return listed or [str(_analytics(sample).xpath("string(calculated/@method)"))]


def _processes(sample: Entry) -> list[str]:
    for process in model.PROCESSES:
        own = sample.parts["model"]
        listed = _refused(sample, "model", f"<process>{process}</process>{own}")
        if listed:
            return listed
    return []  # it accepts every process, so it looks at none


def _refused(sample: Entry, part: str, text: str) -> list[str]:
    """Give what the engine lists when it does not have the method or process that is asked for."""
    try:
        engine.value(reference_table.document(_with(sample, part, text)))
    except engine.EngineError as error:
        found = _LISTED.search(error.message) if error.code == "VNP-301" else None
        return found[1].split(", ") if found else []
    return []


def _outputs(sample: Entry) -> list[str]:
    asked = "".join(f"<{name}/>" for name in sorted(outputs.KNOWN - {"price"}))
    return [
        str(output.tag)
        for output in _analytics(_with(sample, "analytics", asked))
        if output.tag not in _ALWAYS and output.get("status") != "notApplicable"
    ]


def _analytics(sample: Entry) -> etree._Element:
    root = etree.fromstring(engine.value(reference_table.document(sample)))
    (analytics,) = root.iterfind("project/group/valuation/analytics")
    return analytics


def _with(sample: Entry, part: str, text: str) -> Entry:
    return dataclasses.replace(sample, parts={**sample.parts, part: text})


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))


def _aggregate() -> Entry:
    """Make the one sample that no published value gives: a total of one price."""
    held = f"<baseCurrency>USD</baseCurrency><group>{_HELD}</group>"
    parts = dict.fromkeys(("market", "model", "calculator", "analytics"), "")
    return Entry(
        group="total",
        id="total",
        kind="aggregate",
        output="price",
        read="price/amount",
        work="",
        source="",
        remark="",
        date=dt.date(2025, 9, 17),
        inputs={},
        parts={**parts, "instrument": held},
        expected=1.0,
        tolerance=1.0,
    )


def _complete(samples: Iterable[str]) -> None:
    odd = (set(_ORDER) ^ kinds.VOCABULARY) | (set(_ORDER) ^ set(samples))
    if odd:
        raise ValueError(f"kinds without a place or an entry: {', '.join(sorted(odd))}")


# --- writing -------------------------------------------------------------------------------------


def _worst(entries: Iterable[Entry]) -> str:
    """Give the power of ten that no relative error reaches: it stays the same on any platform."""
    worst = max(entry.relative_error(reference_table.evaluate(entry)) for entry in entries)
    return f"1e{math.ceil(math.log10(max(worst, _SMALLEST)))}"


def _names(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names) or "–"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())
