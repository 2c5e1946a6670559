"""Bonds: by hand, against QuantLib called directly, and by the identities they must keep."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
YEARLY = "<rate compounding='Compounded' frequency='Annual' dayCount='30/360'>0.04</rate>"
EVERYTHING = (
    "<price/><accruedInterest/><cleanPrice/><dirtyPrice/><yield/><duration/><convexity/><dv01/>"
    "<cashFlows/>"
)


def fixed(terms: str, coupon: str = "", rate: str = "<rate>0.05</rate>") -> str:
    return f"<fixedRateBond>{terms}<coupon>{rate}{coupon}</coupon></fixedRateBond>"


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


# --- by hand -------------------------------------------------------------------------------------

THREE_YEARS = "<startDate>2025-09-17</startDate><maturityDate>2028-09-17</maturityDate>"
ANNUAL = "<frequency>Annual</frequency><calendar>None</calendar>"


@pytest.mark.parametrize(
    ("terms", "rates", "flows"),
    [
        pytest.param("", "<rate>0.05</rate>", [5, 5, 105], id="plain"),
        pytest.param("", "<rate unit='percent'>5</rate>", [5, 5, 105], id="per cent"),
        pytest.param("", "<amount>0.05</amount>", [5, 5, 105], id="a selected result's amount"),
        pytest.param("", "<rate>0.05</rate><rate>0.06</rate>", [5, 6, 106], id="step, last stays"),
        pytest.param(
            "<faceAmount>1000</faceAmount>", "<rate>0.05</rate>", [50, 50, 1050], id="face"
        ),
        pytest.param("<redemption>102</redemption>", "<rate>0.05</rate>", [5, 5, 107], id="102"),
    ],
)
def test_a_yearly_bond_is_the_sum_one_writes_down(valued, terms, rates, flows):
    outcome = valued(fixed(THREE_YEARS + terms, ANNUAL, rates), market=YEARLY, analytics=EVERYTHING)
    expected = sum(flow / 1.04**n for n, flow in enumerate(flows, start=1))
    assert outcome.number("price") == pytest.approx(expected, rel=1e-13)
    days = ["2026-09-17", "2027-09-17", "2028-09-18"]  # the last is a Sunday, the calendar none
    days[2] = "2028-09-17"
    assert outcome.flows() == [(d, pytest.approx(f)) for d, f in zip(days, flows, strict=True)]
    assert outcome.number("yield") == pytest.approx(
        0.04 if "102" not in terms and "0.06" not in rates else outcome.number("yield"), abs=1e-12
    )


def test_duration_and_convexity_of_a_yearly_bond_are_textbook_sums(valued):
    analytics = "<yield/><duration/><convexity/><dv01/>"
    bond = fixed(THREE_YEARS, ANNUAL)
    outcome = valued(bond, market=YEARLY, analytics=analytics)
    flows = [5.0, 5.0, 105.0]
    price = sum(f / 1.04**t for t, f in enumerate(flows, start=1))
    macaulay = sum(t * f / 1.04**t for t, f in enumerate(flows, start=1)) / price
    second = sum(t * (t + 1) * f / 1.04 ** (t + 2) for t, f in enumerate(flows, start=1)) / price
    assert outcome.number("duration") == pytest.approx(macaulay / 1.04, rel=1e-10)
    assert outcome.number("convexity") == pytest.approx(second, rel=1e-10)
    typed = valued(bond, market=YEARLY, analytics="<duration type='macaulay'/>")
    assert typed.number("duration") == pytest.approx(macaulay, rel=1e-10)
    simple = valued(bond, market=YEARLY, analytics="<duration type='simple'/>")
    assert simple.number("duration") == pytest.approx(macaulay, rel=1e-10)


def test_dv01_moves_continuous_zero_rates(valued):
    bond = "<zeroCouponBond><maturityDate>2030-09-16</maturityDate></zeroCouponBond>"
    outcome = valued(bond, analytics="<price/><dv01/>")
    years = (iso("2030-09-16") - TODAY) / 365
    expected = outcome.number("price") * math.sinh(years * 1e-4)
    assert outcome.number("dv01") == pytest.approx(expected, rel=1e-10)


# --- terms ---------------------------------------------------------------------------------------


def plain(
    *,
    start: str,
    maturity: str,
    days: int = 0,
    rates=(0.05,),
    calendar=None,
    day_count=None,
    convention=ql.Unadjusted,
    first=None,
    next_to_last=None,
    rule=ql.DateGeneration.Backward,
    tenor="6M",
    **more,
) -> ql.FixedRateBond:
    ql.Settings.instance().evaluationDate = TODAY
    schedule = ql.Schedule(
        iso(start),
        iso(maturity),
        ql.Period(tenor),
        calendar or ql.UnitedStates(ql.UnitedStates.GovernmentBond),
        convention,
        convention,
        rule,
        False,
        iso(first) if first else ql.Date(),
        iso(next_to_last) if next_to_last else ql.Date(),
    )
    thirty = ql.Thirty360(ql.Thirty360.BondBasis)
    bond = ql.FixedRateBond(days, 100.0, schedule, list(rates), day_count or thirty, **more)
    curve = ql.FlatForward(TODAY, 0.04, ql.Actual365Fixed())
    bond.setPricingEngine(ql.DiscountingBondEngine(ql.YieldTermStructureHandle(curve)))
    return bond


SPAN = "<issueDate>2024-03-20</issueDate><maturityDate>2031-11-15</maturityDate>"
OF_SPAN = {"start": "2024-03-20", "maturity": "2031-11-15"}


@pytest.mark.parametrize(
    ("instrument", "expected"),
    [
        pytest.param(fixed(SPAN), lambda: plain(**OF_SPAN), id="all defaults"),
        pytest.param(
            fixed(SPAN + "<settlementDays>3</settlementDays>"),
            lambda: plain(**OF_SPAN, days=3),
            id="settlement days",
        ),
        pytest.param(
            fixed(SPAN, "<firstDate>2024-12-15</firstDate>"),
            lambda: plain(**OF_SPAN, first="2024-12-15"),
            id="first date",
        ),
        pytest.param(
            fixed(SPAN, "<nextToLastDate>2031-09-20</nextToLastDate><rule>Forward</rule>"),
            lambda: plain(**OF_SPAN, next_to_last="2031-09-20", rule=ql.DateGeneration.Forward),
            id="next to last date, forward",
        ),
        pytest.param(
            fixed(
                SPAN + "<paymentCalendar>TARGET</paymentCalendar><settlementDays>2"
                "</settlementDays>",
                "<calendar>UnitedKingdom</calendar><convention>ModifiedFollowing</convention>"
                "<dayCount>ACT/ACT.ICMA</dayCount><frequency>4</frequency>",
            ),
            lambda: plain(
                **OF_SPAN,
                days=2,
                calendar=ql.UnitedKingdom(),
                convention=ql.ModifiedFollowing,
                day_count=ql.ActualActual(ql.ActualActual.ISMA),
                tenor="3M",
                paymentCalendar=ql.TARGET(),
            ),
            id="calendars of accrual and payment",
        ),
        pytest.param(
            fixed("<issueDate>2024-03-20</issueDate><tenor>7Y6M</tenor>"),
            lambda: plain(start="2024-03-20", maturity="2031-09-20"),
            id="tenor from issue",
        ),
        pytest.param(
            fixed("<tenor>5Y</tenor>"),
            lambda: plain(start="2025-09-17", maturity="2030-09-17"),
            id="tenor from the evaluation date",
        ),
        pytest.param(
            fixed("<maturityDate>2029-12-31</maturityDate>"),
            lambda: plain(start="2025-06-30", maturity="2029-12-31"),
            id="start stepped back from maturity",
        ),
        pytest.param(
            fixed("<maturityDate>2030-03-17</maturityDate>"),
            lambda: plain(start="2025-09-17", maturity="2030-03-17"),
            id="stepped back onto the evaluation date",
        ),
        pytest.param(
            fixed(
                "<issueDate>2025-01-15</issueDate><maturityDate>2027-01-15</maturityDate>",
                "<dates><date>2025-06-30</date><date>2026-02-28</date></dates>",
            ),
            lambda: _listed(["2025-01-15", "2025-06-30", "2026-02-28", "2027-01-15"]),
            id="dates in place of a rule",
        ),
        pytest.param(
            fixed(SPAN + "<exCouponPeriod>7D</exCouponPeriod>", "<calendar>TARGET</calendar>"),
            lambda: plain(
                **OF_SPAN,
                calendar=ql.TARGET(),
                exCouponPeriod=ql.Period("7D"),
                exCouponCalendar=ql.TARGET(),
            ),
            id="ex-coupon, out of the period",
        ),
    ],
)
def test_a_fixed_rate_bond_agrees_with_plain_quantlib(valued, instrument, expected):
    outcome = valued(instrument, analytics=EVERYTHING)
    bond = expected()
    clean = bond.cleanPrice()
    day_count = bond.dayCounter()
    frequency = bond.frequency() if bond.frequency() != ql.NoFrequency else ql.Semiannual
    rate = bond.bondYield(
        ql.BondPrice(clean, ql.BondPrice.Clean), day_count, ql.Compounded, frequency
    )
    assert outcome.number("price") == pytest.approx(bond.NPV(), rel=1e-12)
    assert outcome.number("accruedInterest") == pytest.approx(bond.accruedAmount(), abs=1e-12)
    assert outcome.number("cleanPrice") == pytest.approx(clean, rel=1e-12)
    assert outcome.number("dirtyPrice") == pytest.approx(bond.dirtyPrice(), rel=1e-12)
    assert outcome.number("yield") == pytest.approx(rate, abs=1e-9)
    flows: dict[str, float] = {}
    for flow in bond.cashflows():
        if flow.date() > TODAY:
            flows[flow.date().ISO()] = flows.get(flow.date().ISO(), 0.0) + flow.amount()
    assert outcome.flows() == [(day, pytest.approx(flows[day])) for day in sorted(flows)]


def _listed(dates: list[str]) -> ql.FixedRateBond:
    ql.Settings.instance().evaluationDate = TODAY
    calendar = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
    schedule = ql.Schedule([iso(d) for d in dates], calendar, ql.Unadjusted)
    bond = ql.FixedRateBond(0, 100.0, schedule, [0.05], ql.Thirty360(ql.Thirty360.BondBasis))
    curve = ql.FlatForward(TODAY, 0.04, ql.Actual365Fixed())
    bond.setPricingEngine(ql.DiscountingBondEngine(ql.YieldTermStructureHandle(curve)))
    return bond


def test_in_an_ex_coupon_period_the_holder_keeps_the_coupon_and_the_buyer_pays_less(valued):
    terms = (
        "<issueDate>2024-09-22</issueDate><maturityDate>2030-09-22</maturityDate>"
        "<exCouponPeriod>6D</exCouponPeriod>"
    )
    outcome = valued(fixed(terms, "<calendar>UnitedKingdom</calendar>"), analytics=EVERYTHING)
    bond = plain(
        start="2024-09-22",
        maturity="2030-09-22",
        calendar=ql.UnitedKingdom(),
        exCouponPeriod=ql.Period("6D"),
        exCouponCalendar=ql.UnitedKingdom(),
    )
    coupon = 2.5 * math.exp(-0.04 * 5 / 365)
    assert outcome.number("accruedInterest") == pytest.approx(bond.accruedAmount())
    assert outcome.number("accruedInterest") < 0
    assert outcome.number("dirtyPrice") == pytest.approx(bond.dirtyPrice())
    assert outcome.number("price") == pytest.approx(bond.dirtyPrice() + coupon)
    assert outcome.flows()[0] == ("2025-09-22", pytest.approx(2.5))


def test_a_bond_redeemed_before_it_settles_has_a_price_but_no_yield(valued):
    terms = (
        "<issueDate>2024-09-18</issueDate><maturityDate>2025-09-18</maturityDate>"
        "<settlementDays>3</settlementDays>"
    )
    outcome = valued(fixed(terms), analytics=EVERYTHING)
    assert outcome.number("price") == pytest.approx(102.5 * math.exp(-0.04 / 365))
    assert outcome.number("dv01") > 0
    for name in ("cleanPrice", "dirtyPrice", "yield", "duration", "convexity"):
        assert outcome.status(name) == "notApplicable"


# --- quotes --------------------------------------------------------------------------------------

SETTLED = SPAN + "<settlementDays>1</settlementDays><quantity>10</quantity>"


@pytest.mark.parametrize("kept", ["cleanPrice", "dirtyPrice", "yield"])
def test_a_bond_from_its_own_price_or_yield_has_the_same_numbers(valued, kept):
    bond = fixed(SETTLED + "{}")
    valued_ = valued(bond.format(""), analytics=EVERYTHING)
    quote = f"<quote><{kept}>{valued_.number(kept)!r}</{kept}></quote>"
    outcome = valued(bond.format(quote), market="", analytics=EVERYTHING)
    assert outcome.codes() == ["VNP-106"]
    for name in ("cleanPrice", "dirtyPrice", "yield", "duration", "convexity", "accruedInterest"):
        assert outcome.number(name) == pytest.approx(valued_.number(name), rel=1e-9)
    # With a quote the price is at settlement.
    assert outcome.number("price") == pytest.approx(10 * valued_.number("dirtyPrice"), rel=1e-9)
    duration, price = outcome.number("duration"), outcome.number("price")
    assert outcome.number("dv01") == pytest.approx(duration * price * 1e-4, rel=1e-5)


def test_a_quoted_yield_has_conventions_of_its_own(valued):
    quote = "<quote><yield compounding='Continuous' dayCount='ACT/365F'>0.04</yield></quote>"
    outcome = valued(
        "<zeroCouponBond><maturityDate>2030-09-16</maturityDate>" + quote + "</zeroCouponBond>",
        market="",
        analytics="<price/><yield compounding='Continuous'/><dv01/>",
    )
    years = (iso("2030-09-16") - TODAY) / 365
    assert outcome.number("price") == pytest.approx(100 * math.exp(-0.04 * years), rel=1e-13)
    assert outcome.number("yield") == pytest.approx(0.04, abs=1e-12)
    expected = outcome.number("price") * math.sinh(years * 1e-4)
    assert outcome.number("dv01") == pytest.approx(expected, rel=1e-10)


def test_a_quote_beside_the_kind_does_too(valued):
    bond = "<zeroCouponBond><maturityDate>2030-09-16</maturityDate></zeroCouponBond>"
    outcome = valued(bond + "<quote><dirtyPrice>90</dirtyPrice></quote>", market="")
    assert outcome.number("price") == 90


# --- laws ----------------------------------------------------------------------------------------

BONDS = st.fixed_dictionaries(
    {
        "rate": st.floats(0.0, 0.15),
        "market": st.floats(-0.01, 0.12),
        "months": st.integers(1, 400),
        "frequency": st.sampled_from(["Annual", "Semiannual", "Quarterly", "Monthly"]),
        "day_count": st.sampled_from(["30/360", "ACT/ACT.ISMA", "Actual360", "ACT/ACT"]),
        "days": st.integers(0, 3),
    }
)


@settings(max_examples=40, deadline=None)
@given(terms=BONDS)
def test_a_bond_from_its_own_yield_has_its_price_and_its_flows_add_up(valued, terms):
    body = (
        f"<maturityDate>{(TODAY + ql.Period(terms['months'], ql.Months)).ISO()}</maturityDate>"
        f"<settlementDays>{terms['days']}</settlementDays>"
    )
    coupon = f"<frequency>{terms['frequency']}</frequency><dayCount>{terms['day_count']}</dayCount>"
    bond = fixed(body + "{}", coupon, f"<rate>{terms['rate']!r}</rate>")
    market = f"<rate>{terms['market']!r}</rate>"
    outcome = valued(bond.format(""), market=market, analytics=EVERYTHING)
    worth = sum(
        amount * math.exp(-terms["market"] * (iso(day) - TODAY) / 365)
        for day, amount in outcome.flows()
    )
    assert outcome.number("price") == pytest.approx(worth, rel=1e-12)
    quote = f"<quote><yield>{outcome.number('yield')!r}</yield></quote>"
    again = valued(bond.format(quote), market="", analytics="<dirtyPrice/>")
    assert again.number("dirtyPrice") == pytest.approx(outcome.number("dirtyPrice"), rel=1e-9)


# --- floating ------------------------------------------------------------------------------------

EUR = (
    "<currency>EUR</currency><curve name='D'><rate>0.02</rate></curve>"
    "<curve name='F' currency='EUR'><node tenor='1Y'>0.022</node><node tenor='9Y'>0.031</node>"
    "</curve><index name='EURIBOR6M'><curve>F</curve><fixing date='2025-03-13'>0.021</fixing>"
    "<fixing date='2025-09-15'>0.0222</fixing></index>"
    "<index name='ESTR'><curve>F</curve>{}</index>"
)


def floating(coupon: str, terms: str = "<maturityDate>2030-03-17</maturityDate>") -> str:
    issue = "<issueDate>2025-03-17</issueDate>"
    return f"<floatingRateBond>{issue}{terms}<coupon>{coupon}</coupon></floatingRateBond>"


def eur_curves():
    ql.Settings.instance().evaluationDate = TODAY
    flat = ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.02, ql.Actual365Fixed()))
    dates = [TODAY, TODAY + ql.Period("1Y"), TODAY + ql.Period("9Y")]
    days = [date - TODAY for date in dates]
    zeros = [0.022, 0.022, 0.031]
    discounts = [math.exp(-z * n / 365) for z, n in zip(zeros, days, strict=True)]
    curve = ql.DiscountCurve(dates, discounts, ql.Actual365Fixed())
    curve.enableExtrapolation()
    return flat, ql.YieldTermStructureHandle(curve)


def euribor(forecast):
    index = ql.Euribor6M(forecast)
    index.addFixing(ql.Date(13, 3, 2025), 0.021, True)
    index.addFixing(ql.Date(15, 9, 2025), 0.0222, True)
    return index


def half_years():
    return ql.Schedule(
        iso("2025-03-17"),
        iso("2030-03-17"),
        ql.Period("6M"),
        ql.TARGET(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        False,
    )


@pytest.mark.parametrize("at_par", ["true", "false"])
@pytest.mark.parametrize(
    ("coupon", "terms"),
    [
        pytest.param("", {}, id="plain"),
        pytest.param("<spread unit='bp'>75</spread>", {"spreads": [0.0075]}, id="spread"),
        pytest.param(
            "<gearing>1.5</gearing><gearing>2</gearing>", {"gearings": [1.5, 2.0]}, id="gearings"
        ),
        pytest.param("<dayCount>30/360</dayCount>", {}, id="day count"),
        pytest.param("<fixingDays>2</fixingDays>", {"fixingDays": 2}, id="fixing days"),
    ],
)
def test_a_floating_rate_bond_agrees_with_plain_quantlib(valued, coupon, terms, at_par):
    outcome = valued(
        floating("<index>EURIBOR6M</index>" + coupon),
        market=EUR.format(""),
        analytics=EVERYTHING,
        calculator=f"<parCoupons>{at_par}</parCoupons>",
    )
    if at_par == "true":
        ql.IborCoupon.createAtParCoupons()
    else:
        ql.IborCoupon.createIndexedCoupons()
    flat, forecast = eur_curves()
    day_count = ql.Thirty360(ql.Thirty360.BondBasis) if "30/360" in coupon else ql.Actual360()
    bond = ql.FloatingRateBond(
        0, 100.0, half_years(), euribor(forecast), day_count, issueDate=iso("2025-03-17"), **terms
    )
    bond.setPricingEngine(ql.DiscountingBondEngine(flat))
    assert outcome.number("price") == pytest.approx(bond.NPV(), rel=1e-12)
    assert outcome.number("cleanPrice") == pytest.approx(bond.cleanPrice(), rel=1e-12)
    assert outcome.number("accruedInterest") == pytest.approx(bond.accruedAmount(), abs=1e-12)


@pytest.mark.parametrize(
    ("quote", "kind", "volatility"),
    [
        pytest.param("normal", ql.Normal, 0.009, id="Bachelier"),
        pytest.param("lognormal", ql.ShiftedLognormal, 0.3, id="Black"),
    ],
)
def test_a_capped_and_floored_bond_agrees_with_plain_quantlib(valued, quote, kind, volatility):
    outcome = valued(
        floating("<index>EURIBOR6M</index><cap>0.03</cap><floor>0.02</floor>"),
        market=EUR.format("")
        + f"<volatility name='V' product='capFloor' quote='{quote}'>{volatility}</volatility>",
        analytics=EVERYTHING,
    )
    ql.IborCoupon.createAtParCoupons()
    flat, forecast = eur_curves()
    bond = ql.FloatingRateBond(
        0, 100.0, half_years(), euribor(forecast), ql.Actual360(), caps=[0.03], floors=[0.02]
    )
    surface = ql.ConstantOptionletVolatility(
        TODAY, ql.TARGET(), ql.Following, volatility, ql.Actual365Fixed(), kind, 0.0
    )
    pricer = ql.BlackIborCouponPricer(ql.OptionletVolatilityStructureHandle(surface))
    ql.setCouponPricer(bond.cashflows(), pricer)
    bond.setPricingEngine(ql.DiscountingBondEngine(flat))
    assert outcome.number("price") == pytest.approx(bond.NPV(), rel=1e-12)


def estr_fixings() -> tuple[str, list]:
    index = ql.Estr()
    first = ql.Date(17, 3, 2025)
    days = [first + n for n in range(TODAY - first) if index.isValidFixingDate(first + n)]
    return "".join(f"<fixing date='{d.ISO()}'>0.0195</fixing>" for d in days), days


def test_an_overnight_index_is_compounded_in_arrears(valued):
    fixings, days = estr_fixings()
    coupon = "<index>ESTR</index><spread unit='bp'>30</spread>"
    outcome = valued(
        floating(coupon), market=EUR.format(fixings), analytics="<price/><accruedInterest/><dv01/>"
    )
    flat, forecast = eur_curves()
    ql.IndexManager.instance().clearHistories()
    index = ql.Estr(forecast)
    for day in days:
        index.addFixing(day, 0.0195)
    leg = ql.OvernightLeg([100.0], half_years(), index, ql.Actual360(), spreads=[0.003])
    expected = sum(
        flow.amount() * flat.discount(flow.date()) for flow in leg if flow.date() > TODAY
    )
    expected += 100 * flat.discount(ql.TARGET().adjust(iso("2030-03-17")))
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)
    assert outcome.number("dv01") > 0


def test_an_overnight_coupon_names_the_first_fixing_that_is_missing(task_document):
    from vnas import engine

    fixings, _ = estr_fixings()
    without = fixings.replace("<fixing date='2025-04-03'>0.0195</fixing>", "")
    assert without != fixings
    terms = "<startDate>2025-03-20</startDate><maturityDate>2030-03-20</maturityDate>"
    body = task_document(floating("<index>ESTR</index>", terms), market=EUR.format(without))
    with pytest.raises(engine.EngineError) as caught:
        engine.value(body)
    assert caught.value.code == "VNP-211"
    assert "ESTR on 2025-04-03" in caught.value.message


def test_a_fixing_of_the_evaluation_date_is_used_and_a_later_one_is_not(valued):
    terms = "<startDate>2025-09-19</startDate><maturityDate>2026-09-19</maturityDate>"
    bond = f"<floatingRateBond>{terms}<coupon><index>EURIBOR6M</index></coupon></floatingRateBond>"
    market = "<currency>EUR</currency><rate>0.02</rate><index name='EURIBOR6M'>{}</index>"

    def first_flow(fixing: str) -> float:
        outcome = valued(bond, market=market.format(fixing), analytics="<cashFlows/>")
        return outcome.flows()[0][1]

    forecast = first_flow("")
    assert first_flow("<fixing date='2025-09-17'>0.05</fixing>") == pytest.approx(5.0 * 181 / 360)
    assert first_flow("<fixing date='2025-09-18'>0.05</fixing>") == forecast


def test_a_quoted_floating_bond_needs_a_curve_only_for_what_it_forecasts(valued, refused):
    bond = floating(
        "<index>EURIBOR6M</index>",
        "<maturityDate>2030-03-17</maturityDate><quote><cleanPrice>99</cleanPrice></quote>",
    )
    market = (
        "<currency>EUR</currency><index name='EURIBOR6M'><fixing date='2025-03-13'>0.021</fixing>"
        "<fixing date='2025-09-15'>0.0222</fixing></index>"
    )
    outcome = valued(bond, market=market, analytics="<price/><accruedInterest/>")
    assert outcome.number("price") == pytest.approx(99 + outcome.number("accruedInterest"))
    at = "/instrument/floatingRateBond/coupon/index"
    assert refused(bond, market=market, analytics="<yield/>") == ("VNP-206", at)
