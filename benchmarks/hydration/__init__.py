"""Hydration of larger and larger requests: what a pass takes should grow with tasks alone.

Every valuation of a request selects the same market data, and with ``use`` an instrument of its own
of about 0.7 KB. Each size in a process of its own for the passes, and once more through vnapi, vnvs
and workers that give a task's document back themselves, for what Redis holds meanwhile and after.

- passes: document pass, group pass and response, the last with results named and not written
- stored: all keys of the request after its end, and the most that the server held meanwhile
- growth: exponents of least squares through the logarithms, in tasks and in market data
- predecessor's cases: those for which figures of VN's predecessor are known
- the big one: hydrated, run, assembled and read to its end, every result counted, in order
"""

from collections.abc import Sequence

ON_DEMAND = True  # takes minutes: run when it is named, not with all the others


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print the tables; ``--help`` lists the options."""
    # Here, not above: the children import this package, and should hold no more than they need.
    from benchmarks.hydration.run import run

    run(arguments)
