"""The commands that talk to a running server: submit, status, results, watch, cancel, redrive."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vnclient import show
from vnclient.answers import Failure, Status
from vnclient.client import Client
from vnclient.commands.arguments import (
    FAILED,
    Deadline,
    File,
    Json,
    Misused,
    OnFailure,
    Out,
    RequestId,
    Url,
    exit_status,
    readable,
    writable,
)
from vnclient.errors import RequestFailed
from vnclient.wire import DEFAULT_URL


def submit(
    file: File,
    *,
    sync: Annotated[bool, typer.Option("--sync", help="Wait for the response.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="K", help="Idempotency key: the same one runs nothing twice."
        ),
    ] = None,
    deadline_ms: Deadline = None,
    on_failure: OnFailure = None,
    out: Out = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Hand a request in; prints its id, or with --sync its response.

    With --sync the exit status is 0 only if every valuation has its result, 3 if the response has
    failures in it (partial), 1 if there is none.
    """
    if sync and as_json:
        raise Misused("--json goes without --sync, whose answer is XML")
    if out is not None and not sync:
        raise Misused("--out goes with --sync; without it there is no response yet")
    readable(file)
    writable(out)
    with Client(url) as client:
        if sync:
            completed = client.complete(
                file, idempotency_key=key, deadline_ms=deadline_ms, on_failure=on_failure
            )
            deliver(completed.document, out)
            if not completed.succeeded and completed.request_id is not None:
                report_end(client.status(completed.request_id))
            raise typer.Exit(exit_status(completed.status))
        accepted = client.submit(
            file, idempotency_key=key, deadline_ms=deadline_ms, on_failure=on_failure
        )
    if as_json:
        facts = {"requestId": accepted.request_id, "status": accepted.status}
        print_json(facts | ({"replayed": True} if accepted.replayed else {}))
    else:
        known = " (submitted before)" if accepted.replayed else ""
        show.output().print(show.plain(accepted.request_id))
        show.notes().print(
            show.plain(f"{accepted.status}{known}; see: vn watch {accepted.request_id}")
        )


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
    """Follow a request until it ends.

    The exit status is 0 only if it succeeded, 3 if it ended partial (there is a response, with
    failures in it), 1 if it failed or was cancelled.
    """
    with Client(url) as client:
        raise typer.Exit(_watched(client, request_id, as_json=as_json))


def cancel(request_id: RequestId, *, as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """End a request: nothing more of it is run. Results that are there are kept."""
    with Client(url) as client:
        client.cancel(request_id)
    if as_json:
        print_json({"requestId": request_id, "status": "cancelled"})
    else:
        show.notes().print(show.plain(f"cancelled; to go on: vn redrive {request_id}"))


def redrive(
    request_id: RequestId,
    *,
    deadline_ms: Deadline = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Run a failed, partial or cancelled request again, keeping every good result.

    With --watch the exit status is that of vn watch.
    """
    with Client(url) as client:
        redriven = client.redrive(request_id, deadline_ms=deadline_ms)
        if as_json:
            facts = {"requestId": request_id, "status": redriven.status, "run": redriven.run}
            print_json(facts)
        else:
            said = "" if watch else f"; see: vn watch {request_id}"
            show.notes().print(show.plain(f"{redriven.status}, run {redriven.run}{said}"))
        if watch:
            raise typer.Exit(_watched(client, request_id, as_json=as_json))


def _watched(client: Client, request_id: str, *, as_json: bool) -> int:
    """Follow a request, say how it ended, and give the exit status for that."""
    ended = None
    if as_json:
        for ended in client.watch(request_id):
            print_json(dict(ended.raw))
    else:
        ended = follow(client.watch(request_id), show.notes())
    if ended is None:
        return FAILED
    if not ended.succeeded and not as_json:
        report_end(ended)
    return exit_status(ended.status)


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
