"""Arguments and options that several commands share, and the faults of using them.

The commands raise VnClientError and nothing else; `cli` says it in one line and picks the status.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vnclient.errors import VnClientError

SUCCEEDED, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
"""The exit statuses of ``vn``."""


class Mode(StrEnum):
    """How a valuation script runs."""

    EXEC = "exec"
    PERSISTENT = "persistent"


File = Annotated[Path, typer.Argument(metavar="FILE", help="A VNML request.", show_default=False)]
RequestId = Annotated[
    str, typer.Argument(metavar="ID", help="The id of a request.", show_default=False)
]
Url = Annotated[str, typer.Option("--url", envvar="VN_URL", help="The server's address.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON, for a machine.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="F", help="Write the response here, not to standard output."),
]
Deadline = Annotated[
    int | None,
    typer.Option(
        "--deadline-ms", metavar="N", min=1, help="Let it fail if it takes longer than this."
    ),
]
OnFailure = Annotated[
    str | None,
    typer.Option(
        "--on-failure",
        metavar="P",
        help="For groups that name none: stop, continue, tolerate:N or tolerate:P%.",
    ),
]
Script = Annotated[
    Path | None,
    typer.Option("--script", metavar="S", help="The valuation script (else VNAS_SCRIPT)."),
]

ScriptMode = Annotated[
    Mode | None,
    typer.Option(
        "--script-mode",
        help="exec: a process for each task; persistent: one for each slot (else "
        "VNAS_SCRIPT_MODE; the shipped engine runs persistent).",
        show_default=False,
    ),
]


def exit_status(status: str) -> int:
    """Give the exit status for how a request ended."""
    return {"succeeded": SUCCEEDED, "partial": PARTIAL}.get(status, FAILED)


class Misused(VnClientError):
    """The command was called with something that cannot work; nothing was done."""


def readable(file: Path) -> Path:
    """Check that a file is there to be read; raises Misused."""
    if not file.exists():
        raise Misused(f"no such file: {file}")
    if file.is_dir():
        raise Misused(f"{file} is a folder, not a file")
    if not os.access(file, os.R_OK):
        raise Misused(f"{file} may not be read")
    return file


def executable(script: Path | None) -> Path | None:
    """Check that a script is there to be run; raises Misused."""
    if script is None:
        return None
    if not readable(script) or not os.access(script, os.X_OK):
        raise Misused(f"{script} is not executable; try: chmod +x {script}")
    return script.absolute()


def writable(out: Path | None) -> Path | None:
    """Check that a file can be written, and make its folder; raises Misused."""
    if out is None:
        return None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise Misused(f"{out.parent} cannot be made: {err.strerror}") from err
    if out.is_dir() or not os.access(out if out.exists() else out.parent, os.W_OK):
        raise Misused(f"{out} cannot be written")
    return out
