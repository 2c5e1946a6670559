"""The ORE adapter: what ORE complains of is an error, and no task leaves a trace in the next."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conversation import Conversation
from examples import PATH, SCRIPTS, needs, tasks_of
from lxml import etree

pytestmark = needs("ore")


@pytest.fixture(scope="module")
def trades() -> list[bytes]:
    return tasks_of("ore")


@pytest.fixture
def ore(tmp_path: Path) -> Iterator[Conversation]:
    script = Conversation(SCRIPTS["ore"], tmp_path, path=PATH)
    assert script.header() == b"READY 1\n"
    yield script
    script.close()


SWAP, PAR, SWAPTION = 0, 1, 2
"""The trades of the request."""

FIVE_YEARS = "2025-09-17 IR_SWAP/RATE/EUR/2D/6M/5Y 0.0238"
SIX_MONTHS = "2025-09-17 MM/RATE/EUR/2D/6M 0.0211"
VOLATILITY = "2025-09-17 SWAPTION/RATE_NVOL/EUR/1Y/10Y/ATM 0.0075"
SETTINGS = "<ore>\n        <marketData>"
CONFIGURED = '<ore configuration="x">\n        <marketData>'

FAULTS = {
    "an unknown type": (SWAP, "<TradeType>Swap<", "<TradeType>Swoop<", "Swoop"),
    "an element is missing": (SWAP, "<Rates><Rate>0.0305</Rate></Rates>", "", "Rates"),
    "no notional, worth 0 to ORE": (PAR, "<Notional>10000000</Notional>", "", "notional"),
    "a fixing is missing": (SWAP, "2025-06-18 EUR-EURIBOR-6M 0.0207", "", "June 18th, 2025"),
    "a quote is missing": (SWAP, FIVE_YEARS, "", "IR_SWAP/RATE/EUR/2D/6M/5Y"),
    "a volatility is missing": (SWAPTION, VOLATILITY, "", "1Y / 10Y"),
    "a quote is there twice": (PAR, SIX_MONTHS, f"{SIX_MONTHS}1\n{SIX_MONTHS}", "twice"),
    "a quote is a word": (PAR, "2D/6M/5Y 0.0238", "2D/6M/5Y high", "high"),
    "a quote is no number": (PAR, "2D/6M/5Y 0.0238", "2D/6M/5Y nan", "EURIBOR6M"),
    "a line has no value": (PAR, "2D/6M/5Y 0.0238", "2D/6M/5Y", "market/ore/marketData"),
    "no quotes of the date": (PAR, "<date>2025-09-17<", "<date>2025-09-18<", "no quotes"),
    "no date": (PAR, "<date>2025-09-17<", "<date>today<", "evaluation/date"),
    "an index without a curve": (PAR, 'x name="EUR-EURIBOR-6M"', 'x name="EUR-EURIBOR-3M"', "6M"),
    "no engine": (SWAPTION, '"EuropeanSwaption"', '"CapFloor"', "EuropeanSwaption"),
    "a convention is missing": (PAR, "<Id>EUR-SWAP-6M</Id>", "<Id>X</Id>", "EUR-SWAP-6M"),
    "an element of no name of ORE's": (PAR, "Conventions>", "Convictions>", "Convictions"),
    "a configuration that is none": (PAR, SETTINGS, CONFIGURED, "'x'"),
    "a misspelt option": (PAR, SETTINGS, SETTINGS.replace("<ore>", '<ore asof="x">'), "@asof"),
    "market data twice": (PAR, "<fixings>", "<marketData/><fixings>", "at most one"),
    "a quantity": (PAR, "<ore><Trade", "<quantity>2</quantity><ore><Trade", "quantity"),
    "no currency": (PAR, "<currency>EUR</currency>", "", "market/currency"),
    "no trade": (PAR, "Trade", "Treat", "one Trade"),
}


def test_ore_never_prices_what_it_complained_of(trades: list[bytes], ore: Conversation) -> None:
    good = [ore.ask(document) for document in trades]
    assert [status for status, _ in good] == [0, 0, 0]
    for name, (trade, there, instead, words) in FAULTS.items():
        broken = trades[trade].replace(there.encode(), instead.encode())
        assert broken != trades[trade], name
        assert (name, *ore.ask(broken)) == (name, 65, b"")
        said = ore.printed().splitlines()[-1]
        assert words in said, (name, said)
    assert [ore.ask(document) for document in trades] == good
    assert ore.end() == 0


def test_a_trade_that_has_matured_is_expired_and_worth_nothing(
    trades: list[bytes], ore: Conversation
) -> None:
    past = trades[SWAP].replace(b"2033-06-20", b"2024-06-20").replace(b"2023-06-19", b"2021-06-21")
    status, output = ore.ask(past)
    analytics = etree.fromstring(output).find("analytics")
    assert status == 0
    price = analytics.find("price")
    assert (price.findtext("amount"), price.get("status")) == ("0", "expired")
    assert "Matured" in analytics.findtext("message[@severity='warning']")


def test_an_old_number_does_not_pass_for_one_of_ore(trades: list[bytes], ore: Conversation) -> None:
    asked = trades[PAR].replace(
        b"<cashFlows/>", b"<dv01><amount>7</amount></dv01><previousPrice>8</previousPrice>"
    )
    status, output = ore.ask(asked)
    analytics = etree.fromstring(output).find("analytics")
    assert status == 0
    assert analytics.find("dv01").get("status") == "notApplicable"
    assert analytics.findtext("dv01/amount") == ""
    assert analytics.findtext("previousPrice") == "8"
    assert analytics.find("cashFlows") is None
