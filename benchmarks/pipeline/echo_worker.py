"""A vnas whose script is a function in its own process: it gives the task document back.

    python -m benchmarks.pipeline.echo_worker

Everything else is as `vnas.main` composes it, and the settings come from the environment;
VNAS_SCRIPT must be there and is not run. Started by `vn`.
"""

import asyncio

from vnas.environment import TaskFacts
from vnas.main import serve_tasks
from vnas.runner import Runner
from vnas.scriptfile import ScriptFile
from vnas.settings import WorkerSettings
from vncore.logs import logger
from vncore.loop import run
from vncore.settings import load


class Echo:
    """What stands in for the script."""

    sweeps = True  # it leaves no processes behind
    is_broken = False

    async def run(
        self,
        task_xml: bytes,
        facts: TaskFacts,  # noqa: ARG002 - the script's
        *,
        timeout_ms: int | None = None,  # noqa: ARG002 - it takes no time
    ) -> bytes:
        """Give the document back."""
        return task_xml

    async def broken(self) -> None:
        """Never return."""
        await asyncio.Event().wait()


def work() -> None:
    """Serve the dispatch stream until SIGTERM."""
    settings = load(WorkerSettings)
    runner: Runner = Echo()
    script = ScriptFile(settings.vnas_script)
    run(serve_tasks(settings, script, runner, logger("vnas", level=settings.log_level)))


if __name__ == "__main__":
    work()
