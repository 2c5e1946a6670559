"""``fxOption``: the right to buy or sell BASE for QUOTE on one day; values are in QUOTE."""

from vnas.engine import option_terms, spot_options, underlyings
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a European option on an exchange rate of the market."""
    pair = task.fields.need("pair", underlyings.pair_name, None)
    terms = option_terms.read_terms(task, "notional")
    task.ignore_quote()
    task.check()
    assert pair is not None  # a missing one was told by check
    return spot_options.priced(task, terms, underlyings.pair(task.market, pair))
