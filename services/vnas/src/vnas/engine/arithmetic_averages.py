"""Options on an arithmetic average: Turnbull-Wakeman, Levy, and Monte Carlo.

`averages` calls these. With w the share of the average that is to come and A the known rest,

    (average - K)+  =  w * (average to come - K')+,   K' = (K - (1 - w) A) / w

so that every method sees an option without a history and a strike that can be compared with the
spot. Where K' is not positive, exercise is sure for a call and out of the question for a put.
"""

import math
from dataclasses import dataclass
from typing import Any

import QuantLib as ql

from vnas.engine import geometric_averages
from vnas.engine.average_history import Known
from vnas.engine.calculator import Calculator
from vnas.engine.option_terms import Terms
from vnas.engine.spot_states import State
from vnas.engine.values import Date

_NO_VARIANCE = 1e-14  # below it the average is as good as certain
_DAYS_A_YEAR = 365.0
_INTEGRAL_STEPS, _INTEGRAL_ACCURACY = 100_000, 1e-15


@dataclass(frozen=True, slots=True)
class _Rest:
    """The option on what is to come."""

    weight: float
    strike: float

    def certain(self, state: State, terms: Terms, mean: float) -> float:
        """Value it where the average to come is known, or exercise is."""
        paid = max(terms.sign * (mean - self.strike), 0.0)
        return self.weight * paid * state.drift.discount(terms.expiry)


def _rest(terms: Terms, known: Known) -> _Rest:
    weight = 1.0 - known.share
    return _Rest(weight, (terms.strike - known.share * known.average) / weight)


# --- closed forms --------------------------------------------------------------------------------


def turnbull_wakeman(state: State, terms: Terms, known: Known) -> float:
    """Value a discrete average by its first two moments."""
    rest = _rest(terms, known)
    if _is_certain(state, rest, known.coming[-1]):
        return rest.certain(state, terms, _mean_forward(state, known.coming))
    return rest.weight * float(_turnbull_wakeman(state, terms, known, rest).NPV())


def turnbull_wakeman_greek(name: str, state: State, terms: Terms, known: Known) -> float | None:
    """Give delta or gamma; None for the others, and where exercise is certain."""
    rest = _rest(terms, known)
    if name not in {"delta", "gamma"} or _is_certain(state, rest, known.coming[-1]):
        return None
    return rest.weight * float(getattr(_turnbull_wakeman(state, terms, known, rest), name)())


def _turnbull_wakeman(state: State, terms: Terms, known: Known, rest: _Rest) -> Any:
    process = state.process(state.at_dates(known.coming, rest.strike), terms.expiry)
    option = _option(ql.Average.Arithmetic, terms, known.coming, rest.strike)
    option.setPricingEngine(ql.TurnbullWakemanAsianEngine(process))
    return option


def levy(state: State, terms: Terms, known: Known) -> float:
    """Value a continuous average by its first two moments.

    Not QuantLib's engine: it divides by b + s^2 and by 2b + s^2 (b the carry, s the volatility),
    which are zero for values that are nothing special. Elsewhere the two agree.
    """
    rest, expiry = _rest(terms, known), terms.expiry
    time = (expiry - state.evaluation) / _DAYS_A_YEAR
    discount = state.drift.discount(expiry)
    carry = math.log(state.carry.discount(expiry) / discount) / time
    mean = _growth(carry, time) / time
    if _is_certain(state, rest, expiry):
        return rest.certain(state, terms, state.spot * mean)
    squared = state.variance(expiry, rest.strike) / time
    integral = ql.GaussLobattoIntegral(_INTEGRAL_STEPS, _INTEGRAL_ACCURACY)
    # The mean of S(s) S(t) over all pairs of times, with the spot 1.
    second = integral(lambda t: math.exp(carry * t) * _growth(carry + squared, t), 0.0, time)
    variance = max(math.log(2.0 * second / time**2 / mean**2), 0.0)
    forward, deviation = state.spot * mean, math.sqrt(variance)
    return rest.weight * float(
        ql.blackFormula(terms.kind, rest.strike, forward, deviation, discount)
    )


def _growth(rate: float, time: float) -> float:
    """Give the integral of exp(rate * t) up to a time."""
    return math.expm1(rate * time) / rate if rate else time


def _is_certain(state: State, rest: _Rest, last: Date) -> bool:
    return rest.strike <= 0.0 or state.variance(last, rest.strike) < _NO_VARIANCE


def _mean_forward(state: State, dates: list[Date]) -> float:
    return math.fsum(state.forward(date) for date in dates) / len(dates)


# --- Monte Carlo ---------------------------------------------------------------------------------


def by_paths(state: State, terms: Terms, known: Known, calculator: Calculator) -> float:
    """Average over paths, with the geometric average as control variate.

    QuantLib's own control knows one rate and one volatility. Here its exact value comes from the
    rates and volatilities that the paths have, of every date: otherwise the difference would be
    added to the price.
    """
    rest, dates = _rest(terms, known), known.coming
    if _is_certain(state, rest, dates[-1]):
        return rest.certain(state, terms, _mean_forward(state, dates))
    process = _stepwise(state, terms, dates, rest.strike)
    numbers = {"requiredSamples": calculator.samples, "seed": calculator.seed}

    def simulated(average: int, engine: Any) -> float:
        option = _option(average, terms, dates, rest.strike)
        option.setPricingEngine(engine(process, **numbers))
        return float(option.NPV())

    arithmetic = simulated(ql.Average.Arithmetic, ql.MCPRDiscreteArithmeticAPEngine)
    geometric = simulated(ql.Average.Geometric, ql.MCPRDiscreteGeometricAPEngine)
    moments = geometric_averages.moments_of(
        [state.forward(date) for date in dates],
        [state.variance(date, rest.strike) for date in dates],
    )
    exact = moments.value(terms, rest.strike, state.drift.discount(terms.expiry))
    return rest.weight * (arithmetic - geometric + exact)


def _stepwise(state: State, terms: Terms, dates: list[Date], strike: float) -> Any:
    """Make a process with the rates and volatilities of the dates, on one clock.

    QuantLib's paths take their times from the day count of the rates, and a volatility that varies
    with the strike as a local one.
    """
    clock = ql.Actual365Fixed()
    days = [state.evaluation, *dates]
    if terms.expiry > dates[-1]:
        days.append(terms.expiry)

    def curve(discount: Any) -> Any:
        made = ql.DiscountCurve(days, [1.0, *(discount(day) for day in days[1:])], clock)
        return ql.YieldTermStructureHandle(made)

    times = [(date - state.evaluation) / _DAYS_A_YEAR for date in dates]
    volatilities = [
        math.sqrt(state.variance(date, strike) / time)
        for date, time in zip(dates, times, strict=True)
    ]
    forced_to_rise = False
    structure = ql.BlackVarianceCurve(state.evaluation, dates, volatilities, clock, forced_to_rise)
    return ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(state.spot)),
        curve(state.carry.discount),
        curve(state.drift.discount),
        ql.BlackVolTermStructureHandle(structure),
    )


def _option(average: int, terms: Terms, dates: list[Date], strike: float) -> Any:
    start = 0.0 if average == ql.Average.Arithmetic else 1.0
    return ql.DiscreteAveragingAsianOption(
        average,
        start,
        0,
        dates,
        ql.PlainVanillaPayoff(terms.kind, strike),
        ql.EuropeanExercise(terms.expiry),
    )
