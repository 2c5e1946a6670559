"""Callable and puttable bonds on short-rate trees."""

import pytest
import QuantLib as ql

TODAY = ql.Date(17, 9, 2025)


def hjm(sigma: float, beta: float) -> str:
    term = f"<sigma>{sigma}</sigma><beta>{beta}</beta>"
    return f"<volatility><hjm><factor><term>{term}</term></factor></hjm></volatility>"


def bond(terms: str = "", rate: float = 0.05) -> str:
    return f"<cancellableBond>{terms}<coupon><rate>{rate}</rate></coupon></cancellableBond>"


def rights(body: str) -> str:
    return f"<cancellation>{body}</cancellation>"


def call(date: str, price: float = 100.0, kind=ql.Callability.Call, quoted=ql.BondPrice.Clean):
    return ql.Callability(ql.BondPrice(price, quoted), kind, ql.Date(date, "%Y-%m-%d"))


def plain(callabilities, *, model=None, rate=0.05, steps=240, days=0, shift=0.0):
    """A five-year semiannual bond from the evaluation date, the plain QuantLib way."""
    ql.Settings.instance().evaluationDate = TODAY
    schedule = ql.Schedule(
        TODAY,
        TODAY + ql.Period("5Y"),
        ql.Period("6M"),
        ql.UnitedStates(ql.UnitedStates.GovernmentBond),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        False,
    )
    made = ql.CallableFixedRateBond(
        days,
        100.0,
        schedule,
        [rate],
        ql.Thirty360(ql.Thirty360.BondBasis),
        ql.Following,
        100.0,
        ql.Date(),
        ql.CallabilitySchedule(callabilities),
    )
    curve = ql.FlatForward(TODAY, 0.04 + shift, ql.Actual365Fixed())
    handle = ql.YieldTermStructureHandle(curve)
    short_rate = model(handle) if model else ql.HullWhite(handle, 0.03, 0.01)
    made.setPricingEngine(ql.TreeCallableFixedRateBondEngine(short_rate, steps))
    return made


HALF_YEARS = [(TODAY + ql.Period(6 * n, ql.Months)).ISO() for n in range(1, 10)]


def test_the_odd_but_valid_coupon_of_112_per_cent(valued):
    # The first call decides: (100 + 56.1725) discounted half a year.
    outcome = valued(bond(rate=1.12345), market="<rate>0.0412</rate>", model=hjm(0.11111, 0.2))
    assert outcome.number("price") == pytest.approx(153.014, abs=5e-4)
    assert outcome.element("calculated").get("method") == "tree"


@pytest.mark.parametrize(
    ("terms", "parts", "expected"),
    [
        pytest.param("", {}, lambda: plain([call(d) for d in HALF_YEARS]), id="every coupon date"),
        pytest.param(
            rights("<call date='2027-09-17' price='102'/><put date='2028-09-17'/>"),
            {},
            lambda: plain(
                [call("2027-09-17", 102.0), call("2028-09-17", kind=ql.Callability.Put)]
            ),
            id="a call and a put",
        ),
        pytest.param(
            rights("<call><date>2027-05-04</date><price>101</price><type>dirty</type></call>"),
            {},
            lambda: plain([call("2027-05-04", 101.0, quoted=ql.BondPrice.Dirty)]),
            id="children, a dirty price between coupons",
        ),
        pytest.param(
            rights("<call from='2027-01-01' to='2029-09-17' price='100.5'/>"),
            {},
            lambda: plain([call(d, 100.5) for d in HALF_YEARS[2:8]]),
            id="coupon dates in a range",
        ),
        pytest.param(
            rights("<call from='2027-02-01' to='2028-02-01' frequency='Quarterly'/>"),
            {},
            lambda: plain(
                [
                    call(d)
                    for d in ("2027-02-01", "2027-05-01", "2027-08-01", "2027-11-01", "2028-02-01")
                ]
            ),
            id="a range with a frequency",
        ),
        pytest.param(
            rights("<put from='2029-01-01'/>"),
            {},
            lambda: plain([call(d, kind=ql.Callability.Put) for d in HALF_YEARS[6:]]),
            id="a range up to maturity",
        ),
        pytest.param(
            "",
            {"calculator": "<timeSteps>60</timeSteps>"},
            lambda: plain([call(d) for d in HALF_YEARS], steps=60),
            id="time steps",
        ),
        pytest.param(
            "",
            {"model": "<process>blackKarasinski</process><volatility>0.2</volatility>"
             "<meanReversion>0.1</meanReversion>"},
            lambda: plain(
                [call(d) for d in HALF_YEARS], model=lambda h: ql.BlackKarasinski(h, 0.1, 0.2)
            ),
            id="Black-Karasinski",
        ),
        pytest.param(
            "<volatility>0.015</volatility>",
            {"model": "<volatility><hjm><factor><term/></factor></hjm></volatility>"},
            lambda: plain(
                [call(d) for d in HALF_YEARS], model=lambda h: ql.HullWhite(h, 0.03, 0.015)
            ),
            id="sigma from the instrument",
        ),
        pytest.param(
            "",
            {"model": "<volatility unit='bp'>80</volatility><process>normal</process>"},
            lambda: plain(
                [call(d) for d in HALF_YEARS], model=lambda h: ql.HullWhite(h, 0.03, 0.008)
            ),
            id="a volatility without hjm",
        ),
    ],
)  # fmt: skip
def test_a_cancellable_bond_agrees_with_plain_quantlib(valued, terms, parts, expected):
    settled = "<settlementDays>0</settlementDays>"
    parts = {"model": hjm(0.01, 0.03), **parts}
    outcome = valued(bond(settled + terms), analytics="<price/><cleanPrice/>", **parts)
    made = expected()
    assert outcome.number("price") == pytest.approx(made.NPV(), rel=1e-12)
    assert outcome.number("cleanPrice") == pytest.approx(made.cleanPrice(), rel=1e-12)


def test_a_right_is_worth_something_to_who_has_it(valued):
    maturity = "<maturityDate>2030-09-17</maturityDate>"
    straight = valued(
        f"<fixedRateBond>{maturity}<coupon><rate>0.05</rate></coupon></fixedRateBond>"
    ).number("price")
    prices = {
        right: valued(bond(rights(f"<{right} from='2026-01-01'/>")), model=hjm(0.012, 0.03)).number(
            "price"
        )
        for right in ("call", "put")
    }
    assert prices["call"] < straight < prices["put"]


def test_a_right_that_nobody_would_use_leaves_the_straight_bond(valued):
    terms = rights("<call from='2026-01-01' price='900'/>")
    straight = "<fixedRateBond><tenor>5Y</tenor><coupon><rate>0.05</rate></coupon></fixedRateBond>"
    outcome = valued(bond(terms), model=hjm(0.01, 0.03), analytics="<price/><dv01/>")
    expected = valued(straight, analytics="<price/><dv01/>")
    assert outcome.number("price") == pytest.approx(expected.number("price"), rel=1e-9)
    assert outcome.number("dv01") == pytest.approx(expected.number("dv01"), rel=1e-6)


def test_duration_and_convexity_are_effective(valued):
    outcome = valued(
        bond(), model=hjm(0.01, 0.03), analytics="<price/><duration/><convexity/><dv01/>"
    )
    rights_ = [call(d) for d in HALF_YEARS]
    down, here, up = (plain(rights_, shift=s).NPV() for s in (-0.0025, 0.0, 0.0025))
    assert outcome.number("duration") == pytest.approx((down - up) / (0.005 * here), rel=1e-8)
    convexity = (down + up - 2 * here) / (0.0025**2 * here)
    assert outcome.number("convexity") == pytest.approx(convexity, rel=1e-6)
    low, high = (plain(rights_, shift=s).NPV() for s in (-1e-4, 1e-4))
    assert outcome.number("dv01") == pytest.approx((low - high) / 2, rel=1e-8)


def test_a_discount_spread_moves_the_whole_tree(valued):
    spread = "<discountSpread unit='bp'>100</discountSpread>"
    spreaded = valued(bond(spread), model=hjm(0.01, 0.03)).number("price")
    moved = valued(bond(), market="<rate>0.05</rate>", model=hjm(0.01, 0.03)).number("price")
    assert spreaded == pytest.approx(moved, rel=1e-9)


def test_a_coupon_before_settlement_is_the_holders(valued):
    terms = (
        "<startDate>2024-09-19</startDate><maturityDate>2029-09-19</maturityDate>"
        "<settlementDays>{}</settlementDays>" + rights("<call from='2027-01-01' price='900'/>")
    )
    late = valued(bond(terms.format(5)), model=hjm(0.01, 0.03)).number("price")
    soon = valued(bond(terms.format(0)), model=hjm(0.01, 0.03)).number("price")
    assert late == pytest.approx(soon, rel=1e-9)


@pytest.mark.parametrize("day", ["2025-09-18", "2025-09-22"])
def test_a_call_before_settlement_is_the_holders_too(valued, day):
    terms = "<maturityDate>2030-09-17</maturityDate><settlementDays>{}</settlementDays>"
    call, both = rights(f"<call date='{day}' price='90'/>"), "<price/><cleanPrice/>"
    soon, late = (
        valued(bond(terms.format(days) + call), model=hjm(0, 0.03), analytics=both)
        for days in (0, 5)
    )
    assert late.number("price") == pytest.approx(soon.number("price"), rel=1e-12)
    assert late.number("price") < 91
    # The buyer, who settles later, gets a bond that nobody can call any more.
    assert late.number("cleanPrice") > 99


def test_a_coupon_between_a_spot_curves_date_and_settlement_is_not_lost(valued):
    terms = (
        "<startDate>2024-09-22</startDate><maturityDate>2029-09-22</maturityDate>"
        "<settlementDays>{}</settlementDays>" + rights("<call from='2027-01-01' price='900'/>")
    )
    spot = "<curve name='C' date='2025-09-19'><rate>0.04</rate></curve>"
    late, soon = (
        valued(bond(terms.format(days)), market=spot, model=hjm(0.01, 0.03)).number("price")
        for days in (2, 0)
    )
    assert late == pytest.approx(soon, rel=1e-9)


def test_curves_that_do_not_start_today_are_usable(valued):
    past = "<curve name='C' date='2025-06-02'><rate>0.04</rate></curve>"
    spot = "<curve name='C' date='2025-09-19'><rate>0.04</rate></curve>"
    today, before, ahead = (
        valued(bond(), market=m, model=hjm(0.01, 0.03)).number("price")
        for m in ("<rate>0.04</rate>", past, spot)
    )
    assert before == pytest.approx(today, rel=1e-9)
    # Values are as of the curve's date, two days on.
    assert ahead == pytest.approx(today * 2.718281828459045 ** (0.04 * 2 / 365), rel=1e-4)


def test_with_a_quote_no_curve_and_no_volatility_is_needed(valued):
    quoted = bond(
        "<maturityDate>2030-09-17</maturityDate><quote><cleanPrice>98</cleanPrice></quote>"
    )
    straight = quoted.replace("cancellableBond", "fixedRateBond")
    analytics = "<price/><yield/><duration/><convexity/><dv01/>"
    one, other = (valued(b, market="", analytics=analytics) for b in (quoted, straight))
    for name in ("price", "yield", "duration", "convexity", "dv01"):
        assert one.number(name) == other.number(name)


@pytest.mark.parametrize("sigma", [0.0, 1e-6, 0.05])
def test_extreme_volatilities_give_a_number(valued, sigma):
    price = valued(bond(), model=hjm(sigma, 0.0)).number("price")
    assert 60 < price < 110
