"""What operators ask of a server: to be told of broken promises, to be rid of what is left over.

    python -m vncore fsck [--json]                 look at everything; changes nothing
    python -m vncore cleanup [--dry-run] [--json]  remove what times to live cannot
    python -m vncore stored REQUEST                a response, put together
    python -m vncore stored REQUEST GROUP TASK [--result]
                                                   the XML that a script got, or what it gave

Reads the settings that all services have, ``REDIS_URL`` and ``REDIS_KEY_PREFIX`` above all. Exit
status: 0; 1 when a promise is broken, or nothing of the kind is stored; 2 when the server cannot be
asked; 64 when the command line is wrong; 78 when a setting is; 141 when who reads has gone.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from vncore import stored
from vncore.cleanup import CleanupReport, clean_up
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.errors import InvalidRequest, Misconfigured, StoreUnavailable
from vncore.fsck import Report, check
from vncore.ids import TaskId, parse_request_id
from vncore.keys import Keys
from vncore.pieces import NotPieces
from vncore.responses import ResponseBroken
from vncore.settings import CommonSettings, load

EX_VIOLATIONS = 1
EX_UNAVAILABLE = 2
EX_USAGE = 64
EX_CONFIG = 78
EX_BROKEN_PIPE = 128 + signal.SIGPIPE  # as of a program that the signal has ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "stored":
            return asyncio.run(_print_stored(load(CommonSettings), options))
        report = asyncio.run(_run(load(CommonSettings), options))
    except Misconfigured as err:
        sys.stderr.write(f"vncore: {err.message}\n")
        return EX_CONFIG
    except StoreUnavailable as err:
        sys.stderr.write(f"vncore: the server cannot be asked: {err.message}\n")
        return EX_UNAVAILABLE
    except BrokenPipeError:  # who read has seen enough; nothing is left to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_BROKEN_PIPE
    written = json.dumps(report.to_json(), ensure_ascii=False) if options.json else str(report)
    sys.stdout.write(f"{written}\n")
    return EX_VIOLATIONS if isinstance(report, Report) and not report.clean else 0


async def _run(settings: CommonSettings, options: argparse.Namespace) -> Report | CleanupReport:
    keys = Keys(settings.redis_key_prefix)
    url = settings.redis_url.get_secret_value()
    async with Connections(url, block_ms=settings.default_block_ms) as connections:
        if options.command == "fsck":
            return await check(connections.commands, keys)
        return await clean_up(
            connections.commands,
            keys,
            request_ttl_seconds=settings.request_ttl_seconds,
            failed_ttl_seconds=settings.failed_ttl_seconds,
            task_wait_timeout_ms=settings.task_wait_timeout_ms,
            clock=epoch_ms,
            dry_run=options.dry_run,
        )


async def _print_stored(settings: CommonSettings, options: argparse.Namespace) -> int:
    keys = Keys(settings.redis_key_prefix)
    try:
        request_id = parse_request_id(options.request)
    except InvalidRequest as err:
        sys.stderr.write(f"vncore: {err.message}\n")
        return EX_USAGE
    if (options.group is None) != (options.task is None) or (options.result and not options.task):
        sys.stderr.write("vncore: a task is named by its group (from 0) and its number (from 1)\n")
        return EX_USAGE
    url = settings.redis_url.get_secret_value()
    async with Connections(url, block_ms=settings.default_block_ms) as connections:
        redis = connections.commands
        try:
            if options.task is None:
                chunks = await stored.response(redis, keys, request_id)
                if chunks is None:
                    return _is_absent("response")
                async for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
                return 0
            read = stored.task_result if options.result else stored.task_document
            found = await read(redis, keys, request_id, options.group, TaskId(options.task))
        except (NotPieces, ResponseBroken) as err:
            sys.stderr.write(f"vncore: what is stored cannot be put together: {err}\n")
            return EX_VIOLATIONS
    if found is None:
        return _is_absent("result" if options.result else "document")
    sys.stdout.buffer.write(found)
    return 0


def _is_absent(what: str) -> int:
    sys.stderr.write(f"vncore: there is no such {what}: not yet, not any more, or never\n")
    return EX_VIOLATIONS


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m vncore", description="Look after a VN server.")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    fsck = commands.add_parser("fsck", help="check the promises on a live server; only reads")
    fsck.add_argument("--json", action="store_true", help="one JSON object")
    cleanup = commands.add_parser("cleanup", help="remove what times to live cannot")
    cleanup.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    cleanup.add_argument("--json", action="store_true", help="one JSON object")
    show = commands.add_parser("stored", help="print a stored document, put together")
    show.add_argument("request", metavar="REQUEST", help="its id; alone: its response")
    show.add_argument("group", metavar="GROUP", nargs="?", type=int, help="counts from 0")
    show.add_argument("task", metavar="TASK", nargs="?", type=int, help="counts from 1")
    show.add_argument("--result", action="store_true", help="what its script gave, not got")
    return made


if __name__ == "__main__":
    sys.exit(main())
