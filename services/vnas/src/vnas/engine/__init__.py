"""The default valuation engine: one task document in, the same document with its analytics out.

It speaks the vocabulary of ``docs/PRICING.md`` and prices with QuantLib. ``python -m vnas.engine``
values the document on standard input; `value` does the same for a caller in this process. It knows
nothing of Redis, requests or references: those are resolved before it runs.

    task.py        one task from bytes to bytes: the table of contents
    fields.py      elements -> checked values, faults told in document order
    values.py      numbers, dates, tenors          names.py       day counts, calendars, ...
    currencies.py  their codes and calendars       errors.py      a code, a place, a sentence
    model.py  calculator.py  position.py           the parts of a task that are not the market
    market.py      what a valuation finds in its market; its parts:
                   market_elements.py curves.py curve_elements.py bootstrap.py clocked_curves.py
                   quotes.py indices.py underlyings.py
                   volatility.py volatility_points.py volatility_choice.py
    outputs.py     results -> analytics            bumps.py       sensitivities by revaluation

    kinds/         one file per instrument kind; what several share stands beside it, by family:
      bonds        bond_terms.py coupons.py bonds.py cancellation.py yields.py
      known flows  known_flows.py                  loans: loan_terms.py amortisation.py
      rates        swap_terms.py rate_legs.py swaps.py rate_options.py
      on a spot    option_terms.py option_processes.py spot_states.py spot_instruments.py
        European   spot_options.py option_values.py
        American   early_exercise.py               barrier: barriers.py
        Asian      averages.py average_terms.py average_history.py
                   arithmetic_averages.py geometric_averages.py
        forwards   forwards.py
      credit       credit_terms.py credit_curves.py isda_curves.py credit.py
"""

from vnas.engine.errors import EngineError

__all__ = ["EngineError", "value"]


def value(document: bytes) -> bytes:
    """Value one task document and give the result document.

    May be called any number of times in one process, one call at a time: everything global in
    QuantLib is set at the start of each call, so that the answer depends on the document alone.

    Raises EngineError when the document cannot be valued; a caller that goes on is left clean.
    """
    from vnas.engine.task import value_document  # loads QuantLib: a fifth of a second, once

    return value_document(document)
