"""The choices of ADR 0030 that no other test holds."""

import math

import pytest
import QuantLib as ql

TODAY = ql.Date(17, 9, 2025)
HJM = "<volatility><hjm><factor><term/></factor></hjm></volatility>"
SHARE = (
    "<rate>0.05</rate><rate currency='EUR'>0.02</rate>"
    "<underlying name='A'><spot>100</spot><volatility quote='{}'>{}</volatility></underlying>"
)
OPTION = "<europeanOption><type>call</type><strike>100</strike><tenor>1Y</tenor>{}</europeanOption>"


def cancellable(rights: str) -> str:
    coupon = "<coupon><rate>0.05</rate></coupon>"
    return f"<cancellableBond>{coupon}<cancellation>{rights}</cancellation></cancellableBond>"


def loan(terms: str, *, start: str = "2025-09-17", rate: float = 0.06) -> str:
    head = f"<principal>1000</principal><rate>{rate}</rate><startDate>{start}</startDate>"
    return f"<homeLoan>{head}<term>10Y</term>{terms}</homeLoan>"


def test_a_right_on_the_maturity_date_is_not_used(valued):
    call = "<call date='2028-09-17'/>"
    both = valued(cancellable(call + "<call date='2030-09-17' price='50'/>"), model=HJM)
    assert both.number("price") == valued(cancellable(call), model=HJM).number("price")
    assert both.codes() == ["VNP-105"]


def test_the_same_right_twice_on_a_day_is_refused(refused):
    rights = "<call date='2028-09-17'/><call date='2028-09-17' price='101'/>"
    at = "/instrument/cancellableBond/cancellation/call[2]"
    assert refused(cancellable(rights), model=HJM) == ("VNP-208", at)


def test_attributes_and_children_of_a_right_mean_the_same(valued):
    attributes = cancellable("<put from='2027-01-01' to='2028-12-31' price='99' type='dirty'/>")
    children = cancellable(
        "<put><from>2027-01-01</from><to>2028-12-31</to><price>99</price><type>dirty</type></put>"
    )
    one, other = (valued(bond, model=HJM).number("price") for bond in (attributes, children))
    assert one == other


def test_sigma_is_one_per_cent_where_hjm_says_nothing(valued):
    explicit = HJM.replace("<term/>", "<term><sigma>0.01</sigma><beta>0.03</beta></term>")
    bond = "<cancellableBond><coupon><rate>0.05</rate></coupon></cancellableBond>"
    assert valued(bond, model=HJM).number("price") == valued(bond, model=explicit).number("price")


def test_a_fixed_payment_survives_a_reset_as_long_as_it_covers_the_interest(valued, refused):
    reset = "<payment>12</payment><rateReset date='2026-01-01'>{}</rateReset>"
    flows = valued(loan(reset.format(0.08)), analytics="<cashFlows/>").flows()
    assert [amount for _, amount in flows[:-1]] == pytest.approx([12] * (len(flows) - 1))
    at = "/instrument/homeLoan/payment"
    assert refused(loan(reset.format(0.2))) == ("VNP-208", at)


def test_a_payment_means_nothing_to_a_linear_loan(valued):
    linear = "<amortisation>linear</amortisation>"
    outcome = valued(loan(linear + "<payment>50</payment>"))
    assert outcome.codes() == ["VNP-105"]
    assert outcome.number("price") == valued(loan(linear)).number("price")


def test_a_loan_has_one_way_of_prepaying(refused):
    both = "<prepayment><cpr>0.05</cpr><psa>100</psa></prepayment>"
    at = "/instrument/homeLoan/prepayment/psa"
    assert refused(loan(both)) == ("VNP-208", at)


def test_a_loan_that_starts_later_is_worth_its_flows(valued):
    outcome = valued(
        loan("", start="2026-03-01"),
        analytics="<price/><outstandingBalance/><accruedInterest/><cashFlows/>",
    )
    worth = sum(
        amount * math.exp(-0.04 * (ql.Date(day, "%Y-%m-%d") - TODAY) / 365)
        for day, amount in outcome.flows()
    )
    assert outcome.number("price") == pytest.approx(worth, rel=1e-12)
    assert outcome.number("outstandingBalance") == 1000
    assert outcome.number("accruedInterest") == 0


def test_interest_only_must_end_before_the_loan_does(refused):
    at = "/instrument/homeLoan/interestOnly"
    assert refused(loan("<interestOnly>10Y</interestOnly>")) == ("VNP-208", at)


def test_an_option_is_no_quanto(valued):
    outcome = valued(
        OPTION.format("<currency>EUR</currency>"), market=SHARE.format("lognormal", 0.2)
    )
    plain = valued(OPTION.format(""), market=SHARE.format("lognormal", 0.2))
    assert outcome.element("price").get("currency") == "USD"
    assert outcome.number("price") == plain.number("price")
    assert outcome.codes() == ["VNP-105"]


@pytest.mark.parametrize(("quote", "process"), [("normal", "lognormal"), ("lognormal", "normal")])
def test_a_spot_volatility_against_an_explicit_process_is_refused(refused, quote, process):
    parts = {"market": SHARE.format(quote, 20), "model": f"<process>{process}</process>"}
    assert refused(OPTION.format(""), **parts) == ("VNP-303", "/market/underlying/volatility")


def test_a_shifted_volatility_is_not_for_spot_prices(refused):
    parts = {"market": SHARE.format("shiftedLognormal", 0.2)}
    assert refused(OPTION.format(""), **parts) == ("VNP-301", "/market/underlying/volatility")


def test_a_quote_means_nothing_to_an_option(valued):
    outcome = valued(
        OPTION.format("<quote><cleanPrice>5</cleanPrice></quote>"),
        market=SHARE.format("lognormal", 0.2),
    )
    assert outcome.codes() == ["VNP-105"]


def test_a_fixing_on_a_holiday_is_not_used(valued):
    market = (
        "<currency>EUR</currency><rate>0.02</rate><index name='EURIBOR6M'>"
        "<fixing date='2025-09-13'>0.05</fixing></index>"
    )
    bond = (
        "<floatingRateBond><startDate>2025-09-19</startDate><maturityDate>2027-09-19"
        "</maturityDate><coupon><index>EURIBOR6M</index></coupon></floatingRateBond>"
    )
    outcome = valued(bond, market=market)
    assert outcome.codes() == ["VNP-105"]
    assert "2025-09-13" in outcome.element("message").text


def test_more_fixings_than_an_asian_option_may_have_are_welcome(valued):
    index = ql.Estr()
    days = [TODAY - n for n in range(1, 2000)]
    fixings = "".join(
        f"<fixing date='{d.ISO()}'>0.02</fixing>" for d in days if index.isValidFixingDate(d)
    )
    assert fixings.count("<fixing") > 1000
    market = f"<currency>EUR</currency><rate>0.02</rate><index name='ESTR'>{fixings}</index>"
    bond = (
        "<floatingRateBond><startDate>2025-03-19</startDate><maturityDate>2027-09-19"
        "</maturityDate><coupon><index>ESTR</index></coupon></floatingRateBond>"
    )
    assert valued(bond, market=market).codes() == []


def test_duration_follows_the_yield_beside_it_and_then_itself(valued):
    bond = "<zeroCouponBond><maturityDate>2030-09-16</maturityDate></zeroCouponBond>"
    years = 5.0  # 1825 days
    continuous = valued(bond, analytics="<yield compounding='Continuous'/><duration/>")
    assert continuous.number("duration") == pytest.approx(years, rel=1e-9)
    own = valued(bond, analytics="<duration compounding='Compounded' frequency='Annual'/>")
    assert own.number("duration") == pytest.approx(years / math.exp(0.04), rel=1e-9)


def test_a_broken_curve_that_nobody_uses_is_nobodys_fault(valued):
    bond = "<zeroCouponBond><maturityDate>2030-09-16</maturityDate></zeroCouponBond>"
    broken = "<rate>0.04</rate><curve name='X' currency='EUR'><node tenor='x'>y</node></curve>"
    assert valued(bond, market=broken).codes() == []


def test_a_single_coupon_is_paid_once(valued):
    bond = (
        "<fixedRateBond><issueDate>2025-01-15</issueDate><maturityDate>2027-01-15</maturityDate>"
        "<coupon><rate>0.05</rate><frequency>Once</frequency></coupon></fixedRateBond>"
    )
    outcome = valued(bond, analytics="<cashFlows/><yield/>")
    assert outcome.flows() == [("2027-01-15", pytest.approx(110.0))]
    assert outcome.number("yield") > 0


def test_a_single_coupon_without_a_start_is_told(refused):
    bond = (
        "<fixedRateBond><maturityDate>2027-01-15</maturityDate>"
        "<coupon><rate>0.05</rate><frequency>Once</frequency></coupon></fixedRateBond>"
    )
    assert refused(bond) == ("VNP-201", "/instrument/fixedRateBond/startDate")


def test_listed_coupon_dates_before_the_start_are_refused(valued, refused):
    listed = "".join(f"<date>{day}</date>" for day in ("2025-07-15", "2026-01-15", "2027-01-15"))
    bond = (
        "<fixedRateBond><{0}Date>2025-10-01</{0}Date><maturityDate>2027-01-15</maturityDate>"
        f"<coupon><rate>0.05</rate><dates>{listed}</dates></coupon></fixedRateBond>"
    )
    at = "/instrument/fixedRateBond/coupon/dates"
    assert refused(bond.format("start")) == ("VNP-208", at)
    # A bond is often issued within its first period, and pays all of its first coupon.
    flows = valued(bond.format("issue"), analytics="<cashFlows/>").flows()
    assert flows[0] == ("2026-01-15", pytest.approx(2.5))
