"""``zeroCouponBond``: one payment at maturity."""

import QuantLib as ql

from vnas.engine import bond_terms, bonds, names, outputs
from vnas.engine.outputs import Priced
from vnas.engine.task import Task
from vnas.engine.yields import YieldTerms


def value(task: Task) -> Priced:
    """Price a zero-coupon bond by discounting."""
    fields = task.fields
    day_count = fields.maybe("dayCount", names.day_count) or ql.Actual365Fixed()
    yields = YieldTerms(ql.Compounded, int(ql.Annual), day_count)
    terms = bond_terms.read_terms(task)
    terms.quote = bond_terms.read_quote(task, yields)
    named = fields.maybe("calendar", names.calendar)
    convention = fields.get("paymentConvention", names.convention, ql.Following)
    task.check()
    task.calculator.choose("discounting")
    calendar = named or names.calendar_of(task.currency)
    paid = calendar.adjust(terms.maturity, convention)
    if paid <= task.evaluation:
        return outputs.expired(task.currency, "discounting")
    bond = bonds.bond_of(terms, calendar, [], paid)
    return bonds.discounted(task, terms, yields, lambda _: bond)
