"""The rates desk of examples/requests, priced by the engine and by QuantLib called directly."""

from pathlib import Path

import pytest
import QuantLib as ql
from lxml import etree

EXAMPLES = Path(__file__).parents[5] / "examples" / "requests"
TODAY = ql.Date(17, 9, 2025)
GOVERNMENT = ql.UnitedStates(ql.UnitedStates.GovernmentBond)
DAY_COUNTS = {
    "Actual360": ql.Actual360(),
    "Thirty360BondBasis": ql.Thirty360(ql.Thirty360.BondBasis),
}
FREQUENCIES = {"Annual": ql.Annual, "Semiannual": ql.Semiannual}
ASKED = "<price/><fairRate/><dv01/><vega/><cashFlows/><forward/>"
NORMAL = "<type>Implied</type><process>normal</process>"


def iso(text: str) -> ql.Date:
    return ql.Date(text, "%Y-%m-%d")


def inner(element: etree._Element) -> str:
    return "".join(etree.tostring(child, encoding="unicode") for child in element)


class Desk:
    """The documents of the desk, with the results of its groups where the next ones look."""

    def __init__(self, folder, sample, valued) -> None:
        self.sample = sample("rates-desk.xml")
        market = etree.parse(str(folder / "rates-desk-market.xml")).find("project/market")
        vols = etree.parse(str(folder / "s3/vn-samples/rates/rates-desk-vols.xml"))
        self.market = inner(market)
        self.volatilities = inner(vols.find("project/market")).partition("</currency>")[2]
        self.valued = valued
        self.curves = ""
        self.solved = []

    def solve(self, portfolio: str) -> None:
        (instrument,) = self.sample.instruments(portfolio)
        outcome = self.value(instrument, "<curve/>")
        self.solved.append(outcome)
        self.curves += etree.tostring(outcome.element("curve"), encoding="unicode")

    def value(self, instrument: etree._Element, analytics: str = ASKED):
        return self.valued(
            inner(instrument),
            market=self.market + self.curves + self.volatilities,
            analytics=analytics,
            model=NORMAL,
            calculator="<parCoupons>true</parCoupons>",
            name=instrument.get("name"),
        )


@pytest.fixture(scope="module")
def desk(sample, valued):
    desk = Desk(EXAMPLES, sample, valued)
    desk.solve("discounting")
    desk.solve("forecasting")
    return desk


@pytest.fixture(scope="module")
def trades(desk):
    return desk.sample.instruments("trades")


@pytest.fixture(scope="module")
def priced(desk, trades):
    return [desk.value(trade) for trade in trades]


# --- the same desk, the plain QuantLib way -------------------------------------------------------


class Plain:
    """Curves bootstrapped by QuantLib's own helpers, moved by a parallel shift."""

    def __init__(self, desk: Desk, shift: float = 0.0) -> None:
        ql.Settings.instance().evaluationDate = TODAY
        (sofr,), (term,) = (desk.sample.instruments(p) for p in ("discounting", "forecasting"))
        self.raw_discount = self._discount(sofr.find("yieldCurve"))
        self.discount = self._moved(self.raw_discount, shift)
        self.raw_forecast = self._forecast(term.find("yieldCurve"))
        self.forecast = self._moved(self.raw_forecast, shift)
        self.sofr = ql.Sofr(self.discount)
        self.term = self._term(self.forecast)
        self.term.addFixing(iso("2025-06-17"), 0.0428, True)
        self.term.addFixing(iso("2025-09-17"), 0.0401, True)
        self.engine = ql.DiscountingSwapEngine(self.discount)

    @staticmethod
    def _moved(curve, shift: float):
        handle = ql.YieldTermStructureHandle(curve)
        moved = ql.ZeroSpreadedTermStructure(handle, ql.QuoteHandle(ql.SimpleQuote(shift)))
        moved.enableExtrapolation()
        return ql.YieldTermStructureHandle(moved)

    @staticmethod
    def _term(*handle):
        terms = ("USD-TERM3M", ql.Period("3M"), 2, ql.USDCurrency(), GOVERNMENT)
        return ql.IborIndex(*terms, ql.ModifiedFollowing, False, ql.Actual360(), *handle)

    @staticmethod
    def _discount(quotes):
        helpers = []
        for quote in quotes:
            rate = float(quote.findtext("rate") or 0.0)
            if quote.tag == "deposit":
                convention = (ql.ModifiedFollowing, False, ql.Actual360())
                helpers.append(
                    ql.DepositRateHelper(rate, ql.Period("1D"), 0, GOVERNMENT, *convention)
                )
            elif quote.tag == "ois":
                tenor = ql.Period(quote.get("tenor"))
                told = ql.QuoteHandle(ql.SimpleQuote(rate))
                helpers.append(ql.OISRateHelper(2, tenor, told, ql.Sofr(), paymentLag=2))
            elif quote.tag == "future":
                year, month = map(int, quote.get("contract").split("-"))
                convexity = float(quote.findtext("convexity")) * 1e-4
                price = float(quote.findtext("price"))
                helpers.append(ql.SofrFutureRateHelper(price, month, year, ql.Quarterly, convexity))
        curve = ql.PiecewiseLogLinearDiscount(TODAY, helpers, ql.Actual365Fixed())
        curve.enableExtrapolation()
        return curve

    def _forecast(self, quotes):
        index = self._term()
        discount = ql.YieldTermStructureHandle(self.raw_discount)
        helpers = []
        for quote in quotes:
            if quote.tag == "deposit":
                convention = (ql.ModifiedFollowing, False, ql.Actual360())
                rate = float(quote.findtext("rate"))
                helpers.append(
                    ql.DepositRateHelper(rate, ql.Period("3M"), 2, GOVERNMENT, *convention)
                )
            elif quote.tag == "fra":
                months = int(quote.get("start")[:-1])
                helpers.append(ql.FraRateHelper(float(quote.findtext("rate")), months, index))
            elif quote.tag == "swap":
                helpers.append(
                    ql.SwapRateHelper(
                        float(quote.findtext("rate")),
                        ql.Period(quote.get("tenor")),
                        GOVERNMENT,
                        ql.Semiannual,
                        ql.ModifiedFollowing,
                        DAY_COUNTS["Thirty360BondBasis"],
                        index,
                        ql.QuoteHandle(),
                        ql.Period(0, ql.Days),
                        discount,
                    )
                )
        curve = ql.PiecewiseLogLinearDiscount(TODAY, helpers, ql.Actual365Fixed())
        curve.enableExtrapolation()
        return curve

    # --- instruments ---

    def swap(self, terms, start=None):
        overnight = terms.findtext("floatingLeg/index") == "SOFR"
        calendar = self.sofr.fixingCalendar() if overnight else GOVERNMENT
        given = terms.findtext("startDate")
        start = start or (iso(given) if given else calendar.advance(TODAY, 2, ql.Days))
        end = start + ql.Period(terms.findtext("tenor"))
        side = ql.Swap.Payer if terms.findtext("payReceive") == "pay" else ql.Swap.Receiver
        fixed = self._schedule(
            start, end, ql.Period(FREQUENCIES[terms.findtext("fixedLeg/frequency")]), calendar
        )
        rate = float(terms.findtext("fixedLeg/rate"))
        day_count = DAY_COUNTS[terms.findtext("fixedLeg/dayCount")]
        notional = float(terms.findtext("notional"))
        if overnight:
            lag = int(terms.findtext("floatingLeg/paymentLag"))
            swap = ql.OvernightIndexedSwap(
                side, notional, fixed, rate, day_count, self.sofr, 0.0, lag
            )
        else:
            spread = float(terms.findtext("floatingLeg/spread") or 0.0) * 1e-4
            floating = self._schedule(start, end, ql.Period("3M"), calendar)
            swap = ql.VanillaSwap(
                side, notional, fixed, rate, day_count, floating, self.term, spread, ql.Actual360()
            )
        swap.setPricingEngine(self.engine)
        return swap

    @staticmethod
    def _schedule(start, end, period, calendar, rule=ql.DateGeneration.Backward):
        convention = (ql.ModifiedFollowing, ql.ModifiedFollowing)
        return ql.Schedule(start, end, period, calendar, *convention, rule, False)

    def agreement(self, terms):
        spot = GOVERNMENT.advance(TODAY, 2, ql.Days)
        start = GOVERNMENT.advance(spot, ql.Period(terms.findtext("start")), ql.ModifiedFollowing)
        side = ql.Position.Long if terms.findtext("payReceive") == "pay" else ql.Position.Short
        rate, notional = float(terms.findtext("rate")), float(terms.findtext("notional"))
        return ql.ForwardRateAgreement(self.term, start, side, rate, notional, self.discount)

    def swaption(self, terms):
        expiry = GOVERNMENT.advance(
            TODAY, ql.Period(terms.findtext("expiry")), ql.ModifiedFollowing
        )
        swap = self.swap(terms, GOVERNMENT.advance(expiry, 2, ql.Days))
        option = ql.Swaption(swap, ql.EuropeanExercise(expiry))
        option.setPricingEngine(ql.BachelierSwaptionEngine(self.discount, swaption_matrix()))
        return option

    def cap(self, terms):
        start = GOVERNMENT.advance(TODAY, 2, ql.Days)
        end = start + ql.Period(terms.findtext("tenor"))
        schedule = self._schedule(
            start, end, ql.Period("3M"), GOVERNMENT, ql.DateGeneration.Forward
        )
        notional = [float(terms.findtext("notional"))]
        leg = ql.IborLeg(notional, schedule, self.term, ql.Actual360(), ql.ModifiedFollowing)[1:]
        strikes = [
            [float(terms.findtext(name))]
            for name in ("strike", "capStrike", "floorStrike")
            if terms.findtext(name)
        ]
        kind = {"cap": ql.Cap, "floor": ql.Floor, "collar": ql.Collar}[terms.findtext("type")]
        cap = kind(leg, *strikes)
        volatility = ql.QuoteHandle(ql.SimpleQuote(cap_volatility(schedule.dates()[-1])))
        cap.setPricingEngine(ql.BachelierCapFloorEngine(self.discount, volatility))
        return cap

    def instrument(self, trade):
        for kind, make in (
            ("vanillaSwap", self.swap),
            ("forwardRateAgreement", self.agreement),
            ("swaption", self.swaption),
            ("capFloor", self.cap),
        ):
            terms = trade.find(kind)
            if terms is not None:
                return kind, make(terms)
        raise AssertionError(trade.get("name"))


def swaption_matrix():
    rows = {
        "1M": (78, 84, 92, 97, 96, 90),
        "3M": (84, 90, 97, 101, 99, 92),
        "6M": (92, 97, 102, 104, 101, 93),
        "1Y": (101, 104, 106, 106, 102, 94),
        "2Y": (106, 107, 107, 105, 101, 92),
        "3Y": (105, 106, 105, 103, 99, 90),
        "5Y": (101, 101, 100, 98, 94, 86),
        "10Y": (90, 89, 88, 86, 83, 76),
    }
    matrix = ql.Matrix(len(rows), 6)
    for i, row in enumerate(rows.values()):
        for j, points in enumerate(row):
            matrix[i][j] = points * 1e-4
    flat = True
    made = ql.SwaptionVolatilityMatrix(
        TODAY,
        ql.NullCalendar(),
        ql.Unadjusted,
        [TODAY + ql.Period(tenor) for tenor in rows],
        [ql.Period(tenor) for tenor in ("2Y", "3Y", "5Y", "10Y", "20Y", "30Y")],
        matrix,
        ql.Actual365Fixed(),
        flat,
        ql.Normal,
    )
    return ql.SwaptionVolatilityStructureHandle(made)


def cap_volatility(maturity) -> float:
    tenors, points = ("1Y", "2Y", "3Y", "5Y", "7Y", "10Y"), (84, 96, 101, 103, 101, 97)
    times = [(TODAY + ql.Period(tenor)) - TODAY for tenor in tenors]
    curve = ql.LinearInterpolation([float(t) for t in times], [p * 1e-4 for p in points])
    wanted = min(max(maturity - TODAY, times[0]), times[-1])
    return curve(float(wanted))


def quantity(trade) -> float:
    return float(trade.findtext("quantity") or 1.0)


# --- tests ---------------------------------------------------------------------------------------


def test_every_node_of_the_chained_curves_agrees_with_a_plain_bootstrap(desk):
    plain = Plain(desk)
    for outcome, curve in zip(desk.solved, (plain.raw_discount, plain.raw_forecast), strict=True):
        nodes = outcome.element("curve").findall("node")
        assert len(nodes) > 10
        for node in nodes:
            expected = curve.discount(iso(node.get("date")))
            assert float(node.text) == pytest.approx(expected, abs=2e-9), node.get("date")


def test_the_36_trades_agree_with_plain_quantlib(desk, trades, priced):
    assert len(trades) == 36
    plain = Plain(desk)
    for trade, outcome in zip(trades, priced, strict=True):
        _, instrument = plain.instrument(trade)
        expected = instrument.NPV() * quantity(trade)
        assert outcome.number("price") == pytest.approx(expected, rel=1e-9), trade.get("name")


def test_the_other_numbers_of_the_trades_agree_with_plain_quantlib(desk, trades, priced):
    plain = Plain(desk)
    for trade, outcome in zip(trades, priced, strict=True):
        kind, instrument = plain.instrument(trade)
        name = trade.get("name")
        if kind == "vanillaSwap":
            assert outcome.number("fairRate") == pytest.approx(instrument.fairRate(), rel=1e-9)
        elif kind == "forwardRateAgreement":
            rate = instrument.forwardRate().rate()
            assert outcome.number("fairRate") == pytest.approx(rate, rel=1e-9), name
        else:
            assert outcome.status("fairRate") == "notApplicable"
            vega = instrument.vega() * quantity(trade)
            assert outcome.number("vega") == pytest.approx(vega, rel=1e-9), name
        if kind == "swaption":
            assert outcome.number("forward") == pytest.approx(instrument.atmForward(), rel=1e-9)
        if kind == "capFloor":
            rate = instrument.atmRate(plain.discount.currentLink())
            assert outcome.number("forward") == pytest.approx(rate, rel=1e-9), name


def test_the_dv01_of_the_trades_agrees_with_moved_plain_curves(desk, trades, priced):
    expected = []
    for shift in (-1e-4, 1e-4):
        plain = Plain(desk, shift)
        expected.append([plain.instrument(t)[1].NPV() * quantity(t) for t in trades])
    for trade, outcome, down, up in zip(trades, priced, *expected, strict=True):
        dv01 = pytest.approx((down - up) / 2, rel=1e-6)
        assert outcome.number("dv01") == dv01, trade.get("name")


def test_the_discounted_cash_flows_of_swaps_and_caps_are_their_price(desk, trades, priced):
    discount = Plain(desk).discount.discount
    for trade, outcome in zip(trades, priced, strict=True):
        if outcome.status("cashFlows") == "notApplicable":
            assert trade.find("swaption") is not None
            continue
        flows = outcome.flows()
        dates = [iso(date) for date, _ in flows]
        assert dates == sorted(dates)
        assert dates[0] > TODAY
        total = sum(amount * discount(iso(date)) for date, amount in flows)
        assert total == pytest.approx(outcome.number("price"), rel=1e-7), trade.get("name")


def test_the_quotes_of_both_curves_are_fair_rates_of_swaps_on_them(desk):
    checked = 0
    for portfolio, index in (("discounting", "SOFR"), ("forecasting", "USD-TERM3M")):
        (instrument,) = desk.sample.instruments(portfolio)
        for quote in instrument.find("yieldCurve"):
            if quote.tag not in {"ois", "swap", "fra"}:
                continue
            outcome = desk.value(swap_of(quote, index), "<price/><fairRate/>")
            rate = float(quote.findtext("rate"))
            assert outcome.number("fairRate") == pytest.approx(rate, abs=1e-8), quote.attrib
            assert outcome.number("price") == pytest.approx(0.0, abs=0.5), quote.attrib
            checked += 1
    assert checked == 10 + 11


def swap_of(quote: etree._Element, index: str) -> etree._Element:
    """The trade that a quote is the rate of, at that rate."""
    rate = f"<notional>1000000</notional><rate>{quote.findtext('rate')}</rate>"
    if quote.tag == "fra":
        start = f"<index>{index}</index><start>{quote.get('start')}</start>"
        return etree.fromstring(
            f"<instrument><forwardRateAgreement>{rate}{start}</forwardRateAgreement></instrument>"
        )
    rolls = "".join(
        f"<{name}>{quote.findtext(name)}</{name}>"
        for name in ("frequency", "dayCount", "calendar")
        if quote.findtext(name)
    )
    lag = quote.findtext("paymentLag") or "0"
    return etree.fromstring(
        f"<instrument><vanillaSwap><tenor>{quote.get('tenor')}</tenor>"
        f"<fixedLeg><rate>{quote.findtext('rate')}</rate>{rolls}</fixedLeg>"
        f"<floatingLeg><index>{index}</index><paymentLag>{lag}</paymentLag></floatingLeg>"
        "</vanillaSwap></instrument>"
    )


def test_quotes_in_the_market_price_as_the_curves_that_came_through_groups(desk, trades, priced):
    quoted = "".join(
        f"<curve name='{instrument.get('name')}' currency='USD'>"
        f"{inner(instrument.find('yieldCurve'))}</curve>"
        for portfolio in ("discounting", "forecasting")
        for instrument in desk.sample.instruments(portfolio)
    )
    through_groups, desk.curves = desk.curves, quoted
    try:
        for trade, outcome in list(zip(trades, priced, strict=True))[::5]:
            price = desk.value(trade, "<price/>").number("price")
            assert price == pytest.approx(outcome.number("price"), rel=1e-9), trade.get("name")
    finally:
        desk.curves = through_groups


def test_no_trade_of_the_desk_brings_a_warning(desk, priced):
    assert [outcome.codes() for outcome in (*priced, *desk.solved)] == [[]] * 38


def test_the_totals_add_up_by_kind(desk, priced):
    outcome = desk.sample.total(3, priced, "Trades")
    expected = sum(one.number("price") for one in priced)
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)
    result = outcome.element("aggregate")
    assert dict(result.find("total").attrib) == {"currency": "USD", "count": "36", "notPriced": "0"}
    counts = {s.get("key"): s.get("count") for s in result.findall("subtotal[@by='kind']")}
    assert counts == {
        "capFloor": "8",
        "forwardRateAgreement": "4",
        "swaption": "10",
        "vanillaSwap": "14",
    }
