"""``vanillaSwap``: a fixed rate against a term index, or against an overnight one (OIS)."""

from vnas.engine import rate_legs, swap_terms, swaps
from vnas.engine.outputs import Priced
from vnas.engine.swaps import Swap
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a swap by forecasting and discounting."""
    terms = swap_terms.read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(swaps.METHOD)
    index = task.market.index(terms.floating.index)
    currency = swap_terms.currency_of(task, index)
    if terms.end.has_passed(terms.start, task.evaluation):
        return swaps.matured(currency)
    calendar = index.unforecast().fixingCalendar()
    start = terms.start or rate_legs.spot(calendar, task.evaluation, terms.settlement_days)
    end = terms.end.after(start, calendar, end_of_month=terms.fixed.end_of_month)
    swap = Swap(task, terms, index, start, end)
    if swap.is_over:
        return swaps.matured(currency)
    swap.require_fixings()
    return swaps.priced(swap)
