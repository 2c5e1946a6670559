"""The numerical settings of a task: ``calculator`` as a value.

Read once by `task`; the kinds take from it what their methods need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from vnas.engine import values
from vnas.engine.errors import EngineError, quoted
from vnas.engine.fields import Faults, Fields
from vnas.engine.values import Leaf

TREE_STEPS = 240
GRID_STEPS = 200


@dataclass(frozen=True, slots=True)
class Calculator:
    """How to compute; None where the kind's own default applies."""

    method: Leaf | None = None
    time_steps: int | None = None
    grid_points: int = 400
    samples: int = 16383  # Monte Carlo paths
    seed: int = 42
    par_coupons: bool = True  # forecast term coupons over their own period
    strict: bool = False  # warnings 101, 102 and 107 become errors

    def choose(self, *listed: str) -> str:
        """Give the method to use, the first listed by default.

        Raises EngineError VNP-301 when the document asks for one that is not listed.
        """
        if self.method is None:
            return listed[0]
        return chosen(self.method, listed, "method")


def chosen(leaf: Leaf, listed: Sequence[str], what: str) -> str:
    """Give the name of the list that a leaf means; VNP-301 when the kind does not have it."""
    for name in listed:
        if leaf.text.lower() == name.lower():
            return name
    sentence = f"{what} {quoted(leaf.text)} is not available here; there is {', '.join(listed)}"
    raise leaf.error("VNP-301", sentence)


def is_strict(element: etree._Element | None) -> bool:
    """Tell whether the calculator asks for strictness; a wrong value is told by `read`."""
    if element is None:
        return False
    leaf = next(filter(None, map(values.leaf_of, element.iterchildren("strict"))), None)
    try:
        return leaf is not None and values.boolean(leaf)
    except EngineError:
        return False


def read(element: etree._Element | None, faults: Faults) -> Calculator:
    """Read the calculator; wrong values are noted in `faults`."""
    if element is None:
        return Calculator()
    fields = Fields(element, faults)
    return Calculator(
        method=fields.maybe("method", values.leaf),
        time_steps=fields.maybe("timeSteps", values.ranged(values.integer, 1, 2000)),
        grid_points=fields.get("gridPoints", values.ranged(values.integer, 10, 2000), 400),
        samples=fields.get("samples", values.ranged(values.integer, 1, 1_000_000), 16383),
        seed=fields.get("seed", values.ranged(values.integer, 1, 2**31 - 1), 42),
        par_coupons=fields.get("parCoupons", values.boolean, True),
        strict=fields.get("strict", values.boolean, False),
    )
