"""Sensitivities by valuing again on a moved market.

A kind hands in how it values itself on a market; each function here says what it moves. Values are
of the position, in its currency.
"""

from collections.abc import Callable

from vnas.engine.market import Market

BASIS_POINT = 1e-4
DAYS_A_YEAR = 365.0
EFFECTIVE_BUMP = 25 * BASIS_POINT  # for duration and convexity of cancellable bonds

Valuer = Callable[[Market], float]


def dv01(value: Valuer, market: Market) -> float:
    """Give (value at -1 bp - value at +1 bp) / 2, all curves and rates moved in parallel."""
    return (value(market.shifted(-BASIS_POINT)) - value(market.shifted(BASIS_POINT))) / 2.0


def theta(value: Valuer, market: Market) -> float:
    """Give (value tomorrow - value today) * 365, the curves staying as they were read."""
    return (value(market.on(market.evaluation + 1)) - value(market)) * DAYS_A_YEAR


def effective_duration(value: Valuer, market: Market) -> float:
    """Give -dV/dy / V in years, curves moved by 25 bp either way."""
    down, up = value(market.shifted(-EFFECTIVE_BUMP)), value(market.shifted(EFFECTIVE_BUMP))
    return (down - up) / (2.0 * EFFECTIVE_BUMP * value(market))


def effective_convexity(value: Valuer, market: Market) -> float:
    """Give d2V/dy2 / V in years squared, curves moved by 25 bp either way."""
    down, up = value(market.shifted(-EFFECTIVE_BUMP)), value(market.shifted(EFFECTIVE_BUMP))
    here = value(market)
    return (down + up - 2.0 * here) / (EFFECTIVE_BUMP**2 * here)


def central(value: Callable[[float], float], step: float) -> float:
    """Give the first derivative at 0 of a function of one bump."""
    return (value(step) - value(-step)) / (2.0 * step)


def central_second(value: Callable[[float], float], step: float) -> float:
    """Give the second derivative at 0 of a function of one bump."""
    return (value(step) + value(-step) - 2.0 * value(0.0)) / (step * step)
