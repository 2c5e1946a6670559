"""Numbers, dates, tenors and names, as they may be written and as they are written back."""

import math

import pytest
import QuantLib as ql
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vnas.engine import names, outputs, values
from vnas.engine.errors import EngineError
from vnas.engine.values import Leaf


def leaf(text: str, **attributes: str) -> Leaf:
    return Leaf(text, etree.Element("x", attributes))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-0.5", -0.5),
        ("1.2e-4", 1.2e-4),
        ("+3", 3),
        (".5", 0.5),
        ("5.", 5),
        ("1E3", 1e3),
    ],
)
def test_numbers(text, number):
    assert values.number(leaf(text)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,000",
        "1 000",
        "5%",
        "0x10",
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "1_0",
        "٣",
        "--1",
        ".",
    ],
)
def test_what_is_no_number(text):
    with pytest.raises(EngineError) as caught:
        values.number(leaf(text))
    assert caught.value.code == "VNP-203"


@pytest.mark.parametrize(
    ("unit", "rate"),
    [({}, 5.0), ({"unit": "decimal"}, 5.0), ({"unit": "Percent"}, 0.05), ({"unit": "bp"}, 0.0005)],
)
def test_units_of_rates(unit, rate):
    assert values.rate(leaf("5", **unit)) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["1901-01-01", "2199-12-31", "2024-02-29"])
def test_dates(text):
    assert values.date(leaf(text)).ISO() == text


@pytest.mark.parametrize(
    "text",
    ["1900-12-31", "2200-01-01", "2023-02-29", "2025-9-1", "20250901", "17/09/2025", "today"],
)
def test_what_is_no_date(text):
    with pytest.raises(EngineError) as caught:
        values.date(leaf(text))
    assert caught.value.code == "VNP-203"


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("3M", ql.Period(3, ql.Months)),
        ("10Y", ql.Period(10, ql.Years)),
        ("2W", ql.Period(2, ql.Weeks)),
        ("1D", ql.Period(1, ql.Days)),
        ("1Y6M", ql.Period(18, ql.Months)),
        ("1W2D", ql.Period(9, ql.Days)),
    ],
)
def test_tenors(text, period):
    assert values.tenor(leaf(text)) == period


@pytest.mark.parametrize(
    "text", ["", "M", "3", "3X", "-3M", "3M1Y", "1Y2W", "1.5Y", "ON", "99999Y"]
)
def test_what_is_no_tenor(text):
    with pytest.raises(EngineError) as caught:
        values.tenor(leaf(text))
    assert caught.value.code == "VNP-203"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Actual360", ql.Actual360()),
        ("ACT/360", ql.Actual360()),
        ("ACT/365F", ql.Actual365Fixed()),
        ("act/365.fixed", ql.Actual365Fixed()),
        ("Actual364", ql.Actual364()),
        ("ACT/ACT", ql.ActualActual(ql.ActualActual.ISDA)),
        ("ACT/ACT.ISDA", ql.ActualActual(ql.ActualActual.ISDA)),
        ("ActualActualICMA", ql.ActualActual(ql.ActualActual.ISMA)),
        ("ACT/ACT.ISMA", ql.ActualActual(ql.ActualActual.ISMA)),
        ("30/360", ql.Thirty360(ql.Thirty360.BondBasis)),
        ("30/360.US", ql.Thirty360(ql.Thirty360.USA)),
        ("30E/360", ql.Thirty360(ql.Thirty360.European)),
        ("30E/360.ISDA", ql.Thirty360(ql.Thirty360.ISDA)),
        ("BUS/252", ql.Business252(ql.Brazil(ql.Brazil.Settlement))),
        ("1/1", ql.OneDayCounter()),
        ("simple", ql.SimpleDayCounter()),
    ],
)
def test_day_counts(written, plain):
    assert names.day_count(leaf(written)) == plain


CALENDARS = {
    "None": "Null",
    "WeekendsOnly": "weekends only",
    "TARGET": "TARGET",
    "UnitedStates": "US settlement",
    "USGovernmentBond": "US government bond market",
    "usnyse": "New York stock exchange",
    "USFederalReserve": "Federal Reserve Bankwire System",
    "USSOFR": "SOFR fixing calendar",
    "UnitedKingdom": "UK settlement",
    "Japan": "Japan",
    "Canada": "Canada",
    "Australia": "Australia settlement",
    "Switzerland": "Switzerland",
    "Brazil": "Brazil",
    "Germany": "Frankfurt stock exchange",
    "HongKong": "Hong Kong stock exchange",
    "Singapore": "Singapore exchange",
    "Norway": "Norway",
    "Sweden": "Sweden",
    "Denmark": "Denmark",
    "NewZealand": "New Zealand (Wellington)",
    "SouthAfrica": "South Africa",
}


@pytest.mark.parametrize(("written", "name"), CALENDARS.items())
def test_calendars(written, name):
    assert names.calendar(leaf(written)).name() == name


def test_joined_calendars_have_the_holidays_of_both():
    joined = names.calendar(leaf("TARGET+UnitedKingdom"))
    assert not joined.isBusinessDay(ql.Date(1, 5, 2025))  # Labour Day, of TARGET
    assert not joined.isBusinessDay(ql.Date(25, 8, 2025))  # the Summer Bank Holiday
    assert joined.isBusinessDay(ql.Date(26, 8, 2025))


@pytest.mark.parametrize(
    ("currency", "name"),
    [
        ("USD", "US government bond market"),
        ("EUR", "TARGET"),
        ("AUD", "Australia settlement"),
        ("PLN", "weekends only"),
    ],
)
def test_the_calendar_of_a_currency(currency, name):
    assert names.calendar_of(currency).name() == name


@pytest.mark.parametrize(
    ("written", "number"),
    [("Once", 0), ("annual", 1), ("4", 4), ("EveryFourthWeek", 13), ("Daily", 365), ("26", 26)],
)
def test_frequencies(written, number):
    assert names.frequency(leaf(written)) == number


@pytest.mark.parametrize(
    ("read", "written", "allowed"),
    [
        (names.day_count, "ACT/361", "Actual360"),
        (names.calendar, "TARGET+Mars", "WeekendsOnly"),
        (names.convention, "Sideways", "ModifiedFollowing"),
        (names.frequency, "7", "Quarterly"),
        (names.compounding, "Never", "Continuous"),
        (names.date_rule, "Up", "CDS2015"),
        (names.one_of("call", "put"), "cal", "call, put"),
    ],
)
def test_an_unknown_name_is_told_with_those_that_are_known(read, written, allowed):
    with pytest.raises(EngineError) as caught:
        read(leaf(written))
    assert caught.value.code == "VNP-204"
    assert f"'{written}'" in caught.value.message
    assert allowed in caught.value.message


def test_a_limit_is_told_exactly():
    with pytest.raises(EngineError, match=r"1000000$"):
        values.ranged(values.integer, 1, 1_000_000)(leaf("1000001"))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (-0.0, "0"), (100.0, "100"), (0.1, "0.1"), (-2.5, "-2.5"), (1e-20, "1e-20")],
)
def test_numbers_are_written_short(number, text):
    assert outputs.written(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_the_same(number):
    text = outputs.written(number)
    assert text != "-0"
    assert values.number(leaf(text)) == number


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_written(number):
    with pytest.raises(EngineError) as caught:
        outputs.number_at(etree.Element("price"), number)
    assert (caught.value.code, caught.value.path) == ("VNP-403", "/price")
