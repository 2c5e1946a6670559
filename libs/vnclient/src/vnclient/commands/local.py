"""The commands that start the embedded stack: run (one request) and up (until Ctrl-C)."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vnclient import show
from vnclient.answers import Status
from vnclient.client import Client
from vnclient.commands.arguments import (
    File,
    Json,
    Misused,
    OnFailure,
    Out,
    Script,
    ScriptMode,
    executable,
    exit_status,
    readable,
    writable,
)
from vnclient.commands.server import deliver, follow, print_json, report_end
from vnclient.local.stack import Stack, StackOptions
from vnclient.table import results_table

_DEFAULT_PORT = 8080


def run(
    file: File,
    *,
    out: Out = None,
    script: Script = None,
    script_mode: ScriptMode = None,
    on_failure: OnFailure = None,
    table: Annotated[
        bool, typer.Option("--table", help="Print a readable table, not the XML.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Value one request on a stack of its own, started for it and stopped after it.

    The response goes to standard output, or to --out; progress and reports go to standard error.
    Files that the request refers to are looked for in its folder (else HYDRATION_FILE_ROOT). The
    exit status is 0 only if the request succeeded, 1 if it failed, 2 if the command is wrong, 3
    if the response has failures in it (partial).
    """
    if table and as_json:
        raise Misused("choose one of --table and --json")
    document = readable(file).read_bytes()
    writable(out)
    script = executable(script)
    file_root = None if os.environ.get("HYDRATION_FILE_ROOT") else file.absolute().parent
    console = show.notes()

    def tell(said: str) -> None:
        console.print(show.plain(said, "yellow"))

    with _ending_on_signals(), _temporary_folder() as data_dir:
        options = StackOptions(
            data_dir=data_dir, script=script, script_mode=script_mode, file_root=file_root
        )
        console.print("starting the embedded stack …", style="dim")
        with Stack(options, tell=tell) as stack, stack.supervised(), Client(stack.url) as client:
            accepted = client.submit(document, on_failure=on_failure)
            ended = follow(client.watch(accepted.request_id), console)
            assert ended is not None  # a watch shows the last status at least
            has_response = ended.status in {"succeeded", "partial"}
            response = client.results(accepted.request_id) if has_response else None
    _hand_over(ended, response, out, table=table, as_json=as_json)
    if not ended.succeeded:
        if not as_json:
            report_end(ended)
        raise typer.Exit(exit_status(ended.status))


def up(
    *,
    port: Annotated[
        int,
        typer.Option("--port", metavar="P", min=0, max=65535, envvar="HTTP_PORT", help="0: any."),
    ] = _DEFAULT_PORT,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where Valkey's data and logs are kept.")
    ] = Path(".vn"),
    slots: Annotated[
        int | None,
        typer.Option("--slots", metavar="N", min=1, help="Scripts at once (else the cores)."),
    ] = None,
    script: Script = None,
    script_mode: ScriptMode = None,
) -> None:
    """Run the stack in the foreground until Ctrl-C; its data is kept for the next time."""
    console = show.notes()

    def tell(said: str) -> None:
        console.print(show.plain(said, "yellow"))

    options = StackOptions(
        data_dir=data,
        http_port=port,
        slots=slots,
        script=executable(script),
        script_mode=script_mode,
    )
    stack = Stack(options, tell=tell)
    with _ending_on_signals():
        try:
            with stack:
                console.print(show.plain(f"VN is up at {stack.url}", "bold green"))
                console.print(show.plain(f"data in {data}, logs in {stack.log_dir}; Ctrl-C stops"))
                try:
                    stack.supervise(threading.Event())
                finally:
                    console.print("stopping …", style="dim")
        except _Ended:
            console.print("stopped", style="dim")


class _Ended(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP: stop cleanly."""


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Let the signals that end a command unwind it, so that the stack is stopped in order."""

    def end(number: int, _frame: object) -> NoReturn:
        raise _Ended(number)

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, end) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vn-run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(
    ended: Status, response: bytes | None, out: Path | None, *, table: bool, as_json: bool
) -> None:
    if response is not None and (out is not None or not (table or as_json)):
        deliver(response, out)
    if response is not None and table:
        show.output().print(results_table(response))
    if as_json:
        print_json({**ended.raw, "response": str(out) if out and response is not None else None})
