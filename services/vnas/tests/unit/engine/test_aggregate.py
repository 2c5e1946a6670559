"""Totals: sums in one currency, by labels, with what could not be added told."""

import pytest
from lxml import etree

FX = (
    "<currency>USD</currency><fx pair='EURUSD'><spot>1.25</spot></fx>"
    "<fx pair='USDJPY'><spot>150</spot></fx>"
)


def held(amount: str, currency: str = "", *, kind: str = "zeroCouponBond", label: str = "",
         dv01: str = "", status: str = "", market: str = "") -> str:  # fmt: skip
    of = f" currency='{currency}'" if currency else ""
    state = f" status='{status}'" if status else ""
    moved = f"<dv01{of}><amount>{dv01}</amount></dv01>" if dv01 else ""
    return (
        f"<valuation><market>{market}</market><analytics><price{of}{state}>"
        f"<amount>{amount}</amount></price>{moved}</analytics>"
        f"<instrument><{kind}/>{label}</instrument></valuation>"
    )


BOOK = (
    held("100", "USD", label="<book>A</book>", dv01="1"),
    held("-40", "EUR", kind="homeLoan", label="<book>B</book>", dv01="2"),
    held("3000", "JPY", label="<book>A</book>", dv01="3"),
    held("60", "EUR", dv01="4"),
)


def aggregate(*valuations: str, terms: str = "") -> str:
    group = f"<group name='g' onFailure='stop'>{''.join(valuations)}</group>"
    return f"<aggregate>{terms}{group}</aggregate>"


@pytest.fixture
def total(valued):
    def run(*valuations: str, terms: str = "", analytics: str = "<price/>", market: str = FX):
        instrument = aggregate(*valuations, terms=terms)
        return valued(instrument, market=market, analytics=analytics)

    return run


def rows(outcome, by: str) -> dict[str, dict[str, str]]:
    found = {}
    for subtotal in outcome.element("aggregate").findall(f"subtotal[@by='{by}']"):
        numbers = {child.tag: child.text for child in subtotal}
        found[subtotal.get("key")] = {**subtotal.attrib, **numbers}
    return found


def test_prices_are_added_in_the_base_currency(total):
    outcome = total(*BOOK, analytics="<price/><dv01/>")
    assert outcome.number("price") == 100 - 50 + 20 + 75
    assert outcome.element("price").get("currency") == "USD"
    assert outcome.number("dv01") == pytest.approx(1 + 2.5 + 0.02 + 5)
    whole = outcome.element("aggregate/total")
    assert dict(whole.attrib) == {"currency": "USD", "count": "4", "notPriced": "0"}
    assert float(whole.findtext("amount")) == outcome.number("price")


def test_the_rate_of_a_pair_may_be_the_inverse(total):
    outcome = total(held("150", "USD"), terms="<baseCurrency>JPY</baseCurrency>")
    assert outcome.number("price") == 22500
    assert total(held("150", "JPY")).number("price") == pytest.approx(1.0)


def test_subtotals_are_by_currency_unless_told_otherwise(total):
    found = rows(total(*BOOK), "currency")
    assert list(found) == ["EUR", "JPY", "USD"]
    assert (found["EUR"]["amount"], found["EUR"]["baseAmount"]) == ("20", "25")
    assert found["EUR"]["count"] == "2"
    assert float(found["EUR"]["dv01"]) == 7.5


def test_subtotals_by_kind_and_by_any_label(total):
    outcome = total(*BOOK, terms="<by>kind</by><by>book</by>")
    subtotals = outcome.element("aggregate").findall("subtotal")
    assert [(s.get("by"), s.get("key")) for s in subtotals] == [
        ("book", "-"),
        ("book", "A"),
        ("book", "B"),
        ("kind", "homeLoan"),
        ("kind", "zeroCouponBond"),
    ]
    by_book = rows(outcome, "book")
    assert "amount" not in by_book["A"]  # dollars and yen do not add
    assert by_book["B"]["amount"] == "-40"
    for by in ("kind", "book"):
        parts = sum(float(row["baseAmount"]) for row in rows(outcome, by).values())
        assert parts == pytest.approx(outcome.number("price"), rel=1e-12)


@pytest.mark.parametrize(
    "unpriced",
    [
        pytest.param(held("12", "USD", status="notPriced"), id="status notPriced"),
        pytest.param(held("", "USD"), id="without a number"),
        pytest.param("<valuation><failure code='X'>no</failure></valuation>", id="failed"),
    ],
)
def test_what_has_no_price_is_counted_and_left_out(total, unpriced):
    outcome = total(*BOOK, unpriced)
    assert outcome.number("price") == 145
    whole = outcome.element("aggregate/total")
    assert (whole.get("count"), whole.get("notPriced")) == ("5", "1")
    assert rows(outcome, "currency")["USD"]["notPriced"] == "1"


def failed(market: str, instrument: str = "<homeLoan/><book>A</book>") -> str:
    """A valuation as it stands in a group that tolerates failures (VNML F2)."""
    return (
        f"<valuation name='v'>{market}<failure code='SCRIPT_FAILED' attempts='3'>no</failure>"
        f"<instrument name='I'>{instrument}</instrument><vndb externalId='7'/></valuation>"
    )


@pytest.mark.parametrize(
    ("broken", "currency"),
    [
        pytest.param(failed("<market><currency>EUR</currency></market>"), "EUR", id="its market"),
        pytest.param(failed(""), "USD", id="no market"),
        pytest.param(failed("<market><currency>12</currency></market>"), "-", id="what broke it"),
    ],
)
def test_a_failed_valuation_is_counted_wherever_it_belongs(total, broken, currency):
    outcome = total(*BOOK, broken, terms="<by>currency</by><by>kind</by><by>book</by>")
    assert outcome.number("price") == 145
    whole = outcome.element("aggregate/total")
    assert (whole.get("count"), whole.get("notPriced")) == ("5", "1")
    for by, key in (("currency", currency), ("kind", "homeLoan"), ("book", "A")):
        found = rows(outcome, by)
        assert [row for row, facts in found.items() if "notPriced" in facts] == [key]
        assert found[key]["notPriced"] == "1"
        assert sum(int(facts["count"]) for facts in found.values()) == 5
    assert outcome.valuation.find("instrument/aggregate/group").get("count") == "5"


def test_a_group_of_failures_adds_up_to_nothing_and_says_so(total):
    broken = "<market><currency>12</currency></market>"
    outcome = total(failed(broken), failed(broken))
    assert outcome.text("price") == "0"
    whole = outcome.element("aggregate/total")
    assert (whole.get("count"), whole.get("notPriced")) == ("2", "2")
    assert rows(outcome, "currency") == {
        "-": {"by": "currency", "key": "-", "count": "2", "notPriced": "2", "baseAmount": "0"}
    }


def test_an_expired_price_counts_as_its_zero(total):
    whole = total(held("0", "USD", status="expired")).element("aggregate/total")
    assert (whole.get("count"), whole.get("notPriced")) == ("1", "0")


def test_a_sum_of_some_dv01s_says_of_how_many(total):
    dv01 = total(BOOK[0], held("5", "USD")).element("aggregate/total/dv01")
    assert (dv01.text, dv01.get("count")) == ("1", "1")


def test_without_any_dv01_there_is_none(total):
    outcome = total(held("5", "USD"), analytics="<price/><dv01/>")
    assert outcome.status("dv01") == "notApplicable"
    assert outcome.analytics.find("aggregate/total/dv01") is None


def test_a_price_without_currency_is_in_its_own_markets(total):
    outcome = total(
        held("8", market="<currency>EUR</currency>"), held("1", market="<rate>0</rate>")
    )
    assert outcome.number("price") == 11


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(held("12,5", "USD"), "VNP-304", id="text that is no number"),
        pytest.param(held("NaN", "USD"), "VNP-304", id="NaN"),
        pytest.param(held("12", "CHF"), "VNP-206", id="no exchange rate"),
    ],
)
def test_what_cannot_be_added_is_told_at_its_amount(refused, bad, code):
    at = "/instrument/aggregate/group/valuation[2]/analytics/price/amount"
    assert refused(aggregate(BOOK[0], bad), market=FX) == (code, at)


def test_the_copied_group_is_emptied_and_counted(total):
    outcome = total(*BOOK)
    group = outcome.valuation.find("instrument/aggregate/group")
    assert etree.tostring(group, with_tail=False) == b'<group name="g" onFailure="stop" count="4"/>'


def test_several_groups_and_loose_valuations_add_up(valued):
    loose = f"<aggregate><group>{BOOK[0]}</group><group>{BOOK[1]}</group>{BOOK[2]}</aggregate>"
    outcome = valued(loose, market=FX)
    assert outcome.number("price") == 100 - 50 + 20
    kept = outcome.valuation.find("instrument/aggregate")
    assert [(e.tag, e.get("count")) for e in kept] == [
        ("group", "1"),
        ("group", "1"),
        ("valuation", None),
    ]


def test_an_empty_group_has_a_total_of_nothing(total):
    outcome = total()
    assert outcome.text("price") == "0"
    assert outcome.element("aggregate/total").get("count") == "0"


def test_an_earlier_total_in_the_analytics_is_replaced(total):
    outcome = total(*BOOK, analytics="<price/><aggregate><total/></aggregate>")
    assert len(outcome.analytics.findall("aggregate")) == 1
