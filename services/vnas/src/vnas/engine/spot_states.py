"""The market as one instrument on a spot price sees it: today's spot, carry, rates, volatility.

`States.see` turns a market and a set of bumps into a `State`; the instruments of `spot_instruments`
value themselves in one.

A ``discountSpread`` is put on the rate and on the carry alike. The forward then stays as it was,
and every payment is discounted by the spread, whenever it falls: at expiry, at a barrier, at an
early exercise.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import QuantLib as ql

from vnas.engine import clocked_curves, curves
from vnas.engine.curves import Curve
from vnas.engine.market import Market
from vnas.engine.position import Position
from vnas.engine.underlyings import Underlying
from vnas.engine.values import Date
from vnas.engine.volatility import Volatility

_MOST_POINTS = 400  # of a moved volatility in time


@dataclass(frozen=True, slots=True)
class Bumps:
    """What is moved under an instrument to see what its value does."""

    spot: float = 0.0  # relative
    volatility: float = 0.0  # absolute
    rate: float = 0.0  # the discount rate alone


NO_BUMPS = Bumps()


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the value depends on, on one market with one set of bumps."""

    evaluation: Date
    spot: float  # for settlement today
    spot_factor: float  # of today's spot to the quoted one
    drift: Curve  # discounts, with the discount spread
    carry: Curve  # dividend yield or base currency, with the discount spread
    dividends: Any  # ql.DividendVector of those to come
    escrowed: float  # what they are worth in today's spot
    structure: Any  # ql.BlackVolTermStructure without the bump; None for a forward
    volatility_bump: float

    def forward(self, date: Date) -> float:
        """Give the forward price for a date at or after the last dividend."""
        net = self.spot - self.escrowed
        return net * self.carry.discount(date) / self.drift.discount(date)

    def volatility(self, date: Date, strike: float) -> float:
        """Give the volatility of a strike up to a date, with the bump."""
        return float(self.structure.blackVol(date, strike)) + self.volatility_bump

    def variance(self, date: Date, strike: float) -> float:
        """Give the variance of a strike up to a date, with the bump."""
        if date <= self.evaluation:
            return 0.0
        time = self.structure.timeFromReference(date)
        return self.volatility(date, strike) ** 2 * float(time)

    def flat(self, date: Date, strike: float) -> Any:
        """Give the one volatility of a strike and a date as a structure."""
        counter = self.structure.dayCounter()
        volatility = self.volatility(date, strike)
        return ql.BlackConstantVol(self.evaluation, ql.NullCalendar(), volatility, counter)

    def through_time(self, date: Date, strike: float) -> Any:
        """Give the volatilities of a strike up to a date, for methods that step through time."""
        if self.volatility_bump == 0.0:
            return self.structure
        days = date - self.evaluation
        every = max(1, -(-days // _MOST_POINTS))
        dates = [self.evaluation + day for day in range(every, days, every)]
        return self.at_dates([*dates, date], strike)

    def at_dates(self, dates: list[Date], strike: float) -> Any:
        """Give the volatilities of a strike at dates, for methods that look at no others."""
        if self.volatility_bump == 0.0:
            return self.structure
        dates = self._in_time([date for date in dates if date > self.evaluation])
        moved = [max(self.volatility(one, strike), 0.0) for one in dates]
        forced_to_rise = False
        return ql.BlackVarianceCurve(
            self.evaluation, dates, moved, self.structure.dayCounter(), forced_to_rise
        )

    def _in_time(self, dates: list[Date]) -> list[Date]:
        """Leave out dates that a day count like 30/360 puts on the time of the one after."""
        times = [self.structure.timeFromReference(date) for date in dates]
        follows = [*(time < after for time, after in itertools.pairwise(times)), True]
        return [date for date, kept in zip(dates, follows, strict=True) if kept]

    def process(self, structure: Any, until: Date) -> Any:
        """Make QuantLib's process of this state with a volatility, for methods that go by dates."""
        curves_seen = (self.carry, self.drift)
        return self._process(structure, *(self._seen(curve, until) for curve in curves_seen))

    def stepping(self, structure: Any, until: Date) -> Any:
        """Make the process for methods that go by times: all of it on the volatility's clock.

        QuantLib takes their times from the rates' day count and would look up the volatility by
        them.
        """
        clock = self.structure.dayCounter()
        curves_seen = (self.carry, self.drift)
        return self._process(structure, *(self._seen(curve, until, clock) for curve in curves_seen))

    def _seen(self, curve: Curve, until: Date, clock: Any = None) -> Any:
        """Give a curve that starts on the evaluation date, on its own clock or another."""
        own = curve.structure.dayCounter()
        clock = own if clock is None else clock
        if curve.reference <= self.evaluation and clock == own:
            return curve.valuing()
        return clocked_curves.discounting(curve, until, clock)

    def _process(self, structure: Any, carry: Any, drift: Any) -> Any:
        spot = ql.QuoteHandle(ql.SimpleQuote(self.spot))
        volatility = ql.BlackVolTermStructureHandle(structure)
        return ql.BlackScholesMertonProcess(spot, carry, drift, volatility)


@dataclass(frozen=True, slots=True)
class States:
    """Where the states of one instrument come from."""

    underlying: Underlying
    position: Position
    expiry: Date
    quoted: Volatility | None  # None for a forward

    def without_spread(self) -> "States":
        """Give the same, discounting without a spread."""
        position = replace(self.position, discount_spread=0.0)
        return replace(self, position=position)

    def see(self, market: Market, bumps: Bumps = NO_BUMPS) -> State:
        """Look at a market, with something moved.

        The dividends that fall due before a later day have come off the spot by then.
        """
        currency, named = self.underlying.currency, self.position.discount_curve
        drift = market.discounting(currency, named, bumps.rate)
        carry = self.underlying.carry_on(market)
        spot_factor = self.underlying.to_today(market, drift, carry)
        coming = self.underlying.coming(market.evaluation, self.expiry)
        paid = self.underlying.coming(market.read_on, market.evaluation)
        spot = self.underlying.spot * spot_factor * (1.0 + bumps.spot)
        spread = self.position.discount_spread
        return State(
            evaluation=market.evaluation,
            spot=spot - sum(one.amount for one in paid),
            spot_factor=spot_factor,
            drift=market.discounting(currency, named, bumps.rate + spread),
            carry=_spreaded(carry, spread),
            dividends=ql.DividendVector([d.date for d in coming], [d.amount for d in coming]),
            escrowed=sum(
                d.amount * drift.discount(d.date) / carry.discount(d.date) for d in coming
            ),
            structure=None
            if self.quoted is None
            else self.quoted.black(market.evaluation, market.read_on),
            volatility_bump=bumps.volatility,
        )


def _spreaded(curve: Curve, spread: float) -> Curve:
    if spread == 0.0:
        return curve
    structure = curves.spreaded(curve.structure, spread)
    return Curve(structure, curve.evaluation, curve.pillars)
