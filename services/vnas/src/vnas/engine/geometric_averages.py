"""Options on a geometric average, whose logarithm is normal: value and Greeks in closed form.

`averages` calls `value` and `greek`. As in QuantLib's engines, which know no history of a
continuous average and multiply the past prices of a discrete one until no number holds them, all
dates have the rates and the volatility of expiry. `moments_of` takes a forward and a variance for
each: the control variate of `arithmetic_averages`.
"""

import math
from dataclasses import dataclass

import QuantLib as ql

from vnas.engine.average_history import Known
from vnas.engine.option_terms import Terms
from vnas.engine.spot_states import State
from vnas.engine.values import Date

_NEARLY_ZERO = 1e-12  # a deviation to divide by where there is no volatility


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and variance of the logarithm of an average, with their derivatives."""

    mean: float
    variance: float
    share: float  # of the spot's logarithm in the mean
    mean_by_rate: float
    mean_by_volatility: float
    variance_by_volatility: float

    def joined(self, known: Known) -> "Moments":
        """Add what is known of the average."""
        weight = 1.0 - known.share
        return Moments(
            known.share * math.log(known.average) + weight * self.mean,
            weight**2 * self.variance,
            weight * self.share,
            weight * self.mean_by_rate,
            weight * self.mean_by_volatility,
            weight**2 * self.variance_by_volatility,
        )

    @property
    def forward(self) -> float:
        """The mean of the average itself."""
        return math.exp(self.mean + self.variance / 2.0)

    def value(self, terms: Terms, strike: float, discount: float) -> float:
        """Value a payoff on the average."""
        deviation = math.sqrt(self.variance)
        return float(ql.blackFormula(terms.kind, strike, self.forward, deviation, discount))


def moments_of(forwards: list[float], variances: list[float]) -> Moments:
    """Give the moments of the average over dates, each with its forward and variance."""
    count = len(forwards)
    mean = math.fsum(map(math.log, forwards)) - math.fsum(variances) / 2.0
    return Moments(mean / count, _of_average(variances), 1.0, 0.0, 0.0, 0.0)


def _of_average(variances: list[float]) -> float:
    """Average covariances: that of two prices is the variance up to the earlier one."""
    count = len(variances)
    weighted = (v * (2.0 * (count - i) - 1.0) for i, v in enumerate(variances))
    return math.fsum(weighted) / count**2


def value(state: State, terms: Terms, known: Known) -> float:
    """Value one unit of the payoff."""
    discount = state.drift.discount(terms.expiry)
    return _moments(state, terms, known).value(terms, terms.strike, discount)


def greek(name: str, state: State, terms: Terms, known: Known) -> float | None:
    """Give a Greek of one unit; None for theta of a continuous average.

    That one's history grows by the day; a discrete one follows Black's equation between its dates.
    """
    found = _moments(state, terms, known)
    discount = state.drift.discount(terms.expiry)
    forward, deviation = found.forward, max(math.sqrt(found.variance), _NEARLY_ZERO)
    d = math.log(forward / terms.strike) / deviation + deviation / 2.0
    normal = ql.CumulativeNormalDistribution()
    hit = discount * terms.sign * normal(terms.sign * d) * forward  # slope in the mean
    curved = discount * normal.derivative(d) * forward  # slope in the deviation
    slope = hit * found.share / state.spot
    bend = found.share * (curved / deviation * found.share - (1.0 - found.share) * hit)
    bend /= state.spot**2
    if name == "delta":
        return float(slope)
    if name == "gamma":
        return float(bend)
    if name == "rho":
        worth = found.value(terms, terms.strike, discount)
        return float(hit * found.mean_by_rate) - _time(state, terms.expiry) * worth
    if name == "vega":
        mean = found.mean_by_volatility + found.variance_by_volatility / 2.0
        return float(hit * mean + curved * found.variance_by_volatility / (2.0 * deviation))
    if not known.coming:
        return None
    rate, growth = _rate(state, terms.expiry), _growth(state, terms.expiry)
    squared = state.volatility(terms.expiry, terms.strike) ** 2
    worth = found.value(terms, terms.strike, discount)
    moved = growth * state.spot * slope + squared / 2.0 * state.spot**2 * bend
    return float(rate * worth - moved)


def _moments(state: State, terms: Terms, known: Known) -> Moments:
    expiry = terms.expiry
    volatility = state.volatility(expiry, terms.strike)
    drift = _growth(state, expiry) - volatility**2 / 2.0
    if known.coming:
        times = [_time(state, date) for date in known.coming]
        mean, spread = math.fsum(times) / len(times), _of_average(times)
    else:
        # Of a Brownian motion the mean over time has a third of the variance at the end.
        mean, spread = _time(state, expiry) / 2.0, _time(state, expiry) / 3.0
    return Moments(
        mean=math.log(state.spot) + drift * mean,
        variance=volatility**2 * spread,
        share=1.0,
        mean_by_rate=mean,
        mean_by_volatility=-volatility * mean,
        variance_by_volatility=2.0 * volatility * spread,
    ).joined(known)


def _time(state: State, date: Date) -> float:
    """Give the time to a date on the volatility's clock."""
    return float(state.structure.timeFromReference(date))


def _growth(state: State, expiry: Date) -> float:
    """Give the rate at which the forward grows up to expiry."""
    return math.log(state.forward(expiry) / state.spot) / _time(state, expiry)


def _rate(state: State, expiry: Date) -> float:
    """Give the continuous zero rate to expiry."""
    return -math.log(state.drift.discount(expiry)) / _time(state, expiry)
