"""The worker's settings: read once in `main`, passed down in pieces."""

import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from vnas.limits import ScriptLimits
from vnas.scriptfile import shipped_script
from vncore.settings import CommonSettings, usable_cores


class WorkerSettings(CommonSettings):
    """What vnas is told by its environment."""

    vnas_script: Path = Field(default_factory=shipped_script)
    """The valuation script: any executable file. Default: the QuantLib engine that is shipped."""

    vnas_script_mode: Literal["exec", "persistent"] = "exec"
    """How the script runs; ``exec``: a process for each task; ``persistent``: one for each slot."""

    vnas_slots: PositiveInt = Field(default_factory=usable_cores)
    """How many scripts run at once. Default: the cores that this process may use."""

    vnas_script_timeout_ms: PositiveInt = 900_000
    """How long one run of the script may take, in milliseconds."""

    vnas_start_timeout_ms: PositiveInt = 60_000
    """How long a persistent script may take until it is ready, in milliseconds."""

    vnas_recycle_after: NonNegativeInt = 10_000
    """After how many tasks a persistent script is replaced by a fresh process; 0: never."""

    vnas_recycle_memory_bytes: NonNegativeInt = 1024**3
    """Resident memory above which a persistent script is replaced after its task; 0: never."""

    vnas_output_max_bytes: PositiveInt = 10 * 1024 * 1024
    """How much the script may write to stdout, or answer, in bytes."""

    vnas_file_max_bytes: NonNegativeInt = 64 * 1024 * 1024
    """How large one file that the script writes, or its stderr, may grow, in bytes; 0: no limit."""

    vnas_memory_max_bytes: NonNegativeInt = 4 * 1024**3
    """Address space of one process of the script, in bytes; 0: no limit."""

    vnas_cpu_seconds: NonNegativeInt = 3_600
    """Processor time of one process of the script for one task, all threads; 0: no limit."""

    vnas_open_files: NonNegativeInt = 1_024
    """How many files one process of the script may have open; 0: no limit."""

    vnas_task_directory: Path | None = None
    """Where the tasks' temporary directories are made; empty: the system's place for them."""

    vnas_drain_ms: NonNegativeInt = 25_000
    """How long running scripts may go on after SIGTERM, in milliseconds; 0: they are stopped."""

    @field_validator("vnas_task_directory")
    @classmethod
    def _writable_folder(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_dir():
            raise ValueError("no such folder")
        try:
            with tempfile.TemporaryDirectory(dir=value):
                return value.absolute()
        except OSError as err:
            raise ValueError(f"nothing can be made in it: {err.strerror}") from err

    def limits(self) -> ScriptLimits:
        """Give what one run of the script may use."""
        return ScriptLimits(
            timeout_ms=self.vnas_script_timeout_ms,
            output_bytes=self.vnas_output_max_bytes,
            file_bytes=self.vnas_file_max_bytes,
            memory_bytes=self.vnas_memory_max_bytes,
            cpu_seconds=self.vnas_cpu_seconds,
            open_files=self.vnas_open_files,
        )
