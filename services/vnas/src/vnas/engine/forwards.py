"""Forwards and futures on a spot price: a price agreed today for a day to come.

Read and valued here for the kinds ``equityForward``, ``future`` and ``fxForward``. A forward pays
the difference at maturity and is discounted; a future is settled every day, so that the difference
to its last price counts in full.
"""

from dataclasses import dataclass

from vnas.engine import option_processes, option_terms, values
from vnas.engine.outputs import Priced, expired
from vnas.engine.spot_instruments import SpotInstrument
from vnas.engine.spot_states import State
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.values import Date

METHOD = "analytic"


@dataclass(frozen=True, slots=True)
class ForwardTerms:
    """What is agreed."""

    price: float
    maturity: Date
    size: float  # contract size or notional
    discounted: bool = True  # False for a future


def read_forward(task: Task, size: str) -> ForwardTerms:
    """Read ``strike``, maturity and the size under its name for the kind."""
    return ForwardTerms(
        price=option_terms.read_strike(task),
        maturity=option_terms.read_last_day(task, "maturityDate"),
        size=task.fields.get(size, values.positive, 1.0),
    )


def read_future(task: Task) -> ForwardTerms:
    """Read ``price``, maturity and the contract size."""
    return ForwardTerms(
        price=task.fields.need("price", values.positive, 1.0),
        maturity=option_terms.read_last_day(task, "maturityDate"),
        size=task.fields.get("contractSize", values.positive, 1.0),
        discounted=False,
    )


def priced(task: Task, terms: ForwardTerms, underlying: Underlying) -> Priced:
    """Price a forward or future whose underlying is found."""
    option_processes.tell_currency(task, underlying)
    if terms.maturity <= task.evaluation:
        return expired(underlying.currency, METHOD)
    return Priced(METHOD, underlying.currency, _Forward(task, terms, underlying).outputs())


class _Forward(SpotInstrument):
    """One forward or future; its value is a straight line in the spot."""

    def __init__(self, task: Task, terms: ForwardTerms, underlying: Underlying) -> None:
        super().__init__(task, underlying, terms.maturity, terms.size)
        self.terms = terms

    def value(self, state: State) -> float:
        """Value what is gained at maturity."""
        return (state.forward(self.expiry) - self.terms.price) * self._discount(state)

    def at_expiry(self, state: State) -> float:
        """Give what is gained on the day."""
        return state.spot - self.terms.price

    def slope_at_expiry(self, state: State) -> float:
        """Give the slope of the gain."""
        del state
        return 1.0

    def volatility(self, state: State) -> float:
        """Give none: the value does not depend on any."""
        del state
        return 0.0

    def closed(self, name: str, state: State) -> float | None:
        """Give the slope in the spot, which is the same everywhere."""
        if name == "gamma":
            return 0.0
        if name == "delta":
            growth = state.carry.discount(self.expiry) / state.drift.discount(self.expiry)
            return growth * self._discount(state)
        return None

    def _discount(self, state: State) -> float:
        return state.drift.discount(self.expiry) if self.terms.discounted else 1.0
