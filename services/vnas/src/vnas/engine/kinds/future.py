"""``future``: a contract on a share that is settled every day."""

from vnas.engine import forwards, underlyings, values
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a future on an underlying of the market against the price of its last settlement."""
    named = task.fields.maybe("underlying", values.leaf)
    terms = forwards.read_future(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(forwards.METHOD)
    underlying = underlyings.share(task.market, named, task.fields.path_to("underlying"))
    return forwards.priced(task, terms, underlying)
