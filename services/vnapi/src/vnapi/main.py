"""The vnapi process: ``vnapi`` serves, ``vnapi config`` prints the settings in force."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from aws_lambda_powertools import Logger
from fastapi import FastAPI

from vnapi.app import Background, build_app
from vnapi.capacity import Capacity, Limits
from vnapi.controls import Controls
from vnapi.lifecycle import LifecycleReader
from vnapi.orchestrator import LambdaInvoker, MainOrchestrator
from vnapi.protocol import WireLimits, bounded
from vnapi.readiness import Readiness
from vnapi.room import Room
from vnapi.routes import Door
from vnapi.settings import ApiSettings
from vnapi.submit import Submitter
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.errors import Misconfigured
from vncore.guard import check_server
from vncore.keys import ORCHESTRATORS, Keys
from vncore.logs import logger
from vncore.requests import RequestStore
from vncore.serving import Check, serve
from vncore.settings import load, printed
from vncore.streams import Consumer, consumer_name
from vncore.xml import XmlLimits

_EX_CONFIG = 78  # sysexits.h
_BACKLOG = 2_048  # connections that the kernel holds until they are taken


def main() -> None:
    """Run the command line; a wrong setting ends it with status 78."""
    parser = argparse.ArgumentParser(prog="vnapi", description="VN's HTTP door.")
    commands = parser.add_subparsers(dest="command")
    config = commands.add_parser("config", help="print the settings in force, secrets masked")
    config.add_argument("--json", action="store_true", help="for machines")
    arguments = parser.parse_args()
    try:
        settings = load(ApiSettings)
        if arguments.command == "config":
            sys.stdout.write(printed(settings, as_json=arguments.json))
        else:
            with asyncio.Runner(loop_factory=_fast_loop()) as runner:
                runner.run(run(settings))
    except Misconfigured as err:
        sys.stderr.write(f"vnapi: {err.message}\n")
        sys.exit(_EX_CONFIG)


async def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    A server that is away is waited for, while ``/readyz`` says so. Raises Misconfigured when the
    one that answers is not as the settings demand (`vncore.guard`).
    """
    log = logger("vnapi", level=settings.log_level)
    _adopt_server_logs(log)
    listener = _listen(settings)
    block_ms = max(settings.lifecycle_block_ms, settings.default_block_ms)
    async with Connections(settings.redis_url.get_secret_value(), block_ms=block_ms) as redis:
        keys = Keys(settings.redis_key_prefix)
        store = RequestStore(redis.commands, keys)
        check = partial(
            check_server,
            redis.commands,
            eviction=settings.redis_eviction,
            durability=settings.durability,
            log=log,
        )
        reader = LifecycleReader(
            redis, keys, store, block_ms=settings.lifecycle_block_ms, log=log, check=check
        )
        door = _door(settings, redis, keys, store, reader)
        stop = asyncio.Event()
        background: list[Background] = [reader.run]
        if settings.orchestrators == "lambda":
            background.append(_orchestrator(settings, redis, keys, store, stop, log, check))
        refused: list[Misconfigured] = []

        def watched(work: Background) -> Background:
            async def run_until_refused() -> None:
                try:
                    await work()
                except Misconfigured as err:
                    refused.append(err)
                    end()

            return run_until_refused

        app = build_app(door, log, [watched(work) for work in background])
        server = _Server(_served(settings, app))

        def end() -> None:
            log.info("ending")
            stop.set()
            reader.release()
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        host, port = listener.getsockname()[:2]
        log.info("listening", extra={"host": host, "port": port})
        await server.serve(sockets=[listener])
        if refused:
            raise refused[0]


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process by the signal again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _served(settings: ApiSettings, app: FastAPI) -> uvicorn.Config:
    limits = WireLimits(
        header_max_bytes=settings.header_max_bytes,
        header_timeout_ms=settings.header_timeout_ms,
        request_max_bytes=2 * settings.payload_max_bytes + settings.header_max_bytes,
        connections=settings.limit_concurrency,
    )
    return uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )


def _door(
    settings: ApiSettings,
    redis: Connections,
    keys: Keys,
    store: RequestStore,
    reader: LifecycleReader,
) -> Door:
    # A live consumer reads at least once per block and renews what it holds within the silence
    # allowed; three times the longer of the two tells the living from the dead.
    silence_ms = max(settings.default_block_ms, settings.task_wait_timeout_ms)
    limits = Limits(
        backlog_max_requests=settings.backlog_max_requests,
        backlog_max_tasks=settings.backlog_max_tasks,
        redis_memory_max_percent=settings.redis_memory_max_percent,
    )
    capacity = Capacity(redis.commands, keys, limits)
    return Door(
        store=store,
        submitter=Submitter(
            store,
            XmlLimits(max_bytes=settings.payload_max_bytes),
            large_at_once=settings.large_documents_at_once,
            clock=epoch_ms,
        ),
        controls=Controls(
            redis.commands,
            keys,
            request_ttl_seconds=settings.request_ttl_seconds,
            clock=epoch_ms,
        ),
        capacity=capacity,
        room=Room(
            max(settings.bodies_max_bytes, settings.payload_max_bytes),
            wait_ms=settings.body_timeout_ms,
        ),
        reader=reader,
        readiness=Readiness(
            redis.commands,
            keys,
            store,
            reader,
            capacity,
            fresh_ms=3 * silence_ms,
            workers_expected=not settings.task_processor_arn,
            eviction=settings.redis_eviction,
            durability=settings.durability,
        ),
        payload_max_bytes=settings.payload_max_bytes,
        body_timeout_ms=settings.body_timeout_ms,
        sync_wait_timeout_ms=settings.sync_wait_timeout_ms,
    )


def _orchestrator(
    settings: ApiSettings,
    redis: Connections,
    keys: Keys,
    store: RequestStore,
    stop: asyncio.Event,
    log: Logger,
    check: Check,
) -> Background:
    consumer = Consumer(
        redis,
        keys.ingest,
        ORCHESTRATORS,
        consumer_name("vnapi"),
        idle_ms=settings.orchestrator_silence_ms,
    )
    invoker = LambdaInvoker(settings.request_orchestrator_arn)
    orchestrator = MainOrchestrator(redis, keys, store, invoker, log=log)

    async def take_requests() -> None:
        await serve(
            consumer,
            orchestrator.handle,
            slots=settings.orchestrator_slots,
            stop=stop,
            log=log,
            check=check,
        )

    return take_requests


def _listen(settings: ApiSettings) -> socket.socket:
    """Bind before anything else is started; raises Misconfigured when that is not possible."""
    if settings.http_socket_fd is not None:
        return _listen_on(settings.http_socket_fd)
    address = (settings.http_host, settings.http_port)
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    # The protocol is named, not left at 0: asyncio switches Nagle's algorithm off only then, and
    # with it on a small answer waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as err:
        listener.close()
        raise Misconfigured(f"HTTP_HOST, HTTP_PORT: cannot listen on {address}: {err}") from err
    listener.listen(_BACKLOG)
    return listener


def _listen_on(descriptor: int) -> socket.socket:
    """Adopt a socket that somebody has bound for us; raises Misconfigured when it is none."""
    try:
        listener = socket.socket(fileno=descriptor)
        listener.listen(_BACKLOG)
    except OSError as err:
        raise Misconfigured(f"HTTP_SOCKET_FD: cannot listen on {descriptor}: {err}") from err
    return listener


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's factory where it is installed."""
    try:
        import uvloop
    except ImportError:  # not on every platform
        return None
    return uvloop.new_event_loop


def _adopt_server_logs(log: Logger) -> None:
    """Let what uvicorn has to say come out as our log lines."""
    for name in ("uvicorn", "uvicorn.error"):
        adopted = logging.getLogger(name)
        adopted.handlers = list(log.handlers)
        adopted.propagate = False
        adopted.setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
