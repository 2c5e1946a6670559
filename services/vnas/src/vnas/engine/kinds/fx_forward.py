"""``fxForward``: BASE bought for QUOTE on a day to come; values are in QUOTE."""

from vnas.engine import forwards, underlyings
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a forward on an exchange rate of the market."""
    pair = task.fields.need("pair", underlyings.pair_name, None)
    terms = forwards.read_forward(task, "notional")
    task.ignore_quote()
    task.check()
    task.calculator.choose(forwards.METHOD)
    assert pair is not None  # a missing one was told by check
    return forwards.priced(task, terms, underlyings.pair(task.market, pair))
