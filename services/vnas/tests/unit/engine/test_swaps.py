"""Swaps, overnight swaps and FRAs: QuantLib called directly, identities, defaults, faults."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

from vnas import engine

TODAY = ql.Date(17, 9, 2025)
THIRTY = ql.Thirty360(ql.Thirty360.BondBasis)
AT = "/instrument/vanillaSwap"

# Two curves in dollars and two in euros; the term indices are forecast on the second of each.
NODES = {"D": (0.035, 0.042), "F": (0.037, 0.044), "E": (0.019, 0.028), "G": (0.021, 0.03)}
CURVES = "".join(
    f"<curve name='{name}' currency='{'USD' if name in 'DF' else 'EUR'}'>"
    f"<node tenor='1Y'>{short}</node><node tenor='40Y'>{long}</node></curve>"
    for name, (short, long) in NODES.items()
)
FIXINGS = {
    "USD-TERM3M": {"2025-06-17": 0.0428, "2025-09-17": 0.0401},
    "EURIBOR6M": {"2025-05-16": 0.0214, "2025-09-09": 0.0208},
    "SOFR": {},
}
SOFR_DAYS = [
    day
    for day in (ql.Date(1, 8, 2025) + n for n in range(47))
    if ql.UnitedStates(ql.UnitedStates.SOFR).isBusinessDay(day)
]


def fixed(index: str) -> str:
    fixings = FIXINGS[index].items()
    return "".join(f"<fixing date='{date}'>{rate}</fixing>" for date, rate in fixings)


INDICES = (
    "<index name='USD-TERM3M'><tenor>3M</tenor><currency>USD</currency><curve>F</curve>"
    f"{fixed('USD-TERM3M')}</index>"
    f"<index name='EURIBOR6M'><curve>G</curve>{fixed('EURIBOR6M')}</index>"
)
MARKET = CURVES + INDICES
SOFR_FIXINGS = (
    "<index name='SOFR'>"
    + "".join(f"<fixing date='{day.ISO()}'>0.0431</fixing>" for day in SOFR_DAYS)
    + "</index>"
)
ALL = (
    "<price/><fixedLeg/><floatingLeg/><fairRate/><fairSpread/><accruedInterest/><dv01/>"
    "<cashFlows/><forward/>"
)


def swap(terms: str = "", fixed_leg: str = "", floating_leg: str = "", **named: str) -> str:
    """A five-year swap against the dollar term rate, unless told otherwise."""
    end = named.get("end", "<tenor>5Y</tenor>")
    rate = named.get("rate", "0.036")
    index = named.get("index", "USD-TERM3M")
    return (
        f"<vanillaSwap>{terms}{end}<fixedLeg><rate>{rate}</rate>{fixed_leg}</fixedLeg>"
        f"<floatingLeg><index>{index}</index>{floating_leg}</floatingLeg></vanillaSwap>"
    )


# --- the plain QuantLib way ----------------------------------------------------------------------


def curve(name: str, shift: float = 0.0):
    zeros = [NODES[name][0], *NODES[name]]
    dates = [TODAY, TODAY + ql.Period("1Y"), TODAY + ql.Period("40Y")]
    discounts = [
        math.exp(-(z + shift) * (d - TODAY) / 365.0) for z, d in zip(zeros, dates, strict=True)
    ]
    made = ql.DiscountCurve(dates, discounts, ql.Actual365Fixed())
    made.enableExtrapolation()
    return ql.YieldTermStructureHandle(made)


def term_index(handle):
    calendar = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
    terms = ("USD-TERM3M", ql.Period("3M"), 2, ql.USDCurrency(), calendar)
    return ql.IborIndex(*terms, ql.ModifiedFollowing, False, ql.Actual360(), handle)


def plain_index(name: str, shift: float = 0.0):
    ql.Settings.instance().evaluationDate = TODAY
    ql.IndexManager.instance().clearHistories()
    ql.IborCoupon.createAtParCoupons()
    if name == "SOFR":
        index = ql.Sofr(curve("D", shift))
        for day in SOFR_DAYS:
            index.addFixing(day, 0.0431)
        return index
    made = {
        "USD-TERM3M": lambda: term_index(curve("F", shift)),
        "EURIBOR6M": lambda: ql.Euribor6M(curve("G", shift)),
        "ESTR": lambda: ql.Estr(curve("E", shift)),
    }[name]()
    for date, rate in FIXINGS.get(name, {}).items():
        made.addFixing(iso(date), rate)
    return made


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def plain(
    name: str = "USD-TERM3M",
    *,
    start: str | None = None,
    end: str | None = None,
    tenor: str = "5Y",
    side=ql.Swap.Payer,
    notional: float = 1_000_000.0,
    rate: float = 0.036,
    frequency=ql.Annual,
    day_count=THIRTY,
    convention=ql.ModifiedFollowing,
    termination=ql.ModifiedFollowing,
    rule=ql.DateGeneration.Backward,
    end_of_month: bool = False,
    calendar=None,
    spread: float = 0.0,
    floating_period=None,
    floating_day_count=None,
    floating_rule=ql.DateGeneration.Backward,
    days: int = 2,
    shift: float = 0.0,
):
    index = plain_index(name, shift)
    own = index.fixingCalendar()
    first = iso(start) if start else own.advance(TODAY, days, ql.Days)
    last = iso(end) if end else first + ql.Period(tenor)
    conventions = (convention, termination)
    fixed = ql.Schedule(
        first, last, ql.Period(frequency), calendar or own, *conventions, rule, end_of_month
    )
    floating = ql.Schedule(
        first, last, floating_period or index.tenor(), own, ql.ModifiedFollowing, termination,
        floating_rule, end_of_month,
    )  # fmt: skip
    made = ql.VanillaSwap(
        side, notional, fixed, rate, day_count, floating, index, spread,
        floating_day_count or index.dayCounter(),
    )  # fmt: skip
    discount = curve("E" if name == "EURIBOR6M" else "D", shift)
    made.setPricingEngine(ql.DiscountingSwapEngine(discount))
    return made


def overnight(
    name: str = "SOFR",
    *,
    start: str | None = None,
    tenor: str = "5Y",
    rate: float = 0.036,
    frequency=ql.Annual,
    spread: float = 0.0,
    lag: int = 0,
    shift: float = 0.0,
):
    index = plain_index(name, shift)
    calendar = index.fixingCalendar()
    first = iso(start) if start else calendar.advance(TODAY, 2, ql.Days)
    dates = ql.Schedule(
        first, first + ql.Period(tenor), ql.Period(frequency), calendar, ql.ModifiedFollowing,
        ql.ModifiedFollowing, ql.DateGeneration.Backward, False,
    )  # fmt: skip
    made = ql.OvernightIndexedSwap(
        ql.Swap.Payer, 1_000_000.0, dates, rate, ql.Actual360(), index, spread, lag
    )
    made.setPricingEngine(ql.DiscountingSwapEngine(curve("D" if name == "SOFR" else "E", shift)))
    return made


@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param(swap(), {}, id="defaults"),
        pytest.param(
            swap("<notional>250000</notional><payReceive>receive</payReceive>"),
            {"side": ql.Swap.Receiver, "notional": 250_000.0},
            id="receives fixed",
        ),
        pytest.param(
            swap("<startDate>2025-06-19</startDate>"), {"start": "2025-06-19"}, id="running"
        ),
        pytest.param(
            swap("<startDate>2026-02-27</startDate>", "<endOfMonth>true</endOfMonth>",
                 end="<maturityDate>2031-02-28</maturityDate>"),
            {"start": "2026-02-27", "end": "2031-02-28", "end_of_month": True},
            id="end of month",
        ),
        pytest.param(swap("<settlementDays>5</settlementDays>"), {"days": 5}, id="starts later"),
        pytest.param(
            swap(end="<maturityDate>2030-12-15</maturityDate>"),  # a Sunday
            {"end": "2030-12-15"},
            id="end on a holiday, short first period",
        ),
        pytest.param(
            swap("<maturityConvention>Unadjusted</maturityConvention>",
                 end="<maturityDate>2030-12-15</maturityDate>"),
            {"end": "2030-12-15", "termination": ql.Unadjusted},
            id="unadjusted end",
        ),
        pytest.param(
            swap(end="<maturityDate>2031-01-02</maturityDate>", fixed_leg="<rule>Forward</rule>",
                 floating_leg="<rule>Forward</rule>"),
            {"end": "2031-01-02", "rule": ql.DateGeneration.Forward,
             "floating_rule": ql.DateGeneration.Forward},
            id="short last period",
        ),
        pytest.param(
            swap("", "<frequency>Semiannual</frequency><dayCount>ACT/365F</dayCount>"
                 "<convention>Following</convention><calendar>TARGET</calendar>"),
            {"frequency": ql.Semiannual, "day_count": ql.Actual365Fixed(),
             "convention": ql.Following, "calendar": ql.TARGET()},
            id="terms of the fixed leg",
        ),
        pytest.param(
            swap("", "", "<spread unit='bp'>12</spread><frequency>6M</frequency>"
                 .replace("6M", "Semiannual") + "<dayCount>ACT/365F</dayCount>"),
            {"spread": 0.0012, "floating_period": ql.Period("6M"),
             "floating_day_count": ql.Actual365Fixed()},
            id="terms of the floating leg",
        ),
        pytest.param(
            swap("<startDate>2025-05-20</startDate>", end="<tenor>10Y</tenor>", rate="0.025",
                 index="EURIBOR6M"),
            {"name": "EURIBOR6M", "start": "2025-05-20", "tenor": "10Y", "rate": 0.025},
            id="euro swap in a dollar market",
        ),
    ],
)  # fmt: skip
def test_swaps_agree_with_plain_quantlib(valued, instrument, terms):
    outcome = valued(instrument, market=MARKET, analytics=ALL)
    expected = plain(**terms)
    numbers = {
        "price": expected.NPV(),
        "fixedLeg": expected.fixedLegNPV(),
        "floatingLeg": expected.floatingLegNPV(),
        "fairRate": expected.fairRate(),
        "forward": expected.fairRate(),
        "fairSpread": expected.fairSpread(),
    }
    for name, number in numbers.items():
        assert outcome.number(name) == pytest.approx(number, rel=1e-10, abs=1e-8), name
    down, up = (plain(**terms, shift=shift).NPV() for shift in (-1e-4, 1e-4))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param(swap(index="SOFR"), {}, id="defaults"),
        pytest.param(
            swap("", "<frequency>Quarterly</frequency>", "<paymentLag>2</paymentLag>"
                 "<spread unit='bp'>8</spread>", index="SOFR"),
            {"frequency": ql.Quarterly, "lag": 2, "spread": 0.0008},
            id="lag of both legs, spread",
        ),
        pytest.param(
            swap("<startDate>2025-08-15</startDate>", index="SOFR", end="<tenor>2Y</tenor>"),
            {"start": "2025-08-15", "tenor": "2Y"},
            id="running: past fixings are compounded",
        ),
        pytest.param(
            swap("", index="ESTR", rate="0.022"), {"name": "ESTR", "rate": 0.022}, id="euro"
        ),
    ],
)  # fmt: skip
def test_overnight_swaps_agree_with_plain_quantlib(valued, instrument, terms):
    outcome = valued(instrument, market=MARKET + SOFR_FIXINGS, analytics=ALL)
    expected = overnight(**terms)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10, abs=1e-8)
    assert outcome.number("fairRate") == pytest.approx(expected.fairRate(), rel=1e-12)
    assert outcome.number("fairSpread") == pytest.approx(expected.fairSpread(), rel=1e-9)
    assert outcome.number("fixedLeg") == pytest.approx(expected.fixedLegNPV(), rel=1e-12)
    down, up = (overnight(**terms, shift=shift).NPV() for shift in (-1e-4, 1e-4))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


def test_the_index_decides_the_calendar_of_a_swap_and_not_its_currency(valued):
    # 2025-11-11 is a holiday of dollar bonds.
    index = "<index name='X'><tenor>3M</tenor><calendar>NullCalendar</calendar></index>"
    end = "<startDate>2025-10-11</startDate>"
    flows = valued(
        swap(end, index="X", fixed_leg="<frequency>Monthly</frequency>"),
        market="<rate>0.04</rate>" + index, analytics="<cashFlows/>",
    ).flows()  # fmt: skip
    assert flows[0][0] == "2025-11-11"


# --- identities ----------------------------------------------------------------------------------

rates = st.floats(-0.02, 0.12).map(lambda rate: round(rate, 6))
indices = st.sampled_from(["USD-TERM3M", "SOFR", "EURIBOR6M"])
starts = st.sampled_from(
    ["", "<startDate>2025-06-19</startDate>", "<startDate>2026-03-01</startDate>"]
)
COMPLETE = MARKET.replace("</index><index name='EURIBOR6M'>", "</index><index name='EURIBOR6M'>"
    "<fixing date='2025-06-17'>0.02</fixing>") + "<index name='SOFR'>" + "".join(
    f"<fixing date='{(ql.Date(19, 6, 2025) + n).ISO()}'>0.043</fixing>" for n in range(91)
    if ql.UnitedStates(ql.UnitedStates.SOFR).isBusinessDay(ql.Date(19, 6, 2025) + n)
) + "</index>"  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rate=rates, index=indices, start=starts, lag=st.integers(0, 3))
def test_a_swap_at_its_fair_rate_or_spread_is_worth_nothing(valued, rate, index, start, lag):
    leg = f"<paymentLag>{lag}</paymentLag>"
    first = valued(
        swap(start, "", leg, rate=str(rate), index=index), market=COMPLETE, analytics=ALL
    )
    at_rate = swap(start, "", leg, rate=first.text("fairRate"), index=index)
    at_spread = swap(
        start, "", f"{leg}<spread>{first.text('fairSpread')}</spread>", rate=str(rate), index=index
    )
    for fair in (at_rate, at_spread):
        assert valued(fair, market=COMPLETE).number("price") == pytest.approx(0.0, abs=1e-6)
    legs = first.number("fixedLeg") + first.number("floatingLeg")
    assert legs == pytest.approx(first.number("price"), rel=1e-9, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(rate=rates, index=indices, start=starts, quantity=st.integers(-9, 9))
def test_a_position_is_linear_and_short_is_minus_long(valued, rate, index, start, quantity):
    def of(position: str):
        return valued(swap(start, rate=str(rate), index=index) + position, market=COMPLETE,
                      analytics=ALL)  # fmt: skip

    one, many = of(""), of(f"<quantity>{quantity}</quantity>")
    short = of("<position>short</position>")
    received = valued(
        swap(start + "<payReceive>receive</payReceive>", rate=str(rate), index=index),
        market=COMPLETE, analytics=ALL,
    )  # fmt: skip
    for name in ("price", "fixedLeg", "floatingLeg", "dv01", "accruedInterest"):
        assert many.number(name) == pytest.approx(quantity * one.number(name), rel=1e-12), name
        assert short.number(name) == pytest.approx(-one.number(name), rel=1e-12), name
        assert received.number(name) == pytest.approx(-one.number(name), rel=1e-12), name
    assert many.number("fairRate") == one.number("fairRate")


@pytest.mark.parametrize("index", ["USD-TERM3M", "SOFR", "EURIBOR6M"])
@pytest.mark.parametrize("start", ["", "<startDate>2025-06-19</startDate>"], ids=["new", "running"])
def test_discounted_cash_flows_are_the_price_and_tell_the_legs_apart(valued, index, start):
    outcome = valued(swap(start, index=index), market=COMPLETE, analytics=ALL)
    discount = curve("E" if index == "EURIBOR6M" else "D").discount
    flows = outcome.element("cashFlows").findall("cashFlow")
    total = sum(float(f.text) * discount(iso(f.get("date"))) for f in flows)
    assert total == pytest.approx(outcome.number("price"), rel=1e-10)
    for leg in ("fixed", "floating"):
        worth = sum(float(f.get(leg, "0")) * discount(iso(f.get("date"))) for f in flows)
        assert worth == pytest.approx(outcome.number(f"{leg}Leg"), rel=1e-10)
    dates = [f.get("date") for f in flows]
    assert dates == sorted(set(dates))


def test_the_accrued_interest_is_what_both_legs_have_earned(valued):
    running = swap("<startDate>2025-06-19</startDate>", fixed_leg="<frequency>2</frequency>")
    outcome = valued(running, market=MARKET, analytics="<accruedInterest/>")
    # The start is a holiday: both legs accrue from 2025-06-20.
    earned = 1e6 * (0.0428 * 89 / 360 - 0.036 * 87 / 360)
    assert outcome.number("accruedInterest") == pytest.approx(earned, rel=1e-12)
    expected = plain(start="2025-06-19", frequency=ql.Semiannual)
    accrued = [ql.CashFlows.accruedAmount(leg, False, TODAY) for leg in (
        expected.floatingLeg(), expected.fixedLeg())]  # fmt: skip
    assert outcome.number("accruedInterest") == pytest.approx(accrued[0] - accrued[1], rel=1e-12)


def test_a_payment_lag_moves_the_floating_payments_of_a_term_swap_alone(valued):
    def payments(lag: int, leg: str) -> list[str]:
        term = swap("<startDate>2025-09-19</startDate>", "", f"<paymentLag>{lag}</paymentLag>",
                    end="<tenor>1Y</tenor>")  # fmt: skip
        outcome = valued(term, market=MARKET, analytics="<cashFlows/>")
        found = outcome.element("cashFlows").findall("cashFlow")
        return [f.get("date") for f in found if f.get(leg) is not None]

    assert payments(0, "floating") == ["2025-12-19", "2026-03-19", "2026-06-22", "2026-09-21"]
    assert payments(2, "floating") == ["2025-12-23", "2026-03-23", "2026-06-24", "2026-09-23"]
    assert payments(2, "fixed") == payments(0, "fixed") == ["2026-09-21"]


# --- fixings and curves --------------------------------------------------------------------------


def test_a_fixing_of_the_evaluation_date_is_used_when_present_else_forecast(valued):
    fixed_today = swap("<startDate>2025-09-19</startDate>")
    without = MARKET.replace("<fixing date='2025-09-17'>0.0401</fixing>", "")
    used = valued(fixed_today, market=MARKET, analytics="<cashFlows/>").flows()
    forecast = valued(fixed_today, market=without, analytics="<cashFlows/>").flows()
    assert used[0][1] == pytest.approx(1e6 * 0.0401 * 91 / 360, rel=1e-12)
    start, end = ql.Date(19, 9, 2025), ql.Date(19, 12, 2025)
    discount = curve("F").discount
    assert forecast[0][1] == pytest.approx(1e6 * (discount(start) / discount(end) - 1), rel=1e-12)
    assert used[1:] == forecast[1:]


def test_no_fixing_of_one_task_is_seen_by_the_next(valued, refused):
    running = swap("<startDate>2025-06-19</startDate>")
    before = valued(running, market=MARKET).body
    without = MARKET.replace("<fixing date='2025-06-17'>0.0428</fixing>", "")
    code, path = refused(running, market=without)
    assert (code, path) == ("VNP-211", AT + "/floatingLeg/index")
    other = MARKET.replace("0.0428", "0.05")
    assert valued(running, market=other).body != before
    assert valued(running, market=MARKET).body == before


@pytest.mark.parametrize(
    ("instrument", "market", "date"),
    [
        pytest.param(
            swap("<startDate>2025-03-19</startDate>"),
            MARKET,
            "2025-06-17",
            id="only the coming one",
        ),
        pytest.param(
            swap("<startDate>2025-08-15</startDate>", index="SOFR"),
            MARKET + SOFR_FIXINGS.replace("<fixing date='2025-09-03'>0.0431</fixing>", ""),
            "2025-09-03",
            id="one day of an overnight coupon",
        ),
    ],
)
def test_a_missing_fixing_is_told_with_index_and_date(task_document, instrument, market, date):
    hole = market.replace("<fixing date='2025-06-17'>0.0428</fixing>", "")
    with pytest.raises(engine.EngineError, match=f"fixing of .* on {date} is missing") as caught:
        engine.value(task_document(instrument, market=hole))
    assert caught.value.code == "VNP-211"


@pytest.mark.parametrize("par", ["true", "false"])
def test_par_coupons_decide_the_period_that_a_coupon_is_forecast_over(valued, par):
    # Half-yearly coupons on a three-month rate: the two ways differ visibly.
    instrument = swap("", "", "<frequency>Semiannual</frequency>")
    outcome = valued(
        instrument, market=MARKET, calculator=f"<parCoupons>{par}</parCoupons>", analytics=ALL
    )
    expected = plain(floating_period=ql.Period("6M"))
    if par == "false":
        ql.IborCoupon.createIndexedCoupons()
        expected = _rebuilt()
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-10)
    ql.IborCoupon.createAtParCoupons()


def _rebuilt():
    """The same swap made while coupons are indexed."""
    index = term_index(curve("F"))
    calendar = index.fixingCalendar()
    first = calendar.advance(TODAY, 2, ql.Days)
    convention = (ql.ModifiedFollowing, ql.ModifiedFollowing, ql.DateGeneration.Backward, False)
    schedules = [
        ql.Schedule(first, first + ql.Period("5Y"), ql.Period(period), calendar, *convention)
        for period in ("1Y", "6M")
    ]
    made = ql.VanillaSwap(
        ql.Swap.Payer, 1e6, schedules[0], 0.036, THIRTY, schedules[1], index, 0.0, ql.Actual360()
    )
    made.setPricingEngine(ql.DiscountingSwapEngine(curve("D")))
    return made


def test_a_discount_spread_discounts_and_does_not_forecast(valued):
    wide = valued(
        swap() + "<discountSpread unit='bp'>50</discountSpread>", market=MARKET,
        analytics="<price/><cashFlows/>",
    )  # fmt: skip
    plain_flows = valued(swap(), market=MARKET, analytics="<cashFlows/>").flows()
    assert wide.flows() == plain_flows
    base = curve("D")
    total = sum(
        amount * base.discount(iso(date)) * math.exp(-0.005 * (iso(date) - TODAY) / 365)
        for date, amount in wide.flows()
    )
    assert wide.number("price") == pytest.approx(total, rel=1e-10)


def test_an_index_without_a_curve_is_forecast_on_the_curve_of_its_currency(valued):
    single = "<rate>0.04</rate><index name='X'><tenor>3M</tenor></index>"
    named = (
        "<rate>0.04</rate><index name='X'><tenor>3M</tenor><curve>C</curve></index>"
        "<curve name='C' currency='XXX'><rate>0.04</rate></curve>"
    )
    price = valued(swap(index="X"), market=single).number("price")
    assert valued(swap(index="X"), market=named).number("price") == pytest.approx(price, rel=1e-12)


@pytest.mark.parametrize("days", [-5, 2], ids=["an older curve", "a curve quoted for spot"])
def test_a_curve_of_another_date_discounts_as_its_date_says(valued, days):
    date = TODAY + days
    market = (
        f"<curve name='C' currency='USD' date='{date.ISO()}'><rate>0.04</rate></curve>"
        "<index name='X'><tenor>3M</tenor></index>"
    )
    instrument = swap("<startDate>2025-10-01</startDate>", index="X")
    outcome = valued(instrument, market=market, analytics="<price/><cashFlows/>")
    seen_from = max(date, TODAY)
    total = sum(a * math.exp(-0.04 * (iso(d) - seen_from) / 365) for d, a in outcome.flows())
    assert outcome.number("price") == pytest.approx(total, rel=1e-10)


# --- elements ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "explicit"),
    [
        pytest.param("USD-TERM3M", {"terms": f"<{name}>{value}</{name}>"}, id=name)
        for name, value in (
            ("notional", "1000000"),
            ("payReceive", "pay"),
            ("startDate", "2025-09-19"),
            ("settlementDays", "2"),
            ("maturityConvention", "ModifiedFollowing"),
        )
    ]
    + [
        pytest.param(index, {"fixed_leg": f"<{name}>{value}</{name}>"}, id=f"{index} fixed {name}")
        for index, calendar, day_count in (
            ("USD-TERM3M", "USGovernmentBond", "30/360"),
            ("SOFR", "USSOFR", "ACT/360"),
        )
        for name, value in (
            ("frequency", "Annual"),
            ("dayCount", day_count),
            ("calendar", calendar),
            ("convention", "ModifiedFollowing"),
            ("rule", "Backward"),
            ("endOfMonth", "false"),
        )
    ]
    + [
        pytest.param(
            "USD-TERM3M", {"floating_leg": f"<{name}>{value}</{name}>"}, id=f"floating {name}"
        )
        for name, value in (
            ("spread", "0"),
            ("frequency", "Quarterly"),
            ("dayCount", "ACT/360"),
            ("calendar", "USGovernmentBond"),
            ("convention", "ModifiedFollowing"),
            ("rule", "Backward"),
            ("paymentLag", "0"),
        )
    ],
)  # fmt: skip
def test_an_absent_element_has_its_default(valued, index, explicit):
    expected = valued(swap(index=index), market=MARKET, analytics=ALL)
    outcome = valued(swap(index=index, **explicit), market=MARKET, analytics=ALL)
    for name in ("price", "fairRate", "dv01"):
        assert outcome.number(name) == expected.number(name), name
    assert outcome.flows() == expected.flows()
    assert outcome.codes() == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"terms": f"<{name}>{value}</{name}>"}, id=name)
        for name, value in (
            ("notional", "2000000"),
            ("payReceive", "receive"),
            ("startDate", "2025-10-19"),
            ("settlementDays", "5"),
        )
    ]
    + [
        pytest.param({"fixed_leg": f"<{name}>{value}</{name}>"}, id=f"fixed {name}")
        for name, value in (
            ("frequency", "Quarterly"),
            ("dayCount", "ACT/360"),
            ("calendar", "NullCalendar"),
            ("convention", "Preceding"),
            ("rule", "Zero"),
        )
    ]
    + [
        pytest.param({"floating_leg": f"<{name}>{value}</{name}>"}, id=f"floating {name}")
        for name, value in (
            ("spread", "0.001"),
            ("frequency", "Annual"),
            ("dayCount", "30/360"),
            ("calendar", "NullCalendar"),
            ("convention", "Preceding"),
            ("rule", "Zero"),
            ("paymentLag", "5"),
        )
    ],
)  # fmt: skip
def test_every_element_has_an_effect(valued, changed):
    price = valued(swap(), market=MARKET).number("price")
    outcome = valued(swap(**changed), market=MARKET)
    assert abs(outcome.number("price") - price) > 1e-6
    assert outcome.codes() == []


@pytest.mark.parametrize(
    ("instrument", "warning"),
    [
        pytest.param(swap("<maturityDate>2030-01-01</maturityDate>"), "VNP-105", id="two ends"),
        pytest.param(swap("<color>red</color>"), "VNP-102", id="unknown in the kind"),
        pytest.param(swap("", "<payLag>2</payLag>"), "VNP-102", id="unknown in the fixed leg"),
        pytest.param(swap("", "", "<lag>2</lag>"), "VNP-102", id="unknown in the floating leg"),
        pytest.param(swap() + "<currency>EUR</currency>", "VNP-105", id="another currency"),
        pytest.param(swap() + "<quote><yield>1</yield></quote>", "VNP-105", id="a quote"),
        pytest.param(
            swap("", "", "<frequency>Quarterly</frequency>", index="SOFR"), "VNP-105",
            id="dates of the overnight leg",
        ),
    ],
)  # fmt: skip
def test_what_is_not_used_is_warned_of(valued, instrument, warning):
    outcome = valued(instrument, market=MARKET)
    assert outcome.codes() == [warning]
    assert outcome.element("price").get("currency") == "USD"


def test_money_is_in_the_currency_of_the_index(valued):
    outcome = valued(swap(index="EURIBOR6M"), market=COMPLETE, analytics=ALL)
    for name in ("price", "fixedLeg", "floatingLeg", "dv01", "cashFlows"):
        assert outcome.element(name).get("currency") == "EUR"
    assert outcome.element("calculated").get("method") == "discounting"


def test_outputs_without_a_meaning_for_a_swap_are_marked(valued):
    asked = ("delta", "gamma", "vega", "theta", "rho", "yield", "cleanPrice", "duration", "payment")
    outcome = valued(swap(), market=MARKET, analytics="".join(f"<{name}/>" for name in asked))
    assert {outcome.status(name) for name in asked} == {"notApplicable"}


@pytest.mark.parametrize(
    "instrument",
    [
        pytest.param(swap(end="<maturityDate>2025-09-17</maturityDate>"), id="ends today"),
        pytest.param(
            swap("<startDate>2020-09-17</startDate>", end="<tenor>5Y</tenor>"), id="last flow today"
        ),
        pytest.param(
            swap("<startDate>2015-01-02</startDate>", index="SOFR", end="<tenor>2Y</tenor>"),
            id="long ago, and no fixing is asked for",
        ),
    ],
)
def test_a_swap_without_a_flow_left_has_matured(valued, refused, instrument):
    outcome = valued(instrument, market=MARKET, analytics=ALL)
    assert outcome.text("price") == "0"
    assert outcome.status("price") == outcome.status("fairRate") == "expired"
    assert outcome.codes() == ["VNP-107"]
    strict = "<strict>true</strict>"
    assert refused(instrument, market=MARKET, calculator=strict) == ("VNP-302", AT)


def test_a_lagged_payment_keeps_a_swap_alive(valued):
    ended = swap(
        "<startDate>2024-09-16</startDate>", "", "<paymentLag>2</paymentLag>", index="USD-TERM3M",
        end="<maturityDate>2025-09-16</maturityDate>",
    )  # fmt: skip
    outcome = valued(
        ended, analytics=ALL,
        market=MARKET.replace("2025-06-17", "2025-06-12"),
    )  # fmt: skip
    assert [date for date, _ in outcome.flows()] == ["2025-09-18"]
    assert outcome.status("fairRate") == "notApplicable"  # no fixed payment is left
    assert outcome.number("fixedLeg") == 0.0


LEGS = "<fixedLeg><rate>0.03</rate></fixedLeg><floatingLeg><index>SOFR</index></floatingLeg>"


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param(f"<vanillaSwap>{LEGS}</vanillaSwap>", {}, "VNP-201", AT + "/maturityDate",
                     id="no end"),
        pytest.param("<vanillaSwap><tenor>1Y</tenor></vanillaSwap>", {}, "VNP-201",
                     AT + "/fixedLeg", id="no fixed leg"),
        pytest.param("<vanillaSwap><tenor>1Y</tenor><fixedLeg><rate>0.03</rate></fixedLeg>"
                     "</vanillaSwap>", {}, "VNP-201", AT + "/floatingLeg", id="no floating leg"),
        pytest.param(swap().replace("<rate>0.036</rate>", "<frequency>1</frequency>"), {},
                     "VNP-201", AT + "/fixedLeg/rate", id="no rate"),
        pytest.param(swap(index=""), {}, "VNP-201", AT + "/floatingLeg/index", id="no index"),
        pytest.param(swap("<notional>1,000</notional>"), {}, "VNP-203", AT + "/notional",
                     id="not a number"),
        pytest.param(swap(end="<tenor>5</tenor>"), {}, "VNP-203", AT + "/tenor", id="no tenor"),
        pytest.param(swap(end="<maturityDate>2030-02-30</maturityDate>"), {}, "VNP-203",
                     AT + "/maturityDate", id="no date"),
        pytest.param(swap("", "<endOfMonth>yes</endOfMonth>"), {}, "VNP-203",
                     AT + "/fixedLeg/endOfMonth", id="no boolean"),
        pytest.param(swap("<payReceive>buy</payReceive>"), {}, "VNP-204", AT + "/payReceive",
                     id="no side"),
        pytest.param(swap("", "", "<rule>Sideways</rule>"), {}, "VNP-204",
                     AT + "/floatingLeg/rule", id="no rule"),
        pytest.param(swap("", "<calendar>Moon</calendar>"), {}, "VNP-204",
                     AT + "/fixedLeg/calendar", id="no calendar"),
        pytest.param(swap(index="LIBOR"), {}, "VNP-206", AT + "/floatingLeg/index",
                     id="unknown index"),
        pytest.param(swap(index="SOFR"), {"market": "<rate currency='EUR'>0.03</rate>"}, "VNP-206",
                     "/market", id="no curve of its currency"),
        pytest.param(swap(index="X"), {"market": "<rate>0.03</rate><index name='X'>"
                     "<tenor>3M</tenor><curve>Y</curve></index>"}, "VNP-206",
                     "/market/index/curve", id="unknown forecast curve"),
        pytest.param(swap() + "<discountCurve>Z</discountCurve>", {}, "VNP-206",
                     "/instrument/discountCurve", id="unknown discount curve"),
        pytest.param(swap("<notional>0</notional>"), {}, "VNP-208", AT + "/notional", id="nothing"),
        pytest.param(swap("", "", "<paymentLag>-1</paymentLag>"), {}, "VNP-208",
                     AT + "/floatingLeg/paymentLag", id="paid before"),
        pytest.param(swap("<startDate>2030-01-01</startDate>",
                          end="<maturityDate>2029-01-01</maturityDate>"), {}, "VNP-208",
                     AT + "/maturityDate", id="ends before it starts"),
        pytest.param(swap(end="<maturityDate>2025-09-18</maturityDate>"), {}, "VNP-208",
                     AT + "/maturityDate", id="ends before spot"),
        pytest.param(swap(end="<tenor>999Y</tenor>"), {}, "VNP-208", AT + "/tenor", id="too long"),
        pytest.param(swap("", "<frequency>Daily</frequency>", end="<tenor>40Y</tenor>"), {},
                     "VNP-208", AT + "/fixedLeg", id="too many flows"),
        pytest.param(swap("<startDate>2025-01-10</startDate>"), {}, "VNP-211",
                     AT + "/floatingLeg/index", id="past fixing"),
        pytest.param(swap("<colour/>"), {"calculator": "<strict>true</strict>"}, "VNP-213",
                     AT + "/colour", id="strict"),
        pytest.param(swap(), {"calculator": "<method>tree</method>"}, "VNP-301",
                     "/calculator/method", id="method"),
    ],
)  # fmt: skip
def test_faults_of_a_swap(refused, instrument, parts, code, path):
    assert refused(instrument, **{"market": MARKET, **parts}) == (code, path)


def test_the_first_fault_in_the_document_is_told(refused):
    two = swap("<notional>x</notional>", "<rule>y</rule>", index="Z")
    assert refused(two, market="") == ("VNP-203", AT + "/notional")


# --- forward rate agreements ---------------------------------------------------------------------

FRA = "/instrument/forwardRateAgreement"


def fra(start: str = "<start>6M</start>", more: str = "") -> str:
    terms = "<notional>1000000</notional><rate>0.04</rate><index>USD-TERM3M</index>"
    return f"<forwardRateAgreement>{terms}{start}{more}</forwardRateAgreement>"


def plain_fra(start: ql.Date, end: ql.Date | None = None, *, side=ql.Position.Long, shift=0.0):
    index = plain_index("USD-TERM3M", shift)
    ends = [] if end is None else [end]
    return ql.ForwardRateAgreement(index, start, *ends, side, 0.04, 1e6, curve("D", shift))


@pytest.mark.parametrize(
    ("instrument", "terms"),
    [
        pytest.param(fra(), {"start": ql.Date(19, 3, 2026)}, id="months from spot"),
        pytest.param(
            fra("<startDate>2026-02-13</startDate>"), {"start": ql.Date(13, 2, 2026)}, id="a date"
        ),
        pytest.param(
            fra("<startDate>2025-09-19</startDate>"), {"start": ql.Date(19, 9, 2025)},
            id="fixed today",
        ),
        pytest.param(
            fra(more="<payReceive>receive</payReceive>"),
            {"start": ql.Date(19, 3, 2026), "side": ql.Position.Short}, id="receives fixed",
        ),
        pytest.param(
            fra(more="<maturityDate>2026-10-19</maturityDate>"),
            {"start": ql.Date(19, 3, 2026), "end": ql.Date(19, 10, 2026)},
            id="a period that is not the index's",
        ),
    ],
)  # fmt: skip
def test_agreements_agree_with_plain_quantlib(valued, instrument, terms):
    asked = "<price/><fairRate/><forward/><dv01/><cashFlows/>"
    outcome = valued(instrument, market=MARKET, analytics=asked)
    expected = plain_fra(**terms)
    assert outcome.number("price") == pytest.approx(expected.NPV(), rel=1e-11)
    for name in ("fairRate", "forward"):
        assert outcome.number(name) == pytest.approx(expected.forwardRate().rate(), rel=1e-12)
    amount = expected.amount()
    ((date, paid),) = outcome.flows()
    assert date == terms["start"].ISO()
    assert paid == pytest.approx(amount, rel=1e-11)
    down, up = (plain_fra(**terms, shift=shift).NPV() for shift in (-1e-4, 1e-4))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


@pytest.mark.parametrize("more", ["", "<maturityDate>2026-10-19</maturityDate>"])
def test_an_agreement_at_its_fair_rate_is_worth_nothing(valued, more):
    rate = valued(fra(more=more), market=MARKET, analytics="<fairRate/>").text("fairRate")
    fair = fra(more=more).replace("<rate>0.04</rate>", f"<rate>{rate}</rate>")
    assert valued(fair, market=MARKET).number("price") == pytest.approx(0.0, abs=1e-9)


def test_an_agreement_between_fixing_and_start_has_its_fixing(valued, refused):
    fixed_before = fra("<startDate>2025-09-18</startDate>")
    market = MARKET.replace("2025-09-17", "2025-09-16")
    outcome = valued(fixed_before, market=market, analytics="<price/><fairRate/>")
    assert outcome.number("fairRate") == 0.0401
    irregular = fra("<startDate>2025-09-18</startDate>", "<maturityDate>2026-01-20</maturityDate>")
    assert valued(irregular, market=market, analytics="<fairRate/>").number("fairRate") == 0.0401
    assert refused(fixed_before, market=MARKET) == ("VNP-211", FRA + "/index")


def test_a_start_on_a_holiday_moves_as_the_index_says(valued):
    sunday, monday = (fra(f"<startDate>2026-03-{day}</startDate>") for day in (15, 16))
    prices = {valued(one, market=MARKET).number("price") for one in (sunday, monday)}
    assert len(prices) == 1


@pytest.mark.parametrize("start", ["2025-09-17", "2024-01-05"])
def test_an_agreement_that_was_settled_has_matured(valued, start):
    outcome = valued(
        fra(f"<startDate>{start}</startDate>"), market=MARKET, analytics="<price/><dv01/>"
    )
    assert (outcome.text("price"), outcome.status("dv01")) == ("0", "expired")


@pytest.mark.parametrize(
    ("instrument", "code", "path"),
    [
        pytest.param(fra().replace("<notional>1000000</notional>", ""), "VNP-201",
                     FRA + "/notional", id="notional"),
        pytest.param(fra().replace("<rate>0.04</rate>", ""), "VNP-201", FRA + "/rate", id="rate"),
        pytest.param(fra().replace("<index>USD-TERM3M</index>", ""), "VNP-201", FRA + "/index",
                     id="index"),
        pytest.param(fra(""), "VNP-201", FRA + "/startDate", id="start"),
        pytest.param(fra("<start>June</start>"), "VNP-203", FRA + "/start", id="no tenor"),
        pytest.param(fra().replace("USD-TERM3M", "SOFR"), "VNP-204", FRA + "/index",
                     id="an overnight index"),
        pytest.param(fra().replace("USD-TERM3M", "ABC"), "VNP-206", FRA + "/index",
                     id="unknown index"),
        pytest.param(fra(more="<maturityDate>2026-03-19</maturityDate>"), "VNP-208",
                     FRA + "/maturityDate", id="no period"),
        pytest.param(fra("<startDate>2026-03-19</startDate>",
                         "<maturityDate>2026-03-18</maturityDate>"), "VNP-208",
                     FRA + "/maturityDate", id="backwards"),
        pytest.param(fra("<start>900Y</start>"), "VNP-208", FRA + "/start", id="too far"),
    ],
)  # fmt: skip
def test_faults_of_an_agreement(refused, instrument, code, path):
    assert refused(instrument, market=MARKET) == (code, path)


def test_two_starts_are_warned_of(valued):
    both = fra("<start>6M</start><startDate>2026-03-19</startDate>")
    outcome = valued(both, market=MARKET)
    assert outcome.codes() == ["VNP-105"]
    assert outcome.number("price") == valued(fra(), market=MARKET).number("price")


@pytest.mark.parametrize("index", ["SOFR", "ESTR", "SONIA", "TONA", "SARON", "FEDFUNDS", "EONIA"])
def test_an_overnight_index_prints_no_warning(valued, recwarn, index):
    legs = (
        f"<fixedLeg><rate>0.03</rate></fixedLeg><floatingLeg><index>{index}</index></floatingLeg>"
    )
    market = "".join(
        f"<rate currency='{c}'>0.04</rate>" for c in ("USD", "EUR", "GBP", "JPY", "CHF")
    )
    valued(f"<vanillaSwap><tenor>2Y</tenor>{legs}</vanillaSwap>", market=market)
    assert not list(recwarn)
