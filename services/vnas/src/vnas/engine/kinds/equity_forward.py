"""``equityForward``: a share bought for a day to come at a price agreed today."""

from vnas.engine import forwards, underlyings, values
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a forward on an underlying of the market."""
    named = task.fields.maybe("underlying", values.leaf)
    terms = forwards.read_forward(task, "contractSize")
    task.ignore_quote()
    task.check()
    task.calculator.choose(forwards.METHOD)
    underlying = underlyings.share(task.market, named, task.fields.path_to("underlying"))
    return forwards.priced(task, terms, underlying)
