"""What the worker does to its own process before it runs foreign programs.

Called once by `main`, never at import. Linux only; elsewhere each says that it did nothing.
"""

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Make processes that a script leaves behind children of this process, not of init.

    `strays` can then find them, whatever session or group they moved to.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_from_scripts() -> bool:
    """Close ``/proc/<worker>/environ`` and memory to programs of the same user.

    A clean environment is not enough: a script could read its parent's, with ``REDIS_URL`` in it.
    Does nothing for root, who may read everything of everybody: run the worker as another user.
    """
    return os.geteuid() != 0 and _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> bool:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return False
    nothing = ctypes.c_ulong(0)
    return bool(prctl(option, ctypes.c_ulong(value), nothing, nothing, nothing) == 0)
