"""Turn into a command whose life is tied to the process that started it.

    python -I -S tether.py PARENT_PID|- PIPE_FD|- COMMAND...

Called by `process.Child` only, as a file of its own (standard library, nothing of vnclient), so
that nothing runs between fork and exec in a parent that may have threads. The command keeps the pid
that the parent got. Two ties, one or both:

PARENT_PID (Linux): the kernel sends SIGTERM when the parent ends. PR_SET_PDEATHSIG survives exec,
and fires when the *thread* that started us ends, so it is for a main thread.

PIPE_FD (anywhere): a small process outside the command's family holds the reading end of a pipe.
When the parent dies its end closes, and the watcher sends SIGTERM, and SIGKILL to what is deaf. A
byte in the pipe means that the parent has seen the command end: nothing is left to do.
"""

import ctypes
import os
import select
import signal
import sys
import time

_NONE = "-"
_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 10.0
_USAGE, _CANNOT_EXECUTE = 2, 127  # as a shell has it


def main(arguments: list[str]) -> None:
    """Tie, then exec; returns only by an exit status."""
    if len(arguments) < 3:
        sys.exit(_USAGE)
    parent_pid, pipe, *command = arguments
    if parent_pid != _NONE:
        _end_with(int(parent_pid))
    if pipe != _NONE:
        _be_watched(int(pipe))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec would pass that on
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as err:
        sys.stderr.write(f"cannot execute {command[0]}: {err.strerror}\n")
        sys.exit(_CANNOT_EXECUTE)


def _end_with(parent_pid: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:  # it died before the kernel was told
        sys.exit(0)


def _be_watched(pipe: int) -> None:
    command_pid = os.getpid()
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:  # an orphan on purpose: the command never meets a child it did not start
            _watch(pipe, command_pid)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(pipe)


def _watch(pipe: int, command_pid: int) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    # No lock of the command stays open in here.
    for descriptor in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - pathlib is slow to load
        if descriptor > 2 and descriptor != pipe:
            _close(descriptor)
    while not select.select([pipe], [], [], _LOOK_SECONDS)[0]:
        if not _alive(command_pid):
            os._exit(0)
    if os.read(pipe, 1):
        os._exit(0)
    _signal(command_pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while _alive(command_pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _alive(command_pid):
        _signal(-command_pid, signal.SIGKILL)  # it leads a group of its own
    os._exit(0)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return  # the one that listed the folder


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
