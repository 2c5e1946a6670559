"""European options on a spot price: what ``europeanOption`` and ``fxOption`` share.

`SpotOption` values the payoff by closed form (Black-Scholes-Merton, Garman-Kohlhagen, Bachelier),
finite differences or Monte Carlo, and gives the Greeks: QuantLib's where it has a closed form, else
central differences.

Cash dividends are escrowed (the spot less what they are worth today is lognormal) in the closed
form and the Monte Carlo method; with finite differences the spot falls on their dates. A
``discountSpread`` discounts the payoff and leaves the forward alone.
"""

import math
from collections.abc import Callable

import QuantLib as ql

from vnas.engine import bumps, volatility_choice
from vnas.engine.errors import EngineError
from vnas.engine.market import Market
from vnas.engine.option_terms import Terms
from vnas.engine.option_values import ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO, Payoff, State
from vnas.engine.outputs import Compute, Priced, expired
from vnas.engine.task import Task
from vnas.engine.underlyings import Underlying
from vnas.engine.volatility import Volatility

_SPOT_BUMP = 0.01  # relative
_VOLATILITY_BUMP = {"lognormal": 0.01, "normal": 1e-4}
_DAYS_A_YEAR = 365.0
_NEARLY_ZERO = 1e-12  # a deviation to divide by where there is no volatility


def priced(task: Task, terms: Terms, underlying: Underlying) -> Priced:
    """Price an option whose elements are read and whose underlying is found."""
    method = task.calculator.choose(ANALYTIC, FINITE_DIFFERENCE, MONTE_CARLO)
    process = task.model.choose("lognormal", "normal")
    if task.position.currency not in (None, underlying.currency):
        task.faults.warn("VNP-105", f"currency was not used: values are in {underlying.currency}")
    if terms.expiry < task.evaluation:
        return expired(underlying.currency, method)
    chosen = volatility_choice.choose(
        task.model,
        task.position,
        task.market,
        own=underlying.volatility,
        path=f"{task.path}/volatility",
    )
    if process is not None and chosen.quote is not None and process != chosen.quote:
        sentence = f"the volatility is quoted {chosen.quote}, the process is {process}"
        raise EngineError("VNP-303", chosen.path, sentence)
    if chosen.quote == "shiftedLognormal":
        sentence = "options on a spot price take a lognormal or normal volatility"
        raise EngineError("VNP-301", chosen.path, sentence)
    kind = process or chosen.quote or "lognormal"
    option = SpotOption(task, terms, underlying, chosen, kind, method)
    return Priced(method, underlying.currency, option.outputs())


class SpotOption:
    """One option, ready to be asked for its value and Greeks."""

    def __init__(
        self,
        task: Task,
        terms: Terms,
        underlying: Underlying,
        chosen: Volatility,
        process: str,
        method: str,
    ) -> None:
        self.task = task
        self.terms = terms
        self.underlying = underlying
        self.volatility = chosen
        self.process = process
        self.method = method
        self.scale = task.position.scale * terms.size
        self.payoff = Payoff(terms, process, method, task.calculator)

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position; the forward is the underlying's."""
        market, scale = self.task.market, self.scale
        greeks = self._bumped
        if market.evaluation == self.terms.expiry:
            greeks = self._at_expiry
        elif self.method == ANALYTIC:
            greeks = self._closed if self.process == "lognormal" else self._bachelier
        compute: dict[str, Compute] = {
            "price": lambda _: self.value_on(market) * scale,
            "forward": lambda _: self._state(market).forward(self.terms.expiry),
            "dv01": lambda _: bumps.dv01(self.value_on, market) * scale,
        }
        for name in ("delta", "gamma", "vega", "theta", "rho"):
            compute[name] = self._scaled(greeks, name)
        return compute

    def _scaled(self, greeks: Callable[[str], float], name: str) -> Compute:
        return lambda _: greeks(name) * self.scale

    def value_on(
        self,
        market: Market,
        *,
        spot_bump: float = 0.0,
        volatility_bump: float = 0.0,
        rate_bump: float = 0.0,
    ) -> float:
        """Value one unit of the payoff on a market; the spot bump is relative."""
        state = self._state(market, spot_bump, volatility_bump, rate_bump)
        if state.evaluation >= self.terms.expiry:
            return self.payoff.at_expiry(state.spot)
        with market.evaluated_on(state.evaluation):
            return self.payoff.value(state) * state.spread_factor

    def _state(
        self,
        market: Market,
        spot_bump: float = 0.0,
        volatility_bump: float = 0.0,
        rate_bump: float = 0.0,
    ) -> State:
        position, expiry = self.task.position, self.terms.expiry
        currency, named = self.underlying.currency, position.discount_curve
        drift = market.discounting(currency, named, rate_bump)
        spread = position.discount_spread
        spread_factor = 1.0
        if spread != 0.0:
            spreaded = market.discounting(currency, named, rate_bump + spread)
            spread_factor = spreaded.discount(expiry) / drift.discount(expiry)
        carry = self.underlying.carry_on(market)
        spot_factor = self.underlying.to_today(drift, carry)
        coming = self.underlying.coming(market.evaluation, expiry)
        return State(
            evaluation=market.evaluation,
            spot=self.underlying.spot * spot_factor * (1.0 + spot_bump),
            spot_factor=spot_factor,
            drift=drift,
            spread_factor=spread_factor,
            carry=carry,
            dividends=ql.DividendVector([d.date for d in coming], [d.amount for d in coming]),
            escrowed=sum(
                d.amount * drift.discount(d.date) / carry.discount(d.date) for d in coming
            ),
            structure=self.volatility.black(market.evaluation, market.read_on),
            volatility_bump=volatility_bump,
        )

    # --- Greeks of one unit ----------------------------------------------------------------------

    def _closed(self, name: str) -> float:
        """Give QuantLib's closed form; a Greek that the spot date reaches into by differences."""
        market = self.task.market
        state = self._state(market)
        if state.spot_factor != 1.0 and name in {"theta", "rho"}:
            return self._bumped(name)
        option = self.payoff.option(state)
        greek = float(getattr(option, name)()) * state.spread_factor
        if name == "theta" and state.spread_factor != 1.0:
            # The spread runs off as well: a shorter life is discounted less.
            years = (self.terms.expiry - state.evaluation) / _DAYS_A_YEAR
            greek -= math.log(state.spread_factor) / years * self.value_on(market)
        return self._per_quoted_spot(name, greek, state)

    def _bachelier(self, name: str) -> float:
        """Give the derivatives of Bachelier's formula; theta, and rho with dividends, by bumps."""
        market = self.task.market
        state = self._state(market)
        if name == "theta" or (name == "rho" and (state.spot_factor != 1.0 or state.escrowed)):
            return self._bumped(name)
        forward, discount = self.payoff.forward_and_discount(state)
        slope = forward / (state.spot - state.escrowed)  # of the forward in the spot
        sign = self.payoff.sign
        deviation = max(self.payoff.deviation(state), _NEARLY_ZERO)
        d = (forward - self.terms.strike) / deviation
        normal = ql.CumulativeNormalDistribution()
        hit, density = normal(sign * d), normal.derivative(d)
        expiry = self.terms.expiry
        if name == "delta":
            greek = sign * hit * slope
        elif name == "gamma":
            greek = density / deviation * slope**2
        elif name == "vega":
            greek = density * math.sqrt(state.structure.timeFromReference(expiry))
        else:
            time = state.drift.valuing().currentLink().timeFromReference(expiry)
            greek = time * (sign * hit * forward - self.payoff.value(state) / discount)
        return self._per_quoted_spot(name, float(greek) * discount * state.spread_factor, state)

    @staticmethod
    def _per_quoted_spot(name: str, greek: float, state: State) -> float:
        """Turn a derivative in today's spot into one in the spot that the market quotes."""
        power = {"delta": 1, "gamma": 2}.get(name, 0)
        return greek * float(state.spot_factor**power)

    def _bumped(self, name: str) -> float:
        """Take central differences; theta by moving the evaluation date one day on."""
        market = self.task.market
        spot = self.underlying.spot

        def by_spot(bump: float) -> float:
            return self.value_on(market, spot_bump=bump)

        def by_volatility(bump: float) -> float:
            return self.value_on(market, volatility_bump=bump)

        def by_rate(bump: float) -> float:
            return self.value_on(market, rate_bump=bump)

        if name == "delta":
            return bumps.central(by_spot, _SPOT_BUMP) / spot
        if name == "gamma":
            return bumps.central_second(by_spot, _SPOT_BUMP) / spot**2
        if name == "vega":
            up = _VOLATILITY_BUMP[self.process]
            down = min(up, self.payoff.volatility(self._state(market)))  # never below zero
            return (by_volatility(up) - by_volatility(-down)) / (up + down)
        if name == "rho":
            return bumps.central(by_rate, bumps.BASIS_POINT)
        tomorrow = market.on(market.evaluation + 1)
        return (self.value_on(tomorrow) - self.value_on(market)) * _DAYS_A_YEAR

    def _at_expiry(self, name: str) -> float:
        """Give the Greeks on the day of expiry: the payoff has a slope and nothing else."""
        if name != "delta":
            return 0.0
        state = self._state(self.task.market)
        paid = self.payoff.at_expiry(state.spot) > 0.0
        return self.payoff.sign * state.spot_factor if paid else 0.0
