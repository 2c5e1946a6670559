"""A task's own directory: where its script starts, and all that it may call home.

Made empty before the script starts, removed with everything in it after its last process ended
(`script`); or made anew under the same name for task after task of one process (`warm`).
"""

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vncore.errors import ScriptFailed


@asynccontextmanager
async def task_directory(parent: Path | None = None) -> AsyncIterator[Path]:
    """Make a directory that only this user can enter, and remove it at the end.

    `parent` None means the system's place for temporary files.

    Raises ScriptFailed (``INTERNAL``, may be retried) when it cannot be made.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix="vn-task-", dir=parent))
    except OSError as err:
        raise ScriptFailed("INTERNAL", f"no directory for the task: {err.strerror}") from err
    try:
        yield path
    finally:
        try:
            os.rmdir(path)  # noqa: PTH106 - the common case: one system call, no thread
        except OSError:
            await asyncio.to_thread(_remove, path)


def is_empty(path: Path) -> bool:
    """Tell whether a directory is there and holds nothing; two system calls."""
    try:
        with os.scandir(path) as left:
            return next(left, None) is None
    except OSError:  # it is gone, or its task took away its own rights
        return False


def make_anew(path: Path) -> None:
    """Put an empty directory in the place of one with whatever a task made of it.

    Raises OSError when something cannot be removed.
    """
    _remove(path)
    path.mkdir(mode=stat.S_IRWXU)


def _remove(path: Path) -> None:
    """Remove a directory and all in it, also where a script took away its own rights.

    What still cannot be removed stays: it harms no other task, and its name begins ``vn-task-``.
    """
    if path.is_symlink():  # a script put it there; what it leads to is not ours
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    path.chmod(stat.S_IRWXU)
    for parent, names, _ in os.walk(path):  # from the top: each is opened up before it is entered
        for child in (Path(parent, name) for name in names):
            if not child.is_symlink():
                child.chmod(stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
