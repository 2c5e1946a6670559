"""Barrier options on a share: a European payoff that a level of the price brings in or takes out.

`barrierOption` reads the terms. A spot at the barrier or beyond it counts as a hit today: what was
knocked out is worth its rebate, what was knocked in the plain option. The volatility is that of the
strike, as in QuantLib's engines.
"""

from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import option_processes
from vnas.engine.calculator import GRID_STEPS
from vnas.engine.option_processes import LOGNORMAL
from vnas.engine.option_terms import Terms
from vnas.engine.option_values import ANALYTIC, FINITE_DIFFERENCE
from vnas.engine.outputs import Priced, expired
from vnas.engine.spot_instruments import Option
from vnas.engine.spot_states import State
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.volatility import Volatility

METHODS = (ANALYTIC, FINITE_DIFFERENCE)
_TYPES = {
    "downIn": ql.Barrier.DownIn,
    "downOut": ql.Barrier.DownOut,
    "upIn": ql.Barrier.UpIn,
    "upOut": ql.Barrier.UpOut,
}
TYPES = tuple(_TYPES)


@dataclass(frozen=True, slots=True)
class Barrier:
    """The level and what happens there."""

    type: str  # one of TYPES
    level: float
    rebate: float  # paid at the hit by an out, at expiry by an in that was not hit

    @property
    def brings_in(self) -> bool:
        """Whether a hit makes the option, rather than ending it."""
        return self.type.endswith("In")

    def is_hit(self, spot: float) -> bool:
        """Tell whether a price is at the barrier or beyond it."""
        return spot <= self.level if self.type.startswith("down") else spot >= self.level


def priced(
    task: Task, terms: Terms, barrier: Barrier, underlying: Underlying, method: str
) -> Priced:
    """Price an option whose elements are read and whose underlying is found.

    Raises EngineError VNP-301 when there are cash dividends before expiry.
    """
    asked = task.model.choose(LOGNORMAL)
    option_processes.tell_currency(task, underlying)
    option_processes.refuse_dividends(task, underlying, terms.expiry)
    if terms.expiry < task.evaluation:
        return expired(underlying.currency, method)
    _, chosen = option_processes.choose(task, underlying, asked, LOGNORMAL)
    option = BarrierOption(task, terms, barrier, underlying, chosen, method)
    return Priced(method, underlying.currency, option.outputs())


class BarrierOption(Option):
    """One option with one barrier."""

    lowest_volatility = 0.5  # the closed form divides by it

    def __init__(
        self,
        task: Task,
        terms: Terms,
        barrier: Barrier,
        underlying: Underlying,
        chosen: Volatility,
        method: str,
    ) -> None:
        super().__init__(task, terms, underlying, chosen, method)
        self.barrier = barrier
        self.payoff = ql.PlainVanillaPayoff(terms.kind, terms.strike)
        self.exercise = ql.EuropeanExercise(terms.expiry)

    def value(self, state: State) -> float:
        """Value one unit with QuantLib's engine of the method."""
        if self.barrier.is_hit(state.spot):
            return self._plain(state) if self.barrier.brings_in else self.barrier.rebate
        if self.method == FINITE_DIFFERENCE:
            return self._by_grid(state)
        flat = state.flat(self.expiry, self.terms.strike)
        return self._valued(ql.AnalyticBarrierEngine(state.stepping(flat, self.expiry)))

    def at_expiry(self, state: State) -> float:
        """Give the payoff, or the rebate."""
        alive = self.barrier.is_hit(state.spot) == self.barrier.brings_in
        return self.terms.paid(state.spot) if alive else self.barrier.rebate

    def slope_at_expiry(self, state: State) -> float:
        """Give the slope of the payoff where there is an option."""
        alive = self.barrier.is_hit(state.spot) == self.barrier.brings_in
        return self.terms.slope(state.spot) if alive else 0.0

    def _plain(self, state: State) -> float:
        option = ql.VanillaOption(self.payoff, self.exercise)
        process = state.process(state.flat(self.expiry, self.terms.strike), self.expiry)
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        return float(option.NPV())

    def _by_grid(self, state: State) -> float:
        """Value on a grid; on a second one of half the steps where the payoff jumps at the barrier.

        With a jump QuantLib's grid is off by some per cent, in inverse proportion to its steps, so
        that two grids tell what endless steps would give; and its usual scheme oscillates.
        """
        through_time = state.through_time(self.expiry, self.terms.strike)
        process = state.stepping(through_time, self.expiry)
        calculator, barrier = self.task.calculator, self.barrier
        steps, points = calculator.time_steps or GRID_STEPS, calculator.grid_points
        if steps == 1 or self.terms.paid(barrier.level) == barrier.rebate:
            return self._valued(ql.FdBlackScholesBarrierEngine(process, steps, points))

        def on_grid(count: int) -> float:
            damped, scheme = 0, ql.FdmSchemeDesc.TrBDF2()
            return self._valued(
                ql.FdBlackScholesBarrierEngine(process, count, points, damped, scheme)
            )

        fewer = steps // 2
        return (steps * on_grid(steps) - fewer * on_grid(fewer)) / (steps - fewer)

    def _valued(self, engine: Any) -> float:
        option = ql.BarrierOption(
            _TYPES[self.barrier.type],
            self.barrier.level,
            self.barrier.rebate,
            self.payoff,
            self.exercise,
        )
        option.setPricingEngine(engine)
        return float(option.NPV())
