"""Flows that are known beforehand: what ``schedule``, ``deposit`` and ``homeLoan`` share.

A kind hands in dated amounts; `KnownFlows` discounts those after the evaluation date and gives the
outputs that come from them alone.
"""

from typing import Any

import QuantLib as ql

from vnas.engine import bumps, yields
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow
from vnas.engine.task import Task
from vnas.engine.values import Date
from vnas.engine.yields import YieldTerms

METHOD = "discounting"
_PAID_TODAY = False  # flows on the evaluation date are past


class KnownFlows:
    """What is still to be paid, before quantity and side."""

    def __init__(self, task: Task, flows: list[tuple[Date, float]]) -> None:
        self.task = task
        coming = [flow for flow in flows if flow[0] > task.evaluation]
        self.flows = sorted(coming, key=lambda flow: flow[0].serialNumber())
        self._flows = [ql.SimpleCashFlow(amount, date) for date, amount in self.flows]
        self._values: dict[float, float] = {}  # by the market's shift

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position."""
        market, scale = self.task.market, self.task.position.scale
        return {
            "price": lambda _: self.value_on(market) * scale,
            "dv01": lambda _: bumps.dv01(self.value_on, market) * scale,
            "cashFlows": lambda _: [Flow(date, amount * scale) for date, amount in self.flows],
            "yield": lambda asked: float(self._rate(asked).rate()),
            "duration": self._duration,
            "convexity": self._convexity,
        }

    def value_on(self, market: Market) -> float:
        """Discount the flows to come."""
        if market.shift not in self._values:
            position = self.task.position
            curve = market.discounting(
                self.task.currency, position.discount_curve, position.discount_spread
            )
            self._values[market.shift] = curve.worth(self._flows)
        return self._values[market.shift]

    def _rate(self, asked: Fields) -> Any:
        """Solve for the rate at which the flows are worth the price; VNP-404 when none is found."""
        default = YieldTerms(ql.Compounded, int(ql.Annual), ql.Actual365Fixed())
        terms = yields.terms_beside(default, asked)
        price = self.value_on(self.task.market)
        evaluation = self.task.evaluation
        try:
            found = ql.CashFlows.yieldRate(
                self._flows,
                price,
                terms.day_count,
                terms.compounding,
                terms.frequency,
                _PAID_TODAY,
                evaluation,
                evaluation,
                yields.ACCURACY,
            )
        except RuntimeError as err:
            sentence = f"no yield gives the price {price:.6g}: {err}"
            raise EngineError("VNP-404", self.task.path, sentence) from err
        return terms.of(found)

    def _duration(self, asked: Fields) -> float:
        kind = yields.duration_type(asked)
        rate = self._rate(asked)
        return float(
            ql.CashFlows.duration(self._flows, rate, kind, _PAID_TODAY, self.task.evaluation)
        )

    def _convexity(self, asked: Fields) -> float:
        rate = self._rate(asked)
        return float(ql.CashFlows.convexity(self._flows, rate, _PAID_TODAY, self.task.evaluation))
