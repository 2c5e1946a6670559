"""The model of a task: which process, which volatility, and the one-factor HJM term.

Read by `task`. The volatility itself stays an element, because its dates need the market; see
`volatility`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from vnas.engine import values
from vnas.engine.calculator import chosen
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Leaf

PROCESSES = (
    "lognormal",
    "normal",
    "shiftedLognormal",
    "extended",
    "hullWhite",
    "blackKarasinski",
)

_NOT_NEGATIVE = values.ranged(values.rate, 0)


@dataclass(frozen=True, slots=True)
class Hjm:
    """``hjm/factor/term``: the exponential HJM volatility sigma * exp(-beta * t)."""

    sigma: float | None = None  # absolute, per year
    beta: float | None = None  # per year


@dataclass(frozen=True, slots=True)
class Model:
    """What the document says of the process; None where the kind's default applies."""

    process: Leaf | None = None
    volatility: etree._Element | None = None  # never one that holds ``hjm``
    hjm: Hjm | None = None
    mean_reversion: float | None = None  # per year

    def choose(self, *listed: str) -> str | None:
        """Give the process that is asked for, None for the kind's default.

        Raises EngineError VNP-301 when the kind does not have that process.
        """
        return None if self.process is None else chosen(self.process, listed, "process")


def read(element: etree._Element | None, faults: Faults) -> Model:
    """Read the model; wrong values are noted in `faults`."""
    if element is None:
        return Model()
    fields = Fields(element, faults)
    volatility = fields.first("volatility")
    holder = None if volatility is None else Fields(volatility, faults)
    has_hjm = volatility is not None and volatility.find("hjm") is not None
    return Model(
        process=fields.maybe("process", _process),
        volatility=None if has_hjm else volatility,
        hjm=_hjm(holder, faults) if holder is not None and has_hjm else None,
        mean_reversion=fields.maybe("meanReversion", _NOT_NEGATIVE),
    )


def _process(leaf: Leaf) -> Leaf:
    """Check that the process is one of the vocabulary, whatever the kind makes of it."""
    known: Sequence[str] = [name.lower() for name in PROCESSES]
    if leaf.text.lower() not in known:
        sentence = f"the process {quoted(leaf.text)} is not one of {', '.join(PROCESSES)}"
        raise leaf.error("VNP-204", sentence)
    return leaf


def _hjm(volatility: Fields, faults: Faults) -> Hjm:
    hjm = volatility.child("hjm")
    if hjm is None:
        return Hjm()
    term = _only(_only(hjm, "factor"), "term")
    if term is None:
        return Hjm()
    for name in ("rho", "tau"):
        if term.element.find(name) is not None:
            faults.warn("VNP-105", f"{name} of the hjm term is not used")
    sigma = term.maybe("sigma", _NOT_NEGATIVE)
    return Hjm(sigma=sigma, beta=term.maybe("beta", _NOT_NEGATIVE))


def _only(fields: Fields | None, name: str) -> Fields | None:
    """Go down to the one child of a name; a second one is noted as VNP-301."""
    if fields is None:
        return None
    found = fields.all(name)
    if len(found) > 1:
        sentence = f"only one {name} is available: the model has one factor"
        fields.faults.note(found[1], EngineError("VNP-301", values.path_of(found[1]), sentence))
    return Fields(found[0], fields.faults) if found else None
