"""The sample requests, as they are shipped: valued without a failure, totals with counts."""

import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = ROOT / "examples" / "requests"
TOOLS = Path(sys.executable).parent

SAMPLES = {"bond-desk.xml": 25, "home-loans.xml": 100, "options-book.xml": 60, "rates-desk.xml": 36}


@pytest.mark.parametrize(("request_name", "trades"), SAMPLES.items())
def test_a_sample_is_valued_without_a_failure(request_name, trades, tmp_path):
    response = tmp_path / "response.xml"
    local_s3 = [sys.executable, ROOT / "scripts" / "with_local_s3.py", REQUESTS / "s3"]
    run = [TOOLS / "vn", "run", REQUESTS / request_name, "--out", response]
    ran = subprocess.run([*local_s3, *run], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    root = etree.parse(response).getroot()
    assert root.findall(".//failure") == []
    assert root.findall(".//*[@status='notPriced']") == []
    *_, priced, totals = root.findall("project/group")
    assert len(priced.findall("valuation")) == trades
    assert all(float(v.findtext("analytics/price/amount")) for v in priced.findall("valuation"))
    [total] = totals.iterfind("valuation/analytics/aggregate/total")
    assert (total.get("count"), total.get("notPriced")) == (str(trades), "0")
    subtotals = totals.findall("valuation/analytics/aggregate/subtotal")
    for by in {subtotal.get("by") for subtotal in subtotals}:
        counts = [int(subtotal.get("count")) for subtotal in subtotals if subtotal.get("by") == by]
        assert sum(counts) == trades, by


def test_all_samples_are_here_and_in_make_samples():
    documents = {path.name for path in REQUESTS.glob("*.xml")} - {"rates-desk-market.xml"}
    assert documents == SAMPLES.keys()
    makefile = (ROOT / "Makefile").read_text()
    assert all(name in makefile for name in SAMPLES)
