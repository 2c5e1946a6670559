"""Bootstrapped curves: every quote reprices, inline or carried through a group."""

import pytest
import QuantLib as ql
from lxml import etree

from vnas import engine
from vnas.engine.fields import Faults
from vnas.engine.market import Market
from vnas.engine.values import Leaf

TODAY = ql.Date(17, 9, 2025)
TERM = (
    "<index name='USD-TERM3M'><tenor>3M</tenor><fixingDays>2</fixingDays><currency>USD</currency>"
    "<calendar>USGovernmentBond</calendar><dayCount>Actual360</dayCount>"
    "<fixing date='2025-09-17'>0.0401</fixing></index>"
)
SOFR_QUOTES = (
    "<currency>USD</currency><index>SOFR</index>"
    "<deposit tenor='ON'><rate>0.0414</rate></deposit>"
    "<ois tenor='1M'><rate>0.041</rate><paymentLag>2</paymentLag></ois>"
    "<ois tenor='3M'><rate>0.0398</rate><paymentLag>2</paymentLag></ois>"
    "<future type='SOFR3M' contract='2025-12'><price>96.29</price>"
    "<convexity unit='bp'>0.02</convexity></future>"
    "<future type='SOFR3M' contract='2026-03'><price>96.52</price></future>"
    "<ois tenor='2Y'><rate>0.0336</rate><paymentLag>2</paymentLag></ois>"
    "<ois tenor='10Y'><rate>0.0362</rate><paymentLag>2</paymentLag></ois>"
    "<ois tenor='30Y'><rate>0.0379</rate><paymentLag>2</paymentLag></ois>"
)
TERM_QUOTES = (
    "<currency>USD</currency><index>USD-TERM3M</index><discountCurve>USD-SOFR</discountCurve>"
    "<deposit tenor='3M'><rate>0.0401</rate></deposit>"
    "<fra start='3M'><rate>0.0382</rate></fra><fra start='6M'><rate>0.0366</rate></fra>"
    "<swap tenor='2Y'><rate>0.0349</rate><frequency>Semiannual</frequency></swap>"
    "<swap tenor='5Y'><rate>0.0349</rate><frequency>Semiannual</frequency></swap>"
    "<swap tenor='30Y'><rate>0.0391</rate><frequency>Semiannual</frequency></swap>"
)
FUTURES = (
    "<currency>EUR</currency><index>EURIBOR3M</index>"
    "<deposit tenor='TN'><rate>0.019</rate></deposit>"
    "<deposit tenor='1W'><rate>0.0192</rate></deposit>"
    "<deposit tenor='3M'><rate>0.02</rate></deposit>"
    "<future contract='2025-12-17'><price>97.9</price></future>"
    "<future type='custom' contract='2026-03-20'><price>97.8</price>"
    "<convexity unit='bp'>0.5</convexity></future>"
    "<swap tenor='3Y'><rate>0.022</rate></swap>"
)
SHAPES = ["logLinear", "flatForward", "logCubic", "linearZero", "cubicZero"]


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


@pytest.fixture
def solve(valued):
    def run(quotes: str, market: str = "", name: str = "C", **parts: str):
        kind = f"<yieldCurve>{quotes}</yieldCurve>"
        outcome = valued(kind, market=market, analytics="<curve/>", name=name, **parts)
        return outcome.element("curve")

    return run


def read_back(curve: etree._Element) -> ql.YieldTermStructure:
    """Build the written curve the plain QuantLib way."""
    shapes = {
        "logLinear": ql.DiscountCurve,
        "flatForward": ql.DiscountCurve,
        "logCubic": ql.LogCubicDiscountCurve,
        "linearZero": ql.ZeroCurve,
        "cubicZero": ql.CubicZeroCurve,
    }
    nodes = curve.findall("node")
    dates = [iso(node.get("date")) for node in nodes]
    made = shapes[curve.findtext("interpolation")](
        dates, [float(node.text) for node in nodes], ql.Actual365Fixed()
    )
    made.enableExtrapolation()
    return made


def ois_helper(tenor, rate, lag, index):
    return ql.OISRateHelper(
        2, ql.Period(tenor), ql.QuoteHandle(ql.SimpleQuote(rate)), index, paymentLag=lag
    )


def sofr_helpers():
    calendar = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
    sofr = ql.Sofr()
    return [
        ql.DepositRateHelper(
            0.0414, ql.Period("1D"), 0, calendar, ql.ModifiedFollowing, False, ql.Actual360()
        ),
        ois_helper("1M", 0.041, 2, sofr),
        ois_helper("3M", 0.0398, 2, sofr),
        ql.SofrFutureRateHelper(96.29, 12, 2025, ql.Quarterly, 0.02e-4),
        ql.SofrFutureRateHelper(96.52, 3, 2026, ql.Quarterly),
        ois_helper("2Y", 0.0336, 2, sofr),
        ois_helper("10Y", 0.0362, 2, sofr),
        ois_helper("30Y", 0.0379, 2, sofr),
    ]


def term_helpers(discounting):
    calendar = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
    terms = (ql.Period("3M"), 2, ql.USDCurrency(), calendar, ql.ModifiedFollowing, False)
    index = ql.IborIndex("USD-TERM3M", *terms, ql.Actual360())
    index.addFixing(TODAY, 0.0401, True)
    fixed = (calendar, ql.Semiannual, ql.ModifiedFollowing, ql.Thirty360(ql.Thirty360.BondBasis))
    handle = ql.YieldTermStructureHandle(discounting)
    swaps = [
        ql.SwapRateHelper(
            rate, ql.Period(tenor), *fixed, index, ql.QuoteHandle(), ql.Period("0D"), handle
        )
        for tenor, rate in (("2Y", 0.0349), ("5Y", 0.0349), ("30Y", 0.0391))
    ]
    return [
        ql.DepositRateHelper(0.0401, index),
        ql.FraRateHelper(0.0382, 3, index),
        ql.FraRateHelper(0.0366, 6, index),
        *swaps,
    ]


def futures_helpers():
    euribor = ql.Euribor3M()
    target = ql.TARGET()
    deposit = (target, ql.ModifiedFollowing, False, ql.Actual360())
    thirty = ql.Thirty360(ql.Thirty360.BondBasis)
    swap = (target, ql.Annual, ql.ModifiedFollowing, thirty)
    future = (3, target, ql.ModifiedFollowing, False, ql.Actual360())
    return [
        ql.DepositRateHelper(0.019, ql.Period("1D"), 1, *deposit),
        ql.DepositRateHelper(0.0192, ql.Period("1W"), 2, *deposit),
        ql.DepositRateHelper(0.02, ql.Period("3M"), 2, *deposit),
        ql.FuturesRateHelper(97.9, ql.Date(17, 12, 2025), *future),
        ql.FuturesRateHelper(97.8, ql.Date(20, 3, 2026), *future, 0.5e-4, ql.Futures.Custom),
        ql.SwapRateHelper(0.022, ql.Period("3Y"), *swap, euribor),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_overnight_curve_agrees_with_a_plain_bootstrap(solve, shape):
    curve = solve(SOFR_QUOTES + f"<interpolation>{shape}</interpolation>", name="USD-SOFR")
    ql.Settings.instance().evaluationDate = TODAY
    plain = {
        "logLinear": ql.PiecewiseLogLinearDiscount,
        "flatForward": ql.PiecewiseLogLinearDiscount,
        "logCubic": ql.PiecewiseLogCubicDiscount,
        "linearZero": ql.PiecewiseLinearZero,
        "cubicZero": ql.PiecewiseCubicZero,
    }[shape](TODAY, sofr_helpers(), ql.Actual365Fixed())
    plain.enableExtrapolation()
    back = read_back(curve)
    for day in range(0, 36 * 365, 97):
        assert back.discount(TODAY + day) == pytest.approx(plain.discount(TODAY + day), abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_overnight_quote_has_its_value_on_the_written_curve(solve, shape):
    back = read_back(solve(SOFR_QUOTES + f"<interpolation>{shape}</interpolation>"))
    ql.Settings.instance().evaluationDate = TODAY
    handle = ql.YieldTermStructureHandle(back)
    sofr = ql.Sofr(handle)
    engine_ = ql.DiscountingSwapEngine(handle)
    for tenor, rate in (("1M", 0.041), ("3M", 0.0398), ("2Y", 0.0336), ("30Y", 0.0379)):
        swap = ql.MakeOIS(
            ql.Period(tenor), sofr, 0.01, ql.Period("0D"), settlementDays=2, paymentLag=2
        )
        swap.setPricingEngine(engine_)
        assert swap.fairRate() == pytest.approx(rate, abs=1e-8)
    ql.IndexManager.instance().clearHistories()
    assert sofr.fixing(TODAY) == pytest.approx(0.0414, abs=1e-8)
    first, last = ql.Date(17, 12, 2025), ql.Date(18, 3, 2026)
    growth = back.discount(first) / back.discount(last)
    future = 100 * (1 - (growth - 1) * 360 / (last - first) - 0.02e-4)
    assert future == pytest.approx(96.29, abs=1e-6)  # 1e-8 of rate


def test_the_written_curve_says_what_it_is(solve):
    curve = solve(SOFR_QUOTES, name="USD-SOFR")
    assert {k: curve.get(k) for k in ("name", "currency", "date")} == {
        "name": "USD-SOFR",
        "currency": "USD",
        "date": "2025-09-17",
    }
    assert [curve.findtext(t) for t in ("type", "dayCount", "interpolation")] == [
        "discount",
        "Actual365Fixed",
        "logLinear",
    ]
    nodes = curve.findall("node")
    assert len(nodes) == 9  # one a pillar, and the curve's date
    assert (nodes[0].get("date"), nodes[0].text) == ("2025-09-17", "1")
    assert nodes[0].get("zero") == nodes[1].get("zero")
    assert (
        solve(SOFR_QUOTES + "<interpolation>cubicZero</interpolation>").findtext("type") == "zero"
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_curve_carried_through_a_group_is_the_same_quotes_inline(valued, solve, shape):
    quotes = SOFR_QUOTES + f"<interpolation>{shape}</interpolation>"
    carried = etree.tostring(solve(quotes, name="USD-SOFR"), with_tail=False).decode()
    inline = f"<curve name='USD-SOFR' currency='USD'>{quotes}</curve>"
    bond = (
        "<fixedRateBond><maturityDate>2044-05-13</maturityDate><coupon><rate>0.05</rate></coupon>"
        "</fixedRateBond>"
    )
    analytics = "<price/><dv01/><yield/>"
    one, other = (valued(bond, market=m, analytics=analytics) for m in (carried, inline))
    for name in ("price", "dv01", "yield"):
        assert one.number(name) == pytest.approx(other.number(name), rel=1e-13)


@pytest.fixture
def chained(solve):
    """The discount curve, and the forecast curve solved on it, as XML."""
    discounting = solve(SOFR_QUOTES, name="USD-SOFR")
    market = etree.tostring(discounting, with_tail=False).decode() + TERM
    return discounting, solve(TERM_QUOTES, market, name="USD-TERM3M")


def test_a_forecast_curve_is_solved_on_another_curve(chained):
    discounting, forecasting = map(read_back, chained)
    ql.Settings.instance().evaluationDate = TODAY
    ql.IborCoupon.createAtParCoupons()
    plain = ql.PiecewiseLogLinearDiscount(TODAY, term_helpers(discounting), ql.Actual365Fixed())
    plain.enableExtrapolation()
    for day in range(0, 31 * 365, 97):
        date = TODAY + day
        assert forecasting.discount(date) == pytest.approx(plain.discount(date), abs=1e-11)


def test_deposits_and_futures_agree_with_a_plain_bootstrap(solve):
    back = read_back(solve(FUTURES))
    ql.Settings.instance().evaluationDate = TODAY
    ql.IborCoupon.createAtParCoupons()
    plain = ql.PiecewiseLogLinearDiscount(TODAY, futures_helpers(), ql.Actual365Fixed())
    plain.enableExtrapolation()
    for day in range(0, 3 * 365, 11):
        date = TODAY + day
        assert back.discount(date) == pytest.approx(plain.discount(date), abs=1e-12)


def test_a_curve_of_another_date_is_solved_on_its_date(valued):
    quotes = "<index>SOFR</index><ois tenor='1Y'><rate>0.04</rate></ois>"
    market = f"<curve name='C' date='2025-09-10'>{quotes}</curve>"
    bond = "<zeroCouponBond><maturityDate>2026-09-14</maturityDate></zeroCouponBond>"
    price = valued(bond, market=market).number("price")
    ql.Settings.instance().evaluationDate = ql.Date(10, 9, 2025)
    plain = ql.PiecewiseLogLinearDiscount(
        ql.Date(10, 9, 2025), [ois_helper("1Y", 0.04, 0, ql.Sofr())], ql.Actual365Fixed()
    )
    expected = 100 * plain.discount(ql.Date(14, 9, 2026)) / plain.discount(TODAY)
    assert price == pytest.approx(expected, rel=1e-12)


def test_a_running_sofr_contract_needs_the_fixings_behind_it(task_document):
    quotes = (
        "<index>SOFR</index><future type='SOFR1M' contract='2025-09'><price>95.9</price></future>"
    )
    first = ql.Date(29, 8, 2025)  # the 1st of September is a holiday
    days = [first + n for n in range(TODAY - first) if ql.Sofr().isValidFixingDate(first + n)]
    fixings = "".join(f"<fixing date='{day.ISO()}'>0.0435</fixing>" for day in days)
    instrument = f"<yieldCurve>{quotes}</yieldCurve>"
    with pytest.raises(engine.EngineError) as caught:
        engine.value(task_document(instrument, analytics="<curve/>"))
    assert caught.value.code == "VNP-211"
    market = f"<index name='SOFR'>{fixings}</index>"
    result = engine.value(task_document(instrument, market=market, analytics="<curve/>"))
    assert b"<node date=" in result


def month_average(curve: ql.YieldTermStructure, month: int, year: int) -> float:
    """The mean over the calendar days of a month of the overnight rate that runs on each."""
    calendar = ql.Sofr().fixingCalendar()
    day = ql.Date(1, month, year)
    rates = []
    while day.month() == month:
        start = calendar.adjust(day, ql.Preceding)
        end = calendar.advance(start, 1, ql.Days)
        growth = curve.discount(start) / curve.discount(end)
        rates.append((growth - 1) * 360 / (end - start))
        day += 1
    return sum(rates) / len(rates)


@pytest.mark.parametrize("shape", SHAPES)
def test_monthly_sofr_contracts_reprice_though_months_end_on_weekends(solve, shape):
    # October ends on a Friday and January on a Saturday: their last rate is for days beyond.
    prices = {(10, 2025): 95.7, (11, 2025): 95.9, (12, 2025): 96.1, (1, 2026): 96.4}
    contracts = "".join(
        f"<future type='SOFR1M' contract='{y}-{m:02}'><price>{p}</price></future>"
        for (m, y), p in prices.items()
    )
    head = f"<index>SOFR</index><interpolation>{shape}</interpolation>"
    more = "<ois tenor='2Y'><rate>0.035</rate></ois>" if shape != "linearZero" else ""
    back = read_back(
        solve(head + "<deposit tenor='1W'><rate>0.042</rate></deposit>" + contracts + more)
    )
    for (month, year), price in prices.items():
        assert month_average(back, month, year) == pytest.approx((100 - price) / 100, abs=1e-8)


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(
            "<future type='SOFR3M' contract='2025-03'><price>95.7</price></future>", id="3M"
        ),
        pytest.param("<future contract='2025-03-19'><price>95.7</price></future>", id="IMM"),
    ],
)
def test_a_contract_that_has_ended_is_told(refused, ended):
    quotes = f"<index>SOFR</index>{ended}<ois tenor='1Y'><rate>0.04</rate></ois>"
    at = "/instrument/yieldCurve/future"
    assert refused(f"<yieldCurve>{quotes}</yieldCurve>", analytics="<curve/>") == ("VNP-401", at)


def test_a_curve_first_read_on_moved_rates_is_the_same_afterwards():
    market = etree.fromstring(
        f"<market>{TERM}<curve name='USD-SOFR'>{SOFR_QUOTES}</curve>"
        f"<curve name='T'>{TERM_QUOTES}</curve></market>"
    )
    name = Leaf("T", market)
    plain, other = (Market(market, "/market", TODAY, Faults()) for _ in range(2))
    other.shifted(0.05).curve(name)
    day = ql.Date(17, 9, 2035)
    assert other.curve(name).discount(day) == plain.curve(name).discount(day)
