"""Credit default swaps and credit curves: QuantLib called directly, identities, errors."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
OUTPUTS = "<price/><dv01/><fairSpread/><fairUpfront/><accruedInterest/><cashFlows/><delta/>"
CURVE = (
    "<curve name='USD' currency='USD'><node tenor='1Y'>0.035</node><node tenor='5Y'>0.042</node>"
    "<node tenor='12Y'>0.045</node></curve>"
)
METHODS = ("isda", "midPoint", "integral")
FLAT = "<hazardRate>0.02</hazardRate>"
QUOTES = "".join(
    f"<cds tenor='{tenor}'><spread unit='bp'>{spread}</spread></cds>"
    for tenor, spread in (("1Y", 50), ("3Y", 90), ("5Y", 120), ("10Y", 150))
)


def swap(terms: str = "", spread: str = "0.01", end: str = "<tenor>5Y</tenor>") -> str:
    body = f"<notional>1e7</notional><spread>{spread}</spread>{end}{terms}"
    return f"<creditDefaultSwap>{body}</creditDefaultSwap>"


def market(credit: str, curve: str = CURVE) -> str:
    return f"{curve}<credit name='XYZ'>{credit}</credit>"


def method(name: str) -> str:
    return f"<method>{name}</method>"


# --- against QuantLib called directly ------------------------------------------------------------


def discounting():
    dates = [TODAY, *(TODAY + ql.Period(tenor) for tenor in ("1Y", "5Y", "12Y"))]
    zeros = (0.0, 0.035, 0.042, 0.045)
    factors = [math.exp(-z * (date - TODAY) / 365) for z, date in zip(zeros, dates, strict=True)]
    curve = ql.DiscountCurve(dates, factors, ql.Actual365Fixed())
    curve.enableExtrapolation()
    return ql.YieldTermStructureHandle(curve)


def engine(name: str, credit, recovery: float = 0.4):
    handle = ql.DefaultProbabilityTermStructureHandle(credit)
    if name == "isda":
        return ql.IsdaCdsEngine(handle, recovery, discounting())
    if name == "midPoint":
        return ql.MidPointCdsEngine(handle, recovery, discounting())
    return ql.IntegralCdsEngine(ql.Period(1, ql.Days), handle, recovery, discounting())


def plain(spread=0.01, tenor="5Y", trade=TODAY, side=ql.Protection.Buyer):
    """A standard contract, as QuantLib's own maker makes it."""
    ql.Settings.instance().evaluationDate = TODAY
    return ql.MakeCreditDefaultSwap(
        ql.Period(tenor),
        spread,
        side=side,
        nominal=1e7,
        tradeDate=trade,
        dateGenerationRule=ql.DateGeneration.CDS2015,
    )


def flat(rate: float = 0.02):
    return ql.FlatHazardRate(TODAY, ql.QuoteHandle(ql.SimpleQuote(rate)), ql.Actual365Fixed())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("side", ["buyer", "seller"])
@pytest.mark.parametrize("trade", ["2025-09-17", "2025-03-05", "2023-12-20"])
def test_standard_contracts_agree_with_plain_quantlib(valued, name, side, trade):
    terms = f"<side>{side}</side><tradeDate>{trade}</tradeDate>"
    outcome = valued(swap(terms), market=market(FLAT), calculator=method(name), analytics=OUTPUTS)
    bought = ql.Protection.Buyer if side == "buyer" else ql.Protection.Seller
    made = plain(trade=ql.Date(trade, "%Y-%m-%d"), side=bought)
    made.setPricingEngine(engine(name, flat()))
    assert outcome.element("calculated").get("method") == name
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-10, abs=1e-6)
    assert outcome.number("fairSpread") == pytest.approx(made.fairSpread(), rel=1e-10)
    if trade == "2025-09-17":
        assert outcome.number("fairUpfront") == pytest.approx(made.fairUpfront(), rel=1e-10)
        rebate = made.accrualRebate().amount() * (1 if side == "buyer" else -1)
        assert outcome.number("accruedInterest") == pytest.approx(rebate, rel=1e-12)
    else:  # settled long ago
        assert outcome.status("fairUpfront") == "notApplicable"
        assert outcome.number("accruedInterest") == 0
    assert outcome.status("delta") == "notApplicable"
    assert outcome.element("price").get("currency") == "USD"


def test_a_contract_of_hulls(valued):
    # Options, Futures and Other Derivatives (8th ed.), 24.2: of the survivors 2% default each year,
    # half-way through it; 5% flat, recovery 40%, paid once a year: 124 bp.
    terms = "<rule>Backward</rule><frequency>Annual</frequency><dayCount>30/360</dayCount>"
    outcome = valued(
        swap(terms),
        market=market(f"<hazardRate>{-math.log(0.98)!r}</hazardRate>", "<rate>0.05</rate>"),
        calculator=method("midPoint"),
        analytics=OUTPUTS,
    )
    assert outcome.number("fairSpread") == pytest.approx(0.0124, abs=5e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_plain_schedule_agrees_with_plain_quantlib(valued, name):
    terms = (
        "<rule>Backward</rule><startDate>2025-06-01</startDate><frequency>2</frequency>"
        "<dayCount>ACT/365F</dayCount><calendar>TARGET</calendar>"
        "<convention>ModifiedFollowing</convention><recoveryRate>0.25</recoveryRate>"
    )
    outcome = valued(swap(terms), market=market(FLAT), calculator=method(name), analytics=OUTPUTS)
    ql.Settings.instance().evaluationDate = TODAY
    start = ql.Date(1, 6, 2025)
    schedule = ql.Schedule(
        start,
        start + ql.Period("5Y"),
        ql.Period("6M"),
        ql.TARGET(),
        ql.ModifiedFollowing,
        ql.ModifiedFollowing,
        ql.DateGeneration.Backward,
        False,
    )
    counter = ql.Actual365Fixed()
    made = ql.CreditDefaultSwap(
        ql.Protection.Buyer, 1e7, 0.01, schedule, ql.ModifiedFollowing, counter, True, True, start,
        ql.FaceValueClaim(), counter, False, TODAY,
    )  # fmt: skip
    made.setPricingEngine(engine(name, flat(), 0.25))
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-10)
    assert outcome.number("accruedInterest") == 0


# --- credit curves -------------------------------------------------------------------------------


def test_quotes_agree_with_a_plain_bootstrap(valued):
    ql.Settings.instance().evaluationDate = TODAY
    helpers = [
        ql.SpreadCdsHelper(
            spread, ql.Period(tenor), 0, ql.WeekendsOnly(), ql.Quarterly, ql.Following,
            ql.DateGeneration.CDS2015, ql.Actual360(), 0.4, discounting(), True, True, ql.Date(),
            ql.Actual360(True), True, ql.CreditDefaultSwap.ISDA,
        )
        for tenor, spread in (("1Y", 0.005), ("3Y", 0.009), ("5Y", 0.012), ("10Y", 0.015))
    ]  # fmt: skip
    curve = ql.PiecewiseFlatHazardRate(TODAY, helpers, ql.Actual365Fixed())
    curve.enableExtrapolation()
    for tenor in ("1Y", "4Y", "7Y"):
        outcome = valued(swap(end=f"<tenor>{tenor}</tenor>"), market=market(QUOTES))
        made = plain(tenor=tenor)
        made.setPricingEngine(engine("isda", curve))
        assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-9)


@pytest.mark.parametrize(
    ("tenor", "spread"), [("1Y", 0.005), ("3Y", 0.009), ("5Y", 0.012), ("10Y", 0.015)]
)
def test_every_quoted_contract_has_its_spread(valued, tenor, spread):
    terms = swap(spread=repr(spread), end=f"<tenor>{tenor}</tenor>")
    outcome = valued(terms, market=market(QUOTES), analytics=OUTPUTS)
    assert outcome.number("fairSpread") == pytest.approx(spread, rel=1e-9)
    assert outcome.number("price") == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("running", ["0.01", "0.05", "0"])
@pytest.mark.parametrize("trade", ["2025-09-17", "2025-03-05"])
def test_a_quoted_spread_is_that_of_the_swap_itself(valued, running, trade):
    terms = swap(f"<tradeDate>{trade}</tradeDate>", spread=running)
    quoted = market("<quotedSpread unit='bp'>137</quotedSpread><recoveryRate>0.3</recoveryRate>")
    outcome = valued(terms, market=quoted, analytics=OUTPUTS)
    assert outcome.number("fairSpread") == pytest.approx(0.0137, rel=1e-9)
    made = plain(spread=0.0137, trade=ql.Date(trade, "%Y-%m-%d"))
    rate = made.impliedHazardRate(
        0.0, discounting(), ql.Actual365Fixed(), 0.3, 1e-14, ql.CreditDefaultSwap.ISDA
    )
    same = valued(
        terms, market=market(f"<hazardRate>{rate!r}</hazardRate><recoveryRate>0.3</recoveryRate>")
    )
    assert outcome.number("price") == pytest.approx(same.number("price"), rel=1e-8)


def test_a_quoted_spread_is_the_isda_one_whatever_the_method(valued):
    quoted = market("<quotedSpread>0.0137</quotedSpread>")
    outcome = valued(swap(), market=quoted, analytics=OUTPUTS, calculator=method("midPoint"))
    assert outcome.number("fairSpread") != pytest.approx(0.0137, rel=1e-9)
    assert outcome.number("fairSpread") == pytest.approx(0.0137, rel=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_nodes_of_every_type_say_the_same(valued, name):
    dates = [TODAY + ql.Period(tenor) for tenor in ("1Y", "5Y", "10Y")]
    hazards = (0.01, 0.02, 0.03)
    survival, before, written = 1.0, TODAY, {"hazard": "", "survival": "", "defaultProbability": ""}
    for date, hazard in zip(dates, hazards, strict=True):
        survival *= math.exp(-hazard * (date - before) / 365)
        before = date
        for kind, value in (
            ("hazard", hazard),
            ("survival", survival),
            ("defaultProbability", 1 - survival),
        ):
            written[kind] += f"<node date='{date.ISO()}'>{value!r}</node>"
    curve = ql.HazardRateCurve([TODAY, *dates], [0.01, *hazards], ql.Actual365Fixed())
    made = plain()
    made.setPricingEngine(engine(name, curve))
    for kind, nodes in written.items():
        credit = market(f"<type>{kind}</type>{nodes}")
        price = valued(swap(), market=credit, calculator=method(name)).number("price")
        assert price == pytest.approx(made.NPV(), rel=1e-9), kind
    untyped = valued(swap(), market=market(written["hazard"]), calculator=method(name))
    assert untyped.number("price") == pytest.approx(made.NPV(), rel=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_a_day_count_measures_the_hazard(valued, name):
    nodes = "<node tenor='1Y'>{0!r}</node><node tenor='6Y'>{1!r}</node>"
    for credit in ("<hazardRate>{0!r}</hazardRate>", nodes):
        counted = market("<dayCount>ACT/360</dayCount>" + credit.format(0.02, 0.03))
        same = market(credit.format(0.02 * 365 / 360, 0.03 * 365 / 360))
        one = valued(swap(), market=counted, calculator=method(name)).number("price")
        other = valued(swap(), market=same, calculator=method(name)).number("price")
        assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize(
    "curve",
    [
        CURVE.replace("<node", "<interpolation>cubicZero</interpolation><node", 1),
        "<rate compounding='Compounded' dayCount='30/360'>0.04</rate>",
        "<curve name='C' date='2025-09-10'><node tenor='10Y'>0.04</node></curve>",
        "<curve name='C' date='2025-09-19'><node tenor='10Y'>0.04</node></curve>",
    ],
    ids=["cubic", "another clock", "an earlier curve", "a curve of spot"],
)
def test_the_isda_model_takes_any_curve_of_the_market(valued, curve):
    prices = [
        valued(swap(), market=market(FLAT, curve), calculator=method(name)).number("price")
        for name in METHODS
    ]
    assert prices[0] == pytest.approx(prices[2], abs=20)  # of 10 million
    assert prices[0] == pytest.approx(prices[1], abs=150)


# --- identities ----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    spread=st.floats(0.0, 0.1),
    upfront=st.sampled_from([0.0, 0.03, -0.02]),
    hazard=st.floats(0.0005, 0.3),
    recovery=st.floats(0.0, 0.9),
    years=st.integers(1, 10),
    name=st.sampled_from(METHODS),
)
def test_at_its_fair_spread_or_upfront_it_is_worth_nothing(
    valued, spread, upfront, hazard, recovery, years, name
):
    credit = market(f"<hazardRate>{hazard}</hazardRate><recoveryRate>{recovery}</recoveryRate>")
    parts = {"market": credit, "calculator": method(name), "analytics": OUTPUTS}
    end = f"<tenor>{years}Y</tenor>"

    def at(spread: float, upfront: float):
        terms = swap(f"<upfront>{upfront!r}</upfront>", repr(spread), end)
        return valued(terms, **parts)

    outcome = at(spread, upfront)
    assert at(outcome.number("fairSpread"), upfront).number("price") == pytest.approx(0, abs=1e-5)
    assert at(spread, outcome.number("fairUpfront")).number("price") == pytest.approx(0, abs=1e-5)


def test_buyer_and_seller_are_opposites_and_quantities_multiply(valued):
    parts = {"market": market(QUOTES), "analytics": OUTPUTS}
    one = valued(swap(), **parts)
    for terms, factor in (
        ("<side>seller</side>", -1),
        ("<position>short</position>", -1),
        ("<side>seller</side><quantity>-3</quantity>", 3),
    ):
        other = valued(swap(terms), **parts)
        for name in ("price", "dv01", "accruedInterest"):
            assert other.number(name) == pytest.approx(factor * one.number(name), rel=1e-12)
        for name in ("fairSpread", "fairUpfront"):
            assert other.number(name) == pytest.approx(one.number(name), rel=1e-12)
        for (date, amount), (same, base) in zip(other.flows(), one.flows(), strict=True):
            assert (date, amount) == (same, pytest.approx(factor * base))


def test_without_default_the_value_is_that_of_the_cash_flows(valued):
    outcome = valued(
        swap("<upfront>0.02</upfront>"),
        market=market("<hazardRate>0</hazardRate>", "<rate>0.03</rate>"),
        analytics=OUTPUTS,
    )
    total = 0.0
    for date, amount in outcome.flows():
        total += amount * math.exp(-0.03 * (ql.Date(date, "%Y-%m-%d") - TODAY) / 365)
    assert outcome.number("price") == pytest.approx(total, rel=1e-11)


def test_the_flows_of_a_standard_contract(valued):
    outcome = valued(
        swap("<upfront>0.02</upfront>", end="<tenor>6M</tenor>"),
        market=market(FLAT),
        analytics=OUTPUTS,
    )
    # The tenor ends on the standard date; the last period counts its last day.
    assert outcome.flows() == [
        ("2025-09-22", pytest.approx(-200_000)),
        ("2025-09-22", pytest.approx(-1e7 * 0.01 * 94 / 360)),
        ("2025-09-22", pytest.approx(1e7 * 0.01 * 90 / 360)),  # accrued up to the trade
        ("2025-12-22", pytest.approx(-1e7 * 0.01 * 90 / 360)),
    ]


def test_the_dv01_keeps_the_quoted_spreads(valued):
    outcome = valued(swap(spread="0.05"), market=market(QUOTES), analytics=OUTPUTS)

    def moved(bump: float) -> float:
        curve = CURVE.replace("</curve>", f"<spread>{bump!r}</spread></curve>")
        return valued(swap(spread="0.05"), market=market(QUOTES, curve)).number("price")

    expected = (moved(-1e-4) - moved(1e-4)) / 2
    assert outcome.number("dv01") == pytest.approx(expected, rel=1e-6)


def test_a_discount_spread_is_for_discounting(valued):
    spread = valued(
        swap("<discountSpread>0.01</discountSpread>"), market=market(FLAT, "<rate>0.03</rate>")
    )
    same = valued(swap(), market=market(FLAT, "<rate>0.04</rate>"))
    assert spread.number("price") == pytest.approx(same.number("price"), rel=1e-10)


# --- dates ---------------------------------------------------------------------------------------


def test_a_maturity_that_is_not_a_standard_date_is_told(valued):
    end = "<maturityDate>2030-06-11</maturityDate>"
    moved = valued(swap(end=end), market=market(FLAT))
    assert moved.codes() == ["VNP-105"]
    standard = valued(swap(end="<maturityDate>2030-06-20</maturityDate>"), market=market(FLAT))
    assert standard.codes() == []
    assert moved.number("price") == standard.number("price")
    own = "<rule>Backward</rule>" + end
    assert valued(swap(end=own), market=market(FLAT)).codes() == []


@pytest.mark.parametrize("name", METHODS)
def test_the_last_coupon_is_owed_when_protection_is_over(valued, name):
    # Protection ended on Saturday the 20th; the coupon is paid on Monday.
    terms = swap("<tradeDate>2025-01-10</tradeDate>", end="<maturityDate>2025-12-20</maturityDate>")
    parts = {"market": market(FLAT), "calculator": method(name), "analytics": OUTPUTS}
    outcome = valued(terms, date="2025-12-21", **parts)
    assert outcome.flows() == [("2025-12-22", pytest.approx(-1e7 * 0.01 * 90 / 360))]
    assert outcome.number("price") == pytest.approx(outcome.flows()[0][1], rel=2e-4)
    over = valued(terms, date="2025-12-22", **parts)
    assert (over.text("price"), over.codes()) == ("0", ["VNP-107"])


def test_a_swap_may_start_later(valued):
    terms = "<rule>Backward</rule><startDate>2025-12-17</startDate>"
    outcome = valued(swap(terms), market=market(FLAT), analytics=OUTPUTS)
    ahead = swap("<tradeDate>2025-12-17</tradeDate>")
    other = valued(ahead, market=market(FLAT), analytics=OUTPUTS)
    for one in (outcome, other):
        assert one.number("fairSpread") == pytest.approx(0.02 * 0.6 * 360 / 365, rel=0.03)
        assert all(date > "2025-12-17" for date, _ in one.flows())


@pytest.mark.parametrize("rule", ["CDS", "OldCDS", "CDS2015", "Twentieth"])
def test_every_rule_has_a_price(valued, rule):
    outcome = valued(swap(f"<rule>{rule}</rule>"), market=market(FLAT), analytics=OUTPUTS)
    assert outcome.number("fairSpread") == pytest.approx(0.0119, rel=0.06)


def test_a_start_date_is_not_for_a_standard_contract(valued):
    outcome = valued(swap("<startDate>2025-01-01</startDate>"), market=market(FLAT))
    assert outcome.codes() == ["VNP-105"]


# --- errors --------------------------------------------------------------------------------------

AT = "/instrument/creditDefaultSwap"
TWO = market(FLAT) + "<credit name='ABC'><hazardRate>0.01</hazardRate></credit>"


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param("<creditDefaultSwap/>", {}, "VNP-201", AT + "/notional", id="nothing"),
        pytest.param(
            swap().replace("<spread>0.01</spread>", ""), {}, "VNP-201", AT + "/spread", id="spread"
        ),
        pytest.param(swap(end=""), {}, "VNP-201", AT + "/maturityDate", id="maturity"),
        pytest.param(swap("<side>both</side>"), {}, "VNP-204", AT + "/side", id="side"),
        pytest.param(swap("<rule>Lunar</rule>"), {}, "VNP-204", AT + "/rule", id="rule"),
        pytest.param(
            swap("<recoveryRate>1</recoveryRate>"), {}, "VNP-208", AT + "/recoveryRate", id="R = 1"
        ),
        pytest.param(swap(end="<tenor>1M</tenor>"), {}, "VNP-208", AT + "/tenor", id="no standard"),
        pytest.param(swap(end="<tenor>0M</tenor>"), {}, "VNP-208", AT + "/tenor", id="no end"),
        pytest.param(
            swap(end="<maturityDate>2025-09-17</maturityDate>"),
            {},
            "VNP-208",
            AT + "/maturityDate",
            id="ends where it starts",
        ),
        pytest.param(
            swap("<protectionStart>2031-01-01</protectionStart>"),
            {},
            "VNP-208",
            AT + "/protectionStart",
            id="protection after maturity",
        ),
        pytest.param(
            swap("<rule>Backward</rule><protectionStart>2025-10-01</protectionStart>"),
            {},
            "VNP-208",
            AT + "/protectionStart",
            id="protection after the first coupon",
        ),
        pytest.param(swap(), {"market": CURVE}, "VNP-206", AT + "/creditCurve", id="no credit"),
        pytest.param(
            swap("<creditCurve>ABC</creditCurve>"), {}, "VNP-206", AT + "/creditCurve", id="named"
        ),
        pytest.param(swap(), {"market": TWO}, "VNP-201", AT + "/creditCurve", id="several"),
        pytest.param(
            swap(), {"market": "<credit name='X'>" + FLAT + "</credit>"}, "VNP-206", "/market",
            id="no curve",
        ),
        pytest.param(
            swap(), {"calculator": method("tree")}, "VNP-301", "/calculator/method", id="method"
        ),
        pytest.param(
            swap("<dayCount>30/360</dayCount>"), {}, "VNP-402", AT, id="not a day count of ISDA's"
        ),
    ],
)  # fmt: skip
def test_a_fault_has_its_code_and_place(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": market(FLAT), **parts}) == (code, path)


CREDIT = "/market/credit"


@pytest.mark.parametrize(
    ("credit", "code", "path"),
    [
        pytest.param("", "VNP-201", CREDIT + "/hazardRate", id="empty"),
        pytest.param(
            FLAT + "<quotedSpread>0.01</quotedSpread>",
            "VNP-205",
            CREDIT + "/quotedSpread",
            id="two",
        ),
        pytest.param("<hazardRate>-0.1</hazardRate>", "VNP-208", CREDIT + "/hazardRate", id="<0"),
        pytest.param("<hazardRate>x</hazardRate>", "VNP-203", CREDIT + "/hazardRate", id="number"),
        pytest.param(
            FLAT + "<recoveryRate>1</recoveryRate>", "VNP-208", CREDIT + "/recoveryRate", id="R = 1"
        ),
        pytest.param(
            "<type>hope</type><node tenor='1Y'>0.1</node>", "VNP-204", CREDIT + "/type", id="type"
        ),
        pytest.param("<node>0.1</node>", "VNP-201", CREDIT + "/node/@tenor", id="no date"),
        pytest.param(
            "<node tenor='2Y'>0.1</node><node tenor='1Y'>0.1</node>",
            "VNP-205",
            CREDIT + "/node[2]",
            id="order",
        ),
        pytest.param(
            "<node date='2025-09-16'>0.1</node>", "VNP-205", CREDIT + "/node", id="in the past"
        ),
        pytest.param(
            "<type>survival</type><node tenor='1Y'>0.9</node><node tenor='2Y'>0.95</node>",
            "VNP-205",
            CREDIT + "/node[2]",
            id="back to life",
        ),
        pytest.param(
            "<type>survival</type><node tenor='1Y'>0</node>", "VNP-208", CREDIT + "/node", id="dead"
        ),
        pytest.param(
            "<type>defaultProbability</type><node tenor='1Y'>1</node>",
            "VNP-208",
            CREDIT + "/node",
            id="sure to default",
        ),
        pytest.param("<cds><spread>0.01</spread></cds>", "VNP-201", CREDIT + "/cds/@tenor", id="t"),
        pytest.param("<cds tenor='1Y'/>", "VNP-201", CREDIT + "/cds/spread", id="no spread"),
        pytest.param(
            "<cds tenor='1Y'><spread>0.5</spread></cds><cds tenor='2Y'><spread>0.01</spread></cds>",
            "VNP-401",
            CREDIT,
            id="no solution",
        ),
        pytest.param(
            "<cds tenor='1Y'><spread>0.01</spread></cds>" * 2,
            "VNP-401",
            CREDIT,
            id="one date twice",
        ),
        pytest.param(
            "<node tenor='1D'>0.1</node>" * 501, "VNP-208", CREDIT, id="more than 500 nodes"
        ),
    ],
)
def test_a_fault_of_the_credit_has_its_code_and_place(refused, credit, code, path):
    assert refused(swap(), market=market(credit)) == (code, path)


def test_a_day_count_beside_quotes_is_not_used(valued):
    outcome = valued(swap(), market=market("<dayCount>ACT/360</dayCount>" + QUOTES))
    assert outcome.codes() == ["VNP-105"]
