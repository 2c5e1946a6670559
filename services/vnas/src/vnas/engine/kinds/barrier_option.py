"""``barrierOption``: a European option that the price of the share brings in or takes out."""

from vnas.engine import barriers, names, option_terms, underlyings, values
from vnas.engine.barriers import Barrier
from vnas.engine.outputs import Priced
from vnas.engine.task import Task


def value(task: Task) -> Priced:
    """Price a barrier option on an underlying of the market."""
    fields = task.fields
    named = fields.maybe("underlying", values.leaf)
    terms = option_terms.read_terms(task, "contractSize")
    barrier = Barrier(
        type=fields.need("barrierType", names.one_of(*barriers.TYPES), barriers.TYPES[0]),
        level=fields.need("barrier", values.positive, 1.0),
        rebate=fields.get("rebate", values.ranged(values.number, 0), 0.0),
    )
    task.ignore_quote()
    task.check()
    method = task.calculator.choose(*barriers.METHODS)
    underlying = underlyings.share(task.market, named, fields.path_to("underlying"))
    return barriers.priced(task, terms, barrier, underlying, method)
