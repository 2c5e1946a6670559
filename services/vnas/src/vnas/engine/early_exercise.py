"""American options on a share: early exercise by each method of ``americanOption``.

The methods that take one volatility get that of strike and expiry; finite differences see it
through time, and are the only one that knows cash dividends.
"""

import math
from collections.abc import Callable
from typing import Any

import QuantLib as ql

from vnas.engine import bumps, option_processes
from vnas.engine.calculator import GRID_STEPS, TREE_STEPS
from vnas.engine.curves import Curve
from vnas.engine.option_processes import LOGNORMAL
from vnas.engine.option_terms import Terms
from vnas.engine.option_values import FINITE_DIFFERENCE
from vnas.engine.outputs import Priced, expired
from vnas.engine.spot_instruments import Option
from vnas.engine.spot_states import State
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.values import Date

QD_FP, TREE = "qdFp", "tree"
_APPROXIMATIONS: dict[str, Callable[[Any], Any]] = {
    "baroneAdesiWhaley": ql.BaroneAdesiWhaleyApproximationEngine,
    "bjerksundStensland": ql.BjerksundStenslandApproximationEngine,
    "juQuadratic": ql.JuQuadraticApproximationEngine,
}
METHODS = (QD_FP, FINITE_DIFFERENCE, *_APPROXIMATIONS, TREE)
_TREE = "crr"  # Cox, Ross and Rubinstein


def priced(task: Task, terms: Terms, underlying: Underlying, method: str) -> Priced:
    """Price an option whose elements are read and whose underlying is found.

    Raises EngineError VNP-301 for a method that cannot take the dividends to come.
    """
    asked = task.model.choose(LOGNORMAL)
    option_processes.tell_currency(task, underlying)
    if underlying.coming(task.evaluation, terms.expiry):
        method = _with_dividends(task, method)
    if terms.expiry < task.evaluation:
        return expired(underlying.currency, method)
    _, chosen = option_processes.choose(task, underlying, asked, LOGNORMAL)
    option = AmericanOption(task, terms, underlying, chosen, method)
    if task.calculator.method is None and option.has_two_boundaries():
        option.method = FINITE_DIFFERENCE
    return Priced(option.method, underlying.currency, option.outputs())


def _with_dividends(task: Task, method: str) -> str:
    if task.calculator.method is not None and method != FINITE_DIFFERENCE:
        sentence = f"with cash dividends there is {FINITE_DIFFERENCE} alone, not {method}"
        raise task.calculator.method.error("VNP-301", sentence)
    return FINITE_DIFFERENCE


class AmericanOption(Option):
    """One option that may be exercised on any day up to its expiry."""

    lowest_volatility = 0.5  # trees and approximations fail where there is next to none

    def value(self, state: State) -> float:
        """Value one unit with QuantLib's engine of the method."""
        return float(self._option(state).NPV())

    def closed(self, name: str, state: State) -> float | None:
        """Give the tree's own slope and bend in the spot; None for all else.

        The value of a tree is a chain of straight lines in the spot: differences of it say nothing
        of its bend.
        """
        if self.method != TREE or name not in {"delta", "gamma"}:
            return None
        with self.task.market.evaluated_on(state.evaluation):
            return float(getattr(self._option(state), name)())

    def has_two_boundaries(self) -> bool:
        """Tell whether it may pay to wait on both sides of the prices where it pays to exercise.

        So it is where rates are negative and the carry yet more so; ``qdFp`` has no answer there.
        A rate moved for a Greek counts, so that all numbers of a task come from one method.
        """
        state = self.states.see(self.task.market)
        if state.evaluation >= self.expiry:
            return False
        rate = _zero_rate(state.drift, self.expiry)
        carry = _zero_rate(state.carry, self.expiry)
        moved = (rate - bumps.BASIS_POINT, rate, rate + bumps.BASIS_POINT)
        if self.terms.kind == ql.Option.Put:
            return any(carry < one < 0.0 for one in moved)
        return any(one < carry < 0.0 for one in moved)

    def _option(self, state: State) -> Any:
        payoff = ql.PlainVanillaPayoff(self.terms.kind, self.terms.strike)
        option = ql.VanillaOption(payoff, ql.AmericanExercise(state.evaluation, self.expiry))
        option.setPricingEngine(self._engine(state))
        return option

    def _engine(self, state: State) -> Any:
        expiry, strike, calculator = self.expiry, self.terms.strike, self.task.calculator
        if self.method == FINITE_DIFFERENCE:
            process = state.stepping(state.through_time(expiry, strike), expiry)
            steps = calculator.time_steps or GRID_STEPS
            return ql.FdBlackScholesVanillaEngine(
                process, state.dividends, steps, calculator.grid_points
            )
        process = state.stepping(state.flat(expiry, strike), expiry)
        if self.method == TREE:
            # QuantLib's tree would look up the volatility of the spot, not of the strike.
            return ql.BinomialVanillaEngine(process, _TREE, calculator.time_steps or TREE_STEPS)
        if self.method == QD_FP:
            return ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
        return _APPROXIMATIONS[self.method](process)


def _zero_rate(curve: Curve, date: Date) -> float:
    """Give the continuous rate from the evaluation date to a later one."""
    return -math.log(curve.discount(date)) * bumps.DAYS_A_YEAR / float(date - curve.evaluation)
