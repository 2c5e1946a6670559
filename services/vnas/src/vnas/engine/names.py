"""Names of the vocabulary as QuantLib objects: day counts, calendars, conventions, frequencies, ...

A `values.Leaf` goes in; a name outside its list is VNP-204 at the leaf. Names compare without
regard to case; each reader returns a new object where QuantLib's objects have state.
"""

from collections.abc import Callable, Mapping
from typing import Any

import QuantLib as ql

from vnas.engine import currencies
from vnas.engine.errors import quoted
from vnas.engine.values import Leaf

DayCounter = Any  # ql.DayCounter and the other QuantLib objects come without types
Calendar = Any

_DAY_COUNTS: tuple[tuple[tuple[str, ...], Callable[[], DayCounter]], ...] = (
    (("Actual360", "ACT/360"), ql.Actual360),
    (("Actual365Fixed", "ACT/365F", "ACT/365.FIXED"), ql.Actual365Fixed),
    (("Actual364",), ql.Actual364),
    (
        ("ActualActualISDA", "ACT/ACT", "ACT/ACT.ISDA"),
        lambda: ql.ActualActual(ql.ActualActual.ISDA),
    ),
    (
        # Without a schedule: a payment date past the last schedule date would be out of its range.
        ("ActualActualISMA", "ActualActualICMA", "ACT/ACT.ISMA", "ACT/ACT.ICMA"),
        lambda: ql.ActualActual(ql.ActualActual.ISMA),
    ),
    (("Thirty360BondBasis", "30/360"), lambda: ql.Thirty360(ql.Thirty360.BondBasis)),
    (("Thirty360USA", "30/360.US"), lambda: ql.Thirty360(ql.Thirty360.USA)),
    (("Thirty360European", "30E/360"), lambda: ql.Thirty360(ql.Thirty360.European)),
    (("Thirty360ISDA", "30E/360.ISDA"), lambda: ql.Thirty360(ql.Thirty360.ISDA)),
    (("Business252", "BUS/252"), lambda: ql.Business252(ql.Brazil(ql.Brazil.Settlement))),
    (("OneOne", "1/1"), ql.OneDayCounter),
    (("Simple",), ql.SimpleDayCounter),
)
_CALENDARS: Mapping[str, Callable[[], Calendar]] = {
    "NullCalendar": ql.NullCalendar,
    "None": ql.NullCalendar,
    "WeekendsOnly": ql.WeekendsOnly,
    "TARGET": ql.TARGET,
    "UnitedStates": lambda: ql.UnitedStates(ql.UnitedStates.Settlement),
    "USGovernmentBond": lambda: ql.UnitedStates(ql.UnitedStates.GovernmentBond),
    "USNYSE": lambda: ql.UnitedStates(ql.UnitedStates.NYSE),
    "USFederalReserve": lambda: ql.UnitedStates(ql.UnitedStates.FederalReserve),
    "USSOFR": lambda: ql.UnitedStates(ql.UnitedStates.SOFR),
    "UnitedKingdom": ql.UnitedKingdom,
    "Japan": ql.Japan,
    "Canada": ql.Canada,
    "Australia": ql.Australia,
    "Switzerland": ql.Switzerland,
    "Brazil": ql.Brazil,
    "Germany": ql.Germany,
    "HongKong": ql.HongKong,
    "Singapore": ql.Singapore,
    "Norway": ql.Norway,
    "Sweden": ql.Sweden,
    "Denmark": ql.Denmark,
    "NewZealand": ql.NewZealand,
    "SouthAfrica": ql.SouthAfrica,
}
_CONVENTIONS = {
    name: getattr(ql, name)
    for name in (
        "Following",
        "ModifiedFollowing",
        "Preceding",
        "ModifiedPreceding",
        "Unadjusted",
        "HalfMonthModifiedFollowing",
        "Nearest",
    )
}
_FREQUENCIES = {
    name: int(getattr(ql, name))
    for name in (
        "Once",
        "Annual",
        "Semiannual",
        "EveryFourthMonth",
        "Quarterly",
        "Bimonthly",
        "Monthly",
        "EveryFourthWeek",
        "Biweekly",
        "Weekly",
        "Daily",
    )
}
_COMPOUNDINGS = {
    name: getattr(ql, name)
    for name in ("Simple", "Compounded", "Continuous", "SimpleThenCompounded")
}
_RULES = {
    name: getattr(ql.DateGeneration, name)
    for name in (
        "Backward",
        "Forward",
        "Zero",
        "ThirdWednesday",
        "Twentieth",
        "TwentiethIMM",
        "OldCDS",
        "CDS",
        "CDS2015",
    )
}


def _folded(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): item for name, item in names.items()}


_DAY_COUNT_BY_NAME = {
    name.lower(): (names[0], make) for names, make in _DAY_COUNTS for name in names
}
_CALENDAR_BY_NAME = _folded(_CALENDARS)


def one_of(*names: str) -> Callable[[Leaf], str]:
    """Make a reader for a closed list of words; gives the word as it is spelled in the list."""
    by_name = {name.lower(): name for name in names}

    def read(leaf: Leaf) -> str:
        name = by_name.get(leaf.text.lower())
        if name is None:
            raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not one of {', '.join(names)}")
        return name

    return read


def _reader(what: str, names: Mapping[str, Any]) -> Callable[[Leaf], Any]:
    by_name = _folded(names)

    def read(leaf: Leaf) -> Any:
        try:
            return by_name[leaf.text.lower()]
        except KeyError:
            sentence = f"{quoted(leaf.text)} is not a {what}: {', '.join(names)}"
            raise leaf.error("VNP-204", sentence) from None

    return read


convention = _reader("business-day convention", _CONVENTIONS)
compounding = _reader("compounding", _COMPOUNDINGS)
date_rule = _reader("date rule", _RULES)
frequency: Callable[[Leaf], int] = _reader(
    "frequency", {**_FREQUENCIES, **{str(number): number for number in _FREQUENCIES.values()}}
)


def day_count_name(leaf: Leaf) -> str:
    """Give the day count's first name in the list, under whichever name it was written."""
    found = _DAY_COUNT_BY_NAME.get(leaf.text.lower())
    if found is None:
        listed = ", ".join(names[0] for names, _ in _DAY_COUNTS)
        raise leaf.error("VNP-204", f"{quoted(leaf.text)} is not a day count: {listed}")
    return found[0]


def day_count_of(name: str) -> DayCounter:
    """Make the day counter with a name of the list."""
    return _DAY_COUNT_BY_NAME[name.lower()][1]()


def day_count(leaf: Leaf) -> DayCounter:
    """Make the day counter that is named."""
    return day_count_of(day_count_name(leaf))


def calendar(leaf: Leaf) -> Calendar:
    """Make the calendar that is named; ``A+B`` has the holidays of both."""
    joined: Calendar = None
    for name in leaf.text.split("+"):
        make = _CALENDAR_BY_NAME.get(name.strip().lower())
        if make is None:
            sentence = f"{quoted(leaf.text)} is not a calendar: {', '.join(_CALENDARS)}"
            raise leaf.error("VNP-204", sentence)
        joined = make() if joined is None else ql.JointCalendar(joined, make(), ql.JoinHolidays)
    return joined


def calendar_of(currency: str) -> Calendar:
    """Make the calendar that a currency's amounts follow where none is given."""
    return _CALENDARS[currencies.CALENDARS.get(currency, currencies.OTHER_CALENDAR)]()


def currency(leaf: Leaf) -> str:
    """Read three capital letters; whether they are in the ISO list is `fields`' warning."""
    code = leaf.text
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise leaf.error("VNP-204", f"{quoted(code)} is not a currency of three capital letters")
    return code
