"""European options on a spot price: what ``europeanOption`` and ``fxOption`` share.

`SpotOption` values the payoff by closed form (Black-Scholes-Merton, Garman-Kohlhagen, Bachelier),
finite differences or Monte Carlo, and gives the Greeks: QuantLib's where it has a closed form, else
central differences.

Cash dividends are escrowed (the spot less what they are worth today is lognormal) in the closed
form and the Monte Carlo method; with finite differences the spot falls on their dates.
"""

import QuantLib as ql

from vnas.engine import option_processes
from vnas.engine.option_processes import LOGNORMAL, NORMAL
from vnas.engine.option_terms import Terms
from vnas.engine.option_values import ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO, Payoff
from vnas.engine.outputs import Priced, expired
from vnas.engine.spot_instruments import Option
from vnas.engine.spot_states import State
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.volatility import Volatility

_NORMAL_BUMP = 1e-4
_NEARLY_ZERO = 1e-12  # a deviation to divide by where there is no volatility


def priced(task: Task, terms: Terms, underlying: Underlying) -> Priced:
    """Price an option whose elements are read and whose underlying is found."""
    method = task.calculator.choose(ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO)
    asked = task.model.choose(LOGNORMAL, NORMAL)
    option_processes.tell_currency(task, underlying)
    if terms.expiry < task.evaluation:
        return expired(underlying.currency, method)
    process, chosen = option_processes.choose(task, underlying, asked, LOGNORMAL, NORMAL)
    option = SpotOption(task, terms, underlying, chosen, process, method)
    return Priced(method, underlying.currency, option.outputs())


class SpotOption(Option):
    """One European option."""

    def __init__(
        self,
        task: Task,
        terms: Terms,
        underlying: Underlying,
        chosen: Volatility,
        process: str,
        method: str,
    ) -> None:
        super().__init__(task, terms, underlying, chosen, method)
        self.process = process
        self.payoff = Payoff(terms, process, method, task.calculator)
        if process == NORMAL:
            self.volatility_bump = _NORMAL_BUMP

    def value(self, state: State) -> float:
        """Value one unit of the payoff."""
        return self.payoff.value(state)

    def closed(self, name: str, state: State) -> float | None:
        """Give QuantLib's closed form of the lognormal process, or the normal one's own."""
        if self.method != ANALYTIC:
            return None
        if self.process == NORMAL:
            return self._bachelier(name, state)
        return float(getattr(self.payoff.option(state), name)())

    def _bachelier(self, name: str, state: State) -> float | None:
        """Give the derivatives of Bachelier's formula; not theta, nor rho with dividends."""
        if name == "theta" or (name == "rho" and state.escrowed):
            return None
        forward, discount = self.payoff.forward_and_discount(state)
        slope = forward / (state.spot - state.escrowed)  # of the forward in the spot
        sign = self.terms.sign
        deviation = max(self.payoff.deviation(state), _NEARLY_ZERO)
        d = (forward - self.terms.strike) / deviation
        normal = ql.CumulativeNormalDistribution()
        hit, density = normal(sign * d), normal.derivative(d)
        if name == "delta":
            greek = sign * hit * slope
        elif name == "gamma":
            greek = density / deviation * slope**2
        elif name == "vega":
            greek = density * state.structure.timeFromReference(self.expiry) ** 0.5
        else:
            time = state.drift.valuing().currentLink().timeFromReference(self.expiry)
            greek = time * (sign * hit * forward - self.payoff.value(state) / discount)
        return float(greek) * discount
