"""What a script's exit status means.

In come exit status and stderr tail; out goes nothing, or the error that the attempt ended with.
Pure. Used by `script`; the contract is DESIGN §7.
"""

import re
import signal

from vncore.errors import Place, ScriptFailed

EX_OK = 0
EX_DATAERR = 65
EX_NOEXEC = 126  # found, but not to be executed (shells, prlimit)
EX_NOTFOUND = 127

_ENGINE_LINE = re.compile(
    r"""VNP-\d{3}[ ](?P<element>/(?:'[^']*'|"[^"]*"|[^'":]|:(?![ ]))*):[ ].+""", re.VERBOSE
)
"""The engine's last line on stderr: ``VNP-201 /path: sentence`` (VNML-PRICING §10).

The path ends at the first colon and blank that stand in no quotes.
"""

_SHOWN_CHARACTERS = 300
"""How much of a script's last line a message quotes; the stderr tail holds more of it."""


def check_exit(exit_status: int, stderr_tail: str) -> None:
    """Return when the script ended well; otherwise raise what happened.

    `exit_status` is negative when a signal ended the script (``-9`` for SIGKILL).

    Raises ScriptFailed with code ``SCRIPT_REJECTED_DATA`` (65, permanent), ``SCRIPT_NOT_RUNNABLE``
    (126 and 127, permanent) or ``SCRIPT_FAILED`` (any other status or a signal, may be retried).
    """
    if exit_status == EX_OK:
        return
    engine_line = _ENGINE_LINE.fullmatch(last_line(stderr_tail))
    raise ScriptFailed(
        _code_of(exit_status),
        engine_line.group() if engine_line else _message(exit_status, stderr_tail),
        place=Place(element=engine_line["element"]) if engine_line else None,
        exit_status=exit_status,
        stderr_tail=stderr_tail,
    )


def last_line(text: str) -> str:
    """Give the last line that is not blank, without white space around it; empty if none is."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def describe_exit(exit_status: int) -> str:
    """Say an exit status in words: ``exited with status 3``, ``was ended by SIGSEGV``."""
    if exit_status >= 0:
        return f"exited with status {exit_status}"
    try:
        name = signal.Signals(-exit_status).name
    except ValueError:  # real-time signals have no names of their own
        name = f"signal {-exit_status}"
    return f"was ended by {name}"


def _code_of(exit_status: int) -> str:
    if exit_status == EX_DATAERR:
        return "SCRIPT_REJECTED_DATA"
    if exit_status in (EX_NOEXEC, EX_NOTFOUND):
        return "SCRIPT_NOT_RUNNABLE"
    return "SCRIPT_FAILED"


def _message(exit_status: int, stderr_tail: str) -> str:
    what = f"the script {describe_exit(exit_status)}{_HINTS.get(exit_status, '')}"
    line = last_line(stderr_tail)
    if len(line) > _SHOWN_CHARACTERS:
        line = line[:_SHOWN_CHARACTERS] + "…"
    return f"{what}: {line}" if line else what


_HINTS = {
    EX_DATAERR: " (bad data)",
    EX_NOEXEC: " (it, or a command in it, may not be executed)",
    EX_NOTFOUND: " (it, or a command in it, was not found)",
    -signal.SIGXCPU: " (it used more processor time than VNAS_CPU_SECONDS)",
    -signal.SIGXFSZ: " (a file grew larger than VNAS_FILE_MAX_BYTES)",
    -signal.SIGKILL: " (by somebody else: out of memory, perhaps)",
}
