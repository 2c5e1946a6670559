"""The value of one European payoff in one state of the market, by each process and method.

`spot_options` makes the states and asks. Closed forms and grids are QuantLib's, for the normal
process Bachelier's formula and a grid for the forward; Monte Carlo draws the price at expiry.
"""

import math
from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine.calculator import GRID_STEPS, Calculator
from vnas.engine.curves import Curve
from vnas.engine.option_terms import Terms
from vnas.engine.values import Date

ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO = "analytic", "finiteDifference", "monteCarlo"


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the value depends on, on one market with one set of bumps."""

    evaluation: Date
    spot: float  # for settlement today
    spot_factor: float  # of today's spot to the quoted one
    drift: Curve
    spread_factor: float  # what the discount spread takes off
    carry: Curve
    dividends: Any  # ql.DividendVector
    escrowed: float  # what the coming dividends are worth in today's spot
    structure: Any  # ql.BlackVolTermStructure
    volatility_bump: float

    def forward(self, expiry: Date) -> float:
        """Give the forward price at expiry."""
        net = self.spot - self.escrowed
        return net * self.carry.discount(expiry) / self.drift.discount(expiry)


class Payoff:
    """A payoff with the process and the method that value it."""

    def __init__(self, terms: Terms, process: str, method: str, calculator: Calculator) -> None:
        self.terms = terms
        self.process = process
        self.method = method
        self.calculator = calculator
        self.payoff = ql.PlainVanillaPayoff(terms.kind, terms.strike)
        self._draws: tuple[float, ...] = ()

    @property
    def sign(self) -> float:
        """1 for a call, -1 for a put."""
        return 1.0 if self.terms.kind == ql.Option.Call else -1.0

    def at_expiry(self, spot: float) -> float:
        """Give what is paid on the day of expiry."""
        return float(self.payoff(spot))

    def value(self, state: State) -> float:
        """Value one unit of the payoff, before the discount spread."""
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
        process = self._process(state)
        if self.method == FINITE_DIFFERENCE:
            steps = self.calculator.time_steps or GRID_STEPS
            engine = ql.FdBlackScholesVanillaEngine(
                process, state.dividends, steps, self.calculator.grid_points
            )
        elif state.escrowed:
            engine = ql.AnalyticDividendEuropeanEngine(process, state.dividends)
        else:
            engine = ql.AnalyticEuropeanEngine(process)
        option.setPricingEngine(engine)
        return option

    def _process(self, state: State) -> Any:
        structure = self._flat(state) if state.volatility_bump else state.structure
        return ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(state.spot)),
            state.carry.valuing(),
            state.drift.valuing(),
            ql.BlackVolTermStructureHandle(structure),
        )

    def _flat(self, state: State) -> Any:
        """Give the one volatility at strike and expiry, which decides a European payoff."""
        counter = state.structure.dayCounter()
        bumped = self.volatility(state) + state.volatility_bump
        return ql.BlackConstantVol(state.evaluation, ql.NullCalendar(), bumped, counter)

    def deviation(self, state: State) -> float:
        """Give the normal standard deviation of the forward at expiry."""
        bumped = self.volatility(state) + state.volatility_bump
        return bumped * math.sqrt(state.structure.timeFromReference(self.terms.expiry))

    def volatility(self, state: State) -> float:
        """Give the volatility at strike and expiry, without a bump."""
        return float(state.structure.blackVol(self.terms.expiry, self.terms.strike))

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
        deviation, strike, sign = self.deviation(state), self.terms.strike, self.sign
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
