"""American options: published values, QuantLib called directly, and laws of early exercise."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
MONTHS = "dayCount='30/360'"  # so that a tenor of months is a round fraction of a year
GREEKS = "<price/><delta/><gamma/><vega/><theta/><rho/><forward/><dv01/>"
CASH = "<dividend date='2025-12-01'>1.5</dividend><dividend date='2026-06-01'>2</dividend>"
SURFACE = (
    "<volatility><surface axis='strike'><columns>80 100 120</columns>"
    "<row tenor='6M'>0.28 0.24 0.21</row><row tenor='2Y'>0.26 0.23 0.215</row>"
    "</surface></volatility>"
)
METHODS = ("qdFp", "finiteDifference", "baroneAdesiWhaley", "bjerksundStensland", "juQuadratic")


def option(type_: str, strike: float, tenor: str = "1Y", terms: str = "") -> str:
    body = f"<type>{type_}</type><strike>{strike}</strike><tenor>{tenor}</tenor>{terms}"
    return f"<americanOption>{body}</americanOption>"


def share(
    spot: float, rate: float, volatility: float, *, yield_: float = 0.0, more: str = "", as_=MONTHS
) -> str:
    return (
        f"<rate {as_}>{rate}</rate><underlying name='ABC'><spot>{spot}</spot>"
        f"<dividendYield {as_}>{yield_}</dividendYield>{more}"
        f"<volatility {as_}>{volatility}</volatility></underlying>"
    )


def method(name: str, more: str = "") -> str:
    return f"<method>{name}</method>{more}"


def plain(type_: str, strike: float, days: int, rate: float, yield_: float, volatility, make):
    """An American option on a spot of 100, the plain QuantLib way."""
    ql.Settings.instance().evaluationDate = TODAY
    counter = ql.Actual365Fixed()
    if not hasattr(volatility, "blackVol"):
        volatility = ql.BlackConstantVol(TODAY, ql.NullCalendar(), volatility, counter)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, yield_, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, counter)),
        ql.BlackVolTermStructureHandle(volatility),
    )
    kind = ql.Option.Call if type_ == "call" else ql.Option.Put
    made = ql.VanillaOption(
        ql.PlainVanillaPayoff(kind, strike), ql.AmericanExercise(TODAY, TODAY + days)
    )
    made.setPricingEngine(make(process))
    return made.NPV()


ENGINES = {
    "qdFp": lambda p: ql.QdFpAmericanEngine(p, ql.QdFpAmericanEngine.highPrecisionScheme()),
    "finiteDifference": lambda p: ql.FdBlackScholesVanillaEngine(p, 200, 400),
    "baroneAdesiWhaley": ql.BaroneAdesiWhaleyApproximationEngine,
    "bjerksundStensland": ql.BjerksundStenslandApproximationEngine,
    "juQuadratic": ql.JuQuadraticApproximationEngine,
    "tree": lambda p: ql.BinomialVanillaEngine(p, "crr", 240),
}


# --- published values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spot", "volatility", "type_", "value"),
    [
        (90, 0.15, "call", 0.0206),
        (100, 0.15, "call", 1.8771),
        (110, 0.15, "call", 10.0089),
        (90, 0.25, "call", 0.3159),
        (100, 0.25, "call", 3.1280),
        (110, 0.35, "call", 11.1679),
        (90, 0.15, "put", 10.0),
        (100, 0.15, "put", 1.8770),
        (110, 0.25, "put", 0.4562),
        (90, 0.35, "put", 10.8787),
    ],
)
def test_barone_adesi_and_whaley_as_haug_prints_it(valued, spot, volatility, type_, value):
    # Option Pricing Formulas (2nd ed.), table 3-1: futures, X 100, r 10%, 0.1 years. The book
    # stops its search for the critical price early.
    terms = option(type_, 100).replace("<tenor>1Y</tenor>", "<expiryDate>2025-10-23</expiryDate>")
    market = share(spot, 0.10, volatility, yield_=0.10)
    outcome = valued(terms, market=market, calculator=method("baroneAdesiWhaley"))
    assert outcome.number("price") == pytest.approx(value, abs=3e-3)


def test_bjerksund_and_stensland_as_haug_prints_it(valued):
    market = share(42, 0.04, 0.35, yield_=0.08)
    outcome = valued(option("call", 40, "9M"), market=market, calculator=method(METHODS[3]))
    assert round(outcome.number("price"), 4) == 5.2704


@pytest.mark.parametrize(
    ("strike", "tenor", "volatility", "value"),
    [
        (35, "1M", 0.2, 0.006), (35, "7M", 0.2, 0.433), (40, "1M", 0.2, 0.852),
        (40, "4M", 0.2, 1.580), (40, "7M", 0.2, 1.990), (45, "7M", 0.2, 5.267),
        (40, "7M", 0.4, 4.353),
    ],
)  # fmt: skip
def test_the_default_gives_the_true_values_of_american_puts(
    valued, strike, tenor, volatility, value
):
    # Ju, Journal of Derivatives 7 (1999), exhibit 3: spot 40, rate 4.88%; its years are 1/12.
    price = valued(option("put", strike, tenor), market=share(40, 0.0488, volatility))
    assert price.number("price") == pytest.approx(value, abs=1.2e-3)


def test_a_tree_comes_to_hulls_limit(valued):
    # Options, Futures and Other Derivatives (8th ed.), example 20.1: 4.283 with 500 steps.
    terms, market = option("put", 50, "5M"), share(50, 0.10, 0.40)
    steps = valued(terms, market=market, calculator=method("tree", "<timeSteps>500</timeSteps>"))
    assert round(steps.number("price"), 2) == 4.28
    assert round(valued(terms, market=market).number("price"), 2) == 4.28


# --- against QuantLib called directly ------------------------------------------------------------


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize("name", ENGINES)
def test_every_method_agrees_with_plain_quantlib(valued, type_, name):
    market = share(100, 0.035, 0.24, yield_=0.05, as_="")
    outcome = valued(option(type_, 104), market=market, calculator=method(name), analytics=GREEKS)
    assert outcome.element("calculated").get("method") == name
    expected = plain(type_, 104, 365, 0.035, 0.05, 0.24, ENGINES[name])
    assert outcome.number("price") == pytest.approx(expected, rel=1e-11)
    # The Greeks are the vocabulary's differences.
    up, down = (
        plain(type_, 104, 365, 0.035, 0.05, 0.24 + bump, ENGINES[name]) for bump in (0.01, -0.01)
    )
    assert outcome.number("vega") == pytest.approx((up - down) / 0.02, rel=1e-8)
    up, down = (
        plain(type_, 104, 365, 0.035 + bump, 0.05, 0.24, ENGINES[name]) for bump in (1e-4, -1e-4)
    )
    assert outcome.number("rho") == pytest.approx((up - down) / 2e-4, rel=1e-6)
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


def test_by_default_a_share_without_cash_dividends_is_valued_by_qd_fp(valued):
    outcome = valued(option("put", 104), market=share(100, 0.04, 0.2))
    assert outcome.element("calculated").get("method") == "qdFp"


@pytest.mark.parametrize("name", ["qdFp", "tree", "juQuadratic"])
def test_the_volatility_is_that_of_the_strike(valued, name):
    terms = option("put", 110, "2Y")
    market = "<rate>0.04</rate><underlying name='A'><spot>100</spot>{}</underlying>"
    by_surface = valued(terms, market=market.format(SURFACE), calculator=method(name))
    flat = market.format("<volatility>0.22252</volatility>")  # of strike 110, by variance
    assert by_surface.number("price") == pytest.approx(
        valued(terms, market=flat, calculator=method(name)).number("price"), rel=1e-3
    )


def test_cash_dividends_take_the_spot_down_on_their_dates(valued):
    market = share(100, 0.04, 0.22, more=CASH, as_="")
    outcome = valued(option("call", 95), market=market, analytics=GREEKS)
    assert outcome.element("calculated").get("method") == "finiteDifference"
    dates = [ql.Date(1, 12, 2025), ql.Date(1, 6, 2026)]
    made = plain(
        "call",
        95,
        365,
        0.04,
        0.0,
        0.22,
        lambda p: ql.FdBlackScholesVanillaEngine(p, ql.DividendVector(dates, [1.5, 2]), 200, 400),
    )
    assert outcome.number("price") == pytest.approx(made, rel=1e-12)
    present = 1.5 * math.exp(-0.04 * 75 / 365) + 2 * math.exp(-0.04 * 257 / 365)
    assert outcome.number("forward") == pytest.approx((100 - present) * math.exp(0.04), rel=1e-12)


@pytest.mark.parametrize("name", [m for m in ENGINES if m != "finiteDifference"])
def test_no_other_method_takes_cash_dividends(refused, valued, name):
    market = share(100, 0.04, 0.22, more=CASH)
    path = "/calculator/method"
    assert refused(option("call", 95), market=market, calculator=method(name)) == ("VNP-301", path)
    # Those after expiry are nothing to it.
    soon = option("call", 95, "1M")
    assert valued(soon, market=market, calculator=method(name)).codes() == []


def test_theta_over_a_dividend_date_is_not_the_dividend(valued):
    tomorrow = "<dividend date='2025-09-18'>5</dividend>"
    by_day = valued(
        option("put", 100), market=share(100, 0.04, 0.22, more=tomorrow), analytics=GREEKS
    )
    after = valued(option("put", 100), market=share(95, 0.04, 0.22), analytics=GREEKS)
    # The spot falls by 5 tomorrow: 365 times half of that would be seen a long way off.
    assert by_day.number("theta") == pytest.approx(after.number("theta"), abs=1)


# --- negative rates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "rate", "yield_"), [("put", -0.01, -0.02), ("call", -0.02, -0.01)]
)
def test_where_there_are_two_boundaries_the_default_is_a_grid(valued, refused, type_, rate, yield_):
    terms, market = option(type_, 100), share(100, rate, 0.2, yield_=yield_, as_="")
    outcome = valued(terms, market=market, analytics=GREEKS)
    assert outcome.element("calculated").get("method") == "finiteDifference"
    grid = plain(type_, 100, 365, rate, yield_, 0.2, ENGINES["finiteDifference"])
    assert outcome.number("price") == pytest.approx(grid, rel=1e-12)
    answer = refused(terms, market=market, calculator=method("qdFp"))
    assert answer == ("VNP-402", "/instrument/americanOption")


def test_elsewhere_negative_rates_are_nothing_special(valued):
    outcome = valued(option("put", 100), market=share(100, -0.01, 0.2, as_=""), analytics=GREEKS)
    assert outcome.element("calculated").get("method") == "qdFp"


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("strike", [80, 100, 125])
def test_a_call_without_dividends_is_worth_the_european_one(valued, name, strike):
    market = share(100, 0.05, 0.2)
    american = valued(option("call", strike), market=market, calculator=method(name))
    european = valued(option("call", strike).replace("american", "european"), market=market)
    close = 2e-4 if name == "finiteDifference" else 1e-9
    assert american.number("price") == pytest.approx(european.number("price"), rel=close)


@settings(max_examples=40, deadline=None)
@given(
    type_=st.sampled_from(["call", "put"]),
    strike=st.floats(60, 160),
    months=st.integers(1, 36),
    rate=st.floats(0.0, 0.12),
    yield_=st.floats(0.0, 0.10),
    volatility=st.floats(0.05, 0.8),
)
def test_it_is_worth_at_least_the_european_one_and_the_exercise(
    valued, type_, strike, months, rate, yield_, volatility
):
    terms = option(type_, strike, f"{months}M")
    market = share(100, rate, volatility, yield_=yield_)
    american = valued(terms, market=market).number("price")
    european = valued(terms.replace("american", "european"), market=market).number("price")
    paid = max(100 - strike if type_ == "call" else strike - 100, 0)
    assert american >= max(european, paid) - 1e-7
    assert american <= (100 if type_ == "call" else strike) + 1e-9


def test_calls_and_puts_mirror_each_other(valued):
    # A call is a put on money paid in shares: spot and strike, rate and yield change places.
    call = valued(option("call", 90), market=share(100, 0.03, 0.25, yield_=0.06))
    put = valued(option("put", 100), market=share(90, 0.06, 0.25, yield_=0.03))
    assert call.number("price") == pytest.approx(put.number("price"), rel=1e-9)


def test_money_is_multiplied_and_short_is_the_opposite(valued):
    sized = "<contractSize>100</contractSize><quantity>3</quantity><position>short</position>"
    market = share(100, 0.05, 0.2)
    one = valued(option("put", 105), market=market, analytics=GREEKS)
    many = valued(option("put", 105, terms=sized), market=market, analytics=GREEKS)
    for name in ("price", "delta", "gamma", "vega", "theta", "rho", "dv01"):
        assert many.number(name) == pytest.approx(-300 * one.number(name), rel=1e-13)
    assert many.number("forward") == one.number("forward")


def test_a_discount_spread_discounts_early_exercise_too(valued):
    # As if both rates were higher: the forward stays, every payment is worth less.
    spread = option("put", 105, terms="<discountSpread>0.02</discountSpread>")
    one = valued(spread, market=share(100, 0.03, 0.2, yield_=0.01), analytics=GREEKS)
    same = valued(option("put", 105), market=share(100, 0.05, 0.2, yield_=0.03), analytics=GREEKS)
    for name in ("price", "delta", "gamma", "vega"):
        assert one.number(name) == pytest.approx(same.number(name), rel=1e-10)


@pytest.mark.parametrize(("type_", "value", "delta"), [("call", 10, 1), ("put", 0, 0)])
def test_on_the_day_of_expiry_it_is_worth_its_payoff(valued, type_, value, delta):
    outcome = valued(option(type_, 90, "0D"), market=share(100, 0.05, 0.2), analytics=GREEKS)
    numbers = [outcome.number(n) for n in ("price", "delta", "gamma", "vega", "theta", "rho")]
    assert numbers == [value, delta, 0, 0, 0, 0]


def test_after_it_the_option_is_expired(valued, refused):
    gone = option("call", 90).replace("<tenor>1Y</tenor>", "<expiryDate>2025-09-16</expiryDate>")
    outcome = valued(gone, market=share(100, 0.05, 0.2), analytics=GREEKS)
    assert outcome.text("price") == "0"
    assert outcome.status("vega") == "expired"
    assert outcome.codes() == ["VNP-107"]
    strict = {"market": share(100, 0.05, 0.2), "calculator": "<strict>true</strict>"}
    assert refused(gone, **strict) == ("VNP-302", "/instrument/americanOption")


def test_without_volatility_the_best_day_is_known(valued):
    market = share(100, 0.05, 0.0)
    assert valued(option("put", 110), market=market).number("price") == pytest.approx(10)


# --- errors --------------------------------------------------------------------------------------

AT = "/instrument/americanOption"
WELL = share(100, 0.05, 0.2)
NO_VOLATILITY = "<rate>0.05</rate><underlying name='A'><spot>100</spot></underlying>"


@pytest.mark.parametrize(
    ("body", "parts", "code", "path"),
    [
        pytest.param("<strike>1</strike><tenor>1Y</tenor>", {}, "VNP-201", AT + "/type", id="type"),
        pytest.param(
            "<type>put</type><tenor>1Y</tenor>", {}, "VNP-201", AT + "/strike", id="strike"
        ),
        pytest.param(
            "<type>put</type><strike>1</strike>", {}, "VNP-201", AT + "/expiryDate", id="expiry"
        ),
        pytest.param(
            "<type>buy</type><strike>1</strike><tenor>1Y</tenor>",
            {},
            "VNP-204",
            AT + "/type",
            id="no such type",
        ),
        pytest.param(
            "<type>put</type><strike>0</strike><tenor>1Y</tenor>",
            {},
            "VNP-208",
            AT + "/strike",
            id="strike not positive",
        ),
        pytest.param(
            "<underlying>X</underlying><type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {},
            "VNP-206",
            AT + "/underlying",
            id="no such underlying",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"market": NO_VOLATILITY},
            "VNP-207",
            AT + "/volatility",
            id="no volatility",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"market": WELL.replace("0.2<", "-0.2<")},
            "VNP-208",
            "/market/underlying/volatility",
            id="negative volatility",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"calculator": method("monteCarlo")},
            "VNP-301",
            "/calculator/method",
            id="no such method",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"model": "<process>normal</process>"},
            "VNP-301",
            "/model/process",
            id="no such process",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"market": WELL.replace("<volatility", "<volatility quote='normal'")},
            "VNP-301",
            "/market/underlying/volatility",
            id="a normal volatility",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {
                "market": WELL.replace("<volatility", "<volatility quote='normal'"),
                "model": "<process>lognormal</process>",
            },
            "VNP-303",
            "/market/underlying/volatility",
            id="quote against process",
        ),
        pytest.param(
            "<type>put</type><strike>9</strike><tenor>1Y</tenor>",
            {"calculator": method("bjerksundStensland"), "market": WELL.replace("0.2<", "0<")},
            "VNP-403",
            "/analytics/price",
            id="not finite",
        ),
    ],
)
def test_a_fault_has_its_code_and_place(refused, body, parts, code, path):
    parts = {"market": WELL, **parts}
    assert refused(f"<americanOption>{body}</americanOption>", **parts) == (code, path)


# --- the sample ----------------------------------------------------------------------------------


def test_every_option_of_the_sample_book_is_priced(sample):
    book = sample("options-book.xml")
    instruments = book.instruments()
    outcomes = book.run(0, instruments)
    assert len(outcomes) == 60
    for instrument, outcome in zip(instruments, outcomes, strict=True):
        assert outcome.codes() == []
        sign = math.copysign(1.0, float(instrument.findtext("quantity")))
        assert sign * outcome.number("price") > 0, instrument.get("name")
        for name in ("delta", "gamma", "vega", "theta", "rho"):
            assert math.isfinite(outcome.number(name))
    totals = book.total(1, outcomes, "Options")
    total = totals.element("aggregate").find("total")
    assert (total.get("count"), total.get("notPriced")) == ("60", "0")
    keys = [s.get("key") for s in totals.element("aggregate").findall("subtotal[@by='kind']")]
    assert keys == ["americanOption", "asianOption", "barrierOption", "europeanOption", "fxOption"]


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*METHODS, "tree"])
@pytest.mark.parametrize(
    "curve",
    [
        "<curve name='C'><dayCount>Actual360</dayCount><node tenor='2Y'>0.04</node></curve>",
        "<curve name='C'><dayCount>BUS/252</dayCount><node tenor='2Y'>0.04</node></curve>",
        "<curve name='C' date='2025-09-19'><rate>0.04</rate></curve>",
        "<curve name='C' date='2025-09-27'><rate>0.04</rate></curve>",
        "<curve name='C' date='2025-08-01'><dayCount>Actual360</dayCount><rate>0.04</rate></curve>",
    ],
    ids=["360", "252", "spot", "later", "earlier"],
)
def test_the_clock_of_the_rates_does_not_reach_the_volatility(valued, curve, name):
    spot = "<underlying name='ABC'><spot>100</spot><volatility>0.25</volatility></underlying>"
    european = option("call", 100, "2W").replace("americanOption", "europeanOption")
    whole = valued(european, market=curve + spot).number("price")
    american = valued(option("call", 100, "2W"), market=curve + spot, calculator=method(name))
    assert american.number("price") == pytest.approx(whole, rel=2e-3 if name == "tree" else 1e-4)


def test_a_curve_that_starts_after_expiry_does_not_discount(valued):
    curve = "<curve name='C' date='2025-09-27'><rate>0.04</rate></curve>"
    spot = "<underlying name='ABC'><spot>100</spot><volatility>0.25</volatility></underlying>"
    american = valued(option("call", 100, "1W"), market=curve + spot).number("price")
    expected = ql.blackFormula(ql.Option.Call, 100, 100, 0.25 * math.sqrt(7 / 365))
    assert american == pytest.approx(expected, rel=1e-8)


def test_the_tree_gives_its_own_delta_and_gamma(valued):
    # Differences of a tree's values are off by a factor of three here: it is straight in pieces.
    market = share(100, 0.04, 0.25, yield_=0.015, as_="")
    exact = valued(option("put", 105), market=market, analytics=GREEKS)
    tree = valued(option("put", 105), market=market, analytics=GREEKS, calculator=method("tree"))
    for name in ("delta", "gamma"):
        assert tree.number(name) == pytest.approx(exact.number(name), rel=0.01)
