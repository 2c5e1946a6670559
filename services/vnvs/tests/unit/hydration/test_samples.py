"""The requests of examples/ hydrate from the first group to the response."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest
from lxml import etree
from straightforward import composed

from vnvs.hydration import (
    CompleteGroup,
    Context,
    Fetched,
    GroupResults,
    ParsedDocument,
    TaskDocument,
    check,
    hydrate_document,
)

REQUESTS = Path(__file__).parents[5] / "examples" / "requests"
CONTEXT = Context(received=date(2026, 1, 2), base_uri=f"file://{REQUESTS}/")


def fetch(uris: Sequence[str]) -> Mapping[str, Fetched]:
    return {uri: _read(uri) for uri in uris}


def _read(uri: str) -> Fetched:
    path = REQUESTS / "s3" / uri[5:] if uri.startswith("s3://") else Path(uri[7:])
    body = path.read_bytes()
    return Fetched(uri, body, "sha256:" + hashlib.sha256(body).hexdigest(), None)


def run(task: TaskDocument) -> bytes:
    """Do what a script does: fill in a curve, and give the bare valuation."""
    valuation = etree.fromstring(task.xml).find("project/group/valuation")
    instrument = valuation.find("instrument")
    curve = valuation.find("analytics/curve")
    if curve is not None:
        curve.set("name", instrument.get("name"))
        etree.SubElement(curve, "node", date="2025-09-17").text = "1"
    return etree.tostring(valuation, with_tail=False)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        pytest.param("bond-desk", [3, 25, 1], id="three curves, 25 bonds on them, totals"),
        pytest.param("home-loans", [100, 1], id="100 loans, totals"),
        pytest.param("options-book", [60, 1], id="60 options, totals"),
        pytest.param("rates-desk", [1, 1, 36, 1], id="market by href, chained curves, totals"),
    ],
)
def test_a_sample_hydrates_group_by_group(name, counts):
    request = (REQUESTS / f"{name}.xml").read_bytes()
    assert check(request, fetch, CONTEXT) == []
    hydrated = hydrate_document(request, fetch, CONTEXT)
    document = ParsedDocument.parse(hydrated.xml, CONTEXT.limits)
    made, complete, results = [], [], []
    for group in hydrated.groups:
        hydrated_group = document.hydrate_group(
            group.index, fetch, CONTEXT, results=results.__getitem__
        )
        tasks = hydrated_group.tasks
        made.append(tasks)
        for task in tasks:
            assert not etree.fromstring(task.xml).xpath("//@select | //@href | //@use")
        results.append(GroupResults([run(task) for task in tasks], hydrated_group.counts))
        complete.append(CompleteGroup(len(tasks), hydrated_group.counts))
    assert [len(tasks) for tasks in made] == counts
    pieces = document.assemble(complete, expected=sum(counts), failed=0)
    response = etree.fromstring(composed(pieces, [one.valuations for one in results]))
    groups = response.findall("project/group")
    assert [len(group.findall("valuation")) for group in groups] == counts
    for group, tasks in zip(groups, made, strict=True):
        asked = [etree.fromstring(task.xml).find(".//instrument").get("name") for task in tasks]
        assert [v.find("instrument").get("name") for v in group.findall("valuation")] == asked
    total = etree.fromstring(made[-1][0].xml)
    copied = total.find("project/group/valuation/instrument/aggregate/group")
    assert len(copied.findall("valuation")) == counts[-2]


def test_bonds_are_priced_on_the_curves_of_the_first_group():
    hydrated = hydrate_document((REQUESTS / "bond-desk.xml").read_bytes(), fetch, CONTEXT).xml
    document = ParsedDocument.parse(hydrated, CONTEXT.limits)
    curves = document.hydrate_group(0, fetch, CONTEXT)
    results = GroupResults([run(task) for task in curves.tasks], curves.counts)
    for task in document.hydrate_group(1, fetch, CONTEXT, results=lambda _: results).tasks:
        market = etree.fromstring(task.xml).find("project/group/valuation/market")
        assert market.get("name") == "EOD"
        assert [curve.get("name") for curve in market.findall("curve")] == [
            "USD-SOFR",
            "EUR-ESTR",
            "GBP-SONIA",
        ]
        assert all(len(curve.findall("node")) == 1 for curve in market.findall("curve"))
        assert [fx.get("pair") for fx in market.findall("fx")] == ["EURUSD", "GBPUSD"]
