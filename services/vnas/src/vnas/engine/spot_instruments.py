"""What every option and forward on a spot price has in common: its outputs and its Greeks.

A kind's family derives from `SpotInstrument`, or from `Option` if it has a strike, says what one
unit is worth in a `State`, and gives the Greeks that it has in closed form. The others are central
differences, as the vocabulary says: spot 1% either way, volatility 0.01, rate 1 bp, and one day for
theta.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from vnas.engine import bumps
from vnas.engine.market import Market
from vnas.engine.option_terms import Terms
from vnas.engine.outputs import Compute
from vnas.engine.spot_states import NO_BUMPS, Bumps, State, States
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.values import Date
from vnas.engine.volatility import Volatility

_SPOT_BUMP = 0.01  # relative
_VOLATILITY_BUMP = 0.01
_POWERS_OF_SPOT = {"delta": 1, "gamma": 2}


class SpotInstrument(ABC):
    """One instrument, ready to be asked for its value and Greeks."""

    volatility_bump = _VOLATILITY_BUMP
    lowest_volatility = 0.0  # as a share of the volatility: how far down a bump may take it

    def __init__(
        self,
        task: Task,
        underlying: Underlying,
        expiry: Date,
        size: float,
        volatility: Volatility | None = None,
    ) -> None:
        self.task = task
        self.underlying = underlying
        self.expiry = expiry
        self.scale = task.position.scale * size
        self.states = States(underlying, task.position, expiry, volatility)
        self._values: dict[tuple[int, float, Bumps], float] = {}

    # --- what a family says ----------------------------------------------------------------------

    @abstractmethod
    def value(self, state: State) -> float:
        """Value one unit before the day of expiry."""

    @abstractmethod
    def at_expiry(self, state: State) -> float:
        """Give what one unit pays on the day of expiry."""

    @abstractmethod
    def slope_at_expiry(self, state: State) -> float:
        """Give the derivative of `at_expiry` in today's spot."""

    @abstractmethod
    def volatility(self, state: State) -> float:
        """Give the volatility that decides most: a bump does not take it below zero."""

    def closed(self, name: str, state: State) -> float | None:
        """Give a Greek in closed form, by today's spot; None where there is none."""
        del name, state
        return None

    # --- outputs ---------------------------------------------------------------------------------

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position; the forward is the underlying's."""
        market, scale = self.task.market, self.scale
        compute: dict[str, Compute] = {
            "price": lambda _: self.value_on(market) * scale,
            "forward": lambda _: self.forward(),
            "dv01": lambda _: bumps.dv01(self.value_on, market) * scale,
        }
        for name in ("delta", "gamma", "vega", "theta", "rho"):
            compute[name] = self._scaled(name)
        if self.states.quoted is None:
            del compute["vega"]
        return compute

    def _scaled(self, name: str) -> Compute:
        return lambda _: self.greek(name) * self.scale

    def forward(self) -> float:
        """Give the forward price of the underlying at expiry."""
        return self.states.without_spread().see(self.task.market).forward(self.expiry)

    def value_on(self, market: Market, moved: Bumps = NO_BUMPS) -> float:
        """Value one unit on a market; what was valued before is remembered."""
        key = (market.evaluation.serialNumber(), market.shift, moved)
        if key not in self._values:
            state = self.states.see(market, moved)
            if state.evaluation >= self.expiry:
                self._values[key] = self.at_expiry(state)
            else:
                with market.evaluated_on(state.evaluation):
                    self._values[key] = self.value(state)
        return self._values[key]

    # --- Greeks of one unit ----------------------------------------------------------------------

    def greek(self, name: str) -> float:
        """Give a Greek: on the day of expiry, in closed form, or by differences."""
        market = self.task.market
        state = self.states.see(market)
        if state.evaluation >= self.expiry:
            # The payoff has a slope and nothing else.
            return self.slope_at_expiry(state) * state.spot_factor if name == "delta" else 0.0
        # The spot date reaches into these: today's spot moves with the rates.
        greek = None
        if state.spot_factor == 1.0 or name not in {"theta", "rho"}:
            greek = self.closed(name, state)
        if greek is None:
            return self._bumped(name, state)
        return greek * float(state.spot_factor ** _POWERS_OF_SPOT.get(name, 0))

    def _bumped(self, name: str, state: State) -> float:
        market, spot = self.task.market, self.underlying.spot

        def moved(make: Callable[[float], Bumps]) -> Callable[[float], float]:
            return lambda bump: self.value_on(market, make(bump))

        by_spot = moved(lambda bump: Bumps(spot=bump))
        if name == "delta":
            return bumps.central(by_spot, _SPOT_BUMP) / spot
        if name == "gamma":
            return bumps.central_second(by_spot, _SPOT_BUMP) / spot**2
        if name == "vega":
            by_volatility = moved(lambda bump: Bumps(volatility=bump))
            up = self.volatility_bump
            down = min(up, self.volatility(state) * (1.0 - self.lowest_volatility))
            return (by_volatility(up) - by_volatility(-down)) / (up + down)
        if name == "rho":
            return bumps.central(moved(lambda bump: Bumps(rate=bump)), bumps.BASIS_POINT)
        return bumps.theta(self.value_on, market)


class Option(SpotInstrument):
    """An instrument with a strike; this one is worth its payoff on the day of expiry."""

    def __init__(
        self, task: Task, terms: Terms, underlying: Underlying, chosen: Volatility, method: str
    ) -> None:
        super().__init__(task, underlying, terms.expiry, terms.size, chosen)
        self.terms = terms
        self.method = method

    def at_expiry(self, state: State) -> float:
        """Give the payoff."""
        return self.terms.paid(state.spot)

    def slope_at_expiry(self, state: State) -> float:
        """Give the slope of the payoff."""
        return self.terms.slope(state.spot)

    def volatility(self, state: State) -> float:
        """Give the volatility at strike and expiry."""
        return state.volatility(self.expiry, self.terms.strike)
