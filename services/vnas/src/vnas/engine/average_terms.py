"""What an Asian option averages: the days, and what is known of the average already.

Read by the kind ``asianOption`` for `averages`. Fixing dates may be listed from the first one on,
or only those still to come; ``pastFixings`` speaks for the dates before the evaluation date.
"""

import itertools
from dataclasses import dataclass, field

from lxml import etree

from vnas.engine import names, values
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.task import Task
from vnas.engine.values import Date, path_of

ARITHMETIC, GEOMETRIC = "arithmetic", "geometric"
MAX_FIXINGS = 1_000


@dataclass(frozen=True, slots=True)
class Average:
    """The average and its history; of the two lists of terms one is used."""

    kind: str  # arithmetic or geometric
    continuous: bool
    # Discrete: dates with a price to come, and how many there were before, with their average.
    dates: list[Date] = field(default_factory=list)
    past_count: int = 0
    past_average: float = 1.0
    # Continuous: from this date, with the average so far.
    start: Date | None = None
    running: float | None = None


def read(task: Task, expiry: Date) -> Average:
    """Read ``averaging``, the fixing dates and the history.

    Notes VNP-208 for dates out of order, after expiry or too many, and VNP-211 for dates that have
    passed without ``pastFixings`` or ``runningAverage``.
    """
    fields = task.fields
    kind = fields.get("averaging", names.one_of(ARITHMETIC, GEOMETRIC), ARITHMETIC)
    listed = fields.child("fixingDates")
    past = fields.child("pastFixings")
    start = fields.maybe("startDate", values.date)
    running = fields.maybe("runningAverage", values.positive)
    if listed is None:
        _tell_unused(task, "pastFixings")
        return _continuous(task, kind, start or task.evaluation, running, expiry)
    _tell_unused(task, "startDate", "runningAverage")
    pairs = [(element, listed.parsed(element, values.date)) for element in listed.all("date")]
    listed.finish()
    dates = [(element, date) for element, date in pairs if date is not None]
    _check(task, dates, len(pairs), expiry)
    return _discrete(task, kind, [date for _, date in dates], past, expiry)


def _tell_unused(task: Task, *unused: str) -> None:
    for name in unused:
        if task.fields.first(name) is not None:
            averaged = "on its dates" if name != "pastFixings" else "continuously"
            task.faults.warn("VNP-105", f"{name} was not used: the option averages {averaged}")


def _check(task: Task, dates: list[tuple[etree._Element, Date]], count: int, expiry: Date) -> None:
    fields = task.fields
    if count == 0:
        fields.missing("fixingDates/date")
    if count > MAX_FIXINGS:
        fields.refuse("fixingDates", "VNP-208", f"more than {MAX_FIXINGS} fixing dates")
    for (_, before), (element, date) in itertools.pairwise(dates):
        if date <= before:
            _note(fields, element, f"{date.ISO()} is not after {before.ISO()}")
    for element, date in dates:
        if date > expiry:
            _note(fields, element, f"{date.ISO()} is after expiry, {expiry.ISO()}")


def _note(fields: Fields, element: etree._Element, sentence: str) -> None:
    fields.faults.note(element, EngineError("VNP-208", path_of(element), sentence))


def _discrete(
    task: Task, kind: str, dates: list[Date], past: Fields | None, expiry: Date
) -> Average:
    """Tell the dates that have a price from those that have not."""
    fields = task.fields
    gone = [date for date in dates if date < task.evaluation]
    coming = [date for date in dates if date >= task.evaluation]
    average, count = 1.0, 0
    if past is not None:
        average = past.parsed(past.element, values.positive) or 1.0
        if gone and past.element.get("count") is None:
            count = len(gone)
        else:
            whole = values.ranged(values.integer, 1, 100_000)
            count = past.need_attribute("count", whole, len(gone) or 1)
    elif gone and task.evaluation <= expiry:
        sentence = f"{len(gone)} fixing dates have passed, the first on {gone[0].ISO()}"
        fields.refuse("pastFixings", "VNP-211", sentence)
    if past is not None and gone and count == len(gone) + 1 and coming[:1] == [task.evaluation]:
        coming = coming[1:]  # the price of today is in the average already
    elif past is not None and gone and count != len(gone):
        sentence = f"{count} prices are counted, {len(gone)} of the dates have passed"
        fields.refuse("pastFixings", "VNP-208", sentence)
    return Average(
        kind,
        continuous=False,
        dates=coming,
        past_count=count,
        past_average=average,
    )


def _continuous(task: Task, kind: str, start: Date, running: float | None, expiry: Date) -> Average:
    fields = task.fields
    if start >= expiry and start > task.evaluation:
        fields.refuse("startDate", "VNP-208", f"{start.ISO()} is not before {expiry.ISO()}")
    elif start < task.evaluation <= expiry and running is None:
        if fields.first("runningAverage") is None:
            sentence = f"the average since {start.ISO()} is missing"
            fields.refuse("runningAverage", "VNP-211", sentence)
    elif start >= task.evaluation and running is not None:
        sentence = "runningAverage was not used: the average starts today or later"
        task.faults.warn("VNP-105", sentence)
    return Average(kind, continuous=True, start=start, running=running)
