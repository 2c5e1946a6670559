"""Asian options: published values, QuantLib called directly, histories, and laws of averages."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
EXPIRY = ql.Date(17, 9, 2026)
GREEKS = "<price/><delta/><gamma/><vega/><theta/><rho/><forward/><dv01/>"
PATHS = "<method>monteCarlo</method>"
SURFACE = (
    "<volatility><surface axis='strike'><columns>80 100 120</columns>"
    "<row tenor='6M'>0.28 0.24 0.21</row><row tenor='2Y'>0.26 0.23 0.215</row>"
    "</surface></volatility>"
)
MONTHLY = [TODAY + ql.Period(month, ql.Months) for month in range(1, 13)]


def listed(dates) -> str:
    return f"<fixingDates>{''.join(f'<date>{d.ISO()}</date>' for d in dates)}</fixingDates>"


def option(type_: str, strike: float, terms: str = "", expiry: ql.Date = EXPIRY) -> str:
    body = f"<type>{type_}</type><strike>{strike}</strike><expiryDate>{expiry.ISO()}</expiryDate>"
    return f"<asianOption>{body}{terms}</asianOption>"


def share(spot=100.0, rate=0.05, volatility=0.25, yield_=0.02, as_="") -> str:
    if not isinstance(volatility, str):
        volatility = f"<volatility {as_}>{volatility}</volatility>"
    return (
        f"<rate {as_}>{rate}</rate><underlying name='ABC'><spot>{spot}</spot>"
        f"<dividendYield {as_}>{yield_}</dividendYield>{volatility}</underlying>"
    )


GEOMETRIC = "<averaging>geometric</averaging>"


def past(average: float, count: int | None) -> str:
    counted = "" if count is None else f" count='{count}'"
    return f"<pastFixings{counted}>{average}</pastFixings>"


# --- published values ----------------------------------------------------------------------------


def test_a_continuous_geometric_average_as_haug_prints_it(valued):
    # Option Pricing Formulas (2nd ed.), 4.20.1: S 80, X 85, T 0.25, r 5%, b 8%, 20%.
    terms = option("put", 85, GEOMETRIC, ql.Date(17, 12, 2025))
    market = share(80, 0.05, 0.20, -0.03, as_="dayCount='30/360'")
    assert valued(terms, market=market).number("price") == pytest.approx(4.6922, abs=5e-5)


def test_a_discrete_geometric_average_as_clewlow_and_strickland_print_it(valued):
    # Implementing Derivatives Models, pp. 118-123: ten fixings in a year.
    dates = [TODAY + ql.Period(36 * i, ql.Days) for i in range(1, 11)]
    market = share(100, 0.06, 0.20, 0.03, as_="dayCount='ACT/360'")
    terms = option("call", 100, GEOMETRIC + listed(dates), dates[-1])
    assert valued(terms, market=market).number("price") == pytest.approx(5.3425606635, abs=1e-9)


def test_levys_value_of_a_continuous_average(valued):
    # Haug (2nd ed.) 4.20.2, an exchange rate: S 6.80, 180 days, r 7%, foreign rate 9%.
    expiry = TODAY + 180
    market = share(6.80, 0.07, 0.14, 0.09, as_="dayCount='ACT/360'")
    price = valued(option("call", 6.90, "", expiry), market=market).number("price")
    assert round(price, 4) == 0.0944


@pytest.mark.parametrize(
    ("fixings", "value"),
    [(2, 1.3942835683), (4, 1.5852442983), (12, 1.6980019214)],
)
@pytest.mark.parametrize("calculator", ["", PATHS], ids=["moments", "paths"])
def test_levys_values_of_a_discrete_average(valued, fixings, value, calculator):
    # Levy, in Exotic Options (Clewlow and Strickland eds., 1997), table 8.1: S 90, K 87, r 2.5%,
    # foreign rate 6%, 13%; the first fixing is today's, the last one in eleven months.
    every = 11.0 / (fixings - 1)
    counted = "dayCount='30/360'"
    if fixings == 4:  # at no whole months
        dates, counted = [TODAY + round(330 * i / 3) for i in range(4)], "dayCount='ACT/360'"
    else:
        dates = [TODAY + ql.Period(round(every * i), ql.Months) for i in range(fixings)]
    market = share(90, 0.025, 0.13, 0.06, as_=counted)
    terms = option("put", 87, listed(dates), dates[-1])
    price = valued(terms, market=market, calculator=calculator).number("price")
    assert price == pytest.approx(value, abs=6e-3 if calculator else 1.5e-2)


# --- against QuantLib called directly ------------------------------------------------------------


def process(rate=0.05, yield_=0.02, volatility=0.25, *, surface: bool = False):
    ql.Settings.instance().evaluationDate = TODAY
    counter = ql.Actual365Fixed()
    if surface:
        matrix = ql.Matrix(3, 2)
        for i, row in enumerate(((0.28, 0.26), (0.24, 0.23), (0.21, 0.215))):
            for j, value in enumerate(row):
                matrix[i][j] = value
        flat = ql.BlackVarianceSurface.ConstantExtrapolation
        dates = [TODAY + ql.Period("6M"), TODAY + ql.Period("2Y")]
        strikes = [80.0, 100.0, 120.0]
        structure = ql.BlackVarianceSurface(
            TODAY, ql.NullCalendar(), dates, strikes, matrix, counter, flat, flat
        )
        structure.enableExtrapolation()
    else:
        structure = ql.BlackConstantVol(TODAY, ql.NullCalendar(), volatility, counter)
    return ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, yield_, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, counter)),
        ql.BlackVolTermStructureHandle(structure),
    )


def discrete(average, type_, strike, engine, history=(0.0, 0), dates=MONTHLY):
    kind = ql.Option.Call if type_ == "call" else ql.Option.Put
    payoff, exercise = ql.PlainVanillaPayoff(kind, strike), ql.EuropeanExercise(EXPIRY)
    made = ql.DiscreteAveragingAsianOption(average, *history, dates, payoff, exercise)
    made.setPricingEngine(engine)
    return made


def continuous(average, type_, strike, engine):
    kind = ql.Option.Call if type_ == "call" else ql.Option.Put
    payoff, exercise = ql.PlainVanillaPayoff(kind, strike), ql.EuropeanExercise(EXPIRY)
    made = ql.ContinuousAveragingAsianOption(average, payoff, exercise)
    made.setPricingEngine(engine)
    return made


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize("surface", [False, True], ids=["flat", "surface"])
def test_turnbull_and_wakeman_agrees_with_plain_quantlib(valued, type_, surface):
    volatility = SURFACE if surface else 0.25
    outcome = valued(
        option(type_, 97, listed(MONTHLY)), market=share(volatility=volatility), analytics=GREEKS
    )
    assert outcome.element("calculated").get("method") == "turnbullWakeman"
    engine = ql.TurnbullWakemanAsianEngine(process(surface=surface))
    made = discrete(ql.Average.Arithmetic, type_, 97, engine)
    for name in ("delta", "gamma"):
        assert outcome.number(name) == pytest.approx(getattr(made, name)(), rel=1e-12)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)


def test_vega_and_rho_of_an_arithmetic_average_are_differences(valued):
    outcome = valued(option("call", 97, listed(MONTHLY)), market=share(), analytics=GREEKS)

    def at(rate=0.05, volatility=0.25) -> float:
        engine = ql.TurnbullWakemanAsianEngine(process(rate, volatility=volatility))
        return discrete(ql.Average.Arithmetic, "call", 97, engine).NPV()

    vega = (at(volatility=0.26) - at(volatility=0.24)) / 0.02
    assert outcome.number("vega") == pytest.approx(vega, rel=1e-9)
    rho = (at(0.0501) - at(0.0499)) / 0.0002
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-8)


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize("count", [0, 3])
def test_past_fixings_agree_with_plain_quantlib(valued, type_, count):
    history = past(101, count) if count else ""
    outcome = valued(option(type_, 97, listed(MONTHLY) + history), market=share(), analytics=GREEKS)
    engine = ql.TurnbullWakemanAsianEngine(process())
    made = discrete(ql.Average.Arithmetic, type_, 97, engine, (101.0 * count, count))
    for name in ("delta", "gamma"):
        assert outcome.number(name) == pytest.approx(getattr(made, name)(), rel=1e-10)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)

    outcome = valued(
        option(type_, 97, GEOMETRIC + listed(MONTHLY) + history), market=share(), analytics=GREEKS
    )
    engine = ql.AnalyticDiscreteGeometricAveragePriceAsianEngine(process())
    made = discrete(ql.Average.Geometric, type_, 97, engine, (101.0**count, count))
    for name in ("delta", "gamma", "vega", "rho", "theta"):
        assert outcome.number(name) == pytest.approx(getattr(made, name)(), rel=1e-9)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize("surface", [False, True], ids=["flat", "surface"])
def test_geometric_averages_agree_with_plain_quantlib(valued, type_, surface):
    market = share(volatility=SURFACE if surface else 0.25)
    seen = process(surface=surface)
    outcome = valued(option(type_, 97, GEOMETRIC + listed(MONTHLY)), market=market)
    engine = ql.AnalyticDiscreteGeometricAveragePriceAsianEngine(seen)
    made = discrete(ql.Average.Geometric, type_, 97, engine, (1.0, 0))
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-11)
    outcome = valued(option(type_, 97, GEOMETRIC), market=market, analytics=GREEKS)
    engine = ql.AnalyticContinuousGeometricAveragePriceAsianEngine(seen)
    made = continuous(ql.Average.Geometric, type_, 97, engine)
    assert outcome.element("calculated").get("method") == "analytic"
    for name in ("delta", "gamma", "vega", "rho"):
        assert outcome.number(name) == pytest.approx(getattr(made, name)(), rel=1e-11)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-11)


@pytest.mark.parametrize("type_", ["call", "put"])
def test_levys_formula_agrees_with_plain_quantlib(valued, type_):
    outcome = valued(option(type_, 97), market=share())
    assert outcome.element("calculated").get("method") == "levy"
    none = ql.QuoteHandle(ql.SimpleQuote(0.0))
    engine = ql.ContinuousArithmeticAsianLevyEngine(process(), none, TODAY)
    made = continuous(ql.Average.Arithmetic, type_, 97, engine)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-10)
    start = TODAY - 100
    running = f"<startDate>{start.ISO()}</startDate><runningAverage>99</runningAverage>"
    outcome = valued(option(type_, 97, running), market=share())
    so_far = ql.QuoteHandle(ql.SimpleQuote(99.0))
    engine = ql.ContinuousArithmeticAsianLevyEngine(process(), so_far, start)
    made = continuous(ql.Average.Arithmetic, type_, 97, engine)
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-10)


@pytest.mark.parametrize(
    ("rate", "yield_"), [(0.0, 0.04), (0.02, 0.04), (0.03, 0.03), (0.0300000001, 0.03)]
)
def test_levys_formula_holds_where_quantlibs_engine_divides_by_nothing(valued, rate, yield_):
    # With 20% these carries make b + s^2, 2b + s^2 or b itself zero, or nearly so.
    price = valued(
        option("put", 97), market=share(rate=rate, yield_=yield_, volatility=0.2)
    ).number("price")
    none = ql.QuoteHandle(ql.SimpleQuote(0.0))

    def beside(bump: float) -> float:
        seen = process(rate + bump, yield_, 0.2)
        engine = ql.ContinuousArithmeticAsianLevyEngine(seen, none, TODAY)
        return continuous(ql.Average.Arithmetic, "put", 97, engine).NPV()

    assert price == pytest.approx((beside(1e-4) + beside(-1e-4)) / 2, rel=1e-6)


@pytest.mark.parametrize("type_", ["call", "put"])
def test_paths_agree_with_plain_quantlib(valued, type_):
    terms = option(type_, 97, listed(MONTHLY))
    settings_ = PATHS + "<samples>5000</samples><seed>7</seed>"
    price = valued(terms, market=share(), calculator=settings_).number("price")
    bridge = antithetic = False
    controlled = True
    engine = ql.MCPRDiscreteArithmeticAPEngine(
        process(), bridge, antithetic, controlled, requiredSamples=5000, seed=7
    )
    made = discrete(ql.Average.Arithmetic, type_, 97, engine)
    assert price == pytest.approx(made.NPV(), rel=1e-10)
    other = valued(terms, market=share(), calculator=settings_.replace("7<", "8<"))
    assert other.number("price") != price


@pytest.mark.parametrize("type_", ["call", "put"])
@pytest.mark.parametrize(
    "volatility",
    [
        SURFACE,
        "<volatility><node tenor='1M'>0.6</node><node tenor='1Y'>0.25</node></volatility>",
    ],
    ids=["surface", "falling"],
)
def test_paths_know_the_volatility_of_every_date(valued, type_, volatility):
    # QuantLib's control variate would be off by what the volatility of expiry is.
    terms, market = option(type_, 97, listed(MONTHLY)), share(volatility=volatility)
    exact = valued(terms, market=market, calculator=PATHS + "<samples>100000</samples>")
    moments = valued(terms, market=market)
    assert exact.number("price") == pytest.approx(moments.number("price"), rel=1.5e-2)
    few = valued(terms, market=market, calculator=PATHS + "<samples>5000</samples><seed>9</seed>")
    assert few.number("price") == pytest.approx(exact.number("price"), rel=5e-3)


def test_greeks_by_paths_are_near_those_by_moments(valued):
    terms = option("call", 97, listed(MONTHLY))
    paths = valued(terms, market=share(), analytics=GREEKS, calculator=PATHS)
    moments = valued(terms, market=share(), analytics=GREEKS)
    for name in ("price", "delta", "gamma", "vega", "theta", "rho"):
        assert paths.number(name) == pytest.approx(moments.number(name), rel=0.03), name


# --- histories -----------------------------------------------------------------------------------


def test_dates_may_be_listed_from_the_first_one(valued):
    gone = [TODAY - 60, TODAY - 30]
    parts = {"market": share(), "analytics": GREEKS}
    whole = valued(option("call", 97, listed(gone + MONTHLY) + past(103, 2)), **parts)
    uncounted = valued(option("call", 97, listed(gone + MONTHLY) + past(103, None)), **parts)
    rest = valued(option("call", 97, listed(MONTHLY) + past(103, 2)), **parts)
    for name in ("price", "delta", "vega", "theta"):
        assert whole.number(name) == rest.number(name) == uncounted.number(name)


@pytest.mark.parametrize(
    ("kind", "calculator"),
    [("", ""), ("", PATHS), (GEOMETRIC, "")],
    ids=["arithmetic", "paths", "geometric"],
)
def test_a_fixing_of_today_is_todays_spot(valued, kind, calculator):
    dates = [TODAY, *MONTHLY]
    parts = {"market": share(), "calculator": calculator}
    one = valued(option("call", 97, kind + listed(dates)), **parts)
    same = valued(option("call", 97, kind + listed(MONTHLY) + past(100, 1)), **parts)
    assert one.number("price") == pytest.approx(same.number("price"), rel=1e-12)
    # It may have been counted already.
    counted = kind + listed([TODAY - 30, *dates]) + past(98, 2)
    fixed = kind + listed(MONTHLY) + past(98, 2)
    assert valued(option("call", 97, counted), market=share()).number("price") == pytest.approx(
        valued(option("call", 97, fixed), market=share()).number("price"), rel=1e-12
    )


@pytest.mark.parametrize("kind", ["", GEOMETRIC], ids=["arithmetic", "geometric"])
def test_delta_counts_a_fixing_of_today(valued, kind):
    terms = option("call", 60, kind + listed([TODAY, *MONTHLY]))
    outcome = valued(terms, market=share(volatility=0.1), analytics=GREEKS)
    whole = sum(math.exp(0.03 * (d - TODAY) / 365) for d in [TODAY, *MONTHLY]) / 13
    close = 1e-6 if not kind else 1e-2
    assert outcome.number("delta") == pytest.approx(whole * math.exp(-0.05), rel=close)


@pytest.mark.parametrize("kind", ["", GEOMETRIC], ids=["arithmetic", "geometric"])
def test_theta_over_a_fixing_of_tomorrow_does_not_jump(valued, kind):
    later = valued(
        option("call", 97, kind + listed([TODAY + 2, *MONTHLY])), market=share(), analytics=GREEKS
    )
    sooner = valued(
        option("call", 97, kind + listed([TODAY + 1, *MONTHLY])), market=share(), analytics=GREEKS
    )
    assert sooner.number("theta") == pytest.approx(later.number("theta"), rel=0.05)


@pytest.mark.parametrize("kind", ["", GEOMETRIC], ids=["arithmetic", "geometric"])
def test_theta_of_a_continuous_average_keeps_its_start(valued, kind):
    outcome = valued(option("call", 97, kind), market=share(), analytics=GREEKS)
    history = f"<startDate>2025-09-17</startDate><runningAverage>100</runningAverage>{kind}"
    tomorrow = valued(option("call", 97, history), market=share(), date="2025-09-18")
    lost = tomorrow.number("price") - outcome.number("price")
    assert outcome.number("theta") == pytest.approx(365 * lost, rel=1e-8)


def test_an_average_that_is_known_is_discounted(valued):
    gone = listed([TODAY - 60, TODAY - 30]) + past(103, 2)
    for kind in ("", GEOMETRIC):
        outcome = valued(option("call", 97, kind + gone), market=share(), analytics=GREEKS)
        assert outcome.number("price") == pytest.approx(6 * math.exp(-0.05), rel=1e-12)
        assert outcome.number("delta") == pytest.approx(0, abs=1e-12)
        assert outcome.number("vega") == 0


@pytest.mark.parametrize("calculator", ["", PATHS], ids=["moments", "paths"])
def test_an_option_that_is_sure_to_be_exercised_is_a_forward(valued, calculator):
    # Nine prices of 150 leave a strike below zero for the twelve to come.
    history = listed(MONTHLY) + past(150, 9)
    call = valued(option("call", 60, history), market=share(), calculator=calculator)
    forwards = sum(100 * math.exp(0.03 * (date - TODAY) / 365) for date in MONTHLY)
    expected = math.exp(-0.05) * ((1350 + forwards) / 21 - 60)
    assert call.number("price") == pytest.approx(expected, rel=1e-12)
    put = valued(option("put", 60, history), market=share(), calculator=calculator)
    assert put.number("price") == 0


def test_many_past_prices_do_not_overflow(valued):
    # The product of 400 prices of 6600 is a number that nothing holds.
    history = GEOMETRIC + listed(MONTHLY) + past(6600, 400)
    outcome = valued(option("call", 6500, history), market=share(6600), analytics=GREEKS)
    assert outcome.number("price") == pytest.approx(100 * math.exp(-0.05), rel=0.1)


def test_continuous_averages_end_in_what_is_known(valued):
    start = f"<startDate>{(TODAY - 364).ISO()}</startDate><runningAverage>110</runningAverage>"
    for kind in ("", GEOMETRIC):
        outcome = valued(option("call", 100, start + kind, TODAY + 1), market=share())
        assert outcome.number("price") == pytest.approx(10, abs=0.04)


# --- laws ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    strike=st.floats(60, 160),
    rate=st.floats(-0.02, 0.12),
    yield_=st.floats(0.0, 0.08),
    volatility=st.floats(0.02, 0.8),
    history=st.sampled_from(["", past(103, 2), past(80, 7)]),
)
def test_call_less_put_is_the_average_forward_less_the_strike(
    valued, strike, rate, yield_, volatility, history
):
    market = share(rate=rate, yield_=yield_, volatility=volatility)
    terms = listed(MONTHLY) + history
    call, put = (valued(option(t, strike, terms), market=market) for t in ("call", "put"))
    known = {"": (0, 0), past(103, 2): (206, 2), past(80, 7): (560, 7)}[history]
    forwards = sum(100 * math.exp((rate - yield_) * (d - TODAY) / 365) for d in MONTHLY)
    average = (forwards + known[0]) / (12 + known[1])
    expected = math.exp(-rate) * (average - strike)
    assert call.number("price") - put.number("price") == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    strike=st.floats(60, 160),
    rate=st.floats(0.0, 0.12),
    yield_=st.floats(0.0, 0.08),
    volatility=st.floats(0.02, 0.6),
    dates=st.sampled_from(["", listed(MONTHLY), listed(MONTHLY[::3])]),
)
def test_a_call_on_the_arithmetic_average_is_worth_more(
    valued, strike, rate, yield_, volatility, dates
):
    market = share(rate=rate, yield_=yield_, volatility=volatility)
    arithmetic = valued(option("call", strike, dates), market=market).number("price")
    geometric = valued(option("call", strike, dates + GEOMETRIC), market=market).number("price")
    # Moments and Levy's formula are approximations: far out of the money a little is missing.
    assert arithmetic >= geometric - 1e-3


@pytest.mark.parametrize("kind", ["", GEOMETRIC], ids=["arithmetic", "geometric"])
@pytest.mark.parametrize("calculator", ["", PATHS], ids=["closed form", "paths"])
def test_an_average_of_one_price_is_a_european_option(valued, kind, calculator):
    if kind and calculator:
        return  # a geometric average has no paths
    terms = option("call", 97, kind + listed([EXPIRY]))
    price = valued(terms, market=share(), calculator=calculator).number("price")
    whole = "<type>call</type><strike>97</strike><expiryDate>2026-09-17</expiryDate>"
    european = valued(f"<europeanOption>{whole}</europeanOption>", market=share())
    assert price == pytest.approx(european.number("price"), rel=1e-2 if calculator else 1e-11)


def test_many_dates_come_to_the_continuous_average(valued):
    daily = [TODAY + day for day in range(1, 366)]
    for kind in ("", GEOMETRIC):
        parts = {"market": share()}
        one = valued(option("call", 97, kind + listed(daily)), **parts)
        other = valued(option("call", 97, kind), **parts)
        assert one.number("price") == pytest.approx(other.number("price"), rel=4e-3)


def test_money_is_multiplied_and_short_is_the_opposite(valued):
    sized = "<contractSize>100</contractSize><quantity>3</quantity><position>short</position>"
    for terms in (listed(MONTHLY), GEOMETRIC, ""):
        one = valued(option("call", 97, terms), market=share(), analytics=GREEKS)
        many = valued(option("call", 97, terms + sized), market=share(), analytics=GREEKS)
        for name in ("price", "delta", "gamma", "vega", "theta", "rho", "dv01"):
            assert many.number(name) == pytest.approx(-300 * one.number(name), rel=1e-12)


@pytest.mark.parametrize("terms", [listed(MONTHLY), GEOMETRIC + listed(MONTHLY), "", GEOMETRIC])
def test_closed_greeks_are_slopes_of_the_price(valued, terms):
    instrument = option("put", 104, terms + past(99, 2) if "fixing" in terms else terms)
    outcome = valued(instrument, market=share(), analytics=GREEKS)

    def at(**moved) -> float:
        return valued(instrument, market=share(**moved)).number("price")

    delta = (at(spot=100.01) - at(spot=99.99)) / 0.02
    assert outcome.number("delta") == pytest.approx(delta, rel=1e-3)
    vega = (at(volatility=0.2501) - at(volatility=0.2499)) / 0.0002
    assert outcome.number("vega") == pytest.approx(vega, rel=1e-3)
    rho = (at(rate=0.0501) - at(rate=0.0499)) / 0.0002
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-6)


def test_without_volatility_the_average_is_certain(valued):
    for terms in (listed(MONTHLY), GEOMETRIC + listed(MONTHLY), "", GEOMETRIC):
        outcome = valued(option("call", 90, terms), market=share(volatility=0), analytics=GREEKS)
        assert outcome.number("price") == pytest.approx(10.95, abs=0.15)
        assert outcome.number("delta") == pytest.approx(0.967, abs=0.01)


def test_dates_that_30_360_cannot_tell_apart_are_no_fault(valued):
    dates = [ql.Date(30, 10, 2025), ql.Date(31, 10, 2025), EXPIRY]
    market = share(as_="dayCount='30/360'")
    outcome = valued(option("call", 97, listed(dates)), market=market, analytics=GREEKS)
    assert outcome.number("vega") > 0
    paths = valued(option("call", 97, listed(dates)), market=market, calculator=PATHS)
    assert paths.number("price") == pytest.approx(outcome.number("price"), rel=0.02)


@pytest.mark.parametrize(
    ("terms", "value", "delta"),
    [
        (listed([TODAY]), 10, 1),
        (listed([TODAY]) + past(90, 1), 5, 0.5),
        (GEOMETRIC + listed([TODAY]) + past(90, 1), math.sqrt(9000) - 90, math.sqrt(0.9) / 2),
        ("<startDate>2025-01-17</startDate><runningAverage>95</runningAverage>", 5, 0),
        ("", 10, 1),
    ],
)
def test_on_the_day_of_expiry(valued, terms, value, delta):
    outcome = valued(option("call", 90, terms, TODAY), market=share(), analytics=GREEKS)
    assert outcome.number("price") == pytest.approx(value, rel=1e-12)
    assert outcome.number("delta") == pytest.approx(delta, rel=1e-12)
    assert [outcome.number(name) for name in ("gamma", "vega", "theta", "rho")] == [0, 0, 0, 0]


def test_after_it_the_option_is_expired(valued):
    for history in (past(95, 1), ""):  # what it came to is no matter now
        gone = option("call", 90, listed([TODAY - 5]) + history, TODAY - 1)
        outcome = valued(gone, market=share(), analytics=GREEKS)
        assert (outcome.text("price"), outcome.codes()) == ("0", ["VNP-107"])


# --- errors --------------------------------------------------------------------------------------

AT = "/instrument/asianOption"
CASH = share().replace("</spot>", "</spot><dividend date='2025-12-01'>1</dividend>")
GONE = [TODAY - 30, *MONTHLY]
THOUSAND = [TODAY + day for day in range(1, 1002)]


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param("<asianOption/>", {}, "VNP-201", AT + "/type", id="nothing"),
        pytest.param(
            option("call", 9, "<averaging>harmonic</averaging>"),
            {},
            "VNP-204",
            AT + "/averaging",
            id="averaging",
        ),
        pytest.param(
            option("call", 9, "<fixingDates><date>soon</date></fixingDates>"),
            {},
            "VNP-203",
            AT + "/fixingDates/date",
            id="not a date",
        ),
        pytest.param(
            option("call", 9, listed([MONTHLY[1], MONTHLY[0]])),
            {},
            "VNP-208",
            AT + "/fixingDates/date[2]",
            id="dates out of order",
        ),
        pytest.param(
            option("call", 9, listed([MONTHLY[1], EXPIRY + 1])),
            {},
            "VNP-208",
            AT + "/fixingDates/date[2]",
            id="a date after expiry",
        ),
        pytest.param(
            option("call", 9, listed(THOUSAND), TODAY + 1100),
            {},
            "VNP-208",
            AT + "/fixingDates",
            id="more than a thousand",
        ),
        pytest.param(
            option("call", 9, listed(GONE)), {}, "VNP-211", AT + "/pastFixings", id="no history"
        ),
        pytest.param(
            option("call", 9, listed(MONTHLY) + past(9, None)),
            {},
            "VNP-201",
            AT + "/pastFixings/@count",
            id="no count",
        ),
        pytest.param(
            option("call", 9, listed(GONE) + past(9, 5)),
            {},
            "VNP-208",
            AT + "/pastFixings",
            id="a count that is not of the dates",
        ),
        pytest.param(
            option("call", 9, listed(MONTHLY) + past(-9, 5)),
            {},
            "VNP-208",
            AT + "/pastFixings",
            id="negative history",
        ),
        pytest.param(
            option("call", 9, "<startDate>2025-01-01</startDate>"),
            {},
            "VNP-211",
            AT + "/runningAverage",
            id="no running average",
        ),
        pytest.param(
            option("call", 9, "<startDate>2026-09-17</startDate>"),
            {},
            "VNP-208",
            AT + "/startDate",
            id="starts at expiry",
        ),
        pytest.param(
            option("call", 9, "<startDate>2025-10-17</startDate>"),
            {},
            "VNP-301",
            AT + "/startDate",
            id="starts later",
        ),
        pytest.param(option("call", 9), {"market": CASH}, "VNP-301", AT, id="cash dividends"),
        pytest.param(
            option("call", 9, GEOMETRIC),
            {"calculator": PATHS},
            "VNP-301",
            "/calculator/method",
            id="no paths of a geometric average",
        ),
        pytest.param(
            option("call", 9),
            {"calculator": "<method>turnbullWakeman</method>"},
            "VNP-301",
            "/calculator/method",
            id="no moments of dates without dates",
        ),
        pytest.param(
            option("call", 9),
            {"model": "<process>normal</process>"},
            "VNP-301",
            "/model/process",
            id="process",
        ),
        pytest.param(
            option("call", 9), {"market": share(volatility="")}, "VNP-207", AT + "/volatility",
            id="no volatility",
        ),
    ],
)  # fmt: skip
def test_a_fault_has_its_code_and_place(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": share(), **parts}) == (code, path)


@pytest.mark.parametrize(
    "terms",
    [
        listed(MONTHLY) + "<runningAverage>9</runningAverage>",
        listed(MONTHLY) + "<startDate>2025-01-01</startDate>",
        past(9, 2),
        "<runningAverage>9</runningAverage>",
    ],
)
def test_terms_of_the_other_average_are_told(valued, terms):
    assert valued(option("call", 90, terms), market=share()).codes() == ["VNP-105"]
