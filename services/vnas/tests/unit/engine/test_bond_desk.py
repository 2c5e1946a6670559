"""The bond desk of examples/requests, priced by the engine and by QuantLib called directly."""

import pytest
import QuantLib as ql

DESK = "bond-desk.xml"
CALENDARS = {
    "USGovernmentBond": ql.UnitedStates(ql.UnitedStates.GovernmentBond),
    "TARGET": ql.TARGET(),
    "UnitedKingdom": ql.UnitedKingdom(),
}
OF_CURRENCY = {"USD": "USGovernmentBond", "EUR": "TARGET", "GBP": "UnitedKingdom"}
DAY_COUNTS = {
    "Actual360": ql.Actual360(),
    "Actual365Fixed": ql.Actual365Fixed(),
    "Thirty360BondBasis": ql.Thirty360(ql.Thirty360.BondBasis),
    "ActualActualISMA": ql.ActualActual(ql.ActualActual.ISMA),
}
FREQUENCIES = {"Semiannual": ql.Semiannual, "Annual": ql.Annual}
TODAY = ql.Date(17, 9, 2025)


def iso(text: str) -> ql.Date:
    year, month, day = map(int, text.split("-"))
    return ql.Date(day, month, year)


def plain_curve(instrument) -> ql.YieldTermStructure:
    """Bootstrap a desk curve the plain QuantLib way."""
    terms = instrument.find("yieldCurve")
    overnight = {"SOFR": ql.Sofr, "ESTR": ql.Estr, "SONIA": ql.Sonia}[terms.findtext("index")]()
    helpers = [
        ql.DepositRateHelper(
            float(deposit.findtext("rate")),
            ql.Period("1D"),
            0,
            CALENDARS[deposit.findtext("calendar")],
            ql.ModifiedFollowing,
            False,
            DAY_COUNTS[deposit.findtext("dayCount")],
        )
        for deposit in terms.findall("deposit")
    ]
    helpers += [
        ql.OISRateHelper(
            int(ois.findtext("settlementDays")),
            ql.Period(ois.get("tenor")),
            ql.QuoteHandle(ql.SimpleQuote(float(ois.findtext("rate")))),
            overnight,
            paymentLag=int(ois.findtext("paymentLag")),
        )
        for ois in terms.findall("ois")
    ]
    curve = ql.PiecewiseLogLinearDiscount(TODAY, helpers, ql.Actual365Fixed())
    curve.enableExtrapolation()
    return curve


def bond_terms(instrument, kind):
    terms = instrument.find(kind)
    issue = terms.findtext("issueDate")
    return {
        "currency": instrument.findtext("currency"),
        "quantity": float(instrument.findtext("quantity")),
        "spread": float(terms.findtext("discountSpread") or 0.0) * 1e-4,
        "issue": iso(issue) if issue else ql.Date(),
        "maturity": iso(terms.findtext("maturityDate")),
        "days": int(terms.findtext("settlementDays")),
    }


def plain_schedule(instrument, kind, terms):
    coupon = instrument.find(f"{kind}/coupon")
    convention = getattr(ql, coupon.findtext("convention") or "Unadjusted")
    return ql.Schedule(
        terms["issue"],
        terms["maturity"],
        ql.Period(FREQUENCIES[coupon.findtext("frequency")]),
        CALENDARS[coupon.findtext("calendar")],
        convention,
        convention,
        ql.DateGeneration.Backward,
        coupon.findtext("endOfMonth") == "true",
    )


def plain_fixed(instrument, terms, handle):
    kind = "fixedRateBond"
    coupon = instrument.find(f"{kind}/coupon")
    ex_period = instrument.findtext(f"{kind}/exCouponPeriod")
    ex_coupon = {}
    if ex_period:
        ex_coupon = {"exCouponPeriod": ql.Period(ex_period), "exCouponCalendar": ql.UnitedKingdom()}
    bond = ql.FixedRateBond(
        terms["days"],
        100.0,
        plain_schedule(instrument, kind, terms),
        [float(coupon.findtext("rate"))],
        DAY_COUNTS[coupon.findtext("dayCount")],
        issueDate=terms["issue"],
        **ex_coupon,
    )
    bond.setPricingEngine(ql.DiscountingBondEngine(handle))
    return bond


def plain_zero(instrument, terms, handle):
    calendar = CALENDARS[OF_CURRENCY[terms["currency"]]]
    bond = ql.ZeroCouponBond(terms["days"], calendar, 100.0, terms["maturity"])
    bond.setPricingEngine(ql.DiscountingBondEngine(handle))
    return bond


def plain_floating(instrument, terms, handle, forecast):
    kind = "floatingRateBond"
    coupon = instrument.find(f"{kind}/coupon")
    index = ql.Euribor(ql.Period("6M"), forecast)
    index.addFixing(ql.Date(16, 5, 2025), 0.02142, True)
    index.addFixing(ql.Date(9, 9, 2025), 0.02078, True)
    bond = ql.FloatingRateBond(
        terms["days"],
        100.0,
        plain_schedule(instrument, kind, terms),
        index,
        ql.Actual360(),
        spreads=[float(coupon.findtext("spread"))],
        issueDate=terms["issue"],
    )
    bond.setPricingEngine(ql.DiscountingBondEngine(handle))
    return bond


def plain_cancellable(instrument, terms, handle):
    kind = "cancellableBond"
    coupon = instrument.find(f"{kind}/coupon")
    schedule = plain_schedule(instrument, kind, terms)
    rights = []
    for right in instrument.find(f"{kind}/cancellation"):
        type_ = ql.Callability.Call if right.tag == "call" else ql.Callability.Put
        price = ql.BondPrice(float(right.get("price")), ql.BondPrice.Clean)
        if right.get("date"):
            dates = [iso(right.get("date"))]
        else:
            first, last = iso(right.get("from")), iso(right.get("to"))
            dates = [d for d in schedule if first <= d <= last]
        rights += [ql.Callability(price, type_, date) for date in dates]
    bond = ql.CallableFixedRateBond(
        terms["days"],
        100.0,
        schedule,
        [float(coupon.findtext("rate"))],
        DAY_COUNTS[coupon.findtext("dayCount")],
        ql.Following,
        100.0,
        terms["issue"],
        ql.CallabilitySchedule(rights),
    )
    model = ql.HullWhite(handle, 0.03, 0.0092)
    bond.setPricingEngine(ql.TreeCallableFixedRateBondEngine(model, 120))
    return bond


def plain_numbers(instrument, curves):
    """Price, accrued, clean price, yield, duration and convexity the plain QuantLib way."""
    kind = next(e.tag for e in instrument if e.tag.endswith("Bond"))
    terms = bond_terms(instrument, kind)
    base = ql.YieldTermStructureHandle(curves[terms["currency"]])
    spreaded = ql.ZeroSpreadedTermStructure(base, ql.QuoteHandle(ql.SimpleQuote(terms["spread"])))
    handle = ql.YieldTermStructureHandle(spreaded)
    coupon = instrument.find(f"{kind}/coupon")
    frequency, day_count = ql.Annual, ql.Actual365Fixed()
    if coupon is not None:
        frequency = FREQUENCIES[coupon.findtext("frequency")]
        day_count = DAY_COUNTS[coupon.findtext("dayCount")]
    if kind == "fixedRateBond":
        bond = plain_fixed(instrument, terms, handle)
    elif kind == "zeroCouponBond":
        bond = plain_zero(instrument, terms, handle)
    elif kind == "floatingRateBond":
        bond = plain_floating(instrument, terms, handle, base)
    else:
        bond = plain_cancellable(instrument, terms, handle)
    clean = bond.cleanPrice()
    price = ql.BondPrice(clean, ql.BondPrice.Clean)
    rate = bond.bondYield(price, day_count, ql.Compounded, frequency, ql.Date(), 1e-12)
    at_yield = ql.InterestRate(rate, day_count, ql.Compounded, frequency)
    numbers = {
        "price": bond.NPV() * terms["quantity"],
        "accruedInterest": bond.accruedAmount() * terms["quantity"],
        "cleanPrice": clean,
        "yield": rate,
    }
    if kind != "cancellableBond":  # those have effective ones
        numbers["duration"] = ql.BondFunctions.duration(bond, at_yield, ql.Duration.Modified)
        numbers["convexity"] = ql.BondFunctions.convexity(bond, at_yield)
    return numbers


@pytest.fixture(scope="module")
def desk(sample):
    return sample(DESK)


@pytest.fixture(scope="module")
def solved(desk):
    return desk.run(0, desk.instruments("curves"))


@pytest.fixture(scope="module")
def priced(desk, solved):
    curves = [outcome.element("curve") for outcome in solved]
    return desk.run(1, desk.instruments("bonds"), curves)


def test_every_node_of_the_curves_agrees_with_a_plain_bootstrap(desk, solved):
    ql.Settings.instance().evaluationDate = TODAY
    for instrument, outcome in zip(desk.instruments("curves"), solved, strict=True):
        plain = plain_curve(instrument)
        nodes = outcome.element("curve").findall("node")
        assert [n.get("date") for n in nodes] == [d.ISO() for d in plain.dates()]
        for node in nodes:
            discount = plain.discount(iso(node.get("date")))
            assert float(node.text) == pytest.approx(discount, abs=1e-12)


def test_the_25_bonds_agree_with_plain_quantlib(desk, priced):
    ql.Settings.instance().evaluationDate = TODAY
    curves = {i.findtext("yieldCurve/currency"): plain_curve(i) for i in desk.instruments("curves")}
    instruments = desk.instruments("bonds")
    assert len(instruments) == 25
    for instrument, outcome in zip(instruments, priced, strict=True):
        for name, number in plain_numbers(instrument, curves).items():
            assert outcome.number(name) == pytest.approx(number, rel=1e-9, abs=1e-9), (
                instrument.get("name"),
                name,
            )


def test_the_dv01_of_the_bonds_agrees_with_moved_plain_curves(desk, priced):
    ql.Settings.instance().evaluationDate = TODAY

    def moved(shift: float):
        bump = ql.QuoteHandle(ql.SimpleQuote(shift))
        return {
            i.findtext("yieldCurve/currency"): ql.ZeroSpreadedTermStructure(
                ql.YieldTermStructureHandle(plain_curve(i)), bump
            )
            for i in desk.instruments("curves")
        }

    down, up = moved(-1e-4), moved(1e-4)
    for curve in (*down.values(), *up.values()):
        curve.enableExtrapolation()
    for instrument, outcome in zip(desk.instruments("bonds"), priced, strict=True):
        low, high = (plain_numbers(instrument, curves)["price"] for curves in (down, up))
        assert outcome.number("dv01") == pytest.approx((low - high) / 2, rel=1e-6), instrument.get(
            "name"
        )


def test_no_bond_of_the_desk_brings_a_warning(priced, solved):
    assert [outcome.codes() for outcome in (*priced, *solved)] == [[]] * 28


def test_the_totals_add_up_by_currency_and_by_kind(desk, priced):
    outcome = desk.total(2, priced, "Bonds")
    spots = {"USD": 1.0, "EUR": 1.1825, "GBP": 1.3640}
    expected = sum(o.number("price") * spots[o.element("price").get("currency")] for o in priced)
    assert outcome.number("price") == pytest.approx(expected, rel=1e-12)
    result = outcome.element("aggregate")
    total = result.find("total")
    assert dict(total.attrib) == {"currency": "USD", "count": "25", "notPriced": "0"}
    for by, keys in (
        ("currency", ["EUR", "GBP", "USD"]),
        ("kind", ["cancellableBond", "fixedRateBond", "floatingRateBond", "zeroCouponBond"]),
    ):
        subtotals = result.findall(f"subtotal[@by='{by}']")
        assert [s.get("key") for s in subtotals] == keys
        assert sum(int(s.get("count")) for s in subtotals) == 25
        for column, whole in (("baseAmount", "amount"), ("dv01", "dv01")):
            parts = sum(float(s.findtext(column)) for s in subtotals)
            assert parts == pytest.approx(float(total.findtext(whole)), rel=1e-9)
    group = outcome.valuation.find("instrument/aggregate/group")
    assert dict(group.attrib) == {"name": "Bonds", "count": "25"}
    assert len(group) == 0
