"""The payoff of an option on a spot price, as the document gives it."""

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


def read_terms(task: Task, size: str) -> Terms:
    """Read ``type``, ``strike``, expiry and the size under its name for the kind."""
    fields = task.fields
    kind = fields.need("type", names.one_of("call", "put"), "call")
    strike = fields.need("strike", values.number, 1.0)
    date = fields.maybe("expiryDate", values.date)
    tenor = fields.maybe("tenor", values.tenor)
    expiry = date
    if date is None and fields.first("expiryDate") is None and fields.first("tenor") is None:
        fields.missing("expiryDate")
    if date is not None and tenor is not None:
        task.faults.warn("VNP-105", "tenor was not used: there is an expiryDate")
    if date is None and tenor is not None:
        try:
            expiry = later(task.evaluation, tenor, fields.path_to("tenor"))
        except EngineError as error:
            fields.refuse("tenor", error.code, error.message)
    process = task.model.process
    if strike <= 0.0 and (process is None or process.text.lower() != "normal"):
        fields.refuse("strike", "VNP-208", "the strike is not positive")
    return Terms(
        kind=ql.Option.Call if kind == "call" else ql.Option.Put,
        strike=strike,
        expiry=expiry or task.evaluation,
        size=fields.get(size, values.positive, 1.0),
    )
