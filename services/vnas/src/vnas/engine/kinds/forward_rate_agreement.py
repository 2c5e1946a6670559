"""``forwardRateAgreement``: a rate agreed for one period, settled when the period begins."""

from dataclasses import dataclass

from vnas.engine import bumps, rate_legs, swap_terms, values
from vnas.engine.curves import Curve
from vnas.engine.errors import EngineError
from vnas.engine.indices import Index
from vnas.engine.market import Market
from vnas.engine.outputs import Compute, Flow, Priced, expired
from vnas.engine.task import Task
from vnas.engine.values import Date, Leaf, Period

_METHOD = "discounting"


def value(task: Task) -> Priced:
    """Price an FRA by its discounted settlement."""
    terms = _read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(_METHOD)
    index = swap_terms.term_index(task, terms.index)
    currency = swap_terms.currency_of(task, index)
    agreement = _Agreement(task, terms, index, currency)
    if agreement.start <= task.evaluation:
        return expired(currency, _METHOD)
    index.require([agreement.fixing], task.evaluation, terms.index)
    return Priced(_METHOD, currency, agreement.outputs())


@dataclass(frozen=True, slots=True)
class _Terms:
    notional: float
    rate: float
    index: Leaf
    sign: float  # of the floating rate
    date: Date | None
    tenor: Period | None
    maturity: Date | None


def _read(task: Task) -> _Terms:
    fields = task.fields
    date, tenor = fields.need_one("startDate", values.date, "start", values.tenor)
    maturity = fields.maybe("maturityDate", values.date)
    if date is not None and maturity is not None and maturity <= date:
        fields.refuse("maturityDate", "VNP-208", f"not after the start, {date.ISO()}")
    return _Terms(
        notional=fields.need("notional", values.positive, 1.0),
        rate=fields.need("rate", values.rate, 0.0),
        index=swap_terms.leaf_of_index(fields),
        sign=1.0 if swap_terms.pays_fixed(fields) else -1.0,
        date=date,
        tenor=tenor,
        maturity=maturity,
    )


class _Agreement:
    """The agreement with its dates; amounts are for the notional, before quantity and side."""

    def __init__(self, task: Task, terms: _Terms, index: Index, currency: str) -> None:
        self.task = task
        self.terms = terms
        self.index = index
        self.currency = currency
        self.rates = index.unforecast()
        calendar, convention = self.rates.fixingCalendar(), self.rates.businessDayConvention()
        if terms.date is not None:
            self.start = calendar.adjust(terms.date, convention)
        else:
            spot = rate_legs.spot(calendar, task.evaluation, self.rates.fixingDays())
            self.start = rate_legs.advance(
                calendar,
                spot,
                terms.tenor,
                task.fields.path_to("start"),
                convention=convention,
                end_of_month=self.rates.endOfMonth(),
            )
        own = self.rates.maturityDate(self.start)
        self.end = own if terms.maturity is None else calendar.adjust(terms.maturity, convention)
        if self.end <= self.start:
            sentence = f"{self.end.ISO()} is not after the start, {self.start.ISO()}"
            raise EngineError("VNP-208", task.fields.path_to("maturityDate"), sentence)
        self.is_regular = self.end == own
        self.fixing = self.rates.fixingDate(self.start)
        self.period = float(self.rates.dayCounter().yearFraction(self.start, self.end))

    def rate_on(self, market: Market) -> float:
        """Give the rate of the period: its fixing, or the forecast."""
        handle = market.forecasting(self.index, self.terms.index).handle
        if self.is_regular or self.fixing.serialNumber() in self._fixed:
            return float(self.index.forecast_on(handle).fixing(self.fixing))
        # Not the index's own period: the rate that the curve has for this one.
        growth = handle.discount(self.start) / handle.discount(self.end)
        return float((growth - 1.0) / self.period)

    @property
    def _fixed(self) -> set[int]:
        known = self.task.evaluation.serialNumber()
        return {day for day in self.index.fixings if day <= known}

    def settled_on(self, market: Market) -> float:
        """Give what is paid when the period begins."""
        rate = self.rate_on(market)
        owed = self.terms.sign * self.terms.notional * (rate - self.terms.rate) * self.period
        return owed / (1.0 + rate * self.period)

    def value_on(self, market: Market) -> float:
        """Value the settlement on a market."""
        return self.settled_on(market) * self._curve(market).discount(self.start)

    def _curve(self, market: Market) -> Curve:
        position = self.task.position
        return market.discounting(self.currency, position.discount_curve, position.discount_spread)

    def outputs(self) -> dict[str, Compute]:
        """Give the outputs of the position."""
        market, scale = self.task.market, self.task.position.scale
        return {
            "price": lambda _: self.value_on(market) * scale,
            "fairRate": lambda _: self.rate_on(market),
            "forward": lambda _: self.rate_on(market),
            "dv01": lambda _: bumps.dv01(self.value_on, market) * scale,
            "cashFlows": lambda _: [Flow(self.start, self.settled_on(market) * scale)],
        }
