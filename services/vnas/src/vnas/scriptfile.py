"""The valuation script as a file: where it is, whether it can run, and its digest.

In comes a path from the settings; out goes a checked absolute path and ``sha256:…``. Used by `main`
and `work`.
"""

import asyncio
import hashlib
import os
from importlib import resources
from pathlib import Path

from vncore.errors import Misconfigured


def shipped_script() -> Path:
    """Give the path of ``vnas.sh``, the engine that comes with this package."""
    return Path(str(resources.files("vnas") / "vnas.sh"))


class ScriptFile:
    """A script that was there and executable when it was looked at."""

    def __init__(self, path: Path) -> None:
        """Raise Misconfigured, in words that name ``VNAS_SCRIPT``, when it cannot be run."""
        self.path = path.absolute()
        if not self.path.exists():
            raise Misconfigured(f"VNAS_SCRIPT: there is no file {self.path}")
        if not self.path.is_file():
            raise Misconfigured(f"VNAS_SCRIPT: {self.path} is not a file")
        if not os.access(self.path, os.X_OK):
            raise Misconfigured(
                f"VNAS_SCRIPT: {self.path} is not executable; `chmod +x` makes it so"
            )
        self._digest = ""
        self._seen: tuple[int, ...] = ()
        try:
            self.digest()
        except OSError as err:
            raise Misconfigured(f"VNAS_SCRIPT: {self.path}: {err.strerror}") from err

    def digest(self) -> str:
        """Give ``sha256:`` and the hex digest of the file, read again only when it was changed.

        Raises OSError when it is gone.
        """
        seen = self._look()
        if seen != self._seen:
            with self.path.open("rb") as file:
                self._digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            self._seen = seen
        return self._digest

    async def current_digest(self) -> str:
        """Do the same without holding up the event loop, however large the changed file is."""
        if self._look() == self._seen:
            return self._digest
        return await asyncio.to_thread(self.digest)

    def _look(self) -> tuple[int, ...]:
        now = self.path.stat()
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
