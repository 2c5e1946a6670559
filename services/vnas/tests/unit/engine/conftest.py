"""Task documents for the engine's tests, built without hydration."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from vnas import engine

EXAMPLES = Path(__file__).parents[5] / "examples" / "requests"
EVALUATION = "2025-09-17"


class Outcome:
    """A result document, asked by output name."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.root = etree.fromstring(body)
        self.valuation = (
            self.root if self.root.tag == "valuation" else self.root.find("project/group/valuation")
        )
        self.analytics = self.valuation.find("analytics")

    def number(self, name: str) -> float:
        text = self.text(name)
        assert text is not None, f"{name} is empty"
        return float(text)

    def text(self, name: str) -> str | None:
        return self.analytics.find(f"{name}/amount").text

    def element(self, name: str) -> etree._Element:
        found = self.analytics.find(name)
        assert found is not None, name
        return found

    def status(self, name: str) -> str | None:
        return self.element(name).get("status")

    def flows(self) -> list[tuple[str, float]]:
        return [(f.get("date"), float(f.text)) for f in self.element("cashFlows")]

    def codes(self) -> list[str]:
        return [m.get("code") for m in self.analytics.findall("message")]


def document(
    instrument: str,
    *,
    market: str = "<rate>0.04</rate>",
    analytics: str = "<price/>",
    model: str = "",
    calculator: str = "",
    date: str = EVALUATION,
    market_date: str = "",
    name: str = "I1",
) -> bytes:
    """One task; the parts are the inner XML of their elements, the instrument without its own."""
    evaluation = f"<evaluation><date>{date}</date></evaluation>" if date else ""
    dated = f' date="{market_date}"' if market_date else ""
    return (
        f"<vnml><project><group><valuation name='v'>"
        f"<market name='m'{dated}>{market}</market><model>{model}</model>"
        f"<calculator>{calculator}</calculator>"
        f"<analytics>{evaluation}{analytics}</analytics>"
        f"<instrument name='{name}'>{instrument}</instrument>"
        f"<vndb externalId='1'/></valuation></group></project></vnml>"
    ).encode()


@pytest.fixture(scope="session")
def task_document():
    return document


@pytest.fixture(scope="session")
def valued():
    """Value an instrument and give its outcome."""

    def run(instrument: str, **parts: str) -> Outcome:
        return Outcome(engine.value(document(instrument, **parts)))

    return run


@pytest.fixture(scope="session")
def refused():
    """Value an instrument that must be refused; gives code and the path below the valuation."""

    def run(instrument: str, **parts: str) -> tuple[str, str]:
        with pytest.raises(engine.EngineError) as caught:
            engine.value(document(instrument, **parts))
        error = caught.value
        assert error.exit_status == 65
        assert "\n" not in error.line()
        return error.code, error.path.removeprefix("/vnml/project/group/valuation")

    return run


@pytest.fixture(scope="session")
def engine_process():
    """Run ``python -m vnas.engine`` on a document; gives the finished process."""

    def run(body: bytes) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "vnas.engine"],
            input=body,
            capture_output=True,
            env={"PATH": os.environ["PATH"]},
            timeout=50,
        )

    return run


class Sample:
    """One of the example requests, taken apart into task documents."""

    def __init__(self, file: str) -> None:
        root = etree.parse(str(EXAMPLES / file)).getroot()
        self.project = root.find("project")
        self.groups = self.project.findall("group")

    def instruments(self, portfolio: str | None = None) -> list[etree._Element]:
        found = self.project.findall("portfolio")
        wanted = [p for p in found if portfolio in (None, p.get("name"))]
        return [i for p in wanted for i in p.findall("instrument")]

    def task(
        self,
        group: int,
        instrument: etree._Element,
        curves: list[etree._Element] | None = None,
    ) -> bytes:
        """The task of an instrument in a group (counted from 0), with curves put in its market."""
        template = self.groups[group].find("valuation")
        valuation = etree.Element("valuation", name=template.get("name"))
        market = copy.deepcopy(self.project.find("market"))
        for curve in reversed(curves or []):
            market.insert(0, copy.deepcopy(curve))
        valuation.append(market)
        for part in ("model", "calculator"):
            found = self.project.find(part)
            if found is not None:
                valuation.append(copy.deepcopy(found))
        valuation.append(copy.deepcopy(template.find("analytics")))
        valuation.append(copy.deepcopy(instrument))
        return etree.tostring(_task(valuation))

    def run(
        self,
        group: int,
        instruments: list[etree._Element],
        curves: list[etree._Element] | None = None,
    ) -> list[Outcome]:
        return [Outcome(engine.value(self.task(group, i, curves))) for i in instruments]

    def total(self, group: int, outcomes: list[Outcome], name: str) -> Outcome:
        """Value the totals group on the results of an earlier one."""
        instrument = copy.deepcopy(self.groups[group].find("valuation/instrument"))
        held = instrument.find("aggregate/group")
        held.attrib.clear()
        held.set("name", name)
        held.extend(copy.deepcopy(outcome.valuation) for outcome in outcomes)
        return Outcome(engine.value(self.task(group, instrument)))


def _task(valuation: etree._Element) -> etree._Element:
    root = etree.Element("vnml")
    group = etree.SubElement(etree.SubElement(root, "project"), "group", name="g")
    group.append(valuation)
    return root


@pytest.fixture(scope="session")
def sample():
    return Sample
