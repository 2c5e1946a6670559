"""``asianOption``: a European option on the average of a share's price."""

from vnas.engine import average_terms, averages, option_terms, underlyings, values
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price an Asian option on an underlying of the market."""
    named = task.fields.maybe("underlying", values.leaf)
    terms = option_terms.read_terms(task, "contractSize")
    average = average_terms.read(task, terms.expiry)
    task.ignore_quote()
    task.check()
    method = task.calculator.choose(*averages.methods(average))
    underlying = underlyings.share(task.market, named, task.fields.path_to("underlying"))
    return averages.priced(task, terms, average, underlying, method)
