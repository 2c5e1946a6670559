"""The payoff of an option on a spot price, and the last day of an instrument, as documents give it.

Read by the kinds of options and forwards on a spot.
"""

from dataclasses import dataclass

import QuantLib as ql

from vnas.engine import names, values
from vnas.engine.errors import EngineError
from vnas.engine.task import Task
from vnas.engine.values import Date, later


@dataclass(slots=True)
class Terms:
    """The payoff."""

    kind: int  # ql.Option.Call or Put
    strike: float
    expiry: Date
    size: float  # contract size or notional

    @property
    def sign(self) -> float:
        """1 for a call, -1 for a put."""
        return 1.0 if self.kind == ql.Option.Call else -1.0

    def paid(self, price: float) -> float:
        """Give what is paid at a price of the underlying."""
        return max(self.sign * (price - self.strike), 0.0)

    def slope(self, price: float) -> float:
        """Give the derivative of `paid`."""
        return self.sign if self.paid(price) > 0.0 else 0.0


def read_terms(task: Task, size: str) -> Terms:
    """Read ``type``, ``strike``, expiry and the size under its name for the kind."""
    fields = task.fields
    kind = fields.need("type", names.one_of("call", "put"), "call")
    return Terms(
        kind=ql.Option.Call if kind == "call" else ql.Option.Put,
        strike=read_strike(task),
        expiry=read_last_day(task, "expiryDate"),
        size=fields.get(size, values.positive, 1.0),
    )


def read_strike(task: Task) -> float:
    """Read the strike: positive, unless the process is normal (VNP-208)."""
    strike = task.fields.need("strike", values.number, 1.0)
    process = task.model.process
    if strike <= 0.0 and (process is None or process.text.lower() != "normal"):
        task.fields.refuse("strike", "VNP-208", f"'{strike:.12g}' is not more than 0")
    return strike


def read_last_day(task: Task, name: str) -> Date:
    """Read a required date, or the ``tenor`` after the evaluation date in its place."""
    fields = task.fields
    date, tenor = fields.need_one(name, values.date, "tenor", values.tenor)
    if date is None and tenor is not None:
        try:
            date = later(task.evaluation, tenor, fields.path_to("tenor"))
        except EngineError as error:
            fields.refuse("tenor", error.code, error.message)
    return date or task.evaluation
