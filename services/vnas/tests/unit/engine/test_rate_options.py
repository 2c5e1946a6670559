"""Caps and swaptions: QuantLib called directly, identities, Greeks, defaults, faults."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

from vnas import engine

TODAY = ql.Date(17, 9, 2025)
CALENDAR = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
THIRTY = ql.Thirty360(ql.Thirty360.BondBasis)
CAP, SWAPTION = "/instrument/capFloor", "/instrument/swaption"

NODES = {"D": (0.035, 0.042), "F": (0.037, 0.044)}
CURVES = "".join(
    f"<curve name='{name}' currency='USD'><node tenor='1Y'>{short}</node>"
    f"<node tenor='40Y'>{long}</node></curve>"
    for name, (short, long) in NODES.items()
)
FIXINGS = {"2025-06-17": 0.0428, "2025-09-17": 0.0401}
MARKET = (
    CURVES + "<index name='USD-TERM3M'><tenor>3M</tenor><currency>USD</currency><curve>F</curve>"
    + "".join(f"<fixing date='{date}'>{rate}</fixing>" for date, rate in FIXINGS.items())
    + "</index>"
)  # fmt: skip
VOLATILITIES = {
    "normal": ("<volatility quote='normal' unit='bp'>95</volatility>", 0.0095, 0.0),
    "lognormal": ("<volatility quote='lognormal'>0.25</volatility>", 0.25, 0.0),
    "shiftedLognormal": (
        "<volatility quote='shiftedLognormal' displacement='0.02'>0.15</volatility>", 0.15, 0.02,
    ),
}  # fmt: skip
PROCESSES = list(VOLATILITIES)
NORMAL = VOLATILITIES["normal"][0]
GREEKS = "<price/><forward/><delta/><vega/><theta/><rho/><dv01/>"


def cap(
    kind: str = "cap", strike: str = "0.04", terms: str = "", leg: str = "", end: str = "5Y"
) -> str:
    return (
        f"<capFloor><type>{kind}</type><notional>1000000</notional><strike>{strike}</strike>"
        f"{terms}<tenor>{end}</tenor>"
        f"<floatingLeg><index>USD-TERM3M</index>{leg}</floatingLeg></capFloor>"
    )


def collar(ceiling: str, floor: str) -> str:
    strikes = f"<capStrike>{ceiling}</capStrike><floorStrike>{floor}</floorStrike>"
    return cap("collar").replace("<strike>0.04</strike>", strikes)


def swaption(
    terms: str = "",
    *,
    rate: str = "0.04",
    expiry: str = "<expiry>2Y</expiry>",
    end: str = "<tenor>5Y</tenor>",
    fixed_leg: str = "<frequency>Semiannual</frequency>",
    floating_leg: str = "",
    index: str = "USD-TERM3M",
) -> str:
    return (
        f"<swaption>{expiry}{terms}{end}<fixedLeg><rate>{rate}</rate>{fixed_leg}</fixedLeg>"
        f"<floatingLeg><index>{index}</index>{floating_leg}</floatingLeg></swaption>"
    )


# --- the plain QuantLib way ----------------------------------------------------------------------


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def curve(name: str, shift: float = 0.0):
    zeros = [NODES[name][0], *NODES[name]]
    dates = [TODAY, TODAY + ql.Period("1Y"), TODAY + ql.Period("40Y")]
    discounts = [
        math.exp(-(z + shift) * (d - TODAY) / 365.0) for z, d in zip(zeros, dates, strict=True)
    ]
    made = ql.DiscountCurve(dates, discounts, ql.Actual365Fixed())
    made.enableExtrapolation()
    return ql.YieldTermStructureHandle(made)


def term_index(shift: float = 0.0):
    ql.Settings.instance().evaluationDate = TODAY
    ql.IndexManager.instance().clearHistories()
    ql.IborCoupon.createAtParCoupons()
    terms = ("USD-TERM3M", ql.Period("3M"), 2, ql.USDCurrency(), CALENDAR, ql.ModifiedFollowing)
    made = ql.IborIndex(*terms, False, ql.Actual360(), curve("F", shift))
    for date, rate in FIXINGS.items():
        made.addFixing(iso(date), rate)
    return made


def plain_schedule(start, end, period, rule=ql.DateGeneration.Backward):
    convention = (ql.ModifiedFollowing, ql.ModifiedFollowing)
    return ql.Schedule(start, end, ql.Period(period), CALENDAR, *convention, rule, False)


def plain_cap(
    kind, *strikes, process="normal", start="2025-09-19", tenor="5Y", first=True, shift=0.0
):
    begin = iso(start)
    dates = plain_schedule(begin, begin + ql.Period(tenor), "3M", ql.DateGeneration.Forward)
    leg = ql.IborLeg([1e6], dates, term_index(shift), ql.Actual360(), ql.ModifiedFollowing)
    made = kind(leg if first else leg[1:], *([strike] for strike in strikes))
    _, volatility, displacement = VOLATILITIES[process]
    told = ql.QuoteHandle(ql.SimpleQuote(volatility))
    discount = curve("D", shift)
    if process == "normal":
        made.setPricingEngine(ql.BachelierCapFloorEngine(discount, told))
    else:
        made.setPricingEngine(
            ql.BlackCapFloorEngine(discount, told, ql.Actual365Fixed(), displacement)
        )
    return made


def plain_swap(side=ql.Swap.Payer, *, start=None, tenor="5Y", rate=0.04, spread=0.0, shift=0.0):
    begin = start or CALENDAR.advance(CALENDAR.advance(TODAY, ql.Period("2Y")), 2, ql.Days)
    end = begin + ql.Period(tenor)
    made = ql.VanillaSwap(
        side, 1e6, plain_schedule(begin, end, "6M"), rate, THIRTY,
        plain_schedule(begin, end, "3M"), term_index(shift), spread, ql.Actual360(),
    )  # fmt: skip
    made.setPricingEngine(ql.DiscountingSwapEngine(curve("D", shift)))
    return made


def plain_swaption(swap=None, *, expiry=None, process="normal", cash=False, shift=0.0, **terms):
    expiry = expiry or CALENDAR.advance(TODAY, ql.Period("2Y"))
    swap = swap or plain_swap(shift=shift, **terms)
    settlement = (
        (ql.Settlement.Cash, ql.Settlement.ParYieldCurve)
        if cash
        else (ql.Settlement.Physical, ql.Settlement.PhysicalOTC)
    )
    made = ql.Swaption(swap, ql.EuropeanExercise(expiry), *settlement)
    _, volatility, displacement = VOLATILITIES[process]
    told, discount = ql.QuoteHandle(ql.SimpleQuote(volatility)), curve("D", shift)
    if process == "normal":
        made.setPricingEngine(ql.BachelierSwaptionEngine(discount, told))
    else:
        made.setPricingEngine(
            ql.BlackSwaptionEngine(discount, told, ql.Actual365Fixed(), displacement)
        )
    return made


# --- caps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param(cap(), (ql.Cap, 0.04), id="cap"),
        pytest.param(cap("floor", "0.035"), (ql.Floor, 0.035), id="floor"),
        pytest.param(collar("0.045", "0.03"), (ql.Collar, 0.045, 0.03), id="collar"),
    ],
)
def test_caps_agree_with_plain_quantlib(valued, process, instrument, terms):
    outcome = valued(instrument + VOLATILITIES[process][0], market=MARKET, analytics=GREEKS)
    expected = plain_cap(*terms, process=process)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10)
    assert outcome.number("vega") == pytest.approx(expected.vega(), rel=1e-9)
    rate = expected.atmRate(curve("D").currentLink())
    assert outcome.number("forward") == pytest.approx(rate, rel=1e-12)
    down, up = (plain_cap(*terms, process=process, shift=bp).NPV() for bp in (-1e-4, 1e-4))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param(
            cap(terms="<startDate>2025-06-19</startDate>"), {"start": "2025-06-19"},
            id="running: the first rate is known",
        ),
        pytest.param(
            cap(terms="<includeFirst>false</includeFirst>"), {"first": False}, id="no first one"
        ),
        pytest.param(
            cap(terms="<startDate>2026-03-19</startDate>", end="2Y"),
            {"start": "2026-03-19", "tenor": "2Y"}, id="starts later",
        ),
        pytest.param(cap(end="1Y"), {"tenor": "1Y"}, id="one year"),
        pytest.param(cap(end="25M"), {"tenor": "25M"}, id="short last period"),
    ],
)  # fmt: skip
def test_the_periods_of_a_cap_agree_with_plain_quantlib(valued, instrument, terms):
    outcome = valued(instrument + NORMAL, market=MARKET, analytics="<price/><cashFlows/>")
    expected = plain_cap(ql.Cap, 0.04, **terms)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10)
    discount = curve("D").discount
    flows = [(iso(date), amount) for date, amount in outcome.flows()]
    total = sum(amount * discount(date) for date, amount in flows)
    assert total == pytest.approx(outcome.number("price"), rel=1e-10)
    paid = [flow.date() for flow in expected.floatingLeg() if flow.date() > TODAY]
    assert [date for date, _ in flows] == paid


def test_a_known_rate_has_no_volatility_left(valued):
    # A first caplet only: fixed today at 4.01%, and fixed in June at 4.28%.
    for start, rate, days in (("2025-09-19", 0.0401, 91), ("2025-06-20", 0.0428, 94)):
        instrument = cap("cap", "0.035", f"<startDate>{start}</startDate>", end="3M") + NORMAL
        outcome = valued(instrument, market=MARKET, analytics="<vega/><cashFlows/>")
        ((_, paid),) = outcome.flows()
        assert paid == pytest.approx(1e6 * (rate - 0.035) * days / 360, rel=1e-12)
        assert outcome.number("vega") == 0.0


strikes = st.floats(0.001, 0.09).map(lambda strike: f"{strike:.6f}")
processes = st.sampled_from(PROCESSES)


@settings(max_examples=30, deadline=None)
@given(strike=strikes, process=processes, start=st.sampled_from(["2025-06-19", "2025-09-19"]))
def test_a_cap_less_a_floor_is_a_swap_at_the_strike(valued, strike, process, start):
    begin = f"<startDate>{start}</startDate>"
    volatility = VOLATILITIES[process][0]
    ceiling, floor = (
        valued(cap(kind, strike, begin) + volatility, market=MARKET).number("price")
        for kind in ("cap", "floor")
    )
    fixed_leg = "<frequency>Quarterly</frequency><dayCount>ACT/360</dayCount><rule>Forward</rule>"
    swap = valued(
        f"<vanillaSwap><notional>1000000</notional>{begin}<tenor>5Y</tenor><fixedLeg>"
        f"<rate>{strike}</rate>{fixed_leg}</fixedLeg><floatingLeg><index>USD-TERM3M</index>"
        "<rule>Forward</rule></floatingLeg></vanillaSwap>",
        market=MARKET,
    ).number("price")  # fmt: skip
    assert ceiling - floor == pytest.approx(swap, rel=1e-9, abs=1e-6)
    both = valued(collar(strike, strike).replace("<tenor>", f"{begin}<tenor>") + volatility,
                  market=MARKET)  # fmt: skip
    assert both.number("price") == pytest.approx(swap, rel=1e-9, abs=1e-6)


def test_a_cap_interpolates_the_flat_volatility_to_its_maturity(valued):
    nodes = (
        "<volatility product='capFloor' currency='USD' quote='normal'><node tenor='1Y' unit='bp'>"
        "80</node><node date='2028-09-17' unit='bp'>100</node></volatility>"
    )
    for tenor, end in (("6M", None), ("2Y", ql.Date(20, 9, 2027)), ("5Y", ql.Date(1, 1, 2099))):
        first, last = ql.Date(17, 9, 2026), ql.Date(17, 9, 2028)
        weight = 0.0 if end is None else min((end - first) / (last - first), 1.0)
        flat = f"<volatility quote='normal' unit='bp'>{80 + 20 * weight!r}</volatility>"
        expected = valued(cap(end=tenor) + flat, market=MARKET).number("price")
        outcome = valued(cap(end=tenor), market=MARKET + nodes)
        assert outcome.number("price") == pytest.approx(expected, rel=1e-10), tenor


# --- swaptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("cash", [False, True], ids=["physical", "cash"])
@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param({}, {}, id="payer"),
        pytest.param(
            {"terms": "<payReceive>receive</payReceive>", "rate": "0.035"},
            {"side": ql.Swap.Receiver, "rate": 0.035},
            id="receiver",
        ),
        pytest.param(
            {"floating_leg": "<spread unit='bp'>25</spread>"}, {"spread": 0.0025}, id="spread"
        ),
        pytest.param(
            {"expiry": "<expiryDate>2026-05-04</expiryDate><startDate>2026-06-01</startDate>",
             "end": "<tenor>10Y</tenor>"},
            {"expiry": ql.Date(4, 5, 2026), "start": ql.Date(1, 6, 2026), "tenor": "10Y"},
            id="dates",
        ),
    ],
)  # fmt: skip
def test_swaptions_agree_with_plain_quantlib(valued, process, cash, instrument, terms):
    settlement = f"<settlement>{'cash' if cash else 'physical'}</settlement>"
    more = {**instrument, "terms": settlement + instrument.get("terms", "")}
    body = swaption(**more) + VOLATILITIES[process][0]
    outcome = valued(body, market=MARKET, analytics=GREEKS)
    expected = plain_swaption(process=process, cash=cash, **terms)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10)
    assert outcome.number("delta") == pytest.approx(expected.delta(), rel=1e-9)
    assert outcome.number("vega") == pytest.approx(expected.vega(), rel=1e-9)
    fair = plain_swap(**{k: v for k, v in terms.items() if k != "expiry"}).fairRate()
    assert outcome.number("forward") == pytest.approx(fair, rel=1e-11)
    down, up = (
        plain_swaption(process=process, cash=cash, shift=bp, **terms).NPV() for bp in (-1e-4, 1e-4)
    )
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_swaption_on_an_overnight_swap_agrees_with_plain_quantlib(valued, process):
    instrument = swaption(index="SOFR", fixed_leg="", floating_leg="<paymentLag>2</paymentLag>")
    outcome = valued(instrument + VOLATILITIES[process][0], market=MARKET, analytics=GREEKS)
    ql.Settings.instance().evaluationDate = TODAY
    index = ql.Sofr(curve("D"))
    calendar = index.fixingCalendar()
    expiry = calendar.advance(TODAY, ql.Period("2Y"))
    start = calendar.advance(expiry, 2, ql.Days)
    dates = ql.Schedule(
        start, start + ql.Period("5Y"), ql.Period("1Y"), calendar, ql.ModifiedFollowing,
        ql.ModifiedFollowing, ql.DateGeneration.Backward, False,
    )  # fmt: skip
    swap = ql.OvernightIndexedSwap(ql.Swap.Payer, 1e6, dates, 0.04, ql.Actual360(), index, 0.0, 2)
    swap.setPricingEngine(ql.DiscountingSwapEngine(curve("D")))
    expected = plain_swaption(swap, expiry=expiry, process=process)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10)
    assert outcome.number("vega") == pytest.approx(expected.vega(), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(0.01, 0.09).map(lambda rate: f"{rate:.6f}"),
    process=processes,
    expiry=st.sampled_from(["1W", "3M", "2Y", "10Y"]),
    spread=st.sampled_from(["0", "0.003", "-0.002"]),
)
def test_a_payer_less_a_receiver_is_the_forward_swap(valued, rate, process, expiry, spread):
    leg = f"<spread>{spread}</spread>"
    when = f"<expiry>{expiry}</expiry>"

    def price(side: str) -> float:
        terms = f"<payReceive>{side}</payReceive>"
        body = swaption(terms, rate=rate, expiry=when, floating_leg=leg) + VOLATILITIES[process][0]
        return valued(body, market=MARKET).number("price")

    begin = CALENDAR.advance(CALENDAR.advance(TODAY, ql.Period(expiry)), 2, ql.Days)
    swap = swaption(rate=rate, expiry=f"<startDate>{begin.ISO()}</startDate>", floating_leg=leg)
    forward = valued(swap.replace("swaption>", "vanillaSwap>"), market=MARKET).number("price")
    assert price("pay") - price("receive") == pytest.approx(forward, rel=1e-9, abs=1e-6)


SURFACE = (
    "<volatility name='S' product='swaption' currency='USD' quote='normal'>"
    "<surface axis='swapTenor' unit='bp'><columns>1Y 5Y 10Y</columns>"
    "<row tenor='6M'>80 90 95</row><row date='2027-09-17'>100 106 104</row>"
    "<row tenor='5Y'>99 98 96</row></surface></volatility>"
)


@pytest.mark.parametrize(
    ("expiry", "tenor"),
    [
        ("2Y", "5Y"), ("1Y", "7Y"), ("1M", "1Y"), ("1M", "20Y"), ("10Y", "6M"), ("7Y", "5Y"),
        ("3Y", "54M"),
    ],
)  # fmt: skip
def test_a_surface_of_swap_tenors_is_bilinear_and_flat_outside(valued, expiry, tenor):
    body = swaption(expiry=f"<expiry>{expiry}</expiry>", end=f"<tenor>{tenor}</tenor>")
    outcome = valued(body, market=MARKET + SURFACE)
    table = ((80, 90, 95), (100, 106, 104), (99, 98, 96))
    matrix = ql.Matrix(3, 3)
    for i, row in enumerate(table):
        for j, points in enumerate(row):
            matrix[i][j] = points * 1e-4
    flat = True
    surface = ql.SwaptionVolatilityMatrix(
        TODAY, ql.NullCalendar(), ql.Unadjusted,
        [TODAY + ql.Period(t) for t in ("6M", "2Y", "5Y")],
        [ql.Period(t) for t in ("1Y", "5Y", "10Y")],
        matrix, ql.Actual365Fixed(), flat, ql.Normal,
    )  # fmt: skip
    date = CALENDAR.advance(TODAY, ql.Period(expiry), ql.ModifiedFollowing)
    swap = plain_swap(start=CALENDAR.advance(date, 2, ql.Days), tenor=tenor)
    expected = ql.Swaption(swap, ql.EuropeanExercise(date))
    surface.enableExtrapolation()
    handle = ql.SwaptionVolatilityStructureHandle(surface)
    expected.setPricingEngine(ql.BachelierSwaptionEngine(curve("D"), handle))
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-9)


def test_a_one_by_one_surface_is_one_volatility(valued):
    surface = (
        "<volatility quote='normal'><surface axis='swapTenor'><columns>5Y</columns>"
        "<row tenor='1Y'>0.0095</row></surface></volatility>"
    )
    flat = valued(swaption() + NORMAL, market=MARKET).number("price")
    assert valued(swaption() + surface, market=MARKET).number("price") == flat


# --- Greeks and the position ---------------------------------------------------------------------

OPTIONS = [
    pytest.param(cap(), id="cap"),
    pytest.param(cap("floor", "0.035"), id="floor"),
    pytest.param(swaption(), id="payer"),
    pytest.param(swaption("<payReceive>receive</payReceive>"), id="receiver"),
    pytest.param(swaption("<settlement>cash</settlement>"), id="cash"),
]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("instrument", OPTIONS)
def test_greeks_are_the_slopes_of_the_price(valued, process, instrument):
    element, number, _ = VOLATILITIES[process]
    written = element.replace(" unit='bp'>95<", ">0.0095<")

    def price(bump: float = 0.0, more: str = "", **parts: str) -> float:
        moved = written.replace(f">{number}<", f">{number + bump}<")
        return valued(instrument + moved + more, market=MARKET, **parts).number("price")

    outcome = valued(instrument + written, market=MARKET, analytics=GREEKS)
    step = number * 1e-3
    slope = (price(step) - price(-step)) / (2 * step)
    assert outcome.number("vega") == pytest.approx(slope, rel=1e-5)
    # The discount rate: as a spread on the curve that discounts.
    up, down = (price(more=f"<discountSpread unit='bp'>{bp}</discountSpread>") for bp in (1, -1))
    assert outcome.number("rho") == pytest.approx((up - down) / 2e-4, rel=1e-9)


@pytest.mark.parametrize("instrument", [
    pytest.param(cap(terms="<startDate>2025-12-19</startDate>"), id="cap"),
    pytest.param(swaption(expiry="<expiryDate>2027-09-17</expiryDate>"), id="swaption"),
])  # fmt: skip
def test_theta_is_the_value_of_tomorrow_on_the_same_curves(valued, instrument):
    dated = MARKET.replace("<curve name", f"<curve date='{TODAY.ISO()}' name").replace(
        "tenor='1Y'", "date='2026-09-17'").replace("tenor='40Y'", "date='2065-09-17'")  # fmt: skip
    today = valued(instrument + NORMAL, market=dated, analytics="<price/><theta/>")
    tomorrow = valued(instrument + NORMAL, market=dated, date="2025-09-18").number("price")
    expected = (tomorrow - today.number("price")) * 365
    assert today.number("theta") == pytest.approx(expected, rel=1e-6)
    by_day = valued(instrument + NORMAL, market=dated, analytics="<theta unit='day'/>")
    assert by_day.number("theta") == pytest.approx(today.number("theta") / 365, rel=1e-12)


def test_theta_needs_no_fixing_of_today(valued):
    without = MARKET.replace("<fixing date='2025-09-17'>0.0401</fixing>", "")
    ceiling = valued(cap() + NORMAL, market=without, analytics="<theta/>")
    assert ceiling.number("theta") < 0.0
    # A right that is sure to be used tomorrow gains one day's interest.
    sure = swaption(rate="0.03", expiry="<expiry>1D</expiry>") + NORMAL
    outcome = valued(sure, market=without, analytics="<price/><theta/>")
    gain = outcome.number("price") * (math.exp(0.035 / 365) - 1) * 365
    assert outcome.number("theta") == pytest.approx(gain, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(quantity=st.integers(-7, 7), process=processes,
       instrument=st.sampled_from([option.values[0] for option in OPTIONS]))  # fmt: skip
def test_a_position_is_linear_and_short_is_minus_long(valued, quantity, process, instrument):
    def of(position: str):
        body = instrument + VOLATILITIES[process][0] + position
        return valued(body, market=MARKET, analytics=GREEKS)

    one, many = of(""), of(f"<quantity>{quantity}</quantity>")
    short = of("<position>short</position>")
    for name in ("price", "vega", "theta", "rho", "dv01"):
        assert many.number(name) == pytest.approx(quantity * one.number(name), rel=1e-12), name
        assert short.number(name) == -one.number(name), name
    assert short.number("forward") == one.number("forward")
    if "swaption" in instrument:
        assert short.number("delta") == -one.number("delta")


def test_outputs_without_a_meaning_are_marked(valued):
    asked = ("fairRate", "fairSpread", "gamma", "fixedLeg", "yield", "accruedInterest")
    for body, more in ((cap(), ["delta"]), (swaption(), ["cashFlows"])):
        names = [*asked, *more]
        analytics = "".join(f"<{name}/>" for name in names)
        outcome = valued(body + NORMAL, market=MARKET, analytics=analytics)
        assert {outcome.status(name) for name in names} == {"notApplicable"}
        assert outcome.element("calculated").get("method") == "analytic"


def test_zero_volatility_is_the_discounted_payoff(valued):
    none = "<volatility quote='normal'>0</volatility>"
    outcome = valued(swaption(rate="0.03") + none, market=MARKET, analytics=GREEKS)
    annuity = outcome.number("delta")
    payoff = annuity * (outcome.number("forward") - 0.03)
    assert outcome.number("price") == pytest.approx(payoff, rel=1e-12)
    assert outcome.number("vega") == 0.0
    away = valued(swaption(rate="0.2") + none, market=MARKET, analytics=GREEKS)
    assert away.number("price") == away.number("delta") == 0.0


# --- which volatility, which process -------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "product"), [(cap(), "capFloor"), (swaption(), "swaption")], ids=["cap", "swpt"]
)
def test_volatility_is_looked_for_in_order(valued, instrument, product):
    def market(*volatilities: str) -> str:
        return MARKET + "".join(volatilities)

    def volatility(number: int, more: str = "") -> str:
        return f"<volatility quote='normal' unit='bp' {more}>{number}</volatility>"

    def price(number: int) -> float:
        return valued(instrument + volatility(number), market=MARKET).number("price")

    other = volatility(10, "product='swaption' currency='EUR'") + volatility(11, "product='fx'")
    first = volatility(20, f"product='{product}' currency='USD' name='A'")
    second = volatility(30, f"product='{product}' name='B'")
    book = market(other, first, second)
    named = instrument + "<volatilityName>B</volatilityName>"
    own = named + volatility(40)
    model = "<volatility quote='normal' unit='bp'>50</volatility>"
    hjm = "<volatility><hjm><factor><term><sigma>0.01</sigma></term></factor></hjm></volatility>"
    assert valued(instrument, market=book).number("price") == price(20)
    assert valued(named, market=book).number("price") == price(30)
    assert valued(own, market=book).number("price") == price(40)
    assert valued(own, market=book, model=model).number("price") == price(50)
    assert valued(own, market=book, model=hjm).number("price") == price(40)


@pytest.mark.parametrize("instrument", [cap(), swaption()], ids=["cap", "swaption"])
def test_the_process_is_the_quote_and_else_normal(valued, instrument):
    number = "<volatility>0.2</volatility>"
    normal = valued(instrument + number.replace(">0.2", " quote='normal'>0.2"), market=MARKET)
    assert valued(instrument + number, market=MARKET).number("price") == normal.number("price")
    for process in PROCESSES:
        quoted = valued(instrument + VOLATILITIES[process][0], market=MARKET)
        both = valued(
            instrument + VOLATILITIES[process][0], market=MARKET,
            model=f"<process>{process.upper()}</process>",
        )  # fmt: skip
        assert both.number("price") == quoted.number("price")
    asked = valued(instrument + number, market=MARKET, model="<process>lognormal</process>")
    log = valued(instrument + number.replace(">0.2", " quote='lognormal'>0.2"), market=MARKET)
    assert asked.number("price") == log.number("price") != normal.number("price")


def test_a_displacement_without_a_shifted_process_is_warned_of(valued):
    odd = "<volatility quote='normal' displacement='0.01'>0.01</volatility>"
    assert valued(cap() + odd, market=MARKET).codes() == ["VNP-105"]


def test_normal_and_shifted_rates_may_be_negative(valued, refused):
    low = "<rate>-0.005</rate><index name='USD-TERM3M'><tenor>3M</tenor></index>"
    for process in ("shiftedLognormal", "normal"):
        floor = cap("floor", "-0.002") + VOLATILITIES[process][0]
        assert valued(floor, market=low).number("price") > 0.0
    floor = cap("floor", "0.002") + VOLATILITIES["lognormal"][0]
    assert refused(floor, market=low) == ("VNP-402", CAP)


# --- elements ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "explicit"),
    [
        pytest.param(cap(), cap(terms=f"<{name}>{value}</{name}>"), id=f"cap {name}")
        for name, value in (("startDate", "2025-09-19"), ("includeFirst", "true"))
    ]
    + [
        pytest.param(cap(), cap(leg=f"<{name}>{value}</{name}>"), id=f"cap leg {name}")
        for name, value in (
            ("calendar", "USGovernmentBond"), ("convention", "ModifiedFollowing"),
            ("rule", "Forward"),
        )
    ]
    + [
        pytest.param(swaption(), swaption(f"<{name}>{value}</{name}>"), id=f"swaption {name}")
        for name, value in (
            ("notional", "1000000"), ("payReceive", "pay"), ("settlement", "physical"),
            ("settlementDays", "2"), ("startDate", "2027-09-21"),
            ("maturityConvention", "ModifiedFollowing"),
        )
    ]
    + [
        pytest.param(
            swaption(), swaption(expiry="<expiryDate>2027-09-17</expiryDate>"), id="expiry as date"
        ),
        pytest.param(
            swaption(), swaption(end="<maturityDate>2032-09-21</maturityDate>"), id="end as date"
        ),
    ],
)  # fmt: skip
def test_an_absent_element_has_its_default(valued, plain, explicit):
    expected = valued(plain + NORMAL, market=MARKET, analytics=GREEKS)
    outcome = valued(explicit + NORMAL, market=MARKET, analytics=GREEKS)
    assert outcome.codes() == []
    for name in ("price", "vega", "dv01", "forward"):
        assert outcome.number(name) == expected.number(name), name


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(cap(terms="<includeFirst>false</includeFirst>"), id="includeFirst"),
        pytest.param(cap(leg="<calendar>NullCalendar</calendar>"), id="calendar"),
        pytest.param(cap(leg="<convention>Preceding</convention>"), id="convention"),
        pytest.param(cap(leg="<rule>Backward</rule>", end="25M"), id="rule"),
        pytest.param(swaption("<settlement>cash</settlement>"), id="settlement"),
        pytest.param(swaption("<settlementDays>30</settlementDays>"), id="settlementDays"),
        pytest.param(swaption("<notional>2000000</notional>"), id="notional"),
    ],
)
def test_every_element_has_an_effect(valued, changed):
    base = swaption() if "swaption" in changed else cap(end="25M" if "25M" in changed else "5Y")
    outcome = valued(changed + NORMAL, market=MARKET)
    assert outcome.codes() == []
    price = valued(base + NORMAL, market=MARKET).number("price")
    assert abs(outcome.number("price") - price) > 1e-3


@pytest.mark.parametrize(
    "instrument",
    [
        pytest.param(swaption(expiry="<expiryDate>2025-09-17</expiryDate>"), id="expires today"),
        pytest.param(swaption(expiry="<expiryDate>2024-09-17</expiryDate>"), id="long ago"),
        pytest.param(
            cap(terms="<startDate>2020-09-17</startDate>", end="5Y"), id="cap paid the last today"
        ),
        pytest.param(
            cap().replace("<tenor>5Y</tenor>", "<maturityDate>2025-09-01</maturityDate>"),
            id="cap without a start",
        ),
    ],
)
def test_an_expired_option_is_worth_nothing_and_asks_for_no_volatility(valued, refused, instrument):
    outcome = valued(instrument, market=MARKET, analytics=GREEKS)
    assert (outcome.text("price"), outcome.codes()) == ("0", ["VNP-107"])
    assert {outcome.status(name) for name in ("price", "vega", "theta")} == {"expired"}
    code, _ = refused(instrument, market=MARKET, calculator="<strict>true</strict>")
    assert code == "VNP-302"


@pytest.mark.parametrize(
    ("instrument", "warning"),
    [
        pytest.param(swaption(expiry="<expiry>2Y</expiry><expiryDate>2027-09-17</expiryDate>"),
                     "VNP-105", id="two expiries"),
        pytest.param(cap(terms="<maturityDate>2030-09-19</maturityDate>"), "VNP-105",
                     id="two ends"),
        pytest.param(cap(terms="<capStrike>0.04</capStrike>"), "VNP-102", id="strike of a collar"),
        pytest.param(cap(leg="<frequency>Annual</frequency>"), "VNP-102", id="frequency"),
        pytest.param(cap() + "<currency>GBP</currency>", "VNP-105", id="another currency"),
    ],
)  # fmt: skip
def test_what_is_not_used_is_warned_of(valued, instrument, warning):
    assert valued(instrument + NORMAL, market=MARKET).codes() == [warning]


def without(body: str, name: str) -> str:
    start, end = body.index(f"<{name}>"), body.index(f"</{name}>") + len(name) + 3
    return body[:start] + body[end:]


def book(content: str, more: str = "product='capFloor'") -> dict[str, str]:
    return {"market": f"{MARKET}<volatility {more}>{content}</volatility>"}


ROW = "<row tenor='1Y'>0.01 0.01</row>"
TENORS = "<surface axis='swapTenor'><columns>1Y 5Y</columns>{}</surface>"


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        *(
            pytest.param(without(cap(leg="<rule>Forward</rule>") + NORMAL, name), {}, "VNP-201",
                         f"{CAP}/{path}", id=name)
            for name, path in (
                ("type", "type"), ("notional", "notional"), ("strike", "strike"),
                ("tenor", "maturityDate"), ("floatingLeg", "floatingLeg"),
                ("index", "floatingLeg/index"),
            )
        ),
        pytest.param(without(collar("0.04", "0.03"), "capStrike"), {}, "VNP-201",
                     CAP + "/capStrike", id="collar without a cap"),
        pytest.param(without(collar("0.04", "0.03"), "floorStrike"), {}, "VNP-201",
                     CAP + "/floorStrike", id="collar without a floor"),
        *(
            pytest.param(without(swaption(floating_leg="<spread>0</spread>") + NORMAL, name), {},
                         "VNP-201", f"{SWAPTION}/{path}", id=f"swaption {name}")
            for name, path in (
                ("expiry", "expiryDate"), ("tenor", "maturityDate"), ("fixedLeg", "fixedLeg"),
                ("floatingLeg", "floatingLeg"), ("rate", "fixedLeg/rate"),
                ("index", "floatingLeg/index"),
            )
        ),
        pytest.param(cap(strike="4%"), {}, "VNP-203", CAP + "/strike", id="no number"),
        pytest.param(cap(terms="<includeFirst>no</includeFirst>"), {}, "VNP-203",
                     CAP + "/includeFirst", id="no boolean"),
        pytest.param(swaption(expiry="<expiry>soon</expiry>"), {}, "VNP-203",
                     SWAPTION + "/expiry", id="no tenor"),
        pytest.param(cap("captain"), {}, "VNP-204", CAP + "/type", id="no type"),
        pytest.param(swaption("<settlement>gold</settlement>"), {}, "VNP-204",
                     SWAPTION + "/settlement", id="no settlement"),
        pytest.param(cap().replace("USD-TERM3M", "SOFR"), {}, "VNP-204",
                     CAP + "/floatingLeg/index", id="cap on an overnight index"),
        pytest.param(cap(), book(TENORS.format(ROW)), "VNP-205", "/market/volatility",
                     id="cap on a surface"),
        pytest.param(swaption(), book("<node tenor='1Y'>0.01</node>", "product='swaption'"),
                     "VNP-205", "/market/volatility", id="swaption on nodes"),
        pytest.param(swaption(), book(TENORS.format(ROW).replace("swapTenor", "strike"),
                                      "product='swaption'"), "VNP-205",
                     "/market/volatility/surface/@axis", id="swaption on strikes"),
        pytest.param(swaption(), book(TENORS.format("<row tenor='1Y'>0.01</row>"),
                                      "product='swaption'"), "VNP-205",
                     "/market/volatility/surface/row", id="short row"),
        pytest.param(swaption(), book(TENORS.format(ROW).replace("1Y 5Y", "5Y 5Y"),
                                      "product='swaption'"), "VNP-205",
                     "/market/volatility/surface/columns", id="equal columns"),
        pytest.param(swaption(), book(TENORS.format(ROW).replace("1Y 5Y", "1W 5Y"),
                                      "product='swaption'"), "VNP-205",
                     "/market/volatility/surface/columns", id="a swap of one week"),
        pytest.param(swaption(), book(TENORS.format(ROW).replace("1Y 5Y", "0.01 0.05"),
                                      "product='swaption'"), "VNP-203",
                     "/market/volatility/surface/columns", id="strikes for tenors"),
        pytest.param(swaption(), book(TENORS.format(ROW + ROW), "product='swaption'"), "VNP-205",
                     "/market/volatility/surface/row[2]", id="equal rows"),
        pytest.param(swaption(), book(TENORS.format(""), "product='swaption'"), "VNP-205",
                     "/market/volatility/surface", id="no rows"),
        pytest.param(cap(), book("<node tenor='2Y'>0.01</node><node tenor='1Y'>0.01</node>"),
                     "VNP-205", "/market/volatility/node[2]", id="nodes not in order"),
        pytest.param(cap().replace("USD-TERM3M", "X"), {}, "VNP-206", CAP + "/floatingLeg/index",
                     id="unknown index"),
        pytest.param(cap() + "<volatilityName>V</volatilityName>", {}, "VNP-206",
                     "/instrument/volatilityName", id="unknown volatility"),
        pytest.param(cap(), {}, "VNP-207", CAP + "/volatility", id="cap without volatility"),
        pytest.param(swaption(), book("0.01"), "VNP-207", SWAPTION + "/volatility",
                     id="volatility of another product"),
        pytest.param(cap(), book("0.01", "product='capFloor' currency='EUR'"), "VNP-207",
                     CAP + "/volatility", id="volatility of another currency"),
        pytest.param(cap().replace("1000000", "-1"), {}, "VNP-208", CAP + "/notional",
                     id="negative notional"),
        pytest.param(cap() + "<volatility>-0.01</volatility>", {}, "VNP-208",
                     "/instrument/volatility", id="negative volatility"),
        pytest.param(cap(terms="<includeFirst>false</includeFirst>", end="3M"), {}, "VNP-208",
                     CAP + "/includeFirst", id="no period left"),
        pytest.param(swaption(expiry="<expiryDate>2027-09-17</expiryDate>"
                              "<startDate>2027-09-16</startDate>"), {}, "VNP-208",
                     SWAPTION + "/startDate", id="starts before expiry"),
        pytest.param(swaption("<startDate>2027-09-16</startDate>"), {}, "VNP-208",
                     SWAPTION + "/startDate", id="starts before the expiry by tenor"),
        pytest.param(swaption(end="<maturityDate>2027-09-20</maturityDate>"), {}, "VNP-208",
                     SWAPTION + "/maturityDate", id="ends before it starts"),
        pytest.param(swaption(expiry="<expiry>999Y</expiry>"), {}, "VNP-208",
                     SWAPTION + "/expiry", id="too far"),
        pytest.param(cap(terms="<startDate>2025-03-19</startDate>"),
                     {"market": MARKET.replace("2025-06-17", "2025-06-16")}, "VNP-211",
                     CAP + "/floatingLeg/index", id="past fixing"),
        pytest.param(cap() + NORMAL, {"model": "<process>hullWhite</process>"}, "VNP-301",
                     "/model/process", id="process of another kind"),
        pytest.param(swaption() + NORMAL, {"calculator": "<method>tree</method>"}, "VNP-301",
                     "/calculator/method", id="method"),
        *(
            pytest.param(body + VOLATILITIES[quote][0],
                         {"model": f"<process>{process}</process>"}, "VNP-303",
                         "/instrument/volatility", id=f"{name}: {quote} against {process}")
            for name, body in (("cap", cap()), ("swaption", swaption()))
            for quote, process in (
                ("normal", "lognormal"), ("lognormal", "normal"),
                ("lognormal", "shiftedLognormal"),
            )
        ),
        pytest.param(cap(strike="-0.01") + VOLATILITIES["lognormal"][0], {}, "VNP-402", CAP,
                     id="negative strike of a lognormal rate"),
    ],
)  # fmt: skip
def test_faults_of_rate_options(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": MARKET, **parts}) == (code, path)


def test_a_task_gives_the_same_bytes_after_any_other(task_document):
    tasks = [
        task_document(body, market=MARKET, analytics=GREEKS)
        for body in (cap() + NORMAL, swaption() + NORMAL, collar("0.05", "0.03") + NORMAL)
    ]
    first = [engine.value(task) for task in tasks]
    engine.value(task_document(cap() + NORMAL, market=MARKET.replace("0.0401", "0.09"),
                               calculator="<parCoupons>false</parCoupons>"))  # fmt: skip
    assert [engine.value(task) for task in reversed(tasks)] == first[::-1]
