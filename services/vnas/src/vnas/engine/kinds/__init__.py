"""The kinds of instrument: one module for each, found by its name.

How to add a kind, say ``fxSwap``:

1. Add its name to `VOCABULARY`.
2. Write ``kinds/fx_swap.py`` (the name in snake case) with one public function

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


def find(name: str) -> Kind:
    """Import the function that values a kind of the vocabulary."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    found: Kind = importlib.import_module(f"{__name__}.{snake}").value
    return found
