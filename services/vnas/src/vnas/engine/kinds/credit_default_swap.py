"""``creditDefaultSwap``: protection from the default of a name, against a running spread."""

from vnas.engine import credit, credit_terms
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a credit default swap."""
    terms = credit_terms.read(task)
    task.ignore_quote()
    task.check()
    return credit.priced(task, terms, task.calculator.choose(*credit.METHODS))
