"""How figures grow: exponents, by least squares through the logarithms. Called by `tables`."""

import math
import statistics
from collections.abc import Sequence


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float | None:
    """Give k where the figures go like size ** k: 1 is linear, 2 quadratic.

    None where there are fewer than two sizes, or a figure that is nothing.
    """
    if len(set(sizes)) < 2 or min(figures) <= 0:
        return None
    logs = [[math.log(value) for value in values] for values in (sizes, figures)]
    return statistics.linear_regression(*logs).slope
