"""The main job on real input: the bond desk through `vn run`, twice, against QuantLib itself."""

import subprocess
import sys
from pathlib import Path

import pytest
import quantlib_bonds
from lxml import etree

ROOT = Path(__file__).parent.parent.parent
BOND_DESK = ROOT / "examples" / "requests" / "bond-desk.xml"


def run(out: Path) -> bytes:
    command = [sys.executable, "-m", "vnclient.cli", "run", str(BOND_DESK), "--out", str(out)]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    return out.read_bytes()


@pytest.fixture(scope="module")
def responses(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("bond-desk")
    return [run(folder / f"response-{n}.xml") for n in (1, 2)]


@pytest.fixture(scope="module")
def project(responses: list[bytes]) -> etree._Element:
    found = etree.fromstring(responses[0]).find("project")
    assert found is not None
    return found


@pytest.mark.timeout(240)
def test_the_same_document_gives_the_same_bytes(responses: list[bytes]):
    assert responses[0] == responses[1]


def test_every_valuation_is_there_in_document_order(project: etree._Element):
    counts = {group.get("name"): len(group.findall("valuation")) for group in project}
    assert counts == {"Curves": 3, "Bonds": 25, "Totals": 1}
    assert (project.get("expected"), project.get("failed")) == ("29", "0")
    for group in project.findall("group"):
        numbers = [v[-1].get("externalId") for v in group.findall("valuation")]
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    submitted = etree.parse(BOND_DESK).findall("project/portfolio[@name='bonds']/instrument")
    valued = project.findall("group[@name='Bonds']/valuation/instrument")
    assert [v.get("name") for v in valued] == [i.get("name") for i in submitted]


def test_the_response_has_no_inputs_of_the_project_left(project: etree._Element):
    assert not {"market", "model", "calculator", "portfolio"} & {child.tag for child in project}


def test_every_result_names_its_script_and_every_number_its_engine(project: etree._Element):
    for valuation in project.findall("group/valuation"):
        assert str(valuation[-1].get("script")).startswith("sha256:")
        assert valuation.find("analytics/calculated[@engine='QuantLib']") is not None


def test_the_book_total_is_the_sum_of_its_bonds(project: etree._Element):
    spots = {"USD": 1.0, "EUR": 1.1825, "GBP": 1.3640}
    prices = project.findall("group[@name='Bonds']/valuation/analytics/price")
    amounts = [
        float(price.findtext("amount") or "") * spots[str(price.get("currency"))]
        for price in prices
    ]
    total = project.findtext("group[@name='Totals']/valuation/analytics/price/amount")
    assert float(total or "") == pytest.approx(sum(amounts), rel=1e-12)


def test_every_bonds_price_agrees_with_quantlib_called_directly(project: etree._Element):
    direct = quantlib_bonds.prices(BOND_DESK)
    assert len(direct) == 25
    for valuation in project.findall("group[@name='Bonds']/valuation"):
        name = str(valuation.find("instrument").get("name"))  # type: ignore[union-attr]
        amount = float(valuation.findtext("analytics/price/amount") or "")
        assert amount == pytest.approx(direct[name], rel=1e-9), name
