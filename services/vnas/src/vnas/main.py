"""The edge of vnas: reads settings, builds the parts, runs the worker or one task.

    vnas                            work until SIGTERM
    vnas value TASKFILE|-           one task document through the script, without any server
    vnas config [--json]            the settings in force

Exit status: 0; 78 when a setting is wrong, one of the server's included; of ``value`` also 65 (the
document is at fault) and 1.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from aws_lambda_powertools import Logger

from vnas import desk
from vnas.ahead import Ahead
from vnas.attempt import Attempts
from vnas.hardening import become_subreaper, hide_from_scripts
from vnas.lifeline import Lifeline
from vnas.limits import find_prlimit
from vnas.pool import WarmScripts
from vnas.runner import Runner
from vnas.script import ScriptRunner
from vnas.scriptfile import ScriptFile
from vnas.settings import WorkerSettings
from vnas.strays import StrayChildren
from vnas.warm import Recipe
from vnas.withdrawn import watching
from vnas.work import Worker
from vncore.clock import epoch_ms
from vncore.connection import Connections
from vncore.drain import until_stopped
from vncore.errors import AttemptFailed, Misconfigured, VnError
from vncore.failures import Failure
from vncore.guard import check_server
from vncore.keys import WORKERS, Keys
from vncore.logs import logger
from vncore.loop import run
from vncore.serving import serve
from vncore.settings import load, printed
from vncore.streams import Consumer, consumer_name
from vncore.tasks import TaskStore

EX_CONFIG = 78
EX_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(WorkerSettings)
        if options.command == "config":
            sys.stdout.write(printed(settings, as_json=options.json))
            return 0
        if options.command == "value":
            return _value(_with_options(settings, options), options.taskfile)
        run(work_until_stopped(settings))
    except Misconfigured as err:
        sys.stderr.write(f"vnas: {err.message}\n")
        return EX_CONFIG
    return 0


async def work_until_stopped(settings: WorkerSettings) -> None:
    """Serve the dispatch stream until SIGTERM or SIGINT.

    The first signal drains: nothing more is taken, running scripts may end within the grace
    period, what is left is killed and handed back to another worker. A second signal ends the
    grace period. Raises Misconfigured before anything is taken, and also later: when the server
    came back with settings that `check_server` refuses, or the script cannot be started any more.
    """
    log = logger("vnas", level=settings.log_level)
    hidden = hide_from_scripts()
    script = ScriptFile(settings.vnas_script)
    async with _runner(settings, script, slots=settings.vnas_slots) as runner:
        if missing := _missing_protection(hidden=hidden, adopting=runner.sweeps):
            log.warning("protection_missing", extra={"missing": missing})
        await serve_tasks(settings, script, runner, log)


async def serve_tasks(
    settings: WorkerSettings, script: ScriptFile, runner: Runner, log: Logger
) -> None:
    """Serve the dispatch stream with a runner of the script; see `work_until_stopped`."""
    keys = Keys(settings.redis_key_prefix)
    url, block_ms = settings.redis_url.get_secret_value(), settings.default_block_ms
    ahead = Ahead(settings.vnas_slots)
    async with (
        Connections(url, block_ms=block_ms) as connections,
        watching(
            store := TaskStore(
                connections.commands, keys, settle_wait_seconds=ahead.settle_wait_seconds
            )
        ) as withdrawals,
    ):
        consumer = Consumer(
            connections,
            keys.dispatch,
            WORKERS,
            consumer_name("vnas"),
            idle_ms=settings.task_wait_timeout_ms,
        )
        worker = Worker(
            store,
            Attempts(runner, script, output_bytes=settings.vnas_output_max_bytes, clock=epoch_ms),
            withdrawals,
            ahead,
            worker_id=consumer.name,
            max_deliveries=settings.max_task_retries,
        )
        stop = asyncio.Event()
        serving = asyncio.ensure_future(
            serve(
                consumer,
                worker.handle,
                slots=ahead.room,
                stop=stop,
                log=log,
                alone_at=settings.max_task_retries,
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
            "worker_started",
            extra={
                "worker_id": consumer.name,
                "slots": settings.vnas_slots,
                "mode": settings.vnas_script_mode,
                "script": str(script.path),
                "digest": script.digest(),
            },
        )
        giving_up = asyncio.ensure_future(_give_up_when_broken(runner))
        await until_stopped(serving, stop, drain_ms=settings.vnas_drain_ms, log=log)
    log.info("worker_stopped", extra={"worker_id": consumer.name})
    if not giving_up.cancel():  # it had ended before
        raise Misconfigured(
            f"VNAS_SCRIPT: {script.path} cannot be started any more; the log says why"
        )


async def _give_up_when_broken(runner: Runner) -> None:
    await runner.broken()
    signal.raise_signal(signal.SIGTERM)  # drain, as if somebody had asked for it


@asynccontextmanager
async def _runner(
    settings: WorkerSettings, script: ScriptFile, *, slots: int
) -> AsyncIterator[Runner]:
    """Give what runs the script, in the mode that is set; raises Misconfigured."""
    # Before the strays are counted: its process is none.
    with Lifeline(settings.vnas_task_directory) as lifeline:
        strays = StrayChildren() if become_subreaper() else None
        limits, prlimit = settings.limits(), find_prlimit()
        if settings.vnas_script_mode == "exec":
            yield ScriptRunner(
                script.path, limits, prlimit=prlimit, strays=strays, directories=lifeline.folder
            )
            return
        recipe = Recipe(
            script=script.path,
            limits=limits,
            start_timeout_ms=settings.vnas_start_timeout_ms,
            recycle_after=settings.vnas_recycle_after,
            recycle_memory_bytes=settings.vnas_recycle_memory_bytes,
            prlimit=prlimit,
            directories=lifeline.folder,
        )
        async with WarmScripts(script, recipe, slots=slots, strays=strays) as scripts:
            yield scripts


def _missing_protection(*, hidden: bool, adopting: bool) -> list[str]:
    """Say which guards of SAFETY this system or user does not allow."""
    guards = {
        "no prlimit here: memory, processor time and files of scripts are not limited": (
            find_prlimit() is not None
        ),
        "no subreaper here: processes that leave a script's group are not ended": adopting,
        "root, or no prctl here: scripts can read the worker's environment": hidden,
    }
    return [lack for lack, there in guards.items() if not there]


def _value(settings: WorkerSettings, taskfile: str) -> int:
    logger("vnas", level=settings.log_level)
    try:
        task_xml = sys.stdin.buffer.read() if taskfile == "-" else Path(taskfile).read_bytes()
    except OSError as err:
        sys.stderr.write(f"vnas: {taskfile}: {err.strerror}\n")
        return EX_FAILED
    hide_from_scripts()
    script = ScriptFile(settings.vnas_script)
    try:
        result = asyncio.run(_value_or_stop(task_xml, settings, script))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except VnError as err:
        if isinstance(err, AttemptFailed):
            sys.stderr.write(err.stderr_tail)
        sys.stderr.write(f"{Failure.of(err, attempts=1).to_json()}\n")
        return desk.exit_status_of(err)
    sys.stdout.buffer.write(result + b"\n")
    return 0


async def _value_or_stop(task_xml: bytes, settings: WorkerSettings, script: ScriptFile) -> bytes:
    """Value one task; SIGTERM kills its script and clears away, then raises CancelledError."""
    async with _runner(settings, script, slots=1) as runner:
        valuing = asyncio.ensure_future(
            desk.value(
                task_xml,
                runner,
                script_digest=script.digest(),
                output_bytes=settings.vnas_output_max_bytes,
            )
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, valuing.cancel)
        return await valuing


def _with_options(settings: WorkerSettings, options: argparse.Namespace) -> WorkerSettings:
    given = {
        "vnas_script": options.script,
        "vnas_script_mode": options.script_mode,
        "vnas_script_timeout_ms": options.timeout,
    }
    return settings.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vnas", description="VN's task worker.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    value = commands.add_parser("value", help="run one task document through the script")
    value.add_argument("taskfile", metavar="TASKFILE", help="a task document, or - for stdin")
    value.add_argument("--script", type=Path, help="the script (default: VNAS_SCRIPT)")
    value.add_argument(
        "--script-mode", choices=("exec", "persistent"), help="how it runs (VNAS_SCRIPT_MODE)"
    )
    value.add_argument("--timeout", type=_positive, metavar="MS", help="limit in milliseconds")
    config = commands.add_parser("config", help="show the settings in force")
    config.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a positive number of milliseconds")
    return int(text)
