"""The kinds of instrument: one module for each, found by its name.

How to add a kind, say ``fxForward``:

1. Its name is in `VOCABULARY` already; a new word of the vocabulary is added there.
2. Write ``kinds/fx_forward.py`` (the name in snake case) with one public function

       def value(task: Task) -> Priced

   Nothing else needs to know of it: `find` imports the module when a task asks for the kind, so a
   task never pays for kinds that it does not use.
3. Read all elements through ``task.fields`` (`maybe`, `get`, `need`, `every`, `child`); each call
   also says that the element may be there. Facts of two elements (maturity before issue) go to
   ``task.fields.refuse``. Then call ``task.check()``: it tells the first fault in document order
   and warns of unknown elements.
4. Only now ask ``task.market`` for curves, indices and spots; it raises VNP-206 by itself.
5. Return `Priced`: the method's name, the currency, and for each output that has a meaning a
   function that computes it. It is called only if the document asks for the output. Multiply money
   by ``task.position.scale``. An instrument without a flow left returns `outputs.expired`.
6. For ``dv01`` write the value as a function of a market and hand it to `bumps.dv01`.
7. Let QuantLib's RuntimeError pass: `task` makes it VNP-402 with its sentence.
8. Test it against QuantLib called directly, and by the identities of the vocabulary, in
   ``tests/unit/engine``.
"""

import importlib
import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vnas.engine.outputs import Priced
    from vnas.engine.task import Task

VOCABULARY = frozenset(
    {
        "yieldCurve",
        "aggregate",
        "zeroCouponBond",
        "fixedRateBond",
        "floatingRateBond",
        "cancellableBond",
        "schedule",
        "deposit",
        "homeLoan",
        "vanillaSwap",
        "forwardRateAgreement",
        "capFloor",
        "swaption",
        "europeanOption",
        "americanOption",
        "barrierOption",
        "asianOption",
        "fxOption",
        "equityForward",
        "future",
        "fxForward",
        "creditDefaultSwap",
    }
)

Kind = Callable[["Task"], "Priced"]


def available(name: str) -> bool:
    """Tell whether this version of the engine prices a kind of the vocabulary."""
    return name in VOCABULARY and _has_module(name)


def find(name: str) -> Kind:
    """Import the function that values a kind; only for one that is `available`."""
    found: Kind = importlib.import_module(_module(name)).value
    return found


@cache
def _has_module(name: str) -> bool:
    return find_spec(_module(name)) is not None


def _module(name: str) -> str:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return f"{__name__}.{snake}"
