"""Asian options on a share: a payoff on an average price.

`asianOption` reads the terms. What is known of the average is taken out first, so that
`arithmetic_averages` and `geometric_averages` value only what is to come.
"""

from vnas.engine import arithmetic_averages, geometric_averages, option_processes
from vnas.engine.average_history import Known, known_of
from vnas.engine.average_terms import GEOMETRIC, Average
from vnas.engine.errors import EngineError
from vnas.engine.option_processes import LOGNORMAL
from vnas.engine.option_terms import Terms
from vnas.engine.option_values import ANALYTIC, MONTE_CARLO
from vnas.engine.outputs import Priced, expired
from vnas.engine.spot_instruments import Option
from vnas.engine.spot_states import State
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.volatility import Volatility

TURNBULL_WAKEMAN, LEVY = "turnbullWakeman", "levy"


def methods(average: Average) -> tuple[str, ...]:
    """Give the methods for an average, the default first."""
    if average.kind == GEOMETRIC:
        return (ANALYTIC,)
    return (LEVY,) if average.continuous else (TURNBULL_WAKEMAN, MONTE_CARLO)


def priced(
    task: Task, terms: Terms, average: Average, underlying: Underlying, method: str
) -> Priced:
    """Price an option whose elements are read and whose underlying is found.

    Raises EngineError VNP-301 when there are cash dividends before expiry, or when a continuous
    average starts later than today.
    """
    asked = task.model.choose(LOGNORMAL)
    option_processes.tell_currency(task, underlying)
    option_processes.refuse_dividends(task, underlying, terms.expiry)
    if terms.expiry < task.evaluation:
        return expired(underlying.currency, method)
    if average.start is not None and average.start > task.evaluation:
        sentence = "a continuous average that starts after the evaluation date is not available"
        raise EngineError("VNP-301", task.fields.path_to("startDate"), sentence)
    _, chosen = option_processes.choose(task, underlying, asked, LOGNORMAL)
    option = AsianOption(task, terms, average, underlying, chosen, method)
    return Priced(method, underlying.currency, option.outputs())


class AsianOption(Option):
    """One option on an average."""

    lowest_volatility = 0.5  # the closed forms divide by it

    def __init__(
        self,
        task: Task,
        terms: Terms,
        average: Average,
        underlying: Underlying,
        chosen: Volatility,
        method: str,
    ) -> None:
        super().__init__(task, terms, underlying, chosen, method)
        self.average = average

    def value(self, state: State) -> float:
        """Value one unit by the method of its average."""
        known = self._known(state)
        if known.share == 1.0:
            return self.terms.paid(known.average) * state.drift.discount(self.expiry)
        if self.average.kind == GEOMETRIC:
            return geometric_averages.value(state, self.terms, known)
        if self.method == MONTE_CARLO:
            return arithmetic_averages.by_paths(state, self.terms, known, self.task.calculator)
        if self.average.continuous:
            return arithmetic_averages.levy(state, self.terms, known)
        return arithmetic_averages.turnbull_wakeman(state, self.terms, known)

    def at_expiry(self, state: State) -> float:
        """Give the payoff on the average, all of which is known."""
        return self.terms.paid(self._known(state).average)

    def slope_at_expiry(self, state: State) -> float:
        """Give the slope of the payoff: what a fixing of today weighs."""
        known = self._known(state)
        return self.terms.slope(known.average) * known.slope

    def closed(self, name: str, state: State) -> float | None:
        """Give QuantLib's closed form where it has one; none when a price of today counts."""
        known = self._known(state)
        if known.share == 1.0 or known.slope or self.method == MONTE_CARLO:
            return None
        if self.average.kind == GEOMETRIC:
            return geometric_averages.greek(name, state, self.terms, known)
        if self.average.continuous:
            return None
        return arithmetic_averages.turnbull_wakeman_greek(name, state, self.terms, known)

    def _known(self, state: State) -> Known:
        steady = self.method == TURNBULL_WAKEMAN
        return known_of(self.average, state, self.task.evaluation, self.expiry, steady=steady)
