"""Yields: how they are compounded and counted, and which attributes of the document say so.

Used by the bonds and the loan for the outputs ``yield``, ``duration`` and ``convexity``.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import names
from vnas.engine.fields import Fields

ACCURACY = 1e-13  # of a solved yield: its price is then right to all digits that count
_DURATIONS = {
    "modified": ql.Duration.Modified,
    "macaulay": ql.Duration.Macaulay,
    "simple": ql.Duration.Simple,
}


@dataclass(frozen=True, slots=True)
class YieldTerms:
    """How a yield is compounded and counted."""

    compounding: int
    frequency: int
    day_count: Any

    def changed_by(self, fields: Fields) -> "YieldTerms":
        """Apply the attributes ``compounding``, ``frequency`` and ``dayCount`` of an element."""
        compounding = fields.attribute("compounding", names.compounding)
        frequency = fields.attribute("frequency", names.frequency)
        day_count = fields.attribute("dayCount", names.day_count)
        fields.faults.raise_first()
        return YieldTerms(
            self.compounding if compounding is None else compounding,
            self.frequency if frequency is None else frequency,
            day_count or self.day_count,
        )

    def of(self, rate: float) -> Any:
        """Make the ql.InterestRate of a number."""
        return ql.InterestRate(rate, self.day_count, self.compounding, self.frequency)


def terms_beside(default: YieldTerms, asked: Fields) -> YieldTerms:
    """Give the terms of the ``yield`` that stands beside an output, changed by its own."""
    analytics = asked.element.getparent()
    beside = None if analytics is None else analytics.find("yield")
    if beside is not None and beside is not asked.element:
        default = default.changed_by(Fields(beside, asked.faults))
    return default.changed_by(asked)


def duration_type(asked: Fields) -> int:
    """Read the attribute ``type`` of a duration as QuantLib's constant."""
    name = asked.attribute("type", names.one_of(*_DURATIONS)) or "modified"
    asked.faults.raise_first()
    return int(_DURATIONS[name])
