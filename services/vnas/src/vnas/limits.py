"""What one script may use, and the ``prlimit`` command that makes the kernel see to it.

In come settings; out goes the beginning of a command line. Used by `script`; made in `main`.
Limits are set by a small program in front of the script, never by ``preexec_fn``: that would copy
the worker's page tables for every task (35 ms under an 800 MB parent) and is unsafe with threads.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

try:
    import resource
except ImportError:  # not a Unix; without limits, which the worker says at start
    resource = None  # type: ignore[assignment]

_CPU_GRACE_SECONDS = 5
"""From SIGXCPU, whose name tells what happened, to SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLimits:
    """What one run of the script may use; 0 means no limit, except where it says otherwise."""

    timeout_ms: int = 900_000  # wall clock; at least 1
    output_bytes: int = 10 * 1024 * 1024  # of stdout; at least 1
    file_bytes: int = 64 * 1024 * 1024  # of any one file that it writes, stderr included
    memory_bytes: int = 4 * 1024**3  # address space of one process
    cpu_seconds: int = 3_600  # of one process, all its threads together
    open_files: int = 1_024  # descriptors of one process

    @property
    def kernel_file_bytes(self) -> int:
        """Size at which the kernel stops a file: never below what stdout may hold, plus one byte.

        The extra byte lets an output of exactly ``output_bytes`` end well and a longer one show.
        """
        return max(self.file_bytes, self.output_bytes + 1) if self.file_bytes else 0


def find_prlimit() -> str | None:
    """Give the path of ``prlimit`` (util-linux), or None where the system has none."""
    return shutil.which("prlimit")


def limiting_command(limits: ScriptLimits, prlimit: str | None) -> list[str]:
    """Give what stands in front of the script's path: ``[prlimit, --as=…, …, --]``, or nothing.

    A limit above what this process may have itself is lowered to that: ``prlimit`` could not
    raise it and would run nothing.
    """
    if prlimit is None:
        return []
    return [prlimit, *_options(limits), "--core=0", "--"]


def _options(limits: ScriptLimits) -> Iterator[str]:
    wanted = {
        "as": limits.memory_bytes,
        "fsize": limits.kernel_file_bytes,
        "nofile": limits.open_files,
    }
    for option, value in wanted.items():
        if value:
            yield f"--{option}={min(value, _ceiling(option))}"
    if limits.cpu_seconds:
        ceiling = _ceiling("cpu")
        hard = min(limits.cpu_seconds + _CPU_GRACE_SECONDS, ceiling)
        yield f"--cpu={min(limits.cpu_seconds, hard)}:{hard}"


def _ceiling(option: str) -> int:
    _soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{option.upper()}"))
    return hard if hard != resource.RLIM_INFINITY else 2**62
