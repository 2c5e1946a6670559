"""What a script learns about its task, and the clean environment that it runs in.

In come the facts of one attempt; out goes the whole environment of the script's process. Nothing
of the worker's own environment passes through here, least of all ``REDIS_URL``. Used by `script`,
whose processes live for one task, and by `warm`, whose processes are told the facts with each.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from vnas.frames import MODE_VARIABLE, PERSISTENT
from vncore.errors import ScriptFailed
from vncore.ids import RequestId, TaskId

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a script finds commands, after the directory of this interpreter."""

MAX_VARIABLE_BYTES = 128 * 1024
"""Longest ``NAME=value`` with its closing NUL that the kernel hands over (MAX_ARG_STRLEN)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """One attempt at one task, as its script may know it."""

    request_id: RequestId
    group_index: int  # counts from 0
    group_name: str
    task_id: TaskId
    valuation_name: str
    attempt: int  # counts from 1
    deadline: str = ""  # as the dispatch entry carries it; empty when there is none
    traceparent: str = ""  # W3C trace context; empty when there is none

    def variables(self) -> dict[str, str]:
        """Give the facts under the names that the script contract fixes (DESIGN §7)."""
        return {
            "VN_REQUEST_ID": self.request_id,
            "VN_GROUP_INDEX": str(self.group_index),
            "VN_GROUP_NAME": self.group_name,
            "VN_TASK_ID": str(self.task_id),
            "VN_VALUATION_NAME": self.valuation_name,
            "VN_ATTEMPT": str(self.attempt),
            "VN_DEADLINE": self.deadline,
            "TRACEPARENT": self.traceparent,
        }


def script_environment(facts: TaskFacts, task_directory: Path) -> dict[str, str]:
    """Make the environment of one script: this and nothing else.

    ``PATH`` begins with the directory of this interpreter, so that a script's ``python3`` is the
    one that VN is installed in; ``HOME`` and ``TMPDIR`` are the task's own directory.

    Raises ScriptFailed (``SCRIPT_ENVIRONMENT_REFUSED``, permanent) when a fact is no variable: it
    holds NUL, is not Unicode, or is longer than the kernel takes.
    """
    return {**_own(task_directory), **checked_variables(facts)}


def warm_environment(directory: Path) -> dict[str, str]:
    """Make the environment of a warm script: the same without a task, and how tasks will come.

    ``HOME`` and ``TMPDIR`` are the process's own directory, which it keeps as long as it lives.
    """
    return {**_own(directory), MODE_VARIABLE: PERSISTENT}


def checked_variables(facts: TaskFacts) -> dict[str, str]:
    """Give the facts by name, once it is sure that each is one a variable could carry.

    Asked of both kinds of script, so that a task does not depend on how it is run.

    Raises ScriptFailed as `script_environment` does.
    """
    variables = facts.variables()
    for name, value in variables.items():
        _check(name, value)
    return variables


def _own(directory: Path) -> dict[str, str]:
    interpreter_directory = str(Path(sys.executable).parent)
    return {
        "PATH": f"{interpreter_directory}:{STANDARD_PATH}",
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
    }


def _check(name: str, value: str) -> None:
    try:
        size = len(f"{name}={value}".encode()) + 1
    except UnicodeEncodeError as err:
        raise _refused(name, "is not valid Unicode") from err
    if "\0" in value:
        raise _refused(name, "holds a NUL character")
    if size > MAX_VARIABLE_BYTES:
        raise _refused(name, f"takes {size} bytes; the system hands over {MAX_VARIABLE_BYTES}")


def _refused(name: str, why: str) -> ScriptFailed:
    return ScriptFailed("SCRIPT_ENVIRONMENT_REFUSED", f"{name} {why}")
