"""Run every benchmark of this folder, or those named on the command line.

    python -m benchmarks [NAME ...]
    python -m benchmarks NAME --OPTION ...

A benchmark is a module with a ``main()`` that prints a table in Markdown. One that takes options
has them as its argument; one that is marked ``ON_DEMAND`` runs only when it is named.
"""

import importlib
import itertools
import os
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Print the machine and the date, then each benchmark's table."""
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(names) :]
    here = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    known = [name for name in here if not name.startswith("_")]
    if unknown := set(names) - set(known):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names or known}
    if options and (len(names) != 1 or not signature(modules[names[0]].main).parameters):
        sys.exit("options go to one benchmark that takes them: python -m benchmarks NAME --OPTION")
    if not names:
        modules = {
            name: module
            for name, module in modules.items()
            if not getattr(module, "ON_DEMAND", False)
        }
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n"
    )
    for name, module in modules.items():
        print(f"## {name}\n\n{(module.__doc__ or '').strip()}\n")
        module.main(*([options] if options else []))
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
