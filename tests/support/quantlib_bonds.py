"""The bond desk priced by QuantLib called directly: the plain way, nothing of VN's engine.

Used by `test_bond_desk` as the second opinion on every bond's price.
"""

from pathlib import Path

import QuantLib as ql
from lxml import etree

EVALUATION = ql.Date(17, 9, 2025)
CALENDARS = {
    "USGovernmentBond": lambda: ql.UnitedStates(ql.UnitedStates.GovernmentBond),
    "TARGET": ql.TARGET,
    "UnitedKingdom": ql.UnitedKingdom,
}
CURRENCY_CALENDAR = {"USD": "USGovernmentBond", "EUR": "TARGET", "GBP": "UnitedKingdom"}
CURRENCY_CURVE = {"USD": "USD-SOFR", "EUR": "EUR-ESTR", "GBP": "GBP-SONIA"}
DAY_COUNTS = {
    "ActualActualISMA": lambda: ql.ActualActual(ql.ActualActual.ISMA),
    "Thirty360BondBasis": lambda: ql.Thirty360(ql.Thirty360.BondBasis),
    "Actual360": ql.Actual360,
    "Actual365Fixed": ql.Actual365Fixed,
}
OVERNIGHT = {"SOFR": ql.Sofr, "ESTR": ql.Estr, "SONIA": ql.Sonia}
FREQUENCIES = {"Semiannual": ql.Semiannual, "Annual": ql.Annual}
CONVENTIONS = {None: ql.Unadjusted, "ModifiedFollowing": ql.ModifiedFollowing}


def prices(document: Path) -> dict[str, float]:
    """Give the value of each position by instrument name, in the bond's currency."""
    ql.Settings.instance().evaluationDate = EVALUATION
    ql.IndexManager.instance().clearHistories()
    project = etree.parse(document).find("project")
    assert project is not None
    curves = {
        str(i.get("name")): _curve(i[0]) for i in project.findall("portfolio[@name='curves']/*")
    }
    euribor = ql.Euribor(ql.Period("6M"), curves["EUR-ESTR"])
    for fixing in project.findall("market/index[@name='EURIBOR6M']/fixing"):
        euribor.addFixing(_date(str(fixing.get("date"))), float(fixing.text or ""))
    return {
        str(i.get("name")): _position(i, curves, euribor)
        for i in project.findall("portfolio[@name='bonds']/instrument")
    }


def _curve(quotes: etree._Element) -> ql.YieldTermStructureHandle:
    deposit = quotes.find("deposit")
    assert deposit is not None
    helpers = [
        ql.DepositRateHelper(
            _number(deposit, "rate"),
            ql.Period("1D"),
            0,
            CALENDARS[str(deposit.findtext("calendar"))](),
            ql.ModifiedFollowing,
            False,
            DAY_COUNTS[str(deposit.findtext("dayCount"))](),
        )
    ]
    overnight = OVERNIGHT[str(quotes.findtext("index"))]()
    for ois in quotes.findall("ois"):
        helper = ql.OISRateHelper(
            int(_number(ois, "settlementDays")),
            ql.Period(ois.get("tenor")),
            ql.QuoteHandle(ql.SimpleQuote(_number(ois, "rate"))),
            overnight,
            paymentLag=int(_number(ois, "paymentLag")),
            paymentConvention=ql.Following,
            paymentFrequency=ql.Annual,
        )
        helpers.append(helper)
    curve = ql.PiecewiseLogLinearDiscount(EVALUATION, helpers, ql.Actual365Fixed())
    return ql.YieldTermStructureHandle(curve)


def _position(
    instrument: etree._Element, curves: dict[str, ql.YieldTermStructureHandle], euribor: ql.Euribor
) -> float:
    terms = next(child for child in instrument if str(child.tag).endswith("Bond"))
    currency = str(instrument.findtext("currency"))
    spread = _number(terms, "discountSpread", 0.0) * 1e-4
    discount = ql.YieldTermStructureHandle(
        ql.ZeroSpreadedTermStructure(
            curves[CURRENCY_CURVE[currency]], ql.QuoteHandle(ql.SimpleQuote(spread))
        )
    )
    if terms.tag == "cancellableBond":
        bond = _callable(terms)
        model = ql.HullWhite(discount, 0.03, 0.0092)
        bond.setPricingEngine(ql.TreeCallableFixedRateBondEngine(model, 120))
    else:
        if terms.tag == "zeroCouponBond":
            bond = _zero(terms, currency)
        elif terms.tag == "floatingRateBond":
            bond = _floater(terms, euribor)
        else:
            bond = _fixed(terms)
        bond.setPricingEngine(ql.DiscountingBondEngine(discount))
    return float(bond.NPV()) * _number(instrument, "quantity")


def _schedule(terms: etree._Element) -> ql.Schedule:
    coupon = terms.find("coupon")
    assert coupon is not None
    convention = CONVENTIONS[coupon.findtext("convention")]
    return ql.Schedule(
        _date(str(terms.findtext("issueDate"))),
        _date(str(terms.findtext("maturityDate"))),
        ql.Period(FREQUENCIES[str(coupon.findtext("frequency"))]),
        CALENDARS[str(coupon.findtext("calendar"))](),
        convention,
        convention,
        ql.DateGeneration.Backward,
        coupon.findtext("endOfMonth") == "true",
    )


def _fixed(terms: etree._Element) -> ql.FixedRateBond:
    return ql.FixedRateBond(
        int(_number(terms, "settlementDays")),
        _number(terms, "faceAmount"),
        _schedule(terms),
        [_number(terms, "coupon/rate")],
        DAY_COUNTS[str(terms.findtext("coupon/dayCount"))](),
    )


def _zero(terms: etree._Element, currency: str) -> ql.ZeroCouponBond:
    return ql.ZeroCouponBond(
        int(_number(terms, "settlementDays")),
        CALENDARS[CURRENCY_CALENDAR[currency]](),
        _number(terms, "faceAmount"),
        _date(str(terms.findtext("maturityDate"))),
    )


def _floater(terms: etree._Element, euribor: ql.Euribor) -> ql.FloatingRateBond:
    bond = ql.FloatingRateBond(
        int(_number(terms, "settlementDays")),
        _number(terms, "faceAmount"),
        _schedule(terms),
        euribor,
        ql.Actual360(),
        spreads=[_number(terms, "coupon/spread")],
    )
    ql.setCouponPricer(bond.cashflows(), ql.BlackIborCouponPricer())
    return bond


def _callable(terms: etree._Element) -> ql.CallableFixedRateBond:
    schedule = _schedule(terms)
    exercises = ql.CallabilitySchedule()
    for right in terms.findall("cancellation/*"):
        kind = ql.Callability.Call if right.tag == "call" else ql.Callability.Put
        price = ql.BondPrice(float(right.get("price", "100")), ql.BondPrice.Clean)
        if right.get("date"):
            dates = [_date(str(right.get("date")))]
        else:
            first, last = (_date(str(right.get(end))) for end in ("from", "to"))
            dates = [date for date in schedule if first <= date <= last]
        for date in dates:
            exercises.push_back(ql.Callability(price, kind, date))
    return ql.CallableFixedRateBond(
        int(_number(terms, "settlementDays")),
        _number(terms, "faceAmount"),
        schedule,
        [_number(terms, "coupon/rate")],
        DAY_COUNTS[str(terms.findtext("coupon/dayCount"))](),
        ql.Following,
        100.0,
        _date(str(terms.findtext("issueDate"))),
        exercises,
    )


def _number(element: etree._Element, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is not None:
        return default
    return float(text or "")


def _date(text: str) -> ql.Date:
    year, month, day = (int(part) for part in text.split("-"))
    return ql.Date(day, month, year)
