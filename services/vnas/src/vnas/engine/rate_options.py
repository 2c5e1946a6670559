"""Options on a forward rate: what ``capFloor`` and ``swaption`` share.

`choose` finds the volatility and the process that it is for; `RateModel` values an option on one
forward rate with it, and gives the derivatives in forward and volatility.
"""

import math
from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import names, volatility_choice
from vnas.engine.errors import EngineError
from vnas.engine.task import Task
from vnas.engine.values import Date
from vnas.engine.volatility import Volatility

METHOD = "analytic"
CALL, PUT = ql.Option.Call, ql.Option.Put


@dataclass(frozen=True, slots=True)
class RateModel:
    """One volatility with the process that it belongs to."""

    process: str
    volatility: float
    displacement: float
    day_count: Any

    def time(self, evaluation: Date, fixing: Date) -> float:
        """Give how long the rate still moves, in years; 0 once it is known."""
        if fixing <= evaluation:
            return 0.0
        return float(self.day_count.yearFraction(evaluation, fixing))

    def value(self, kind: int, strike: float, forward: float, time: float) -> float:
        """Value an option on a rate, undiscounted; without time left it is its payoff."""
        if time <= 0.0:
            return max(_sign(kind) * (forward - strike), 0.0)
        deviation = self.volatility * math.sqrt(time)
        if self.process == "normal":
            return float(ql.bachelierBlackFormula(kind, strike, forward, deviation))
        discount = 1.0
        return float(ql.blackFormula(kind, strike, forward, deviation, discount, self.displacement))

    def delta(self, kind: int, strike: float, forward: float, time: float) -> float:
        """Give the derivative of `value` in the forward rate."""
        score = self._score(strike, forward, time)
        return _sign(kind) * _cumulative(_sign(kind) * score)

    def vega(self, strike: float, forward: float, time: float) -> float:
        """Give the derivative of `value` in the volatility; the same for calls and puts."""
        if time <= 0.0:
            return 0.0
        height = 1.0 if self.process == "normal" else forward + self.displacement
        return height * _density(self._score(strike, forward, time)) * math.sqrt(time)

    def _score(self, strike: float, forward: float, time: float) -> float:
        """Give how many deviations the forward lies above the strike (Black's d1)."""
        deviation = self.volatility * math.sqrt(time)
        if deviation == 0.0:
            return 0.0 if forward == strike else math.copysign(math.inf, forward - strike)
        if self.process == "normal":
            return (forward - strike) / deviation
        if strike + self.displacement <= 0.0:
            return math.inf  # a call that is always exercised
        ratio = (forward + self.displacement) / (strike + self.displacement)
        return math.log(ratio) / deviation + deviation / 2.0


@dataclass(frozen=True, slots=True)
class RateVolatility:
    """The volatility of a valuation and the process that it belongs to."""

    volatility: Volatility
    process: str
    displacement: float

    def model(self, number: float) -> RateModel:
        """Give the model with a number that the volatility gave."""
        counter = names.day_count_of(self.volatility.day_count)
        return RateModel(self.process, number, self.displacement, counter)


def choose(task: Task, product: str, currency: str) -> RateVolatility:
    """Find the volatility of a cap or swaption.

    Raises EngineError VNP-206 and VNP-207 as `volatility_choice.choose`, VNP-301 for a process that
    is none of a rate, VNP-303 when the volatility is quoted for another one.
    """
    process = task.model.choose("normal", "lognormal", "shiftedLognormal")
    chosen = volatility_choice.choose(
        task.model,
        task.position,
        task.market,
        product=product,
        currency=currency,
        path=f"{task.path}/volatility",
    )
    if process is not None and chosen.quote is not None and process != chosen.quote:
        sentence = f"the volatility is quoted {chosen.quote}, the process is {process}"
        raise EngineError("VNP-303", chosen.path, sentence)
    process = process or chosen.quote or "normal"
    displacement = chosen.displacement if process == "shiftedLognormal" else 0.0
    if displacement != chosen.displacement:
        task.faults.warn("VNP-105", f"displacement was not used: the process is {process}")
    return RateVolatility(chosen, process, displacement)


def _sign(kind: int) -> float:
    return 1.0 if kind == CALL else -1.0


def _cumulative(score: float) -> float:
    return 0.5 * math.erfc(-score / math.sqrt(2.0))


def _density(score: float) -> float:
    return math.exp(-0.5 * score * score) / math.sqrt(2.0 * math.pi)
