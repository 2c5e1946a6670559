"""The ``vn`` command: its commands put together, and every error said in one readable line.

Exit status 0: done (where a request is waited for: it succeeded); 1: it failed; 2: wrong command;
3: the request ended partial, with failures in its response.
"""

import signal
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.metadata import version
from typing import Annotated, ParamSpec

import typer

from vnclient import show
from vnclient.commands import local, server, tools
from vnclient.commands.arguments import FAILED, USAGE, Misused
from vnclient.errors import AnswerCutOff, RequestFailed, ServerUnreachable, VnClientError

_BY_SIGNAL = 128  # as a shell has it

P = ParamSpec("P")


def _telling(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into a line and a status."""

    @wraps(command)
    def told(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except RequestFailed as err:
            server.report_request_failed(err)
            raise typer.Exit(FAILED) from err
        except BrokenPipeError:  # the reader of our output has enough; click ends us quietly
            raise
        except (VnClientError, OSError) as err:
            nobody = isinstance(err, ServerUnreachable) and not isinstance(err, AnswerCutOff)
            hint = "; start one with: vn up" if nobody else ""
            show.notes().print(show.plain(f"vn: {err}{hint}", "red"))
            raise typer.Exit(USAGE if isinstance(err, Misused) else FAILED) from err
        except KeyboardInterrupt as err:
            show.notes().print("vn: interrupted")
            number = err.args[0] if err.args else signal.SIGINT
            raise typer.Exit(_BY_SIGNAL + number) from err

    return told


app = typer.Typer(
    name="vn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Value VNML portfolios: on a stack of your own, or on a running server.",
)
for command in (
    local.run,
    local.up,
    server.submit,
    server.status,
    server.results,
    server.watch,
    server.cancel,
    server.redrive,
    tools.hydrate,
    tools.value,
    tools.config,
    tools.fsck,
    tools.stored,
    tools.cleanup,
):
    app.command()(_telling(command))


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"vn {version('vnclient')}")
        raise typer.Exit


@app.callback()
def vn(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    """Value VNML portfolios: on a stack of your own, or on a running server."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``vn``; the console script calls this."""
    app(args=None if arguments is None else list(arguments))


if __name__ == "__main__":
    main()
