"""What a reader sees of a response."""

import io

import pytest
from rich.console import Console

from vnclient import VnClientError
from vnclient.table import results_table

RESPONSE = """<?xml version="1.0" encoding="UTF-8"?>
<vnml><project name="Desk">
  <group name="Curves">
    <valuation name="curve">
      <analytics><curve name="USD-SOFR" currency="USD" date="2025-09-17"><type>discount</type>
        <node date="2025-09-17" zero="0.042">1</node>
        <node date="2055-09-17" zero="0.038125">0.31</node></curve></analytics>
      <instrument name="USD-SOFR"><yieldCurve/></instrument>
    </valuation>
  </group>
  <group name="Bonds">
    <valuation name="bond">
      <market><currency>EUR</currency></market>
      <analytics>
        <price currency="USD"><amount>1234567.891</amount></price>
        <accruedInterest currency="USD"><amount>-12.5</amount></accruedInterest>
        <yield><amount>0.0431234</amount></yield>
        <duration type="modified"><amount>4.56789</amount></duration>
        <message code="VNP-105" severity="warning">not used</message>
      </analytics>
      <instrument name="US [bold]2030[/bold]"/>
    </valuation>
    <valuation name="bond">
      <market><currency>EUR</currency></market>
      <analytics>
        <price status="expired"><amount>0</amount></price>
        <yield status="notApplicable"><amount/></yield>
      </analytics>
      <instrument name="OLD"/>
    </valuation>
    <valuation name="bond">
      <instrument name="BAD"/>
      <failure code="SCRIPT_FAILED" attempts="3">no
        curve</failure>
    </valuation>
  </group>
  <group name="Totals">
    <valuation name="book">
      <analytics><price currency="USD"><amount>30</amount></price>
        <aggregate><total currency="USD" count="3" notPriced="1"><amount>30</amount></total>
          <subtotal by="currency" key="EUR" count="1"><amount>10</amount>
            <baseAmount currency="USD">11.825</baseAmount></subtotal>
          <subtotal by="kind" key="fixedRateBond" count="2">
            <baseAmount currency="USD">18.175</baseAmount></subtotal></aggregate></analytics>
      <instrument name="Book"/>
    </valuation>
  </group>
</project></vnml>"""


def lines(response: str) -> list[str]:
    console = Console(width=140, file=io.StringIO(), record=True)
    console.print(results_table(response.encode()))
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Curves: 1 valuation", id="heading"),
        pytest.param(
            "curve USD-SOFR USD: 2 discount nodes, 2025-09-17 to 2055-09-17, "
            "zero rate at the end 3.8125 %",
            id="a curve is one line",
        ),
        pytest.param("Bonds: 3 valuations", id="heading counts"),
        pytest.param("instrument ccy price accrued yield % duration remarks", id="columns"),
        pytest.param(
            "US [bold]2030[/bold] USD 1,234,567.89 -12.50 4.3123 4.5679 VNP-105",
            id="a priced bond; markup is text",
        ),
        pytest.param("OLD EUR 0.00 (expired) –", id="a status is told"),
        pytest.param("BAD SCRIPT_FAILED after 3 attempts: no curve", id="a failed valuation"),
        pytest.param("by key count amount amount USD dv01 USD", id="totals"),
        pytest.param("total Book 3 30.00", id="the total"),
        pytest.param("currency EUR 1 10.00 EUR 11.82", id="a subtotal with its own currency"),
        pytest.param("kind fixedRateBond 2 18.18", id="a subtotal in the base currency"),
        pytest.param("1 of 3 not priced and left out", id="what was left out"),
    ],
)
def test_a_response_is_readable(line: str) -> None:
    shown = lines(RESPONSE)
    assert line in shown, "\n".join(shown)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        pytest.param("<vnml><project/></vnml>", "no group", id="no group"),
        pytest.param("<html/>", "no group", id="another document"),
        pytest.param("nonsense", "not XML", id="no XML"),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "no group", id="entities"),
    ],
)
def test_what_is_no_response_is_an_error(response: str, said: str) -> None:
    with pytest.raises(VnClientError, match=said):
        lines(response)


def test_a_group_without_valuations_is_only_named() -> None:
    assert "Nothing: 0 valuations" in lines(
        '<vnml><project><group name="Nothing"/></project></vnml>'
    )
