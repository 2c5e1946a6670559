"""``europeanOption``: the right to buy or sell a share on one day."""

from vnas.engine import option_terms, spot_options, underlyings, values
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a European option on an underlying of the market."""
    named = task.fields.maybe("underlying", values.leaf)
    terms = option_terms.read_terms(task, "contractSize")
    task.ignore_quote()
    task.check()
    underlying = underlyings.share(task.market, named, task.fields.path_to("underlying"))
    return spot_options.priced(task, terms, underlying)
