"""Barrier options: Haug's table, QuantLib called directly, in + out, and what lies beyond."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
MONTHS = "dayCount='30/360'"
GREEKS = "<price/><delta/><gamma/><vega/><theta/><rho/><forward/><dv01/>"
GRID = "<method>finiteDifference</method>"
TYPES = {
    "downIn": ql.Barrier.DownIn,
    "downOut": ql.Barrier.DownOut,
    "upIn": ql.Barrier.UpIn,
    "upOut": ql.Barrier.UpOut,
}
SURFACE = (
    "<volatility><surface axis='strike'><columns>80 100 120</columns>"
    "<row tenor='6M'>0.28 0.24 0.21</row><row tenor='2Y'>0.26 0.23 0.215</row>"
    "</surface></volatility>"
)


def option(
    type_: str, strike: float, barrier_type: str, barrier: float, tenor="1Y", terms=""
) -> str:
    body = f"<type>{type_}</type><strike>{strike}</strike><tenor>{tenor}</tenor>"
    body += f"<barrierType>{barrier_type}</barrierType><barrier>{barrier}</barrier>{terms}"
    return f"<barrierOption>{body}</barrierOption>"


def rebate(amount: float) -> str:
    return f"<rebate>{amount}</rebate>"


def share(spot: float, rate: float, volatility: float, yield_: float = 0.0, as_=MONTHS) -> str:
    return (
        f"<rate {as_}>{rate}</rate><underlying name='ABC'><spot>{spot}</spot>"
        f"<dividendYield {as_}>{yield_}</dividendYield>"
        f"<volatility {as_}>{volatility}</volatility></underlying>"
    )


# --- published values ----------------------------------------------------------------------------

# Haug, Option Pricing Formulas (2nd ed.), table 4-13: spot 100, 6 months, rate 8%, carry 4%,
# volatility 25%, rebate 3.
TABLE = [
    ("call", "downOut", 95, {90: 9.0246, 100: 6.7924, 110: 4.8759}),
    ("call", "downOut", 100, {90: 3.0, 100: 3.0, 110: 3.0}),
    ("call", "upOut", 105, {90: 2.6789, 100: 2.3580, 110: 2.3453}),
    ("call", "downIn", 95, {90: 7.7627, 100: 4.0109, 110: 2.0576}),
    ("call", "downIn", 100, {90: 13.8333, 100: 7.8494, 110: 3.9795}),
    ("call", "upIn", 105, {90: 14.1112, 100: 8.4482, 110: 4.5910}),
    ("put", "downOut", 95, {90: 2.2798, 100: 2.2947, 110: 2.6252}),
    ("put", "downOut", 100, {90: 3.0, 100: 3.0, 110: 3.0}),
    ("put", "upOut", 105, {90: 3.7760, 100: 5.4932, 110: 7.5187}),
    ("put", "downIn", 95, {90: 2.9586, 100: 6.5677, 110: 11.9752}),
    ("put", "downIn", 100, {90: 2.2845, 100: 5.9085, 110: 11.6465}),
    ("put", "upIn", 105, {90: 1.4653, 100: 3.3721, 110: 7.0846}),
]


@pytest.mark.parametrize(
    ("type_", "barrier_type", "barrier", "strike", "value"),
    [
        pytest.param(*terms, strike, value, id=f"{'-'.join(map(str, terms))}-{strike}")
        for *terms, prices in TABLE
        for strike, value in prices.items()
    ],
)
@pytest.mark.parametrize("calculator", ["", GRID], ids=["analytic", "grid"])
def test_haugs_table(valued, type_, barrier_type, barrier, strike, value, calculator):
    terms = option(type_, strike, barrier_type, barrier, "6M", rebate(3))
    outcome = valued(terms, market=share(100, 0.08, 0.25, 0.04), calculator=calculator)
    close = 6e-5 if not calculator else 5e-3
    assert outcome.number("price") == pytest.approx(value, abs=close)


# --- against QuantLib called directly ------------------------------------------------------------


def plain(type_, strike, barrier_type, barrier, paid, make, *, spot=100.0, volatility=None):
    """A barrier option of one year at 5% and a yield of 2%, the plain QuantLib way."""
    ql.Settings.instance().evaluationDate = TODAY
    counter = ql.Actual365Fixed()
    flat = ql.BlackConstantVol(TODAY, ql.NullCalendar(), volatility or 0.24, counter)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.02, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.05, counter)),
        ql.BlackVolTermStructureHandle(flat),
    )
    kind = ql.Option.Call if type_ == "call" else ql.Option.Put
    made = ql.BarrierOption(
        TYPES[barrier_type],
        barrier,
        paid,
        ql.PlainVanillaPayoff(kind, strike),
        ql.EuropeanExercise(TODAY + 365),
    )
    made.setPricingEngine(make(process))
    return made.NPV()


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize(
    ("barrier_type", "barrier"), [("downIn", 80), ("downOut", 80), ("upIn", 130), ("upOut", 130)]
)
@pytest.mark.parametrize("paid", [0, 2.5])
def test_values_and_greeks_agree_with_plain_quantlib(valued, type_, barrier_type, barrier, paid):
    terms = option(type_, 104, barrier_type, barrier, terms=rebate(paid))
    market = share(100, 0.05, 0.24, 0.02, as_="")
    outcome = valued(terms, market=market, analytics=GREEKS)
    assert outcome.element("calculated").get("method") == "analytic"

    def at(spot=100.0, volatility=0.24) -> float:
        of = (type_, 104, barrier_type, barrier, paid, ql.AnalyticBarrierEngine)
        return plain(*of, spot=spot, volatility=volatility)

    assert outcome.number("price") == pytest.approx(at(), rel=1e-12)
    assert outcome.number("delta") == pytest.approx((at(101) - at(99)) / 2, rel=1e-9)
    assert outcome.number("gamma") == pytest.approx(at(101) + at(99) - 2 * at(), rel=1e-6)
    vega = (at(volatility=0.25) - at(volatility=0.23)) / 0.02
    assert outcome.number("vega") == pytest.approx(vega, rel=1e-9)
    grid = valued(terms, market=market, calculator=GRID)
    assert grid.number("price") == pytest.approx(at(), abs=0.002)


@pytest.mark.parametrize(
    ("type_", "barrier_type", "barrier"), [("call", "downIn", 80), ("put", "upOut", 130)]
)
def test_a_grid_without_a_jump_is_plain_quantlibs(valued, type_, barrier_type, barrier):
    terms = option(type_, 104, barrier_type, barrier)
    grid = valued(terms, market=share(100, 0.05, 0.24, 0.02, as_=""), calculator=GRID)
    of = (type_, 104, barrier_type, barrier, 0)
    made = plain(*of, lambda p: ql.FdBlackScholesBarrierEngine(p, 200, 400))
    assert grid.number("price") == pytest.approx(made, rel=1e-12)


@pytest.mark.parametrize("sizes", [(50, 400), (200, 400), (201, 2000), (2000, 1000)])
@pytest.mark.parametrize(
    ("type_", "barrier_type", "barrier", "paid"),
    [
        ("call", "upOut", 110, 0),
        ("put", "downOut", 90, 0),
        ("call", "upIn", 110, 3),
        ("call", "upOut", 110, 3),
    ],
)
def test_a_grid_bears_a_payoff_that_jumps_at_the_barrier(
    valued, type_, barrier_type, barrier, paid, sizes
):
    # QuantLib's own grid is off by 7% of the first one at 200 and 400, and by more beyond.
    terms = option(type_, 100, barrier_type, barrier, terms=rebate(paid))
    market = share(100, 0.04, 0.2, as_="")
    numbers = "<timeSteps>{}</timeSteps><gridPoints>{}</gridPoints>".format(*sizes)
    exact = valued(terms, market=market).number("price")
    grid = valued(terms, market=market, calculator=GRID + numbers).number("price")
    assert grid == pytest.approx(exact, rel=2e-3 if sizes[0] >= 200 else 5e-3)


@pytest.mark.parametrize("day_count", ["Actual360", "BUS/252", "30/360"])
@pytest.mark.parametrize("calculator", ["", GRID])
def test_the_day_count_of_the_rates_is_not_the_volatilitys(valued, day_count, calculator):
    counted = (
        f"<curve name='C'><dayCount>{day_count}</dayCount><node tenor='2Y'>0.04</node></curve>"
    )
    spot = "<underlying name='ABC'><spot>100</spot><volatility>0.25</volatility></underlying>"
    market = counted + spot
    far = valued(option("call", 100, "downOut", 20), market=market, calculator=calculator)
    european = (
        "<europeanOption><type>call</type><strike>100</strike><tenor>1Y</tenor></europeanOption>"
    )
    whole = valued(european, market=market).number("price")
    assert far.number("price") == pytest.approx(whole, abs=0.001)


# --- laws ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    type_=st.sampled_from(["call", "put"]),
    side=st.sampled_from(["down", "up"]),
    strike=st.floats(60, 160),
    away=st.floats(-0.05, 0.5),
    months=st.integers(1, 36),
    rate=st.floats(-0.02, 0.12),
    yield_=st.floats(0.0, 0.08),
    volatility=st.floats(0.05, 0.8),
)
def test_in_and_out_without_rebate_make_the_european_option(
    valued, type_, side, strike, away, months, rate, yield_, volatility
):
    barrier = 100 * (1 - away) if side == "down" else 100 * (1 + away)
    market = share(100, rate, volatility, yield_)
    parts = [option(type_, strike, f"{side}{end}", barrier, f"{months}M") for end in ("In", "Out")]
    whole = (
        f"<europeanOption><type>{type_}</type><strike>{strike}</strike><tenor>{months}M</tenor>"
        "</europeanOption>"
    )
    values = [valued(part, market=market).number("price") for part in parts]
    assert sum(values) == pytest.approx(valued(whole, market=market).number("price"), abs=1e-9)
    assert min(values) >= -1e-9


def test_in_and_out_have_the_greeks_of_the_european_option(valued):
    market = "<rate>0.04</rate><underlying name='A'><spot>100</spot>" + SURFACE + "</underlying>"
    parts = [
        valued(option("call", 105, f"up{end}", 130), market=market, analytics=GREEKS)
        for end in ("In", "Out")
    ]
    whole = valued(
        "<europeanOption><type>call</type><strike>105</strike><tenor>1Y</tenor></europeanOption>",
        market=market,
        analytics=GREEKS,
    )
    for name, close in (("delta", 1e-3), ("gamma", 1e-2), ("vega", 1e-3)):
        together = sum(part.number(name) for part in parts)
        assert together == pytest.approx(whole.number(name), rel=close), name
    assert parts[0].number("forward") == whole.number("forward")


@pytest.mark.parametrize("calculator", ["", GRID], ids=["analytic", "grid"])
@pytest.mark.parametrize(
    ("barrier_type", "barrier"), [("downIn", 100), ("downIn", 110), ("upIn", 95)]
)
def test_a_barrier_that_is_hit_brings_the_option_in(valued, barrier_type, barrier, calculator):
    market = share(100, 0.05, 0.2)
    terms = option("call", 105, barrier_type, barrier, terms=rebate(4))
    whole = (
        "<europeanOption><type>call</type><strike>105</strike><tenor>1Y</tenor></europeanOption>"
    )
    price = valued(terms, market=market, calculator=calculator).number("price")
    assert price == pytest.approx(valued(whole, market=market).number("price"), rel=1e-12)


@pytest.mark.parametrize("calculator", ["", GRID], ids=["analytic", "grid"])
@pytest.mark.parametrize(
    ("barrier_type", "barrier"), [("downOut", 100), ("downOut", 110), ("upOut", 95)]
)
def test_a_barrier_that_is_hit_leaves_the_rebate(valued, barrier_type, barrier, calculator):
    terms = option("call", 105, barrier_type, barrier, terms=rebate(4))
    outcome = valued(
        terms, market=share(100, 0.05, 0.2), calculator=calculator, analytics="<price/><vega/>"
    )
    assert (outcome.number("price"), outcome.number("vega")) == (4, 0)
    assert outcome.codes() == []


def test_greeks_near_the_barrier_see_what_lies_beyond(valued):
    terms = option("call", 90, "downOut", 99.5, terms=rebate(1))
    outcome = valued(terms, market=share(100, 0.05, 0.2, as_=""), analytics=GREEKS)
    up = plain_down_out(101)
    assert outcome.number("delta") == pytest.approx((up - 1.0) / 2, rel=1e-9)


def plain_down_out(spot: float) -> float:
    ql.Settings.instance().evaluationDate = TODAY
    counter = ql.Actual365Fixed()
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.0, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.05, counter)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), 0.2, counter)),
    )
    made = ql.BarrierOption(
        ql.Barrier.DownOut,
        99.5,
        1.0,
        ql.PlainVanillaPayoff(ql.Option.Call, 90.0),
        ql.EuropeanExercise(TODAY + 365),
    )
    made.setPricingEngine(ql.AnalyticBarrierEngine(process))
    return made.NPV()


def test_a_discount_spread_reaches_the_rebate_at_the_hit(valued):
    spread = rebate(5) + "<discountSpread>0.02</discountSpread>"
    one = valued(
        option("put", 100, "downOut", 85, terms=spread), market=share(100, 0.03, 0.25, 0.01)
    )
    same = valued(
        option("put", 100, "downOut", 85, terms=rebate(5)), market=share(100, 0.05, 0.25, 0.03)
    )
    assert one.number("price") == pytest.approx(same.number("price"), rel=1e-11)


def test_money_is_multiplied_and_short_is_the_opposite(valued):
    sized = "<contractSize>100</contractSize><quantity>3</quantity><position>short</position>"
    market = share(100, 0.05, 0.2)
    one = valued(option("call", 105, "upOut", 140), market=market, analytics=GREEKS)
    many = valued(option("call", 105, "upOut", 140, terms=sized), market=market, analytics=GREEKS)
    for name in ("price", "delta", "gamma", "vega", "theta", "rho", "dv01"):
        assert many.number(name) == pytest.approx(-300 * one.number(name), rel=1e-13)


@pytest.mark.parametrize(
    ("barrier_type", "barrier", "value", "delta"),
    [
        ("downOut", 80, 10, 1),
        ("downOut", 105, 2, 0),
        ("downIn", 80, 2, 0),
        ("downIn", 105, 10, 1),
        ("upOut", 120, 10, 1),
        ("upIn", 120, 2, 0),
    ],
)
def test_on_the_day_of_expiry(valued, barrier_type, barrier, value, delta):
    terms = option("call", 90, barrier_type, barrier, "0D", rebate(2))
    outcome = valued(terms, market=share(100, 0.05, 0.2), analytics=GREEKS)
    numbers = [outcome.number(n) for n in ("price", "delta", "gamma", "vega", "theta", "rho")]
    assert numbers == [value, delta, 0, 0, 0, 0]


def test_after_it_the_option_is_expired(valued):
    gone = option("call", 90, "upOut", 120).replace(
        "<tenor>1Y</tenor>", "<expiryDate>2025-09-16</expiryDate>"
    )
    outcome = valued(gone, market=share(100, 0.05, 0.2), analytics=GREEKS)
    assert (outcome.text("price"), outcome.codes()) == ("0", ["VNP-107"])


def test_numbers_are_finite_far_from_the_barrier(valued):
    terms = option("call", 100, "downOut", 1, terms=rebate(3))
    outcome = valued(terms, market=share(100, 0.05, 0.05), analytics=GREEKS)
    assert all(math.isfinite(outcome.number(n)) for n in ("price", "delta", "vega", "theta"))


# --- errors --------------------------------------------------------------------------------------

AT = "/instrument/barrierOption"
WELL = share(100, 0.05, 0.2)
CASH = WELL.replace("</spot>", "</spot><dividend date='2025-12-01'>1</dividend>")
TERMS = option("call", 100, "upOut", 120)


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param("<barrierOption/>", {}, "VNP-201", AT + "/type", id="nothing"),
        pytest.param(
            TERMS.replace("<barrierType>upOut</barrierType>", ""),
            {},
            "VNP-201",
            AT + "/barrierType",
            id="barrier type",
        ),
        pytest.param(
            TERMS.replace("<barrier>120</barrier>", ""),
            {},
            "VNP-201",
            AT + "/barrier",
            id="barrier",
        ),
        pytest.param(
            TERMS.replace("upOut", "sideways"),
            {},
            "VNP-204",
            AT + "/barrierType",
            id="no such type",
        ),
        pytest.param(
            TERMS.replace(">120<", ">-1<"), {}, "VNP-208", AT + "/barrier", id="negative barrier"
        ),
        pytest.param(
            option("call", 100, "upOut", 120, terms=rebate(-1)),
            {},
            "VNP-208",
            AT + "/rebate",
            id="negative rebate",
        ),
        pytest.param(TERMS, {"market": CASH}, "VNP-301", AT, id="cash dividends"),
        pytest.param(
            TERMS,
            {"calculator": "<method>tree</method>"},
            "VNP-301",
            "/calculator/method",
            id="method",
        ),
        pytest.param(
            TERMS, {"model": "<process>normal</process>"}, "VNP-301", "/model/process", id="process"
        ),
        pytest.param(
            TERMS, {"market": WELL.replace("0.2<", "0<")}, "VNP-403", "/analytics/price", id="zero"
        ),
        pytest.param(
            option("put", 100, "upOut", 120, terms=rebate(1)),
            {"market": share(100, -0.02, 0.2, -0.04)},
            "VNP-403",
            "/analytics/price",
            id="a rebate at the hit that has no value in closed form",
        ),
    ],
)
def test_a_fault_has_its_code_and_place(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": WELL, **parts}) == (code, path)


def test_a_dividend_after_expiry_is_nothing_to_it(valued):
    soon = option("call", 100, "upOut", 120, "1M")
    assert valued(soon, market=CASH).number("price") > 0


def test_an_unknown_element_is_told(valued):
    outcome = valued(option("call", 100, "upOut", 120, terms="<rebat>1</rebat>"), market=WELL)
    assert outcome.codes() == ["VNP-102"]
