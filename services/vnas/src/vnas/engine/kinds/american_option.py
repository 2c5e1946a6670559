"""``americanOption``: the right to buy or sell a share on any day up to one."""

from vnas.engine import early_exercise, option_terms, underlyings, values
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price an American option on an underlying of the market."""
    named = task.fields.maybe("underlying", values.leaf)
    terms = option_terms.read_terms(task, "contractSize")
    task.ignore_quote()
    task.check()
    method = task.calculator.choose(*early_exercise.METHODS)
    underlying = underlyings.share(task.market, named, task.fields.path_to("underlying"))
    return early_exercise.priced(task, terms, underlying, method)
