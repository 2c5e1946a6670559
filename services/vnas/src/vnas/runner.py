"""What runs the valuation script, as a worker and a desk see it.

`script.ScriptRunner` starts a process for each task (exec mode), `pool.WarmScripts` keeps one for
each slot (persistent mode). Made in `main`, used by `work` and `desk`.
"""

from typing import Protocol

from vnas.environment import TaskFacts


class Runner(Protocol):
    """Runs one script, any number of times and at once."""

    @property
    def sweeps(self) -> bool:
        """Whether processes that left a script's group are found and ended."""
        ...

    async def run(
        self, task_xml: bytes, facts: TaskFacts, *, timeout_ms: int | None = None
    ) -> bytes:
        """Run the script on the document and give its output.

        `timeout_ms` shortens the limit of this run. When this raises or is cancelled, nothing of
        the run goes on. Raises ScriptFailed and ScriptTimedOut, which carry the last 4 KiB of
        stderr.
        """
        ...

    @property
    def is_broken(self) -> bool:
        """Whether the script cannot be started any more: running it would only fail."""
        ...

    async def broken(self) -> None:
        """Return once it `is_broken`, so that no more tasks are taken."""
        ...
