"""Pricing in VN against the bare loop: the same tasks, side by side in one run on one machine.

The books are invented, one portfolio and one group each, price only: two whose tasks take well
under a millisecond, one of 5 ms a task, one of 20 ms, one of 60 ms and a quarter of the tasks (what
they take here is the processor time of the bare loop). Each is valued in three ways, with the
shipped engine:

- bare: a process for each core, started and warm before the clock starts, calls the engine's
  `value` in a loop on its share of the task documents, which hydration has made beforehand
- exec: the embedded stack, a process for each task, from the POST to the response; on fewer tasks,
  since each one starts an interpreter and loads QuantLib
- persistent: the embedded stack with warm scripts, from the POST to the response

Every round checks that all three gave the same prices, byte for byte.
"""

from collections.abc import Sequence

ON_DEMAND = True  # takes minutes: run when it is named, not with all the others


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print the tables; ``--help`` lists the options."""
    # Here, not above: the processes of the bare loop import this package, and should hold no more
    # than the engine.
    from benchmarks.pricing.run import run

    run(arguments)
