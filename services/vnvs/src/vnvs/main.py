"""The edge of vnvs: reads settings, builds the parts, runs the service or one document.

    vnvs                            run requests until SIGTERM
    vnvs hydrate FILE|-             the hydrated document, without any server
    vnvs config [--json]            the settings in force

Exit status: 0; 1 when the document is at fault or cannot be read; 78 when a setting is wrong.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.drain import until_stopped
from vncore.errors import Misconfigured, VnError
from vncore.guard import check_server
from vncore.keys import ORCHESTRATORS, Keys
from vncore.logs import logger
from vncore.loop import run
from vncore.requests import RequestStore
from vncore.serving import serve
from vncore.settings import load, printed
from vncore.streams import Consumer, consumer_name
from vnvs.desk import Desk, told
from vnvs.durations import Durations
from vnvs.hydrator import Hydrator
from vnvs.ingest import Ingest
from vnvs.pins import PinnedSources
from vnvs.pool import HydrationPool
from vnvs.retry import RetryPolicy
from vnvs.settings import VnvsSettings
from vnvs.sources import Sources, sources_of
from vnvs.steps import Tools
from vnvs.workforce import Workforce

EX_FAULT = 1
EX_CONFIG = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(VnvsSettings)
        if options.command == "config":
            sys.stdout.write(printed(settings, as_json=options.json))
            return 0
        if options.command == "hydrate":
            return _hydrate(settings, options)
        run(run_until_stopped(settings))
    except Misconfigured as err:
        sys.stderr.write(f"vnvs: {err.message}\n")
        return EX_CONFIG
    return 0


async def run_until_stopped(settings: VnvsSettings) -> None:
    """Serve the ingest stream until SIGTERM or SIGINT.

    The first signal drains: nothing more is taken, running requests may end within the grace
    period, what is left stays pending and another orchestrator goes on with it where it stood. A
    second signal ends the grace period. Raises Misconfigured before anything is read.
    """
    log = logger("vnvs", level=settings.log_level)
    keys = Keys(settings.redis_key_prefix)
    async with (
        Connections(
            settings.redis_url.get_secret_value(), block_ms=settings.default_block_ms
        ) as connections,
        _hydration(settings) as (hydrator, sources),
    ):
        consumer = Consumer(
            connections,
            keys.ingest,
            ORCHESTRATORS,
            consumer_name("vnvs"),
            idle_ms=settings.task_wait_timeout_ms,
        )
        ingest = Ingest(
            connections,
            keys,
            _tools(settings, connections, keys, hydrator, sources),
            name=consumer.name,
            max_deliveries=settings.max_request_deliveries,
        )
        stop = asyncio.Event()
        serving = asyncio.ensure_future(
            serve(
                consumer,
                ingest.handle,
                slots=settings.max_concurrent_requests,
                stop=stop,
                log=log,
                alone_at=settings.max_request_deliveries,
                check=partial(
                    check_server,
                    connections.commands,
                    eviction=settings.redis_eviction,
                    durability=settings.durability,
                    log=log,
                ),
            )
        )
        log.info(
            "orchestrator_started",
            extra={
                "consumer": consumer.name,
                "slots": settings.max_concurrent_requests,
                "hydration_processes": settings.hydration_processes,
            },
        )
        await until_stopped(serving, stop, drain_ms=settings.vnvs_drain_ms, log=log)
    log.info("orchestrator_stopped", extra={"consumer": consumer.name})


@asynccontextmanager
async def _hydration(settings: VnvsSettings) -> AsyncIterator[tuple[Hydrator, Sources]]:
    """Build what hydrates and what fetches for it."""
    sources = sources_of(settings)
    pool = HydrationPool(
        processes=settings.hydration_processes,
        seconds=settings.hydration_timeout_ms / 1000,
        memory_bytes=settings.hydration_memory_max_bytes,
    )
    try:
        async with pool:
            yield (
                Hydrator(pool, settings.hydration_limits(), settings.hydration_file_root),
                sources,
            )
    finally:
        sources.close()


def _tools(
    settings: VnvsSettings,
    connections: Connections,
    keys: Keys,
    hydrator: Hydrator,
    sources: Sources,
) -> Tools:
    return Tools(
        store=RequestStore(connections.commands, keys),
        hydrator=hydrator,
        sources=sources,
        fetched_bytes=settings.hydration_fetch_total_max_bytes,
        durations=Durations(settings.vnvs_slice_ms / 1000),
        workforce=Workforce(connections.commands, keys),
        policy=RetryPolicy(settings.max_task_retries, jitter=random.SystemRandom().random),
        request_ttl_seconds=settings.request_ttl_seconds,
        failed_ttl_seconds=settings.failed_ttl_seconds,
        clock=epoch_ms,
    )


def _hydrate(settings: VnvsSettings, options: argparse.Namespace) -> int:
    logger("vnvs", level=settings.log_level)
    try:
        document = _read(options.file)
    except OSError as err:
        sys.stderr.write(f"vnvs: {options.file}: {err.strerror}\n")
        return EX_FAULT
    settings = settings.model_copy(update={"hydration_file_root": _file_root(settings, options)})
    try:
        return asyncio.run(_at_the_desk(settings, options, document))
    except VnError as err:
        sys.stderr.write(told([err], as_json=options.json))
        return EX_FAULT


async def _at_the_desk(settings: VnvsSettings, options: argparse.Namespace, document: bytes) -> int:
    async with _hydration(settings) as (hydrator, sources):
        pins = PinnedSources(
            sources,
            total_bytes=settings.hydration_fetch_total_max_bytes,
            kept={},
            reload=_nothing_kept,
        )
        desk = Desk(hydrator, pins)
        if options.check:
            errors = await desk.check(document)
            stream = sys.stdout if options.json else sys.stderr
            stream.write(told(errors, as_json=options.json))
            return EX_FAULT if errors else 0
        make = desk.tasks if options.tasks else desk.hydrate
        sys.stdout.buffer.write(await make(document, as_json=options.json))
    return 0


async def _nothing_kept() -> Mapping[str, bytes]:
    return {}


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _file_root(settings: VnvsSettings, options: argparse.Namespace) -> Path | None:
    """Choose the folder: as asked for, else the file's own, else (stdin) what the settings say."""
    if options.file_root is not None:
        if not options.file_root.is_dir():
            raise Misconfigured(f"--file-root: no such folder: {options.file_root}")
        return Path(options.file_root).resolve()
    if options.file != "-":
        return Path(options.file).resolve().parent
    return settings.hydration_file_root


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vnvs", description="VN's request orchestrator.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    hydrate = commands.add_parser("hydrate", help="hydrate one document, without any server")
    hydrate.add_argument("file", metavar="FILE", help="a VNML document, or - for stdin")
    hydrate.add_argument(
        "--tasks", action="store_true", help="the first group's task documents, one after another"
    )
    hydrate.add_argument("--check", action="store_true", help="only list all faults")
    hydrate.add_argument("--json", action="store_true", help="as JSON, errors too")
    hydrate.add_argument(
        "--file-root",
        type=Path,
        metavar="DIR",
        help="below which folder files may be read (default: FILE's own)",
    )
    config = commands.add_parser("config", help="show the settings in force")
    config.add_argument("--json", action="store_true", help="as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
