"""Documents from files, only below one folder, never by a way around (VNML R3, SAFETY §2).

In comes a canonical ``file://`` URI; out go its bytes. Called by `sources` in a thread. The path
is compared by its parts; the kernel then opens it from a descriptor of the root without following
any link, so that nothing that changes in between leads outside.
"""

import ctypes
import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import NoReturn

from vncore.errors import HydrationFailed, Place
from vnvs.hydration import Fetched
from vnvs.source import fetched, too_large

PREFIX = "file://"

_UNWANTED = re.compile(r"[\x00-\x1f\x7f\\%]")
_NOT_CANONICAL = frozenset({"", ".", ".."})

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO would block the open
_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_RENAME_RACES = 16
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_LEADS_AWAY = frozenset({errno.ELOOP, errno.EXDEV})


class FileSource:
    """Reads files below `root`; without a root it refuses all."""

    def __init__(self, root: Path | None) -> None:
        """Take an absolute path; it may itself be a link, which is the operator's matter."""
        self._root = root

    def read(self, uri: str, max_bytes: int) -> Fetched:
        """Read a file.

        Raises HydrationFailed: ``HREF_FORBIDDEN`` for everything outside the root, whether it
        exists or not, and for links; ``HREF_UNAVAILABLE`` for what is missing, unreadable or no
        plain file; ``HREF_LIMIT`` for more than `max_bytes`.
        """
        if self._root is None:
            _forbid(uri, "files are refused: HYDRATION_FILE_ROOT is not set")
        parts = parts_below(uri, self._root)
        try:
            descriptor = _open_below(self._root, parts)
        except OSError as err:
            _refuse(uri, err)
        try:
            return fetched(uri, _read_plain_file(descriptor, uri, max_bytes), version=None)
        except OSError as err:
            _refuse(uri, err)
        finally:
            os.close(descriptor)


def parts_below(uri: str, root: Path) -> tuple[str, ...]:
    """Give the names that lead from `root` to what a canonical `uri` means; looks at no file.

    >>> parts_below("file:///data/rates/usd.xml", Path("/data"))
    ('rates', 'usd.xml')

    Hydration has decoded the URI; what is encoded still was encoded twice and is refused, as is
    whatever is not canonical. Raises HydrationFailed (``HREF_FORBIDDEN``, ``HREF_UNAVAILABLE``).
    """
    path = uri.removeprefix(PREFIX)
    if not path.startswith("/"):
        _forbid(uri, "a file URI names no host: file:///folder/file.xml")
    if _UNWANTED.search(path):
        _forbid(uri, "it contains a control character, a backslash or a percent sign")
    parts = tuple(path[1:].split("/"))
    above = root.parts[1:]
    if parts[: len(above)] != above or not _NOT_CANONICAL.isdisjoint(parts[:-1]):
        _forbid(uri, "it is outside HYDRATION_FILE_ROOT")
    if len(parts) == len(above) or parts[-1] in _NOT_CANONICAL:
        _unavailable(uri, "is a folder")
    return parts[len(above) :]


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    folder = os.open(root, _FOLDER)
    try:
        try:
            return _openat2(folder, "/".join(parts))
        except NotImplementedError:
            return _open_part_by_part(folder, parts)
    finally:
        os.close(folder)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _openat2(folder: int, path: str) -> int:
    """Open without leaving `folder`; raises NotImplementedError where the kernel has no such call.

    Sandboxes that do not know the call answer EPERM.
    """
    if sys.platform != "linux":
        raise NotImplementedError
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
    how = _OpenHow(flags=_READ, mode=0, resolve=resolve)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    number = 0
    for _ in range(_RENAME_RACES):
        descriptor = syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(folder),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        if number != errno.EAGAIN:  # a rename somewhere, in the midst of it
            break
    if number in {errno.ENOSYS, errno.EPERM}:
        raise NotImplementedError
    raise OSError(number, os.strerror(number))


def _open_part_by_part(folder: int, parts: tuple[str, ...]) -> int:
    """Do the same by hand: each name on its own, none of them a link."""
    *folders, last = parts
    at = os.dup(folder)
    try:
        for name in folders:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(last, _READ | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def _read_plain_file(descriptor: int, uri: str, max_bytes: int) -> bytes:
    facts = os.fstat(descriptor)
    if stat.S_ISDIR(facts.st_mode):
        _unavailable(uri, "is a folder")
    if not stat.S_ISREG(facts.st_mode):
        _unavailable(uri, "is no plain file")
    if facts.st_nlink != 1:
        _forbid(uri, "the file has other names (hard links)")
    if facts.st_size > max_bytes:
        raise too_large(uri, max_bytes)
    body = bytearray()
    while len(body) <= max_bytes:  # it may grow meanwhile
        chunk = os.read(descriptor, max_bytes + 1 - len(body))
        if not chunk:
            return bytes(body)
        body += chunk
    raise too_large(uri, max_bytes)


def _refuse(uri: str, err: OSError) -> NoReturn:
    if err.errno in _LEADS_AWAY:
        _forbid(uri, "it leads through a link")
    if err.errno in _NOT_THERE:
        _unavailable(uri, "is not there")
    _unavailable(uri, "cannot be read")


def _forbid(uri: str, reason: str) -> NoReturn:
    raise HydrationFailed(
        "HREF_FORBIDDEN", f"a file may not be read: {reason}", rule="R3", place=Place(uri=uri)
    )


def _unavailable(uri: str, what: str) -> NoReturn:
    raise HydrationFailed(
        "HREF_UNAVAILABLE", f"a referenced file {what}", rule="R7", place=Place(uri=uri)
    )
