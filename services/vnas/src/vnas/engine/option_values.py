"""The value of one European payoff in one state of the market, by each process and method.

`spot_options` asks. Closed forms and grids are QuantLib's, for the normal process Bachelier's
formula and a grid for the forward; Monte Carlo draws the price at expiry.
"""

import math
from typing import Any

import QuantLib as ql

from vnas.engine.calculator import GRID_STEPS, Calculator
from vnas.engine.option_terms import Terms
from vnas.engine.spot_states import State

ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO = "analytic", "finiteDifference", "monteCarlo"


class Payoff:
    """A payoff with the process and the method that value it."""

    def __init__(self, terms: Terms, process: str, method: str, calculator: Calculator) -> None:
        self.terms = terms
        self.process = process
        self.method = method
        self.calculator = calculator
        self.payoff = ql.PlainVanillaPayoff(terms.kind, terms.strike)
        self._draws: tuple[float, ...] = ()

    def value(self, state: State) -> float:
        """Value one unit of the payoff."""
        if self.method == MONTE_CARLO:
            return self._paths(state)
        if self.process == "lognormal":
            return float(self.option(state).NPV())
        if self.method == FINITE_DIFFERENCE:
            return self._normal_grid(state)
        forward, discount = self.forward_and_discount(state)
        # Not ql.BachelierCalculator: deep in the money it gives 0 (seen in QuantLib 1.44).
        return float(
            ql.bachelierBlackFormula(
                self.terms.kind, self.terms.strike, forward, self.deviation(state), discount
            )
        )

    def option(self, state: State) -> Any:
        """Make the lognormal option with the engine of the method."""
        option = ql.VanillaOption(self.payoff, ql.EuropeanExercise(self.terms.expiry))
        flat = state.flat(self.terms.expiry, self.terms.strike)
        volatility = flat if state.volatility_bump else state.structure
        if self.method == FINITE_DIFFERENCE:
            process = state.stepping(volatility, self.terms.expiry)
            steps = self.calculator.time_steps or GRID_STEPS
            engine = ql.FdBlackScholesVanillaEngine(
                process, state.dividends, steps, self.calculator.grid_points
            )
        elif state.escrowed:
            process = state.process(volatility, self.terms.expiry)
            engine = ql.AnalyticDividendEuropeanEngine(process, state.dividends)
        else:
            process = state.process(volatility, self.terms.expiry)
            engine = ql.AnalyticEuropeanEngine(process)
        option.setPricingEngine(engine)
        return option

    def deviation(self, state: State) -> float:
        """Give the normal standard deviation of the forward at expiry."""
        return math.sqrt(state.variance(self.terms.expiry, self.terms.strike))

    def forward_and_discount(self, state: State) -> tuple[float, float]:
        """Give the forward price and the discount factor at expiry."""
        return state.forward(self.terms.expiry), state.drift.discount(self.terms.expiry)

    def _normal_grid(self, state: State) -> float:
        """Solve for the normal forward: an Ornstein-Uhlenbeck process that does not revert."""
        forward, _ = self.forward_and_discount(state)
        expiry, calculator = self.terms.expiry, self.calculator
        discounting = state.drift.valuing().currentLink()
        time = discounting.timeFromReference(expiry)
        process = ql.OrnsteinUhlenbeckProcess(
            0.0, self.deviation(state) / math.sqrt(time), forward, forward
        )
        option = ql.VanillaOption(self.payoff, ql.EuropeanExercise(expiry))
        steps = calculator.time_steps or GRID_STEPS
        option.setPricingEngine(
            ql.FdOrnsteinUhlenbeckVanillaEngine(process, discounting, steps, calculator.grid_points)
        )
        return float(option.NPV())

    def _paths(self, state: State) -> float:
        """Average the payoff over draws of the price at expiry, whose distribution is known.

        The draws are those of QuantLib's pseudo-random Monte Carlo engine with one step.
        """
        forward, discount = self.forward_and_discount(state)
        deviation, strike, sign = self.deviation(state), self.terms.strike, self.terms.sign
        draws = self._normal_draws()
        if self.process == "normal":
            prices = (forward + deviation * z for z in draws)
        else:
            if forward <= 0.0:  # told as QuantLib tells it
                raise RuntimeError("negative or null underlying after subtracting dividends")
            drift = math.log(forward) - deviation * deviation / 2.0
            prices = (math.exp(drift + deviation * z) for z in draws)
        paid = (max(sign * (price - strike), 0.0) for price in prices)
        return discount * math.fsum(paid) / len(draws)

    def _normal_draws(self) -> tuple[float, ...]:
        if not self._draws:
            uniform = ql.UniformRandomSequenceGenerator(
                self.calculator.samples, ql.UniformRandomGenerator(self.calculator.seed)
            )
            generator = ql.GaussianRandomSequenceGenerator(uniform)
            # Each of these lives in the one before it: keep them until the numbers are copied.
            sample = generator.nextSequence()
            self._draws = tuple(sample.value())
        return self._draws
