"""``python -m tests.chaos --minutes 10 --seed 7``: exit status 1 when a promise was not kept."""

import argparse
import secrets
import sys

from .storm import StormOptions, run


def main() -> int:
    """Run one storm and print its report."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second")
    parser.add_argument("--wait-ms", type=int, default=3_000, help="TASK_WAIT_TIMEOUT_MS")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    report = run(
        StormOptions(
            seed=seed,
            minutes=options.minutes,
            requests_per_second=options.rate,
            wait_timeout_ms=options.wait_ms,
        ),
        Teller(),
    )
    print(f"\n{report.told()}", end="", flush=True)
    return 0 if report.is_clean else 1


class Teller:
    """Shows progress on one line of a terminal, every tenth time elsewhere."""

    def __init__(self) -> None:
        self._times = 0

    def __call__(self, line: str) -> None:
        if sys.stdout.isatty():
            print(f"\r{line}\033[K", end="", flush=True)
        elif self._times % 10 == 0:
            print(line, flush=True)
        self._times += 1


if __name__ == "__main__":
    sys.exit(main())
