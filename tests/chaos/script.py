"""The valuation script of a storm, and the trace that it leaves outside of VN.

Each run appends one line to the trace before it does anything: request, group, task, attempt,
process, nonce, and the machine's uptime. The nonce, new in each run, goes into the result too.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .plan import Place

_SCRIPT = """\
#!/bin/sh
# What it does is in the valuation's name: kind-parameter-request.
kind=${VN_VALUATION_NAME%%-*}
number=${VN_VALUATION_NAME##*-}
param=${VN_VALUATION_NAME#*-}
param=${param%-*}
read -r nonce </proc/sys/kernel/random/uuid
read -r up _ </proc/uptime
echo "$number $VN_GROUP_INDEX $VN_TASK_ID $VN_ATTEMPT $$ $nonce $up" >>'@FOLDER@/trace'
case $kind in
  slow) sleep "$param" ;;
  flaky) [ "$VN_ATTEMPT" -gt "$param" ] || { echo "not yet: $VN_ATTEMPT" >&2; exit 75; } ;;
  bad) [ -e '@FOLDER@/mended/'"$number" ] || { echo "no such curve" >&2; exit 65; } ;;
  broken) [ -e '@FOLDER@/mended/'"$number" ] || { echo "out of order" >&2; exit 1; } ;;
esac
amount=$((number * 100000 + VN_GROUP_INDEX * 1000 + VN_TASK_ID))
exec sed "s|<amount>@</amount><nonce>@</nonce>|<amount>$amount</amount><nonce>$nonce</nonce>|"
"""

_WARM_SCRIPT = """\
#!@PYTHON@
# The same for persistent mode: what is warm is this process, which runs the other for each task.
import subprocess
import sys

from vnas import sdk


def value(document):
    ran = subprocess.run(["@SCRIPT@"], input=document, capture_output=True, check=False)
    if ran.returncode:
        raise sdk.Failed(ran.stderr.decode().strip(), status=ran.returncode & 0xFF)
    return ran.stdout


sdk.serve_documents(value)
"""


class ScriptFolder:
    """A folder with the script, its trace, and the numbers of the requests that were mended."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "script.sh"
        self.warm_script = folder / "warm.py"
        self._trace = folder / "trace"
        self._mended = folder / "mended"
        self._mended.mkdir(parents=True)
        self._trace.touch()
        self.script.write_text(_SCRIPT.replace("@FOLDER@", str(folder)))
        warm = _WARM_SCRIPT.replace("@PYTHON@", sys.executable)
        self.warm_script.write_text(warm.replace("@SCRIPT@", str(self.script)))
        for script in (self.script, self.warm_script):
            script.chmod(0o755)

    def mend(self, number: int) -> None:
        """Let the failing scripts of a request succeed from now on."""
        (self._mended / str(number)).touch()

    def trace(self) -> "Trace":
        """Read what the scripts have left so far."""
        return read_trace(self._trace.read_text().splitlines())


@dataclass(slots=True)
class Trace:
    """Every run of every script."""

    nonces: dict[tuple[int, Place], set[str]] = field(default_factory=lambda: defaultdict(set))
    """By request number and place."""

    runs: int = 0

    @property
    def repeated(self) -> int:
        """How many runs were not the first of their task."""
        return self.runs - len(self.nonces)


def read_trace(lines: Iterable[str]) -> Trace:
    """Read the lines that the script writes."""
    trace = Trace()
    for line in lines:
        number, group, task, _attempt, _pid, nonce, _up = line.split()
        trace.nonces[int(number), (int(group), int(task))].add(nonce)
        trace.runs += 1
    return trace
