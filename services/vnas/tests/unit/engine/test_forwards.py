"""Forwards and futures on a share or an exchange rate: textbook values, laws, errors."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MONTHS = "dayCount='30/360'"
OUTPUTS = "<price/><delta/><gamma/><vega/><theta/><rho/><forward/><dv01/><cleanPrice/>"


def share(spot: float, rate: float, yield_: float = 0.0, more: str = "", as_=MONTHS) -> str:
    return (
        f"<rate {as_}>{rate}</rate><underlying name='ABC'><spot>{spot}</spot>"
        f"<dividendYield {as_}>{yield_}</dividendYield>{more}</underlying>"
    )


def forward(strike: float, tenor: str = "1Y", terms: str = "") -> str:
    body = f"<strike>{strike}</strike><tenor>{tenor}</tenor>{terms}"
    return f"<equityForward>{body}</equityForward>"


def future(price: float, tenor: str = "1Y", terms: str = "") -> str:
    return f"<future><price>{price}</price><tenor>{tenor}</tenor>{terms}</future>"


def fx_forward(strike: float, tenor: str = "1Y", terms: str = "", pair: str = "EURUSD") -> str:
    body = f"<pair>{pair}</pair><strike>{strike}</strike><tenor>{tenor}</tenor>{terms}"
    return f"<fxForward>{body}</fxForward>"


def rates(spot: float, quote: float, base: float, date: str = "", as_=MONTHS) -> str:
    dated = f" spotDate='{date}'" if date else ""
    return (
        f"<rate {as_}>{quote}</rate><rate currency='EUR' {as_}>{base}</rate>"
        f"<fx pair='EURUSD'{dated}><spot>{spot}</spot></fx>"
    )


# --- textbook values: Hull, Options, Futures and Other Derivatives (8th ed.), chapter 5 -----------


def test_a_share_that_pays_nothing(valued):
    outcome = valued(forward(24, "6M"), market=share(25, 0.10), analytics=OUTPUTS)
    assert round(outcome.number("price"), 2) == 2.17  # example 5.4
    assert valued(forward(1, "3M"), market=share(40, 0.05), analytics=OUTPUTS).number(
        "forward"
    ) == pytest.approx(40.50, abs=0.005)


def test_a_share_with_cash_dividends(valued):
    dates = ("2025-12-17", "2026-03-17", "2026-06-17")
    cash = "".join(f"<dividend date='{date}'>0.75</dividend>" for date in dates)
    outcome = valued(forward(50, "10M"), market=share(50, 0.08, more=cash), analytics=OUTPUTS)
    assert round(outcome.number("forward"), 2) == 51.14  # example 5.2's method


def test_an_index_with_a_yield(valued):
    market = share(1300, 0.05, 0.01)
    outcome = valued(future(1300, "3M"), market=market, analytics=OUTPUTS)
    assert round(outcome.number("forward"), 2) == 1313.07  # example 5.5


def test_an_exchange_rate(valued):
    outcome = valued(fx_forward(0.63, "2Y"), market=rates(0.62, 0.07, 0.05), analytics=OUTPUTS)
    assert round(outcome.number("forward"), 4) == 0.6453  # example 5.6
    expected = 0.62 * math.exp(-0.10) - 0.63 * math.exp(-0.14)
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)


# --- values and sensitivities ---------------------------------------------------------------------


def test_every_output_of_an_equity_forward(valued):
    outcome = valued(
        forward(95, terms="<contractSize>10</contractSize><quantity>-2</quantity>"),
        market=share(100, 0.05, 0.02, as_=""),
        analytics=OUTPUTS,
    )
    price = 100 * math.exp(-0.02) - 95 * math.exp(-0.05)
    numbers = {
        "price": -20 * price,
        "delta": -20 * math.exp(-0.02),
        "gamma": 0,
        "rho": -20 * 95 * math.exp(-0.05),
        "dv01": 20 * 95 * math.exp(-0.05) * 1e-4,
        "theta": -20 * (0.02 * 100 * math.exp(-0.02) - 0.05 * 95 * math.exp(-0.05)),
    }
    for name, number in numbers.items():
        close = 1e-3 if name == "theta" else 1e-7
        assert outcome.number(name) == pytest.approx(number, rel=close), name
    assert outcome.number("forward") == pytest.approx(100 * math.exp(0.03), rel=1e-12)
    for name in ("vega", "cleanPrice"):
        assert outcome.status(name) == "notApplicable"
    assert outcome.element("price").get("currency") == "USD"


def test_a_future_is_not_discounted(valued):
    terms = "<contractSize>50</contractSize>"
    outcome = valued(
        future(101, terms=terms), market=share(100, 0.05, 0.02, as_=""), analytics=OUTPUTS
    )
    growth = math.exp(0.03)
    assert outcome.number("price") == pytest.approx(50 * (100 * growth - 101), rel=1e-11)
    assert outcome.number("delta") == pytest.approx(50 * growth, rel=1e-12)
    assert outcome.number("rho") == pytest.approx(50 * 100 * growth, rel=1e-7)
    assert outcome.number("theta") == pytest.approx(-50 * 100 * 0.03 * growth, rel=1e-3)


def test_a_forward_in_another_currency_uses_its_curve(valued):
    market = (
        "<rate>0.05</rate><rate currency='EUR'>0.02</rate>"
        "<underlying name='A' currency='EUR'><spot>100</spot></underlying>"
    )
    outcome = valued(forward(100), market=market, analytics=OUTPUTS)
    assert outcome.element("price").get("currency") == "EUR"
    assert outcome.number("price") == pytest.approx(100 - 100 * math.exp(-0.02), rel=1e-11)


def test_a_discount_spread_leaves_the_forward_alone(valued):
    spread = forward(95, terms="<discountSpread>0.01</discountSpread>")
    one = valued(forward(95), market=share(100, 0.05), analytics=OUTPUTS)
    less = valued(spread, market=share(100, 0.05), analytics=OUTPUTS)
    assert less.number("forward") == one.number("forward")
    assert less.number("price") == pytest.approx(one.number("price") * math.exp(-0.01), rel=1e-12)
    assert less.number("delta") == pytest.approx(one.number("delta") * math.exp(-0.01), rel=1e-12)


def test_an_fx_forward_moves_with_both_curves(valued):
    terms = fx_forward(1.25, terms="<notional>1e6</notional>")
    outcome = valued(terms, market=rates(1.2, 0.05, 0.02), analytics=OUTPUTS)

    def at(base: float, quote: float) -> float:
        return valued(terms, market=rates(1.2, quote, base)).number("price")

    assert outcome.number("price") == pytest.approx(
        1e6 * (1.2 * math.exp(-0.02) - 1.25 * math.exp(-0.05)), rel=1e-12
    )
    rho = (at(0.02, 0.0501) - at(0.02, 0.0499)) / 0.0002
    assert outcome.number("rho") == pytest.approx(rho, rel=1e-6)
    dv01 = (at(0.0199, 0.0499) - at(0.0201, 0.0501)) / 2
    assert outcome.number("dv01") == pytest.approx(dv01, rel=1e-8)
    assert outcome.number("delta") == pytest.approx(1e6 * math.exp(-0.02), rel=1e-12)
    assert outcome.element("price").get("currency") == "USD"


def test_a_spot_rate_that_settles_later_is_carried_back(valued):
    dated = valued(
        fx_forward(1.25), market=rates(1.2, 0.05, 0.02, "2025-09-19", as_=""), analytics=OUTPUTS
    )
    factor = math.exp(-(0.05 - 0.02) * 2 / 365)
    assert dated.number("forward") == pytest.approx(1.2 * factor * math.exp(0.03), rel=1e-12)
    today = valued(
        fx_forward(1.25), market=rates(1.2 * factor, 0.05, 0.02, as_=""), analytics=OUTPUTS
    )
    assert dated.number("price") == pytest.approx(today.number("price"), rel=1e-11)
    assert dated.number("delta") == pytest.approx(today.number("delta") * factor, rel=1e-12)
    # Tomorrow the same rate settles a day later.
    assert dated.number("theta") == pytest.approx(today.number("theta"), rel=1e-6)


def test_a_spot_date_of_today_says_nothing_new(valued):
    dated = rates(1.2, 0.05, 0.02, "2025-09-17")
    for terms in (fx_forward(1.25), fx_forward(1.15, "3M")):
        one = valued(terms, market=dated, analytics=OUTPUTS)
        other = valued(terms, market=rates(1.2, 0.05, 0.02), analytics=OUTPUTS)
        for name in ("price", "delta", "theta", "rho", "dv01"):
            assert one.number(name) == pytest.approx(other.number(name), rel=1e-9)


# --- laws -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    strike=st.floats(50, 200),
    months=st.integers(1, 60),
    rate=st.floats(-0.02, 0.12),
    yield_=st.floats(0, 0.08),
)
def test_a_forward_is_a_call_less_a_put(valued, strike, months, rate, yield_):
    market = share(100, rate, yield_).replace(
        "</underlying>", "<volatility>0.2</volatility></underlying>"
    )

    def european(type_: str) -> float:
        body = f"<type>{type_}</type><strike>{strike}</strike><tenor>{months}M</tenor>"
        return valued(f"<europeanOption>{body}</europeanOption>", market=market).number("price")

    price = valued(forward(strike, f"{months}M"), market=market).number("price")
    assert price == pytest.approx(european("call") - european("put"), abs=1e-9)


@pytest.mark.parametrize("make", [forward, future, fx_forward])
def test_at_the_forward_price_it_is_worth_nothing(valued, make):
    market = rates(1.2, 0.05, 0.02) + share(100, 0.05, 0.02)
    fair = valued(make(1), market=market, analytics=OUTPUTS).number("forward")
    assert valued(make(fair), market=market).number("price") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("make", [forward, future, fx_forward])
def test_short_is_the_opposite_of_long_and_quantities_multiply(valued, make):
    market = rates(1.2, 0.05, 0.02) + share(100, 0.05, 0.02)
    one = valued(make(1.1), market=market).number("price")
    short = valued(make(1.1, terms="<position>short</position>"), market=market)
    seven = valued(make(1.1, terms="<quantity>7</quantity>"), market=market)
    assert short.number("price") == -one
    assert seven.number("price") == pytest.approx(7 * one, rel=1e-14)


@pytest.mark.parametrize("make", [forward, future, fx_forward])
@pytest.mark.parametrize("date", ["2025-09-16", "2025-09-17"])
def test_a_matured_one_is_worth_nothing(valued, make, date):
    matured = make(1).replace("<tenor>1Y</tenor>", f"<maturityDate>{date}</maturityDate>")
    market = rates(1.2, 0.05, 0.02) + share(100, 0.05)
    outcome = valued(matured, market=market, analytics=OUTPUTS)
    assert (outcome.text("price"), outcome.codes()) == ("0", ["VNP-107"])
    assert outcome.status("forward") == "expired"


def test_a_forward_of_tomorrow_has_a_theta(valued):
    outcome = valued(forward(95, "1D"), market=share(100, 0.05, as_=""), analytics=OUTPUTS)
    lost = (100 - 95) - outcome.number("price")
    assert outcome.number("theta") == pytest.approx(lost * 365, rel=1e-9)


# --- errors ---------------------------------------------------------------------------------------

ALL = rates(1.2, 0.05, 0.02) + share(100, 0.05)


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param(
            "<equityForward><tenor>1Y</tenor></equityForward>",
            {},
            "VNP-201",
            "/instrument/equityForward/strike",
            id="strike",
        ),
        pytest.param(
            "<equityForward><strike>1</strike></equityForward>",
            {},
            "VNP-201",
            "/instrument/equityForward/maturityDate",
            id="maturity",
        ),
        pytest.param(
            "<future><tenor>1Y</tenor></future>",
            {},
            "VNP-201",
            "/instrument/future/price",
            id="price",
        ),
        pytest.param(
            future(-1), {}, "VNP-208", "/instrument/future/price", id="price not positive"
        ),
        pytest.param(
            "<fxForward><strike>1</strike><tenor>1Y</tenor></fxForward>",
            {},
            "VNP-201",
            "/instrument/fxForward/pair",
            id="pair",
        ),
        pytest.param(
            fx_forward(1, pair="EUR/USD"),
            {},
            "VNP-204",
            "/instrument/fxForward/pair",
            id="not a pair",
        ),
        pytest.param(
            fx_forward(1, pair="GBPUSD"),
            {},
            "VNP-206",
            "/instrument/fxForward/pair",
            id="no such pair",
        ),
        pytest.param(
            fx_forward(0), {}, "VNP-208", "/instrument/fxForward/strike", id="strike not positive"
        ),
        pytest.param(
            fx_forward(1, terms="<notional>0</notional>"),
            {},
            "VNP-208",
            "/instrument/fxForward/notional",
            id="notional",
        ),
        pytest.param(
            fx_forward(1),
            {"market": "<rate>0.05</rate><fx pair='EURUSD'><spot>1</spot></fx>"},
            "VNP-206",
            "/market/fx",
            id="no base curve",
        ),
        pytest.param(
            forward(1, terms="<underlying>X</underlying>"),
            {},
            "VNP-206",
            "/instrument/equityForward/underlying",
            id="no such underlying",
        ),
        pytest.param(
            forward(1, "1X"), {}, "VNP-203", "/instrument/equityForward/tenor", id="no such tenor"
        ),
        pytest.param(
            forward(1),
            {"calculator": "<method>tree</method>"},
            "VNP-301",
            "/calculator/method",
            id="method",
        ),
    ],
)
def test_a_fault_has_its_code_and_place(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": ALL, **parts}) == (code, path)


def test_a_tenor_beside_a_date_is_not_used(valued):
    both = forward(95, terms="<maturityDate>2026-03-17</maturityDate>")
    outcome = valued(both, market=share(100, 0.05))
    assert outcome.codes() == ["VNP-105"]
    assert outcome.number("price") == valued(forward(95, "6M"), market=share(100, 0.05)).number(
        "price"
    )
