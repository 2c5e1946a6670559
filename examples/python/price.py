#!/usr/bin/env python3
"""A zero-coupon bond at the market's flat rate: a function as a script, in either mode."""

import math
from datetime import date

from vnas.sdk import Rejected, serve


def price(valuation):
    """Give the price of a valuation, an lxml element; a number becomes its price/amount."""

    def text(path):
        found = valuation.findall(path)
        if len(found) != 1 or found[0].attrib or not found[0].text:
            raise Rejected(f"needs one plain {path}")
        return found[0].text

    try:
        face, rate = float(text("instrument/zeroCouponBond/faceAmount")), float(text("market/rate"))
        maturity = date.fromisoformat(text("instrument/zeroCouponBond/maturityDate"))
        years = (maturity - date.fromisoformat(text("analytics/evaluation/date"))).days / 365
    except ValueError as fault:
        raise Rejected(f"not readable: {fault}") from fault
    if years <= 0:
        raise Rejected("needs a maturityDate after the date")
    return face * math.exp(-rate * years)


serve(price)
