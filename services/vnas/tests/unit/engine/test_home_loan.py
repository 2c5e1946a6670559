"""Home loans: balances and instalments by hand, prepayment, and what a loan must be worth."""

import math

import pytest
import QuantLib as ql
from hypothesis import given, settings
from hypothesis import strategies as st

TODAY = ql.Date(17, 9, 2025)
OUTPUTS = (
    "<price/><accruedInterest/><outstandingBalance/><payment/><weightedAverageLife/><yield/>"
    "<duration/><convexity/><dv01/><cashFlows/>"
)
MONTHLY_6 = "<rate compounding='Compounded' frequency='Monthly' dayCount='30/360'>0.06</rate>"


def loan(
    terms: str = "",
    *,
    principal: object = 100000,
    rate: object = 0.06,
    start: str = "2025-09-17",
    term: str = "<term>30Y</term>",
) -> str:
    head = f"<principal>{principal}</principal><rate>{rate}</rate><startDate>{start}</startDate>"
    return f"<homeLoan>{head}{term}{terms}</homeLoan>"


@pytest.fixture(scope="module")
def plan(valued):
    """The cash flows of a loan with their parts, as numbers."""

    def run(instrument: str, **parts: str) -> list[dict[str, float]]:
        outcome = valued(instrument, analytics="<cashFlows/>", **parts)
        rows = []
        for flow in outcome.element("cashFlows"):
            row = {name: float(flow.get(name)) for name in flow.attrib if name != "date"}
            rows.append({**row, "amount": float(flow.text), "date": flow.get("date")})
        return rows

    return run


def test_the_best_known_mortgage_of_all(valued, plan):
    # 100,000 at 6% over 30 years: 599.55 a month, 98,771.99 left after a year; any textbook.
    outcome = valued(loan(), market=MONTHLY_6, analytics=OUTPUTS)
    assert outcome.number("payment") == pytest.approx(599.5505, abs=5e-5)
    assert outcome.number("outstandingBalance") == 100000
    assert outcome.number("accruedInterest") == 0
    rows = plan(loan())
    assert len(rows) == 360
    assert (rows[0]["date"], rows[-1]["date"]) == ("2025-10-17", "2055-09-17")
    assert rows[0]["interest"] == pytest.approx(500.0)
    assert rows[11]["balance"] == pytest.approx(98771.99, abs=5e-3)
    assert rows[-1]["balance"] == 0
    later = valued(loan(start="2024-09-17"), analytics=OUTPUTS)
    assert later.number("outstandingBalance") == pytest.approx(98771.99, abs=5e-3)


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param("", id="level"),
        pytest.param("<amortisation>linear</amortisation>", id="linear"),
        pytest.param("<amortisation>bullet</amortisation>", id="bullet"),
        pytest.param("<interestOnly>5Y</interestOnly>", id="interest only"),
        pytest.param("<balloon>40000</balloon>", id="balloon"),
        pytest.param("<payment>800</payment>", id="fixed instalment"),
        pytest.param("<prepayment><cpr>0.1</cpr></prepayment>", id="cpr"),
        pytest.param("<prepayment><psa>165</psa><seasoning>10</seasoning></prepayment>", id="psa"),
    ],
)
def test_discounted_at_its_own_rate_a_loan_is_worth_its_balance(valued, terms):
    outcome = valued(loan(terms), market=MONTHLY_6, analytics=OUTPUTS)
    assert outcome.number("price") == pytest.approx(100000, rel=1e-12)
    assert sum(amount for _, amount in outcome.flows()) > 100000


@pytest.mark.parametrize(
    ("terms", "principals"),
    [
        pytest.param("<amortisation>linear</amortisation>", [300] * 4, id="linear"),
        pytest.param(
            "<amortisation>linear</amortisation><balloon>600</balloon>",
            [150, 150, 150, 750],
            id="linear with balloon",
        ),
        pytest.param(
            "<amortisation>linear</amortisation><interestOnly>1Y</interestOnly>",
            [0, 400, 400, 400],
            id="linear after interest only",
        ),
        pytest.param("<amortisation>bullet</amortisation>", [0, 0, 0, 1200], id="bullet"),
        pytest.param(
            "<payment>620</payment>", [500, 550, 150], id="a high instalment clears it early"
        ),
        pytest.param(
            "<payment>200</payment>",
            [80, 88, 96.8, 935.2],
            id="the last payment clears what a low one leaves",
        ),
    ],
)
def test_principal_is_repaid_as_the_terms_say(plan, terms, principals):
    yearly = loan(
        "<frequency>Annual</frequency>" + terms, principal=1200, rate=0.1, term="<term>4Y</term>"
    )
    rows = plan(yearly)
    assert [row["principal"] for row in rows] == pytest.approx(principals)
    balance = 1200.0
    for row in rows:
        assert row["interest"] == pytest.approx(balance * 0.1)
        assert row["amount"] == pytest.approx(row["interest"] + row["principal"])
        balance -= row["principal"]
        assert row["balance"] == pytest.approx(balance, abs=1e-9)


def test_a_loan_without_interest_is_repaid_in_equal_parts(plan):
    rows = plan(loan("<balloon>40</balloon>", principal=100, rate=0, term="<term>6M</term>"))
    assert [row["principal"] for row in rows] == pytest.approx([10] * 5 + [50])


def test_a_level_loan_with_a_balloon_leaves_it_for_the_last_payment(plan):
    rows = plan(loan("<balloon>40000</balloon>", term="<term>5Y</term>"))
    i, n = 0.005, 60
    v = (1 + i) ** -n
    instalment = (100000 - 40000 * v) * i / (1 - v)
    assert rows[0]["amount"] == pytest.approx(instalment)
    assert rows[-1]["amount"] == pytest.approx(instalment + 40000)


def test_a_reset_levels_the_instalment_anew(plan):
    rows = plan(loan("<rateReset date='2026-09-01'>0.09</rateReset>"))
    # From the first period that starts on or after the date: the one paid in October 2026.
    balance = rows[11]["balance"]
    assert rows[11]["interest"] == pytest.approx(rows[10]["balance"] * 0.005)
    assert rows[12]["interest"] == pytest.approx(balance * 0.0075)
    v = 1.0075**-348
    for row in rows[12:]:
        assert row["amount"] == pytest.approx(balance * 0.0075 / (1 - v))


def test_a_period_that_starts_on_the_reset_date_has_the_new_rate(plan):
    rows = plan(loan("<rateReset date='2026-09-17'>0.09</rateReset>"))
    assert rows[12]["interest"] == pytest.approx(rows[11]["balance"] * 0.0075)
    assert rows[11]["interest"] == pytest.approx(rows[10]["balance"] * 0.005)


def test_cpr_prepays_a_share_of_what_is_left_after_the_scheduled_principal(plan):
    plain, prepaid = plan(loan()), plan(loan("<prepayment><cpr>0.08</cpr></prepayment>"))
    smm = 1 - 0.92 ** (1 / 12)
    balance = 100000.0
    for n, (scheduled, row) in enumerate(zip(plain, prepaid, strict=True), start=1):
        before = plain[n - 2]["balance"] if n > 1 else 100000.0
        principal = balance * scheduled["principal"] / before
        expected = 0.0 if n == 360 else smm * (balance - principal)
        assert row["principal"] == pytest.approx(principal, abs=1e-6)
        assert row["prepayment"] == pytest.approx(expected, abs=1e-6)
        balance = row["balance"]


def test_psa_rises_for_thirty_months_and_stays(plan):
    terms = "<prepayment><psa>150</psa><seasoning>{}</seasoning></prepayment>"
    rows = plan(loan(terms.format(0)))

    def cpr(number: int, rows: list) -> float:
        before = rows[number - 2]["balance"] if number > 1 else 100000.0
        smm = rows[number - 1]["prepayment"] / (before - rows[number - 1]["principal"])
        return 1 - (1 - smm) ** 12

    assert [cpr(n, rows) for n in (1, 2, 10, 30, 31, 300)] == pytest.approx(
        [0.003, 0.006, 0.03, 0.09, 0.09, 0.09]
    )
    seasoned = plan(loan(terms.format(25)))
    assert [cpr(n, seasoned) for n in (1, 5, 6)] == pytest.approx([0.078, 0.09, 0.09])


def test_servicing_is_kept_back_from_interest(valued, plan):
    terms = "<servicingRate unit='bp'>25</servicingRate>"
    rows = plan(loan(terms))
    assert rows[0]["interest"] == pytest.approx(500 - 100000 * 0.0025 / 12)
    assert rows[0]["amount"] == pytest.approx(599.5505 - 20.8333, abs=1e-3)
    assert valued(loan(terms), analytics=OUTPUTS).number("payment") == pytest.approx(599.5505)


@pytest.mark.parametrize(
    ("terms", "term", "dates"),
    [
        pytest.param(
            "<frequency>26</frequency>",
            "<maturityDate>2025-10-20</maturityDate>",
            ["2025-10-01", "2025-10-15", "2025-10-20"],
            id="biweekly to a date between",
        ),
        pytest.param(
            "<frequency>Weekly</frequency>",
            "<term>1M</term>",
            ["2025-09-24", "2025-10-01", "2025-10-08", "2025-10-15"],
            id="weekly: 52 twelfths of a month",
        ),
        pytest.param(
            "<frequency>Quarterly</frequency>",
            "<term>6M</term>",
            ["2025-12-17", "2026-03-17"],
            id="quarterly",
        ),
        pytest.param(
            "<calendar>WeekendsOnly</calendar><paymentConvention>Following</paymentConvention>",
            "<term>3M</term>",
            ["2025-10-17", "2025-11-17", "2025-12-17"],
            id="calendar",
        ),
        pytest.param(
            "<calendar>WeekendsOnly</calendar><paymentConvention>Preceding</paymentConvention>"
            "<frequency>Semiannual</frequency>",
            "<term>2Y</term>",
            ["2026-03-17", "2026-09-17", "2027-03-17", "2027-09-17"],
            id="half years",
        ),
    ],
)
def test_payments_fall_one_period_after_another(plan, terms, term, dates):
    rows = plan(loan(terms, term=term))
    assert [row["date"] for row in rows] == dates


def test_payments_at_month_ends_do_not_drift(plan):
    rows = plan(loan(start="2025-08-31", term="<term>3M</term>"))
    assert [row["date"] for row in rows] == ["2025-09-30", "2025-10-31", "2025-11-30"]


def test_interest_accrues_by_days_of_the_period(valued):
    outcome = valued(loan(start="2025-08-25"), analytics=OUTPUTS)
    assert outcome.number("accruedInterest") == pytest.approx(500 * 23 / 31)
    assert outcome.number("outstandingBalance") == 100000


def test_a_payment_on_the_evaluation_date_is_past(valued):
    outcome = valued(loan(start="2025-08-17"), analytics=OUTPUTS)
    assert outcome.flows()[0][0] == "2025-10-17"
    assert outcome.number("outstandingBalance") == pytest.approx(100000 - 99.5505, abs=1e-4)
    assert outcome.number("accruedInterest") == 0


def test_yield_duration_and_average_life_are_those_of_the_flows(valued):
    outcome = valued(
        loan("<discountSpread unit='bp'>150</discountSpread>", start="2021-02-03"),
        analytics=OUTPUTS,
    )
    flows = [((ql.Date(d, "%Y-%m-%d") - TODAY) / 365, amount) for d, amount in outcome.flows()]
    price, rate = outcome.number("price"), outcome.number("yield")
    assert price == pytest.approx(sum(a * math.exp(-0.055 * t) for t, a in flows), rel=1e-12)
    assert rate == pytest.approx(math.exp(0.055) - 1, abs=1e-10)
    worth = sum(a * (1 + rate) ** -t for t, a in flows)
    assert worth == pytest.approx(price, rel=1e-10)
    modified = sum(t * a * (1 + rate) ** -t for t, a in flows) / worth / (1 + rate)
    assert outcome.number("duration") == pytest.approx(modified, rel=1e-9)
    dv01 = sum(a * math.exp(-0.055 * t) * math.sinh(t * 1e-4) for t, a in flows)
    assert outcome.number("dv01") == pytest.approx(dv01, rel=1e-9)
    principal = [
        (t, float(f.get("principal")))
        for (t, _), f in zip(flows, outcome.element("cashFlows"), strict=True)
    ]
    life = sum(t * p for t, p in principal) / sum(p for _, p in principal)
    assert outcome.number("weightedAverageLife") == pytest.approx(life, rel=1e-12)


def test_a_loan_paid_off_is_expired(valued):
    outcome = valued(
        loan(start="2015-09-17", term="<maturityDate>2025-09-17</maturityDate>"),
        analytics=OUTPUTS,
    )
    assert outcome.text("price") == "0"
    assert outcome.codes() == ["VNP-107"]


@pytest.mark.parametrize("prepayment", ["<cpr>1</cpr>", "<psa>50000</psa>"])
def test_a_loan_prepaid_to_the_last_cent_is_paid_off(valued, plan, prepayment):
    terms = f"<prepayment>{prepayment}</prepayment>"
    (row,) = plan(loan(terms, start="2025-09-01"))
    assert row["balance"] == 0
    later = valued(loan(terms, start="2025-08-01"), analytics=OUTPUTS)
    assert later.status("price") == "expired"


@pytest.mark.parametrize(
    ("terms", "element"),
    [
        pytest.param("<term>10M</term><frequency>Quarterly</frequency>", "term", id="term"),
        pytest.param(
            "<term>5Y</term><frequency>2</frequency><interestOnly>9M</interestOnly>",
            "interestOnly",
            id="interest only",
        ),
    ],
)
def test_months_that_are_no_whole_number_of_periods_are_refused(refused, terms, element):
    assert refused(loan(term=terms)) == ("VNP-208", f"/instrument/homeLoan/{element}")


@settings(max_examples=25, deadline=None)
@given(
    rate=st.floats(0, 0.2),
    months=st.integers(2, 480),
    cpr=st.floats(0, 0.5),
    style=st.sampled_from(["level", "linear", "bullet"]),
    frequency=st.sampled_from([1, 2, 4, 12, 26, 52]),
    balloon=st.floats(0, 1000),
)
def test_all_principal_comes_back_and_balances_follow(
    plan, rate, months, cpr, style, frequency, balloon
):
    terms = (
        f"<frequency>{frequency}</frequency><amortisation>{style}</amortisation>"
        f"<balloon>{balloon!r}</balloon><prepayment><cpr>{cpr!r}</cpr></prepayment>"
    )
    step = max(1, 12 // frequency)  # months of a period
    months = max(2 * step, months - months % step)
    rows = plan(loan(terms, principal=1000, rate=repr(rate), term=f"<term>{months}M</term>"))
    balance = 1000.0
    for row in rows:
        assert row["interest"] == pytest.approx(balance * rate / frequency, abs=1e-9)
        balance -= row["principal"] + row["prepayment"]
        assert row["balance"] == pytest.approx(balance, abs=1e-6)
        assert row["principal"] >= -1e-9
        assert row["prepayment"] >= -1e-9
    assert rows[-1]["prepayment"] == 0
    assert rows[-1]["balance"] == 0


# --- the sample ----------------------------------------------------------------------------------


def test_the_100_loans_of_the_sample_and_their_totals(sample):
    book = sample("home-loans.xml")
    instruments = book.instruments()
    outcomes = book.run(0, instruments)
    assert len(outcomes) == 100
    assert all(outcome.codes() == [] for outcome in outcomes)
    assert all(outcome.number("price") > 0 for outcome in outcomes)
    totals = book.total(1, outcomes, "Loans")
    expected = math.fsum(outcome.number("price") for outcome in outcomes)
    assert totals.number("price") == pytest.approx(expected, rel=1e-12)
    subtotals = totals.element("aggregate").findall("subtotal[@by='region']")
    assert [s.get("key") for s in subtotals] == ["East", "North", "South", "West"]
    north = [
        o.number("price")
        for i, o in zip(instruments, outcomes, strict=True)
        if i.findtext("region") == "North"
    ]
    assert float(subtotals[1].findtext("baseAmount")) == pytest.approx(sum(north), rel=1e-12)
    assert subtotals[1].get("count") == str(len(north))


def test_a_loan_of_the_sample_is_worth_its_plan_on_the_sample_curve(sample):
    # LOAN-010: 529,000 at 3.19% over 20 years from October 2020, spread 110 bp, written out.
    book = sample("home-loans.xml")
    instrument = next(i for i in book.instruments() if i.get("name") == "LOAN-010")
    (outcome,) = book.run(0, [instrument])
    ql.Settings.instance().evaluationDate = TODAY
    nodes = book.project.findall("market/curve/node")
    dates = [TODAY + ql.Period(node.get("tenor")) for node in nodes]
    zeros = [float(node.text) for node in nodes]
    curve = ql.ZeroCurve([TODAY, *dates], [zeros[0], *zeros], ql.Actual365Fixed())
    i, n = 0.0319 / 12, 240
    instalment = 529000 * i / (1 - (1 + i) ** -n)
    balance, price = 529000.0, 0.0
    for month in range(1, n + 1):
        date = ql.Date(1, 10, 2020) + ql.Period(month, ql.Months)
        balance = balance * (1 + i) - instalment
        if date > TODAY:
            spread = math.exp(-0.011 * (date - TODAY) / 365)
            price += instalment * curve.discount(date) * spread
        else:
            outstanding = balance
    assert balance == pytest.approx(0, abs=1e-6)
    assert outcome.number("price") == pytest.approx(price, rel=1e-11)
    assert outcome.number("outstandingBalance") == pytest.approx(outstanding, rel=1e-11)
    assert outcome.number("payment") == pytest.approx(instalment, rel=1e-11)
