"""What operators ask of a server: to be told of broken promises, to be rid of what is left over.

    python -m vncore fsck [--json]                 look at everything; changes nothing
    python -m vncore cleanup [--dry-run] [--json]  remove what times to live cannot

Reads the settings that all services have, ``REDIS_URL`` and ``REDIS_KEY_PREFIX`` above all. Exit
status: 0; 1 when a promise is broken; 2 when the server cannot be asked; 78 when a setting is
wrong.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from vncore.cleanup import CleanupReport, clean_up
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.errors import Misconfigured, StoreUnavailable
from vncore.fsck import Report, check
from vncore.keys import Keys
from vncore.settings import CommonSettings, load

EX_VIOLATIONS = 1
EX_UNAVAILABLE = 2
EX_CONFIG = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        report = asyncio.run(_run(load(CommonSettings), options))
    except Misconfigured as err:
        sys.stderr.write(f"vncore: {err.message}\n")
        return EX_CONFIG
    except StoreUnavailable as err:
        sys.stderr.write(f"vncore: the server cannot be asked: {err.message}\n")
        return EX_UNAVAILABLE
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


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m vncore", description="Look after a VN server.")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    fsck = commands.add_parser("fsck", help="check the promises on a live server; only reads")
    fsck.add_argument("--json", action="store_true", help="one JSON object")
    cleanup = commands.add_parser("cleanup", help="remove what times to live cannot")
    cleanup.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    cleanup.add_argument("--json", action="store_true", help="one JSON object")
    return made


if __name__ == "__main__":
    sys.exit(main())
