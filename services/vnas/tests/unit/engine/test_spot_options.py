"""European options: published values, QuantLib called directly, parity, and the Greeks."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
MONTHS = "dayCount='30/360'"  # so that a tenor of months is a round fraction of a year
GREEKS = "<price/><delta/><gamma/><vega/><theta/><rho/><forward/><dv01/>"


def option(type_: str, strike: float, tenor: str = "1Y", terms: str = "") -> str:
    body = f"<type>{type_}</type><strike>{strike}</strike><tenor>{tenor}</tenor>{terms}"
    return f"<europeanOption>{body}</europeanOption>"


def share(
    spot: float, rate: float, volatility: float, *, yield_: float = 0.0, more: str = ""
) -> str:
    return (
        f"<rate {MONTHS}>{rate}</rate><underlying name='ABC'><spot>{spot}</spot>"
        f"<dividendYield {MONTHS}>{yield_}</dividendYield>{more}"
        f"<volatility {MONTHS}>{volatility}</volatility></underlying>"
    )


@pytest.mark.parametrize(
    ("instrument", "market", "value", "digits"),
    [
        pytest.param(
            option("call", 65, "3M"), share(60, 0.08, 0.30), 2.1334, 4,
            id="Haug, Option Pricing Formulas (2nd ed.) 1.1.1: Black-Scholes",
        ),
        pytest.param(
            option("put", 95, "6M"), share(100, 0.10, 0.20, yield_=0.05), 2.4648, 4,
            id="Haug 1.1.2: Merton, stock index with a dividend yield",
        ),
        pytest.param(
            "<fxOption><pair>EURUSD</pair><type>call</type><strike>1.6</strike><tenor>6M</tenor>"
            "</fxOption>",
            f"<rate {MONTHS}>0.06</rate><rate currency='EUR' {MONTHS}>0.08</rate>"
            f"<fx pair='EURUSD'><spot>1.56</spot><volatility {MONTHS}>0.12</volatility></fx>",
            0.0291, 4,
            id="Haug 1.1.5: Garman-Kohlhagen",
        ),
        pytest.param(
            option("call", 40, "6M"), share(42, 0.10, 0.20), 4.76, 2,
            id="Hull, Options, Futures and Other Derivatives (8th ed.) example 14.6: call",
        ),
        pytest.param(
            option("put", 40, "6M"), share(42, 0.10, 0.20), 0.81, 2, id="Hull 14.6: put"
        ),
        pytest.param(
            option("call", 40, "6M"),
            share(
                40, 0.09, 0.30,
                more="<dividend date='2025-11-17'>0.5</dividend>"
                "<dividend date='2026-02-17'>0.5</dividend>",
            ),
            3.67, 2,
            id="Hull 14.9: two cash dividends, escrowed",
        ),
    ],
)  # fmt: skip
def test_published_values(valued, instrument, market, value, digits):
    price = valued(instrument, market=market).number("price")
    assert round(price, digits) == value


# --- against QuantLib called directly ------------------------------------------------------------

SURFACE = (
    "<volatility><surface axis='strike'><columns>80 100 120</columns>"
    "<row tenor='6M'>0.28 0.24 0.21</row><row tenor='2Y'>0.26 0.23 0.215</row>"
    "</surface></volatility>"
)
NODES = (
    "<volatility><node tenor='6M'>0.24</node><node tenor='2Y' unit='percent'>23</node></volatility>"
)
BOOK = (
    "<rate>0.03</rate><curve name='USD' currency='USD'><node tenor='1Y'>0.035</node>"
    "<node tenor='5Y'>0.042</node></curve>"
    "<underlying name='ABC'><spot>100</spot><dividendYield>0.015</dividendYield>{}</underlying>"
)
DIVIDENDS = [("2025-12-01", 1.5), ("2026-06-01", 2.0), ("2027-06-01", 9.0)]
CASH = "".join(f"<dividend date='{date}'>{amount}</dividend>" for date, amount in DIVIDENDS)


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def structure(volatility: str):
    dates = [TODAY + ql.Period("6M"), TODAY + ql.Period("2Y")]
    if volatility == NODES:
        made = ql.BlackVarianceCurve(TODAY, dates, [0.24, 0.23], ql.Actual365Fixed(), False)
    elif volatility == SURFACE:
        matrix = ql.Matrix(3, 2)
        for i, row in enumerate(((0.28, 0.26), (0.24, 0.23), (0.21, 0.215))):
            for j, value in enumerate(row):
                matrix[i][j] = value
        flat = ql.BlackVarianceSurface.ConstantExtrapolation
        strikes = [80.0, 100.0, 120.0]
        made = ql.BlackVarianceSurface(
            TODAY, ql.NullCalendar(), dates, strikes, matrix, ql.Actual365Fixed(), flat, flat
        )
    else:
        made = ql.BlackConstantVol(TODAY, ql.NullCalendar(), 0.22, ql.Actual365Fixed())
    made.enableExtrapolation()
    return made


def plain(type_: str, strike: float, tenor: str, volatility: str, engine, *, spot: float = 100.0):
    """An option on the share of BOOK, the plain QuantLib way; `engine` makes it of a process."""
    ql.Settings.instance().evaluationDate = TODAY
    dates = [TODAY, TODAY + ql.Period("1Y"), TODAY + ql.Period("5Y")]
    discounts = [
        math.exp(-z * (date - TODAY) / 365)
        for z, date in zip((0.035, 0.035, 0.042), dates, strict=True)
    ]
    curve = ql.DiscountCurve(dates, discounts, ql.Actual365Fixed())
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.015, ql.Actual365Fixed())),
        ql.YieldTermStructureHandle(curve),
        ql.BlackVolTermStructureHandle(structure(volatility)),
    )
    kind = ql.Option.Call if type_ == "call" else ql.Option.Put
    exercise = ql.EuropeanExercise(TODAY + ql.Period(tenor))
    made = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise)
    made.setPricingEngine(engine(process))
    return made


def dividends():
    return ql.DividendVector([iso(d) for d, _ in DIVIDENDS[:2]], [a for _, a in DIVIDENDS[:2]])


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize("strike", [70, 95, 100, 131])
@pytest.mark.parametrize(
    "volatility",
    ["<volatility>0.22</volatility>", NODES, SURFACE],
    ids=["flat", "nodes", "surface"],
)
@pytest.mark.parametrize("tenor", ["3M", "18M", "4Y"])
def test_the_closed_form_and_its_greeks_agree_with_plain_quantlib(
    valued, type_, strike, volatility, tenor
):
    outcome = valued(option(type_, strike, tenor), market=BOOK.format(volatility), analytics=GREEKS)
    made = plain(type_, strike, tenor, volatility, ql.AnalyticEuropeanEngine)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)
    for greek in ("delta", "gamma", "vega", "theta", "rho"):
        assert outcome.number(greek) == pytest.approx(getattr(made, greek)(), rel=1e-11)


@pytest.mark.parametrize("strike", [90, 110])
def test_cash_dividends_are_escrowed_in_the_closed_form(valued, strike):
    volatility = "<volatility>0.22</volatility>"
    outcome = valued(
        option("call", strike, "18M"), market=BOOK.format(CASH + volatility), analytics=GREEKS
    )
    made = plain(
        "call",
        strike,
        "18M",
        volatility,
        lambda p: ql.AnalyticDividendEuropeanEngine(p, dividends()),
    )
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)
    for greek in ("delta", "gamma", "vega", "theta", "rho"):
        assert outcome.number(greek) == pytest.approx(getattr(made, greek)(), rel=1e-11)


@pytest.mark.parametrize("cash", ["", CASH], ids=["no dividends", "dividends"])
@pytest.mark.parametrize(
    "volatility", ["<volatility>0.22</volatility>", SURFACE], ids=["flat", "sf"]
)
def test_finite_differences_agree_with_plain_quantlib(valued, cash, volatility):
    outcome = valued(
        option("put", 105, "18M"),
        market=BOOK.format(cash + volatility),
        calculator="<method>finiteDifference</method><timeSteps>100</timeSteps>"
        "<gridPoints>300</gridPoints>",
    )
    schedule = dividends() if cash else ql.DividendVector([], [])
    made = plain(
        "put",
        105,
        "18M",
        volatility,
        lambda p: ql.FdBlackScholesVanillaEngine(p, schedule, 100, 300),
    )
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)
    if not cash:
        exact = plain("put", 105, "18M", volatility, ql.AnalyticEuropeanEngine)
        assert outcome.number("price") == pytest.approx(exact.NPV(), rel=1e-3)


def test_monte_carlo_agrees_with_plain_quantlib_and_with_the_closed_form(valued):
    volatility = "<volatility>0.22</volatility>"
    instrument, market = option("call", 105, "18M"), BOOK.format(volatility)
    settings_ = "<method>monteCarlo</method><samples>20000</samples><seed>7</seed>"
    price = valued(instrument, market=market, calculator=settings_).number("price")
    made = plain(
        "call",
        105,
        "18M",
        volatility,
        lambda p: ql.MCEuropeanEngine(p, "pr", timeSteps=1, requiredSamples=20000, seed=7),
    )
    assert price == pytest.approx(made.NPV(), rel=1e-12)
    exact = plain("call", 105, "18M", volatility, ql.AnalyticEuropeanEngine).NPV()
    assert price == pytest.approx(exact, abs=4 * made.errorEstimate())
    other = valued(instrument, market=market, calculator=settings_.replace("7", "8"))
    assert other.number("price") != price


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("process", ["lognormal", "normal"])
def test_few_paths_are_averaged_by_hand(valued, process, samples):
    market = share(100, 0.05, 0.2 if process == "lognormal" else 20)
    price = valued(
        option("call", 60),
        market=market,
        model=f"<process>{process}</process>",
        calculator=f"<method>monteCarlo</method><samples>{samples}</samples>",
    ).number("price")
    uniform = ql.MersenneTwisterUniformRng(42)
    inverse = ql.InverseCumulativeNormal()
    paid = []
    for _ in range(samples):
        z = inverse(uniform.next().value())
        forward = 100 * math.exp(0.05)
        at_expiry = forward + 20 * z if process == "normal" else forward * math.exp(0.2 * z - 0.02)
        paid.append(max(at_expiry - 60, 0))
    assert price == pytest.approx(math.exp(-0.05) * sum(paid) / samples, rel=1e-12)


@pytest.mark.parametrize("method", ["finiteDifference", "monteCarlo"])
@pytest.mark.parametrize("process", ["lognormal", "normal"])
def test_greeks_by_differences_are_near_the_closed_form(valued, method, process):
    model = f"<process>{process}</process>"
    volatility = 0.22 if process == "lognormal" else 22
    market = BOOK.format(f"<volatility>{volatility}</volatility>")
    settings_ = f"<method>{method}</method><samples>60000</samples>"
    instrument = option("call", 103, "1Y")
    parts = {"market": market, "model": model, "analytics": GREEKS}
    rough, exact = valued(instrument, calculator=settings_, **parts), valued(instrument, **parts)
    loose = 0.03 if method == "monteCarlo" else 0.003
    for name in ("price", "delta", "vega", "rho", "theta", "dv01"):
        assert rough.number(name) == pytest.approx(exact.number(name), rel=loose), name
    assert rough.number("gamma") == pytest.approx(exact.number("gamma"), rel=0.15)


# --- the normal process --------------------------------------------------------------------------


def bachelier(forward, strike, deviation, discount, sign=1.0) -> float:
    d = sign * (forward - strike) / deviation
    cumulative = 0.5 * (1 + math.erf(d / math.sqrt(2)))
    density = math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
    return discount * (sign * (forward - strike) * cumulative + deviation * density)


@pytest.mark.parametrize("strike", [95, -10])
def test_the_normal_process_is_bacheliers_formula(valued, strike):
    market = share(100, 0.05, 15, yield_=0.02)
    outcome = valued(
        option("call", strike), market=market, model="<process>normal</process>", analytics=GREEKS
    )
    forward, discount = 100 * math.exp(0.03), math.exp(-0.05)
    expected = bachelier(forward, strike, 15, discount)
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)
    assert outcome.number("forward") == pytest.approx(forward, rel=1e-13)

    def at(spot=100.0, volatility=15.0, rate=0.05) -> float:
        moved = spot * math.exp(rate - 0.02)
        return bachelier(moved, strike, volatility, math.exp(-rate))

    h = 1e-4
    delta = (at(spot=100 + h) - at(spot=100 - h)) / (2 * h)
    vega = (at(volatility=15 + h) - at(volatility=15 - h)) / (2 * h)
    rho = (at(rate=0.05 + 1e-6) - at(rate=0.05 - 1e-6)) / 2e-6
    gamma = (at(spot=100.1) + at(spot=99.9) - 2 * at()) / 0.01
    assert outcome.number("delta") == pytest.approx(delta, rel=1e-7)
    assert outcome.number("gamma") == pytest.approx(gamma, rel=1e-5, abs=1e-9)
    assert outcome.number("vega") == pytest.approx(vega, rel=1e-5, abs=1e-6)
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-6)


def test_a_volatility_quoted_normal_means_the_normal_process(valued):
    quoted = share(100, 0.05, 15).replace("<volatility ", "<volatility quote='normal' ")
    named = valued(
        option("put", 95), market=share(100, 0.05, 15), model="<process>normal</process>"
    )
    assert valued(option("put", 95), market=quoted).number("price") == named.number("price")


# --- laws ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    strike=st.floats(50, 200),
    months=st.integers(1, 60),
    rate=st.floats(-0.02, 0.12),
    yield_=st.floats(0, 0.08),
    volatility=st.floats(0.01, 0.9),
    process=st.sampled_from(["lognormal", "normal"]),
    cash=st.sampled_from(["", CASH]),
)
def test_call_less_put_is_the_forward_less_the_strike(
    valued, strike, months, rate, yield_, volatility, process, cash
):
    sigma = volatility if process == "lognormal" else volatility * 100
    market = share(100, rate, sigma, yield_=yield_, more=cash)
    parts = {
        "market": market,
        "model": f"<process>{process}</process>",
        "analytics": "<price/><forward/>",
    }
    call, put = (valued(option(t, strike, f"{months}M"), **parts) for t in ("call", "put"))
    discount = math.exp(-rate * months / 12)
    expected = discount * (call.number("forward") - strike)
    assert call.number("price") - put.number("price") == pytest.approx(expected, abs=1e-9)
    assert call.number("price") >= -1e-12
    assert put.number("price") >= -1e-12


@pytest.mark.parametrize("type_", ["call", "put"])
def test_greeks_are_the_slopes_of_the_price(valued, type_):
    market = "<rate>0.04</rate><underlying name='A'><spot>{}</spot>" + CASH
    market += "<volatility>{}</volatility></underlying>"

    def price(spot=100.0, volatility=0.25, **parts) -> float:
        parts = {"market": market.format(spot, volatility), **parts}
        return valued(option(type_, 104), **parts).number("price")

    outcome = valued(option(type_, 104), market=market.format(100, 0.25), analytics=GREEKS)
    assert outcome.number("delta") == pytest.approx((price(100.01) - price(99.99)) / 0.02, rel=1e-6)
    gamma = (price(100.1) + price(99.9) - 2 * price()) / 0.01
    assert outcome.number("gamma") == pytest.approx(gamma, rel=1e-4)
    vega = (price(volatility=0.2501) - price(volatility=0.2499)) / 0.0002
    assert outcome.number("vega") == pytest.approx(vega, rel=1e-6)

    def at_rate(rate: float) -> float:
        return price(market=market.replace("0.04", repr(rate)).format(100, 0.25))

    rho = (at_rate(0.0401) - at_rate(0.0399)) / 0.0002
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-6)
    # With one currency a parallel move is a move of the discount rate.
    assert outcome.number("dv01") == pytest.approx(
        (at_rate(0.0399) - at_rate(0.0401)) / 2, rel=1e-9
    )


def test_units_of_greeks(valued):
    per = "<vega unit='point'/><theta unit='day'/><rho unit='point'/>"
    market = share(100, 0.05, 0.2)
    whole = valued(option("call", 100), market=market, analytics=GREEKS)
    parts = valued(option("call", 100), market=market, analytics=per)
    assert parts.number("vega") == pytest.approx(whole.number("vega") / 100)
    assert parts.number("rho") == pytest.approx(whole.number("rho") / 100)
    assert parts.number("theta") == pytest.approx(whole.number("theta") / 365)


def test_money_is_multiplied_by_contract_size_and_quantity(valued):
    market = share(100, 0.05, 0.2)
    sized = "<contractSize>100</contractSize><quantity>3</quantity><position>short</position>"
    one = valued(option("call", 100), market=market, analytics=GREEKS)
    many = valued(option("call", 100, terms=sized), market=market, analytics=GREEKS)
    for name in ("price", "delta", "gamma", "vega", "theta", "rho", "dv01"):
        assert many.number(name) == pytest.approx(-300 * one.number(name), rel=1e-13)
    assert many.number("forward") == one.number("forward")


def test_a_discount_spread_leaves_the_forward_alone(valued):
    market = share(100, 0.05, 0.2)
    spread = option("call", 100, terms="<discountSpread>0.01</discountSpread>")
    one = valued(option("call", 100), market=market, analytics=GREEKS)
    less = valued(spread, market=market, analytics=GREEKS)
    assert less.number("forward") == one.number("forward")
    for name in ("price", "delta", "gamma", "vega"):
        assert less.number(name) == pytest.approx(one.number(name) * math.exp(-0.01), rel=1e-12)
    assert less.number("theta") == pytest.approx(
        math.exp(-0.01) * (one.number("theta") + 0.01 * one.number("price")), rel=1e-9
    )


# --- expiry --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_", "value", "delta"), [("call", 10, 1), ("put", 0, 0)])
def test_on_the_day_of_expiry_an_option_is_worth_its_payoff(valued, type_, value, delta):
    outcome = valued(option(type_, 90, "0D"), market=share(100, 0.05, 0.2), analytics=GREEKS)
    assert [outcome.number(n) for n in ("price", "delta", "gamma", "vega", "theta", "rho")] == [
        value,
        delta,
        0,
        0,
        0,
        0,
    ]
    assert outcome.number("forward") == 100
    assert outcome.codes() == []


def test_after_it_the_option_is_expired(valued):
    gone = option("call", 90).replace("<tenor>1Y</tenor>", "<expiryDate>2025-09-16</expiryDate>")
    outcome = valued(gone, market=share(100, 0.05, 0.2), analytics=GREEKS)
    assert outcome.text("price") == "0"
    assert outcome.status("delta") == "expired"
    assert outcome.codes() == ["VNP-107"]


# --- underlyings and exchange rates --------------------------------------------------------------


def test_the_underlying_is_named_where_there_are_several(valued, refused):
    two = share(100, 0.05, 0.2) + "<underlying name='XYZ'><spot>50</spot></underlying>"
    at = "/instrument/europeanOption/underlying"
    assert refused(option("call", 100), market=two) == ("VNP-201", at)
    named = option("call", 100, terms="<underlying>ABC</underlying>")
    alone = valued(option("call", 100), market=share(100, 0.05, 0.2)).number("price")
    assert valued(named, market=two).number("price") == alone


@pytest.mark.parametrize(
    "volatility",
    [
        "<volatility unit='percent'><value>20</value></volatility>",
        "<volatility unit='percent'><node tenor='1Y'>20</node></volatility>",
        "<volatility unit='percent'><node tenor='1Y' unit='bp'>2000</node></volatility>",
        (
            "<volatility unit='percent'><surface axis='strike'><columns>90 110</columns>"
            "<row tenor='1Y'>20 20</row></surface></volatility>"
        ),
        (
            "<volatility><surface axis='strike'><columns>90 110</columns>"
            "<row tenor='1Y' unit='percent'>20 20</row></surface></volatility>"
        ),
    ],
    ids=["value", "nodes", "the nearest unit", "surface", "row"],
)
def test_a_unit_holds_for_the_numbers_inside(valued, volatility):
    market = "<rate>0.04</rate><underlying name='ABC'><spot>100</spot>{}</underlying>"
    plain = market.format("<volatility>0.2</volatility>")
    expected = valued(option("call", 100), market=plain).number("price")
    outcome = valued(option("call", 100), market=market.format(volatility))
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["finiteDifference", "monteCarlo"])
def test_theta_passes_what_the_market_dates_today_and_tomorrow(valued, method):
    curve = "<node date='2025-09-17'>{0}</node><node date='2027-09-17'>{1}</node>"
    nodes = "<node date='2025-09-18'>0.2</node><node date='2027-09-18'>0.2</node>"
    market = (
        "<curve name='C'><type>{2}</type>" + curve + "</curve>"
        f"<underlying name='ABC'><spot>100</spot><volatility>{nodes}</volatility></underlying>"
    )
    analytic = valued(
        option("call", 100), market=market.format(0.04, 0.04, "zero"), analytics=GREEKS
    )
    for shape, first, last in (("zero", 0.04, 0.04), ("discount", 1, repr(math.exp(-0.08)))):
        outcome = valued(
            option("call", 100),
            market=market.format(first, last, shape),
            analytics=GREEKS,
            calculator=f"<method>{method}</method>",
        )
        assert outcome.number("theta") == pytest.approx(analytic.number("theta"), rel=0.02)


def test_theta_of_an_option_that_expires_tomorrow(valued):
    node = "<volatility><node date='2025-09-18'>0.2</node></volatility>"
    market = f"<rate>0.04</rate><underlying name='ABC'><spot>100</spot>{node}</underlying>"
    outcome = valued(
        option("call", 90, "1D"),
        market=market,
        analytics=GREEKS,
        calculator="<method>finiteDifference</method>",
    )
    lost = (10 - outcome.number("price")) * 365
    assert outcome.number("theta") == pytest.approx(lost, rel=1e-12)


def test_an_option_is_in_the_currency_of_its_underlying(valued):
    market = (
        "<rate>0.05</rate><rate currency='EUR'>0.02</rate>"
        "<underlying name='A' currency='EUR'><spot>100</spot><volatility>0.2</volatility>"
        "</underlying>"
    )
    outcome = valued(option("call", 100), market=market, analytics="<price/><forward/>")
    assert outcome.element("price").get("currency") == "EUR"
    assert outcome.number("forward") == pytest.approx(100 * math.exp(0.02), rel=1e-9)


def test_a_dividend_curve_is_a_yield_that_stays_when_rates_move(valued):
    market = (
        "<rate>0.05</rate><curve name='Q' currency='XXX'><rate>0.03</rate></curve>"
        "<underlying name='A'><spot>100</spot>{}<volatility>0.2</volatility></underlying>"
    )
    by_curve = market.format("<dividendCurve>Q</dividendCurve>")
    by_yield = market.format("<dividendYield>0.03</dividendYield>")
    one, other = (
        valued(option("call", 100), market=m, analytics=GREEKS) for m in (by_curve, by_yield)
    )
    for name in ("price", "delta", "rho", "dv01", "forward"):
        assert one.number(name) == pytest.approx(other.number(name), rel=1e-12)


FX = (
    "<rate>0.05</rate><rate currency='EUR'>0.02</rate>"
    "<fx pair='EURUSD'{}><spot>1.2</spot><volatility>0.1</volatility></fx>"
)


def fx_option(type_: str = "call", terms: str = "") -> str:
    body = f"<pair>EURUSD</pair><type>{type_}</type><strike>1.25</strike><tenor>1Y</tenor>{terms}"
    return f"<fxOption>{body}</fxOption>"


def test_an_fx_option_moves_with_both_curves(valued):
    outcome = valued(fx_option(), market=FX.format(""), analytics=GREEKS)

    def at(base: float, quote: float) -> float:
        moved = FX.format("").replace("0.05", repr(quote)).replace("0.02<", f"{base!r}<")
        return valued(fx_option(), market=moved).number("price")

    rho = (at(0.02, 0.0501) - at(0.02, 0.0499)) / 0.0002
    dv01 = (at(0.0199, 0.0499) - at(0.0201, 0.0501)) / 2
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-6)
    assert outcome.number("dv01") == pytest.approx(dv01, rel=1e-9)
    assert outcome.number("forward") == pytest.approx(1.2 * math.exp(0.03), rel=1e-12)
    assert outcome.element("price").get("currency") == "USD"


def test_a_spot_rate_that_settles_later_is_carried_back(valued):
    dated = FX.format(" spotDate='2025-09-19'")
    outcome = valued(fx_option(), market=dated, analytics=GREEKS)
    factor = math.exp(-(0.05 - 0.02) * 2 / 365)
    today = FX.format("").replace("1.2<", f"{1.2 * factor!r}<")
    same = valued(fx_option(), market=today, analytics=GREEKS)
    assert outcome.number("price") == pytest.approx(same.number("price"), rel=1e-12)
    assert outcome.number("delta") == pytest.approx(same.number("delta") * factor, rel=1e-12)
    assert outcome.number("gamma") == pytest.approx(same.number("gamma") * factor**2, rel=1e-12)


def test_a_pair_of_an_unknown_currency_is_told(valued):
    terms = "<pair>ABCUSD</pair><strike>1</strike><type>call</type><tenor>1Y</tenor>"
    outcome = valued(
        f"<fxOption>{terms}</fxOption>",
        market="<rate>0.04</rate><rate currency='ABC'>0.02</rate>"
        "<fx pair='ABCUSD'><spot>1</spot><volatility>0.1</volatility></fx>",
    )
    assert outcome.codes() == ["VNP-103"]


def test_notional_is_in_the_base_currency(valued):
    market = FX.format("")
    one = valued(fx_option(), market=market, analytics=GREEKS)
    many = valued(fx_option(terms="<notional>5e6</notional>"), market=market, analytics=GREEKS)
    assert many.number("price") == pytest.approx(5e6 * one.number("price"), rel=1e-13)
    assert many.number("delta") == pytest.approx(5e6 * one.number("delta"), rel=1e-13)


# --- the choice of a volatility ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "volatility"),
    [
        pytest.param({"model": "<volatility>0.5</volatility>"}, 0.5, id="the model's"),
        pytest.param(
            {"model": "<volatility><hjm/></volatility>"}, 0.4, id="unless it is hjm: instrument's"
        ),
        pytest.param({}, 0.4, id="the instrument's"),
        pytest.param({"own": ""}, 0.3, id="the underlying's"),
        pytest.param(
            {"own": "<volatilityName>V</volatilityName>", "share": ""}, 0.2, id="by its name"
        ),
    ],
)
def test_the_volatility_is_chosen_in_order(valued, parts, volatility):
    own = parts.pop("own", "<volatility>0.4</volatility>")
    of_share = parts.pop("share", "<volatility>0.3</volatility>")
    market = (
        f"<rate>0.05</rate><underlying name='A'><spot>100</spot>{of_share}</underlying>"
        "<volatility name='V'><value>0.2</value></volatility>"
    )
    price = valued(option("call", 100, terms=own), market=market, **parts).number("price")
    flat = market.replace(of_share, "").replace("0.2<", f"{volatility}<")
    named = option("call", 100, terms="<volatilityName>V</volatilityName>")
    assert price == valued(named, market=flat).number("price")


# --- the sample ----------------------------------------------------------------------------------


def test_the_european_options_of_the_sample_book(sample):
    book = sample("options-book.xml")
    kinds = ("europeanOption", "fxOption")
    instruments = [i for i in book.instruments() if any(i.find(k) is not None for k in kinds)]
    outcomes = book.run(0, instruments)
    assert len(outcomes) == 30
    for instrument, outcome in zip(instruments, outcomes, strict=True):
        assert outcome.codes() == []
        sign = math.copysign(1.0, float(instrument.findtext("quantity")))
        assert sign * outcome.number("price") > 0
        assert sign * outcome.number("gamma") > 0
        assert sign * outcome.number("vega") > 0
    totals = book.total(1, outcomes, "Options")
    keys = [s.get("key") for s in totals.element("aggregate").findall("subtotal[@by='currency']")]
    assert keys == ["EUR", "JPY", "USD"]
