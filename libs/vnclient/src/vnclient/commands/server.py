"""The commands that talk to a running server: submit, status, results, watch."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vnclient import show
from vnclient.answers import Failure, Status
from vnclient.client import DEFAULT_URL, Client
from vnclient.commands.arguments import (
    FAILED,
    SUCCEEDED,
    File,
    Json,
    Misused,
    Out,
    RequestId,
    Url,
    readable,
    writable,
)
from vnclient.errors import RequestFailed


def submit(
    file: File,
    *,
    sync: Annotated[bool, typer.Option("--sync", help="Wait for the response.")] = False,
    out: Out = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Hand a request in; prints its id, or with --sync its response."""
    if sync and as_json:
        raise Misused("--json goes without --sync, whose answer is XML")
    if out is not None and not sync:
        raise Misused("--out goes with --sync; without it there is no response yet")
    readable(file)
    writable(out)
    with Client(url) as client:
        if sync:
            deliver(client.value(file), out)
            return
        accepted = client.submit(file)
    if as_json:
        print_json({"requestId": accepted.request_id, "status": accepted.status})
    else:
        show.output().print(show.plain(accepted.request_id))
        show.notes().print(show.plain(f"{accepted.status}; see: vn watch {accepted.request_id}"))


def status(request_id: RequestId, *, as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """Say where a request stands, group by group."""
    with Client(url) as client:
        found = client.status(request_id)
    if as_json:
        print_json(dict(found.raw))
        return
    console = show.output()
    for part in show.status_table(found):
        console.print(part)
    if found.failure is not None:
        for line in show.failure_report(found.failure):
            console.print(line)


def results(request_id: RequestId, *, out: Out = None, url: Url = DEFAULT_URL) -> None:
    """Fetch the response of a request that has ended."""
    writable(out)
    with Client(url) as client:
        deliver(client.results(request_id), out)


def watch(request_id: RequestId, *, as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """Follow a request until it ends; the exit status is 0 if it succeeded."""
    with Client(url) as client:
        if as_json:
            ended = None
            for ended in client.watch(request_id):
                print_json(dict(ended.raw))
        else:
            ended = follow(client.watch(request_id), show.notes())
    if ended is None or not ended.succeeded:
        if ended is not None and not as_json:
            report_end(ended)
        raise typer.Exit(FAILED)
    raise typer.Exit(SUCCEEDED)


def follow(statuses: Iterable[Status], console: Console) -> Status | None:
    """Show progress until the last status; give that one."""
    ended = None
    with show.GroupProgress(console) as progress:
        for ended in statuses:
            progress.show(ended)
    return ended


def report_end(ended: Status) -> None:
    """Say on standard error how a request ended that did not succeed."""
    console = show.notes()
    console.print(show.plain(f"request {ended.request_id}: {ended.status}", "bold red"))
    if ended.failure is not None:
        report_failure(ended.failure)


def report_failure(failure: Failure) -> None:
    """Print a failure report on standard error."""
    console = show.notes()
    for line in show.failure_report(failure):
        console.print(line)


def report_request_failed(error: RequestFailed) -> None:
    """Say on standard error that a request failed, with its report."""
    named = f"request {error.request_id}" if error.request_id else "the request"
    show.notes().print(show.plain(f"{named}: {error.status}", "bold red"))
    report_failure(error.failure)


def deliver(response: bytes, out: Path | None) -> None:
    """Write a response where the user wants it."""
    if out is None:
        show.raw(response)
        return
    out.write_bytes(response)
    show.notes().print(show.plain(f"response written to {out}"))


def print_json(facts: object) -> None:
    """Print one line of JSON."""
    typer.echo(json.dumps(facts, ensure_ascii=False))
