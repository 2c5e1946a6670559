"""``schedule``: dated amounts as they are given."""

from vnas.engine import outputs, values
from vnas.engine.coupons import MAX_FLOWS
from vnas.engine.errors import EngineError
from vnas.engine.fields import Fields
from vnas.engine.known_flows import METHOD, KnownFlows
from vnas.engine.outputs import Priced
from vnas.engine.task import Task
from vnas.engine.values import Date


def value(task: Task) -> Priced:
    """Price a list of flows by discounting those to come."""
    flows = _read(task)
    task.ignore_quote()
    task.check()
    task.calculator.choose(METHOD)
    known = KnownFlows(task, flows)
    if not known.flows:
        return outputs.expired(task.currency, METHOD)
    return Priced(METHOD, task.currency, known.outputs())


def _read(task: Task) -> list[tuple[Date, float]]:
    fields = task.fields
    elements = fields.all("cashFlow")
    if not elements:
        fields.missing("cashFlow")
    if len(elements) > MAX_FLOWS:
        error = EngineError("VNP-208", fields.path, f"more than {MAX_FLOWS} flows")
        task.faults.note(elements[MAX_FLOWS], error)
        elements = elements[:MAX_FLOWS]
    flows: list[tuple[Date, float]] = []
    for element in elements:
        one = Fields(element, task.faults)
        date = one.need_attribute("date", values.date, None)
        amount = one.parsed(element, values.number)
        if date is not None and amount is not None:
            flows.append((date, amount))
    return flows
