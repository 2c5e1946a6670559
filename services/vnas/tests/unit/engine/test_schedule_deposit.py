"""Lists of flows and deposits: closed forms, QuantLib called directly, defaults, faults."""

import datetime as dt
import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
SCHEDULE, DEPOSIT = "/instrument/schedule", "/instrument/deposit"
ALL = "<price/><dv01/><cashFlows/><yield/><duration/><convexity/>"


def schedule(*flows: tuple[str, object]) -> str:
    listed = "".join(f"<cashFlow date='{date}'>{amount}</cashFlow>" for date, amount in flows)
    return f"<schedule>{listed}</schedule>"


def deposit(end: str = "<tenor>6M</tenor>", more: str = "") -> str:
    terms = "<notional>1000000</notional><rate>0.045</rate>"
    return f"<deposit>{terms}{more}{end}</deposit>"


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def discount(date: str, rate: float = 0.04) -> float:
    return math.exp(-rate * (iso(date) - TODAY) / 365)


# --- schedules -----------------------------------------------------------------------------------

FLOWS = [("2026-09-17", 50.0), ("2025-12-01", -20.0), ("2028-01-31", 1050.5)]


def test_a_schedule_is_worth_its_discounted_flows(valued):
    outcome = valued(schedule(*FLOWS), analytics=ALL)
    worth = sum(amount * discount(date) for date, amount in FLOWS)
    assert outcome.number("price") == pytest.approx(worth, rel=1e-13)
    down, up = (sum(a * discount(d, rate) for d, a in FLOWS) for rate in (0.0399, 0.0401))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-8)
    assert outcome.flows() == sorted(FLOWS)
    assert outcome.element("price").get("currency") == "USD"


def test_flows_on_or_before_the_evaluation_date_count_nothing(valued):
    past = [("2025-09-17", 1e6), ("2020-01-01", 1e6)]
    outcome = valued(schedule(*past, *FLOWS), analytics=ALL)
    assert outcome.number("price") == valued(schedule(*FLOWS)).number("price")
    assert outcome.flows() == sorted(FLOWS)
    gone = valued(schedule(*past), analytics=ALL)
    assert (gone.text("price"), gone.status("yield")) == ("0", "expired")
    assert gone.codes() == ["VNP-107"]


def test_the_yield_of_a_schedule_gives_its_price(valued):
    outcome = valued(schedule(*FLOWS), analytics=ALL)
    rate = outcome.number("yield")
    worth = sum(a * (1 + rate) ** (-(iso(d) - TODAY) / 365) for d, a in FLOWS)
    assert worth == pytest.approx(outcome.number("price"), rel=1e-11)
    assert math.log1p(rate) == pytest.approx(0.04, rel=1e-10)
    flows = [ql.SimpleCashFlow(amount, iso(date)) for date, amount in sorted(FLOWS)]
    at = ql.InterestRate(rate, ql.Actual365Fixed(), ql.Compounded, ql.Annual)
    duration = ql.CashFlows.duration(flows, at, ql.Duration.Modified, False, TODAY)
    assert outcome.number("duration") == pytest.approx(duration, rel=1e-10)
    convexity = ql.CashFlows.convexity(flows, at, False, TODAY)
    assert outcome.number("convexity") == pytest.approx(convexity, rel=1e-10)
    continuous = valued(schedule(*FLOWS), analytics="<yield compounding='Continuous'/>")
    assert continuous.number("yield") == pytest.approx(0.04, rel=1e-10)


def test_flows_that_no_yield_prices_are_told(refused):
    # At one rate for both years the first less the second is never worth more than 25.
    odd = schedule(("2026-09-17", 100), ("2027-09-17", -100))
    market = "<curve name='C'><node tenor='1Y'>0</node><node tenor='2Y'>0.4</node></curve>"
    assert refused(odd, market=market, analytics="<yield/>") == ("VNP-404", SCHEDULE)


@settings(max_examples=40, deadline=None)
@given(
    flows=st.lists(
        st.tuples(st.dates(min_value=dt.date(2025, 9, 18),
                           max_value=dt.date(2099, 1, 1)),
                  st.integers(-10**6, 10**6)),
        min_size=1, max_size=12,
    ),
    quantity=st.integers(-5, 5),
)  # fmt: skip
def test_a_schedule_is_linear_and_the_sum_of_its_discounted_flows(valued, flows, quantity):
    body = schedule(*((date.isoformat(), amount) for date, amount in flows))
    asked = "<price/><cashFlows/><dv01/>"
    one = valued(body, analytics=asked)
    total = sum(amount * discount(date) for date, amount in one.flows())
    assert one.number("price") == pytest.approx(total, rel=1e-10, abs=1e-6)
    many = valued(body + f"<quantity>{quantity}</quantity>", analytics=asked)
    short = valued(body + "<position>short</position>", analytics=asked)
    for name in ("price", "dv01"):
        assert many.number(name) == pytest.approx(quantity * one.number(name), rel=1e-12, abs=1e-9)
        assert short.number(name) == -one.number(name)
    assert short.flows() == [(date, -amount) for date, amount in one.flows()]


def test_a_discount_spread_and_a_named_curve_are_used(valued):
    market = "<rate>0.04</rate><curve name='C' currency='EUR'><rate>0.01</rate></curve>"
    named = "<discountCurve>C</discountCurve><discountSpread unit='bp'>100</discountSpread>"
    outcome = valued(schedule(("2026-09-17", 100)) + named, market=market)
    assert outcome.number("price") == pytest.approx(100 * math.exp(-0.02), rel=1e-12)


# --- deposits ------------------------------------------------------------------------------------

TO_MARCH = 181 / 360  # 2025-09-17 to 2026-03-17


@pytest.mark.parametrize(
    ("instrument", "dates", "years"),
    [
        pytest.param(deposit(), ("2025-09-17", "2026-03-17"), TO_MARCH, id="defaults"),
        pytest.param(
            deposit("<maturityDate>2026-03-15</maturityDate>"),  # a Sunday, as it stands
            ("2025-09-17", "2026-03-15"), 179 / 360, id="a date",
        ),
        pytest.param(
            deposit(more="<startDate>2025-07-01</startDate>"),
            ("2025-07-01", "2026-01-02"), 185 / 360, id="running, ends after a holiday",
        ),
        pytest.param(
            deposit(more="<startDate>2025-10-01</startDate>"),
            ("2025-10-01", "2026-04-01"), 182 / 360, id="starts later",
        ),
        pytest.param(
            deposit(more="<dayCount>30/360</dayCount>"), ("2025-09-17", "2026-03-17"), 0.5,
            id="day count",
        ),
        pytest.param(
            deposit(more="<startDate>2025-07-01</startDate><calendar>NullCalendar</calendar>"),
            ("2025-07-01", "2026-01-01"), 184 / 360, id="calendar",
        ),
        pytest.param(
            deposit(more="<startDate>2026-02-27</startDate>", end="<tenor>6M</tenor>"),
            ("2026-02-27", "2026-08-27"), 181 / 360, id="no end of month",
        ),
        pytest.param(deposit("<tenor>ON</tenor>"), ("2025-09-17", "2025-09-18"), 1 / 360, id="ON"),
        pytest.param(deposit("<tenor>TN</tenor>"), ("2025-09-18", "2025-09-19"), 1 / 360, id="TN"),
        pytest.param(deposit("<tenor>sn</tenor>"), ("2025-09-19", "2025-09-22"), 3 / 360, id="SN"),
        pytest.param(
            deposit("<tenor>2W</tenor>"), ("2025-09-17", "2025-10-01"), 14 / 360, id="weeks"
        ),
        pytest.param(
            deposit("<tenor>10D</tenor>", "<startDate>2026-02-19</startDate>"),
            ("2026-02-19", "2026-03-02"), 11 / 360, id="days, to the next business day",
        ),
    ],
)  # fmt: skip
def test_a_deposit_is_worth_what_is_still_to_be_paid(valued, instrument, dates, years):
    outcome = valued(instrument, analytics=ALL)
    start, end = dates
    back = 1e6 * (1 + 0.045 * years)
    flows = [(end, back)]
    if iso(start) > TODAY:
        flows.insert(0, (start, -1e6))
    assert [date for date, _ in outcome.flows()] == [date for date, _ in flows]
    for (_, found), (_, expected) in zip(outcome.flows(), flows, strict=True):
        assert found == pytest.approx(expected, rel=1e-13)
    worth = sum(amount * discount(date) for date, amount in flows)
    assert outcome.number("price") == pytest.approx(worth, rel=1e-10)
    down, up = (sum(a * discount(d, rate) for d, a in flows) for rate in (0.0399, 0.0401))
    assert outcome.number("dv01") == pytest.approx((down - up) / 2, rel=1e-6)


def test_the_accrued_interest_of_a_deposit_is_simple(valued):
    running = deposit(more="<startDate>2025-07-01</startDate>")
    outcome = valued(running, analytics="<accruedInterest/>")
    assert outcome.number("accruedInterest") == pytest.approx(1e6 * 0.045 * 78 / 360, rel=1e-12)
    ahead = valued(
        deposit(more="<startDate>2025-10-01</startDate>"), analytics="<accruedInterest/>"
    )
    assert ahead.number("accruedInterest") == 0.0


@pytest.mark.parametrize("tenor", ["TN", "SN", "1W", "3M", "2Y"])
def test_a_deposit_ahead_is_worth_nothing_at_its_fair_rate(valued, tenor):
    more = "" if tenor in {"TN", "SN"} else "<startDate>2025-09-19</startDate>"
    body = deposit(f"<tenor>{tenor}</tenor>", more)
    asked = "<price/><fairRate/><forward/>"
    first = valued(body, analytics=asked)
    assert first.text("fairRate") == first.text("forward")
    fair = body.replace("<rate>0.045</rate>", f"<rate>{first.text('fairRate')}</rate>")
    assert valued(fair).number("price") == pytest.approx(0.0, abs=1e-8)
    assert valued(deposit(), analytics=asked).status("fairRate") == "notApplicable"


@pytest.mark.parametrize("tenor", ["TN", "1W", "1M", "6M", "1Y"])
def test_a_deposit_at_the_quote_of_a_curve_is_worth_nothing(valued, tenor):
    market = (
        "<curve name='C' currency='USD'><deposit tenor='ON'><rate>0.041</rate></deposit>"
        f"<deposit tenor='{tenor}'><rate>0.0405</rate></deposit></curve>"
    )
    start = "" if tenor == "TN" else "<startDate>2025-09-19</startDate>"
    body = deposit(f"<tenor>{tenor}</tenor>", start).replace("0.045", "0.0405")
    assert valued(body, market=market).number("price") == pytest.approx(0.0, abs=0.01)


def test_a_position_in_a_deposit_is_linear_and_short_is_minus_long(valued):
    asked = "<price/><dv01/><accruedInterest/>"
    running = deposit(more="<startDate>2025-07-01</startDate>")
    one = valued(running, analytics=asked)
    many = valued(running + "<quantity>-3</quantity>", analytics=asked)
    short = valued(running + "<position>short</position>", analytics=asked)
    for name in ("price", "dv01", "accruedInterest"):
        assert many.number(name) == pytest.approx(-3 * one.number(name), rel=1e-12)
        assert short.number(name) == -one.number(name)


@pytest.mark.parametrize(
    "explicit",
    [
        "<startDate>2025-09-17</startDate>",
        "<dayCount>Actual360</dayCount>",
        "<calendar>USGovernmentBond</calendar>",
    ],
)
def test_an_absent_element_of_a_deposit_has_its_default(valued, explicit):
    outcome = valued(deposit(more=explicit))
    assert outcome.number("price") == valued(deposit()).number("price")
    assert outcome.codes() == []


def test_a_deposit_follows_the_calendar_of_its_currency(valued):
    # 2026-01-02 is a holiday in Japan, and no other of these is one.
    terms = deposit(more="<startDate>2025-07-02</startDate>")
    for currency, end in (("JPY", "2026-01-05"), ("EUR", "2026-01-02")):
        market = f"<currency>{currency}</currency><rate>0.01</rate>"
        outcome = valued(terms, market=market, analytics="<cashFlows/>")
        assert outcome.flows()[0][0] == end


@pytest.mark.parametrize("day", ["2025-09-17", "2025-09-01"])
def test_a_deposit_that_was_paid_back_has_matured(valued, day):
    past = deposit(f"<maturityDate>{day}</maturityDate>", "<startDate>2025-03-03</startDate>")
    outcome = valued(past, market="", analytics=ALL)
    assert (outcome.text("price"), outcome.status("dv01")) == ("0", "expired")


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "parts", "code", "path"),
    [
        pytest.param("<schedule/>", {}, "VNP-201", SCHEDULE + "/cashFlow", id="no flow"),
        pytest.param("<schedule><cashFlow>5</cashFlow></schedule>", {}, "VNP-201",
                     SCHEDULE + "/cashFlow/@date", id="flow without a date"),
        pytest.param(schedule(("2026-01-01", "5,0")), {}, "VNP-203", SCHEDULE + "/cashFlow",
                     id="no number"),
        pytest.param(schedule(("2026-01-01", "")), {}, "VNP-203", SCHEDULE + "/cashFlow",
                     id="no amount"),
        pytest.param(schedule(("2026-01-01", 1), ("2026-13-01", 1)), {}, "VNP-203",
                     SCHEDULE + "/cashFlow[2]/@date", id="no date"),
        pytest.param(schedule(("2026-01-01", 1)), {"market": ""}, "VNP-206", "/market",
                     id="no curve"),
        pytest.param(schedule(*[("2026-01-01", 1)] * 10_001), {}, "VNP-208", SCHEDULE,
                     id="too many flows"),
        pytest.param(schedule(("2026-01-01", 1)), {"calculator": "<method>tree</method>"},
                     "VNP-301", "/calculator/method", id="method"),
        pytest.param(schedule(("2020-01-01", 1)), {"calculator": "<strict>true</strict>"},
                     "VNP-302", SCHEDULE, id="strict: matured"),
        *(
            pytest.param(deposit().replace(f"<{name}>", f"<!--{name}-->", 1).replace(
                f"</{name}>", "", 1).replace(f"-->{value}", "-->"), {}, "VNP-201",
                f"{DEPOSIT}/{path}", id=f"no {name}")
            for name, value, path in (
                ("notional", "1000000", "notional"), ("rate", "0.045", "rate"),
                ("tenor", "6M", "maturityDate"),
            )
        ),
        pytest.param(deposit("<tenor>SW</tenor>"), {}, "VNP-203", DEPOSIT + "/tenor",
                     id="no tenor"),
        pytest.param(deposit(more="<dayCount>ACT/361</dayCount>"), {}, "VNP-204",
                     DEPOSIT + "/dayCount", id="no day count"),
        pytest.param(deposit().replace("1000000", "0"), {}, "VNP-208", DEPOSIT + "/notional",
                     id="no principal"),
        pytest.param(deposit("<maturityDate>2026-01-01</maturityDate>",
                             "<startDate>2026-01-01</startDate>"), {}, "VNP-208",
                     DEPOSIT + "/maturityDate", id="no time"),
        pytest.param(deposit("<tenor>999Y</tenor>"), {}, "VNP-208", DEPOSIT + "/tenor",
                     id="too long"),
        pytest.param(deposit("<tenor>0D</tenor>", "<startDate>2026-01-05</startDate>"), {},
                     "VNP-208", DEPOSIT + "/tenor", id="a tenor of no length"),
    ],
)  # fmt: skip
def test_faults(refused, instrument, parts, code, path):
    assert refused(instrument, **parts) == (code, path)


@pytest.mark.parametrize(
    ("instrument", "warning"),
    [
        pytest.param("<schedule><flow/><cashFlow date='2027-01-01'>1</cashFlow></schedule>",
                     "VNP-102", id="unknown in a schedule"),
        pytest.param(deposit(more="<frequency>1</frequency>"), "VNP-102", id="unknown"),
        pytest.param(deposit(more="<maturityDate>2026-05-01</maturityDate>"), "VNP-105",
                     id="two ends"),
        pytest.param(deposit() + "<quote><yield>0.1</yield></quote>", "VNP-105", id="a quote"),
    ],
)  # fmt: skip
def test_what_is_not_used_is_warned_of(valued, instrument, warning):
    assert valued(instrument).codes() == [warning]
