"""Run every benchmark of this folder, or those named on the command line.

    python -m benchmarks [NAME ...]

A benchmark is a module with a ``main()`` that prints a table in Markdown.
"""

import importlib
import os
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path


def main(names: list[str]) -> None:
    """Print the machine and the date, then each benchmark's table."""
    here = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    known = [name for name in here if not name.startswith("_")]
    if unknown := set(names) - set(known):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n"
    )
    for name in names or known:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"## {name}\n\n{(module.__doc__ or '').strip()}\n")
        module.main()
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
