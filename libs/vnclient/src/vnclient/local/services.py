"""How the other parts are started as commands: services by what is behind their console scripts.

`stack` runs them as servers, `commands.tools` their subcommands. None of them is imported here.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from vnclient.errors import MissingExtra

SERVICES = ("vnapi", "vnvs", "vnas")
"""In the order in which they are stopped: no new requests first, the workers last."""


def service_command(service: str, arguments: Sequence[str] = ()) -> list[str]:
    """Give the command line of a service; raises MissingExtra when it is not installed."""
    if find_spec(service) is None:
        raise MissingExtra(service)
    entry = f"import sys; from {service}.main import main; sys.exit(main())"
    # -P: a file of the user's folder must not stand in for a module
    return [sys.executable, "-P", "-c", entry, *arguments]


def core_command(arguments: Sequence[str]) -> list[str]:
    """Give the command line of ``python -m vncore``; raises MissingExtra when it is missing."""
    if find_spec("vncore") is None:
        raise MissingExtra("vncore")
    return [sys.executable, "-P", "-m", "vncore", *arguments]
