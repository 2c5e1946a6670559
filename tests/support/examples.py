"""The scripts of `examples/`: where they are, what they need, and what their numbers must be.

Used by the tests of the examples. The zeros of `examples/shell`, `python` and `node` are held to
their formula, ORE's trades to identities.
"""

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
GUIDE = ROOT / "docs" / "SCRIPTS.md"
TOOLS = Path(sys.executable).parent
PATH = f"{TOOLS}:{os.environ['PATH']}"

SCRIPTS = {
    "shell": EXAMPLES / "shell" / "price.sh",
    "python": EXAMPLES / "python" / "price.py",
    "node": EXAMPLES / "node" / "price.js",
    "ore": EXAMPLES / "ore" / "price.py",
}
ABSENT = {
    **({} if shutil.which("node") else {"node": "node is not installed"}),
    **({} if find_spec("ORE") else {"ore": "ORE is not installed: open-source-risk-engine"}),
}
"""Examples that cannot run here, and why."""


def examples(*names: str) -> pytest.MarkDecorator:
    """Parametrise by example; one whose language or library is absent is skipped and says so."""
    return pytest.mark.parametrize("example", [pytest.param(n, marks=needs(n)) for n in names])


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name in ABSENT, reason=ABSENT.get(name, ""))


def tasks_of(name: str) -> list[bytes]:
    """Give the task documents of an example's request."""
    command = [str(TOOLS / "vn"), "hydrate", str(EXAMPLES / name / "request.xml"), "--tasks"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    return [document for document in re.split(rb"(?=<\?xml )", printed) if document.strip()]


def valuations(xml: bytes) -> list[etree._Element]:
    root = etree.fromstring(xml)
    return [root] if root.tag == "valuation" else root.findall("project/group/valuation")


def amount(valuation: etree._Element) -> float:
    return float(valuation.findtext("analytics/price/amount", "missing"))


def check_zeros(priced: list[etree._Element]) -> None:
    """Face times exp(-rate times days over 365)."""
    for valuation in priced:
        days = date.fromisoformat(
            valuation.findtext("instrument/zeroCouponBond/maturityDate", "")
        ) - date.fromisoformat(valuation.findtext("analytics/evaluation/date", ""))
        face = float(valuation.findtext("instrument/zeroCouponBond/faceAmount", ""))
        rate = float(valuation.findtext("market/rate", ""))
        assert amount(valuation) == pytest.approx(
            face * math.exp(-rate * days.days / 365), rel=1e-13
        )


def leg_values(valuation: etree._Element) -> dict[str, float]:
    """Discount the reported flows, leg by leg."""
    values = {"0": 0.0, "1": 0.0}
    for flow in valuation.iterfind("analytics/cashFlows/cashFlow"):
        values[flow.get("leg", "")] += float(flow.text or "") * float(flow.get("discount", ""))
    return values


def check_trades(priced: list[etree._Element]) -> None:
    """A swap is its discounted flows, one at the quoted rate is worth nothing; Bachelier."""
    by_name = {valuation.find("instrument").get("name"): valuation for valuation in priced}
    assert set(by_name) <= {"RECEIVER-2033", "PAR-2030", "PAYER-1Y5Y"}
    for name, valuation in by_name.items():
        assert valuation.find("analytics/price").get("currency") == "EUR"
        assert valuation.find("analytics/calculated").get("engine") == "ORE"
        fixed, floating = leg_values(valuation).values()
        if name == "RECEIVER-2033":
            assert amount(valuation) > 500_000
            assert amount(valuation) == pytest.approx(fixed + floating, abs=1e-6)
        elif name == "PAR-2030":
            assert floating > 1_000_000
            assert amount(valuation) == pytest.approx(0, abs=1e-4)
        else:
            strike, deviation = 0.025, 0.0078 * math.sqrt(365 / 365)
            annuity = -fixed / strike
            away = floating / annuity - strike
            density = math.exp(-0.5 * (away / deviation) ** 2) / math.sqrt(2 * math.pi)
            likely = 0.5 * (1 + math.erf(away / deviation / math.sqrt(2)))
            bachelier = annuity * (away * likely + deviation * density)
            assert amount(valuation) == pytest.approx(bachelier, rel=1e-9)


CHECKS: dict[str, Callable[[list[etree._Element]], None]] = {
    "shell": check_zeros,
    "python": check_zeros,
    "node": check_zeros,
    "ore": check_trades,
}
