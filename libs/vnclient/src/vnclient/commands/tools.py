"""The commands that other parts carry out: hydrate, value, fsck, cleanup, stored; and config.

None of them talks to vnapi; fsck, cleanup and stored talk to Redis, by way of vncore.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vnclient import show
from vnclient.commands.arguments import (
    FAILED,
    File,
    Json,
    Script,
    ScriptMode,
    executable,
    readable,
)
from vnclient.commands.server import print_json
from vnclient.errors import LocalStackError
from vnclient.local.services import SERVICES, core_command, service_command


def hydrate(
    file: File,
    *,
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Print the first group's task documents instead.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Report every fault, not only the first.")
    ] = False,
    file_root: Annotated[
        Path | None,
        typer.Option(
            "--file-root", metavar="DIR", help="Where files are read (else FILE's folder)."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a request (- for standard input) with its references resolved; no server is needed."""
    arguments = ["hydrate", str(_readable_or_stdin(file))]
    arguments += ["--tasks"] if tasks else []
    arguments += ["--check"] if check else []
    arguments += ["--file-root", str(file_root)] if file_root is not None else []
    arguments += ["--json"] if as_json else []
    raise typer.Exit(_delegate(service_command("vnvs", arguments)))


def value(
    task_file: Annotated[
        Path, typer.Argument(metavar="TASKFILE", help="One task document.", show_default=False)
    ],
    *,
    script: Script = None,
    script_mode: ScriptMode = None,
) -> None:
    """Run one task document (- for standard input) through the script; no server is needed."""
    arguments = ["value", str(_readable_or_stdin(task_file))]
    script = executable(script)
    arguments += ["--script", str(script)] if script is not None else []
    arguments += ["--script-mode", script_mode] if script_mode is not None else []
    raise typer.Exit(_delegate(service_command("vnas", arguments)))


def fsck(*, as_json: Json = False) -> None:
    """Check the promises on the live server of REDIS_URL, and name each violation.

    The exit status is 0 if there is none, 1 if there are, 2 if the server cannot be asked.
    """
    raise typer.Exit(_delegate(core_command(["fsck", *(["--json"] if as_json else [])])))


def cleanup(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove from the server of REDIS_URL what expiry cannot: what nobody needs any more."""
    options = ["--dry-run"] if dry_run else []
    options += ["--json"] if as_json else []
    raise typer.Exit(_delegate(core_command(["cleanup", *options])))


def stored(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST", show_default=False)],
    group: Annotated[
        int | None, typer.Argument(metavar="GROUP", help="Counts from 0.", show_default=False)
    ] = None,
    task: Annotated[
        int | None, typer.Argument(metavar="TASK", help="Counts from 1.", show_default=False)
    ] = None,
    *,
    result: Annotated[bool, typer.Option("--result", help="What the script gave.")] = False,
) -> None:
    """Print from REDIS_URL's server the XML that a task's script got, or a whole response."""
    arguments = [request_id, *(str(one) for one in (group, task) if one is not None)]
    arguments += ["--result"] if result else []
    raise typer.Exit(_delegate(core_command(["stored", *arguments])))


def config(*, as_json: Json = False) -> None:
    """Print the settings in force in this environment, secrets masked."""
    settings = {service: _settings_of(service) for service in SERVICES}
    if as_json:
        print_json(settings)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("setting", "value", "from", "services", "meaning"):
        table.add_column(heading, no_wrap=heading == "setting", overflow="fold")
    for (name, shown, default), (services, meaning) in _merged(settings).items():
        table.add_row(
            show.plain(name, "" if default else "bold"),
            show.plain(shown),
            "default" if default else "set",
            " ".join(services),
            show.plain(meaning, "dim"),
        )
    show.output().print(table)


def _readable_or_stdin(file: Path) -> Path:
    return file if str(file) == "-" else readable(file)


def _merged(
    settings: dict[str, list[dict[str, Any]]],
) -> dict[tuple[str, str, bool], tuple[list[str], str]]:
    """Put services that have one setting with one value into one line."""
    lines: dict[tuple[str, str, bool], tuple[list[str], str]] = {}
    for service, rows in settings.items():
        for row in rows:
            key = (str(row["name"]), str(row["value"]), bool(row["default"]))
            lines.setdefault(key, ([], str(row.get("help", ""))))[0].append(service)
    return dict(sorted(lines.items(), key=lambda line: (-len(line[1][0]), line[0])))


def _settings_of(service: str) -> list[dict[str, Any]]:
    ended = subprocess.run(  # noqa: S603 - our own service, no shell
        service_command(service, ["config", "--json"]), capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise LocalStackError(ended.stderr.strip() or f"{service} ended with {ended.returncode}")
    try:
        rows = json.loads(ended.stdout)
    except ValueError as err:
        raise LocalStackError(f"{service} config --json wrote no JSON") from err
    return list(rows)


def _delegate(command: Sequence[str]) -> int:
    """Run another part's own command with our input and output; give its exit status."""
    sys.stdout.flush()
    status = subprocess.run(  # noqa: S603 - our own parts, no shell
        command, check=False, env=dict(os.environ)
    ).returncode
    return status if status >= 0 else FAILED
