"""The process of an option on a spot price, with the volatility that belongs to it.

The kinds ask with the processes that they have; the volatility's ``quote`` decides where the model
says nothing.
"""

from vnas.engine import volatility_choice
from vnas.engine.errors import EngineError
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.values import Date
from vnas.engine.volatility import Volatility

LOGNORMAL, NORMAL = "lognormal", "normal"


def choose(
    task: Task, underlying: Underlying, asked: str | None, *listed: str
) -> tuple[str, Volatility]:
    """Find the volatility and decide the process.

    Raises EngineError VNP-207 without a volatility, VNP-303 when its quote is not the process that
    is asked for, VNP-301 when the kind does not have the process of its quote.
    """
    chosen = volatility_choice.choose(
        task.model,
        task.position,
        task.market,
        own=underlying.volatility,
        path=f"{task.path}/volatility",
    )
    if asked is not None and chosen.quote is not None and asked != chosen.quote:
        sentence = f"the volatility is quoted {chosen.quote}, the process is {asked}"
        raise EngineError("VNP-303", chosen.path, sentence)
    process = asked or chosen.quote or LOGNORMAL
    if process not in listed:
        sentence = f"{task.kind} takes a volatility quoted {' or '.join(listed)}"
        raise EngineError("VNP-301", chosen.path, sentence)
    return process, chosen


def tell_currency(task: Task, underlying: Underlying) -> None:
    """Warn (VNP-105) of a currency that is not the underlying's: there is no quanto."""
    if task.position.currency not in (None, underlying.currency):
        task.faults.warn("VNP-105", f"currency was not used: values are in {underlying.currency}")


def refuse_dividends(task: Task, underlying: Underlying, expiry: Date) -> None:
    """Raise VNP-301 for a kind that has no method for cash dividends, if there are any."""
    coming = underlying.coming(task.evaluation, expiry)
    if coming:
        sentence = f"{task.kind} takes no cash dividends; one is due on {coming[0].date.ISO()}"
        raise EngineError("VNP-301", task.path, sentence)
