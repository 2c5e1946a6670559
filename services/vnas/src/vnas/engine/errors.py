"""What the engine tells when it cannot value a task: a code, the place in the task, a sentence.

    VNP-2xx  the document is wrong            exit status 65, no retry
    VNP-3xx  valid, but not available         65
    VNP-4xx  numerical failure                65
    VNP-5xx  the engine or its machine        70, a retry may help

Raised by every module of the engine, written by ``__main__`` and by the persistent mode.
"""

import re

MAX_QUOTED = 80  # characters of a value that a message may repeat
_MAX_MESSAGE = 500
_FILE = re.compile(r"(?<![\w/])(?:/[\w.+-]+){2,}")
_MISSING_FIXING = re.compile(r"\bmissing\b.*\b(?:fixing|rate)\b", re.IGNORECASE)

DATA_ERROR = 65  # sysexits.h EX_DATAERR: the same document fails again
SOFTWARE_ERROR = 70  # sysexits.h EX_SOFTWARE: another attempt may succeed


class EngineError(Exception):
    """A task that was not valued.

    `path` is the XPath of the element or attribute in the task document.
    """

    def __init__(self, code: str, path: str, message: str) -> None:
        super().__init__(f"{code} {path}: {message}")
        if code.startswith("VNP-5"):
            message = _FILE.sub("…", message)  # Python's own sentences tell where a library lies
        self.code = code
        self.path = path
        self.message = one_line(message)

    @property
    def exit_status(self) -> int:
        """The status that a script ends with for this error."""
        return SOFTWARE_ERROR if self.code.startswith("VNP-5") else DATA_ERROR

    def line(self) -> str:
        """Give the line for standard error: code, path, colon, sentence."""
        return f"{self.code} {self.path}: {self.message}"

    def __reduce__(self) -> tuple[type["EngineError"], tuple[str, str, str]]:
        # Travels between processes in persistent mode; the default would call with one argument.
        return type(self), (self.code, self.path, self.message)


def quoted(value: str) -> str:
    """Put a value from the document into a message: on one line and never long."""
    text = one_line(value)
    if len(text) > MAX_QUOTED:
        text = text[: MAX_QUOTED - 1] + "…"
    return f"'{text}'"


def quantlib_code(err: RuntimeError, otherwise: str) -> str:
    """Give the code for an error of QuantLib: VNP-211 when it lacks a past fixing."""
    return "VNP-211" if _MISSING_FIXING.search(str(err)) else otherwise


def one_line(text: str) -> str:
    """Fold white space and control characters, and cut what no reader needs."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= _MAX_MESSAGE else folded[: _MAX_MESSAGE - 1] + "…"
