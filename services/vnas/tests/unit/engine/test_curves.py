"""Curves of the market: shapes, dates, spreads, choice; seen through zero-coupon bonds."""

import math

import pytest
import QuantLib as ql

TODAY = ql.Date(17, 9, 2025)
ACT365 = ql.Actual365Fixed()


@pytest.fixture
def discount(valued):
    """The discount factor that a market gives for a date."""

    def at(market: str, date: str = "2027-03-01", **parts: str) -> float:
        terms = f"<maturityDate>{date}</maturityDate><paymentConvention>Unadjusted"
        bond = f"<zeroCouponBond>{terms}</paymentConvention></zeroCouponBond>"
        return valued(bond, market=market, **parts).number("price") / 100

    return at


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def years(date: str, start: str = "2025-09-17") -> float:
    return (iso(date) - iso(start)) / 365


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        pytest.param("<rate>0.04</rate>", math.exp(-0.04 * years("2027-03-01")), id="continuous"),
        pytest.param(
            "<rate unit='percent'>4</rate>", math.exp(-0.04 * years("2027-03-01")), id="per cent"
        ),
        pytest.param(
            "<rate unit='bp'>400</rate>", math.exp(-0.04 * years("2027-03-01")), id="basis points"
        ),
        pytest.param(
            "<rate compounding='Compounded' frequency='Semiannual'>0.04</rate>",
            1.02 ** (-2 * years("2027-03-01")),
            id="semiannual",
        ),
        pytest.param(
            "<rate compounding='simple' dayCount='act/360'>0.04</rate>",
            1 / (1 + 0.04 * 530 / 360),
            id="simple, names in any case",
        ),
        pytest.param(
            "<curve name='C'><dayCount>Actual360</dayCount><rate>0.04</rate></curve>",
            math.exp(-0.04 * 530 / 360),
            id="a flat curve's day count is its rate's",
        ),
    ],
)
def test_a_flat_rate_means_what_it_says(discount, rate, expected):
    assert discount(rate) == pytest.approx(expected, rel=1e-13)


NODES = {"2025-12-17": 0.031, "2026-09-17": 0.035, "2028-09-17": 0.032, "2030-09-17": 0.038}
DISCOUNTS = {d: math.exp(-z * years(d)) for d, z in NODES.items()}
AT = ["2025-10-01", "2025-12-17", "2026-05-05", "2027-03-01", "2030-09-17", "2041-01-02"]


def node_xml(nodes: dict[str, float]) -> str:
    return "".join(f"<node date='{d}'>{v!r}</node>" for d, v in nodes.items())


def with_start(start: float, nodes: dict[str, float]):
    return [TODAY, *map(iso, nodes)], [start, *nodes.values()]


@pytest.mark.parametrize("date", AT)
@pytest.mark.parametrize(
    ("shape", "interpolation", "nodes", "plain"),
    [
        pytest.param(
            "zero", "linearZero", NODES, lambda: ql.ZeroCurve(*with_start(0.031, NODES), ACT365),
            id="linear zero",
        ),
        pytest.param(
            "zero", "cubicZero", NODES,
            lambda: ql.CubicZeroCurve(*with_start(0.031, NODES), ACT365),
            id="cubic zero",
        ),
        pytest.param(
            "zero", "logLinear", NODES,
            lambda: ql.DiscountCurve(*with_start(1.0, DISCOUNTS), ACT365),
            id="zero rates turned into discount factors",
        ),
        pytest.param(
            "discount", "flatForward", DISCOUNTS,
            lambda: ql.DiscountCurve(*with_start(1.0, DISCOUNTS), ACT365),
            id="discount factors",
        ),
        pytest.param(
            "discount", "logCubic", DISCOUNTS,
            lambda: ql.LogCubicDiscountCurve(
                *with_start(1.0, DISCOUNTS), ACT365, ql.TARGET(), ql.MonotonicLogCubic()
            ),
            id="monotone log cubic",
        ),
        pytest.param(
            "discount", "linearZero", DISCOUNTS,
            lambda: ql.ZeroCurve(*with_start(0.031, NODES), ACT365),
            id="discount factors turned into zero rates",
        ),
        pytest.param(
            "forward", "logLinear", NODES,
            lambda: ql.ForwardCurve(*with_start(0.031, NODES), ACT365),
            id="forwards constant backwards",
        ),
    ],
)  # fmt: skip
def test_nodes_are_interpolated_as_quantlib_does(
    discount, shape, interpolation, nodes, plain, date
):
    ql.Settings.instance().evaluationDate = TODAY
    curve = plain()
    curve.enableExtrapolation()
    terms = f"<type>{shape}</type><interpolation>{interpolation}</interpolation>"
    market = f"<curve name='C'>{terms}{node_xml(nodes)}</curve>"
    assert discount(market, date) == pytest.approx(curve.discount(iso(date)), rel=1e-12)


def test_beyond_the_last_node_the_last_forward_goes_on(discount):
    market = f"<curve name='C'><type>discount</type>{node_xml(DISCOUNTS)}</curve>"
    a, b = DISCOUNTS["2028-09-17"], DISCOUNTS["2030-09-17"]
    forward = math.log(a / b) / years("2030-09-17", "2028-09-17")
    expected = b * math.exp(-forward * years("2050-09-17", "2030-09-17"))
    assert discount(market, "2050-09-17") == pytest.approx(expected, rel=1e-12)


def test_zero_rates_may_be_compounded(discount):
    market = (
        "<curve name='C' compounding='Compounded' frequency='Annual'>"
        "<interpolation>linearZero</interpolation>"
        "<node tenor='1Y'>0.03</node><node tenor='2Y'>0.04</node></curve>"
    )
    assert discount(market, "2026-09-17") == pytest.approx(1 / 1.03, rel=1e-13)
    assert discount(market, "2027-09-17") == pytest.approx(1.04**-2, rel=1e-13)


def test_a_tenor_node_moves_off_a_holiday_only_with_a_calendar(discount):
    # 2026-01-17 is a Saturday, the Monday after it Martin Luther King's day.
    def market(calendar: str) -> str:
        node = "<node tenor='4M'>0.99</node><node tenor='2Y'>0.93</node>"
        return f"<curve name='C'><type>discount</type>{calendar}{node}</curve>"

    assert discount(market(""), "2026-01-17") == pytest.approx(0.99, rel=1e-14)
    moved = market("<calendar>USGovernmentBond</calendar>")
    assert discount(moved, "2026-01-20") == pytest.approx(0.99, rel=1e-14)


def test_one_node_is_a_flat_curve(discount):
    market = "<curve name='C'><node tenor='5Y'>0.03</node></curve>"
    assert discount(market) == pytest.approx(math.exp(-0.03 * years("2027-03-01")))


def test_a_curve_of_the_past_is_seen_from_the_evaluation_date(discount):
    nodes = node_xml({"2025-01-02": 1.0, **DISCOUNTS})
    market = f"<curve name='C' date='2025-01-02'><type>discount</type>{nodes}</curve>"
    at_evaluation = DISCOUNTS["2025-12-17"] ** (
        years("2025-09-17", "2025-01-02") / years("2025-12-17", "2025-01-02")
    )
    expected = DISCOUNTS["2028-09-17"] / at_evaluation
    assert discount(market, "2028-09-17") == pytest.approx(expected, rel=1e-13)


def test_a_curve_quoted_for_spot_is_used_as_it_stands(discount):
    market = "<curve name='C' date='2025-09-19'><rate>0.04</rate></curve>"
    expected = math.exp(-0.04 * years("2027-03-01", "2025-09-19"))
    assert discount(market) == pytest.approx(expected, rel=1e-13)
    assert discount(market, "2025-09-18") == 1.0


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"rate": "", "spread": "<spread unit='bp'>25</spread>"}, id="of the curve"),
        pytest.param({"rate": "<discountSpread unit='bp'>25</discountSpread>"}, id="of the bond"),
    ],
)
def test_a_spread_is_added_to_continuous_zero_rates(valued, parts):
    market = f"<curve name='C'>{parts.get('spread', '')}{node_xml(NODES)}</curve>"
    bond = "<zeroCouponBond><maturityDate>2026-09-17</maturityDate>{}</zeroCouponBond>"
    outcome = valued(bond.format(parts["rate"]), market=market)
    assert outcome.number("price") == pytest.approx(100 * math.exp(-0.0375), rel=1e-12)


CHOICE = (
    "<currency>EUR</currency><rate>0.01</rate>"
    "<curve name='A' currency='USD'><rate>0.02</rate></curve>"
    "<curve name='B'><rate>0.03</rate></curve><curve name='C'><rate>0.04</rate></curve>"
)
NAMED = "<discountCurve>A</discountCurve>"
EUR_IS_C = "<discountCurve currency='EUR'>C</discountCurve>"


@pytest.mark.parametrize(
    ("own", "market", "rate"),
    [
        pytest.param(NAMED, CHOICE + EUR_IS_C, 0.02, id="the instrument's own"),
        pytest.param("", CHOICE + EUR_IS_C, 0.04, id="the market's for the currency"),
        pytest.param("", CHOICE, 0.03, id="the first curve of the currency"),
        pytest.param("", "<currency>EUR</currency><rate>0.01</rate>", 0.01, id="the rate"),
        pytest.param("<currency>USD</currency>", CHOICE, 0.02, id="of the instrument's currency"),
    ],
)
def test_the_discount_curve_is_chosen_in_order(valued, own, market, rate):
    bond = f"<zeroCouponBond><maturityDate>2026-09-17</maturityDate>{own}</zeroCouponBond>"
    price = valued(bond, market=market).number("price")
    assert price == pytest.approx(100 * math.exp(-rate), rel=1e-12)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("<rate>0.04</rate>", id="flat"),
        pytest.param("<index>ESTR</index><ois tenor='5Y'><rate>0.02</rate></ois>", id="quotes"),
    ],
)
def test_a_curve_may_say_its_currency_in_a_child(valued, content):
    bond = "<currency>EUR</currency><zeroCouponBond><tenor>2Y</tenor></zeroCouponBond>"
    markets = (
        f"<rate>0.1</rate><curve name='C'><currency>EUR</currency>{content}</curve>",
        f"<rate>0.1</rate><curve name='C' currency='EUR'>{content}</curve>",
    )
    child, attribute = (valued(bond, market=market).number("price") for market in markets)
    assert child == attribute


def test_two_curves_of_one_name_are_refused_and_neither_is_taken(refused):
    bond = "<zeroCouponBond><tenor>2Y</tenor></zeroCouponBond>"
    market = "<curve name='C'><rate>0.04</rate></curve><curve name='C'><rate>0.05</rate></curve>"
    assert refused(bond, market=market) == ("VNP-205", "/market/curve[1]/@name")
