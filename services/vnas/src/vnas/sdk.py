"""Make a valuation script out of a Python function.

    #!/usr/bin/env python3
    from vnas import sdk

    def value(valuation):                    # an lxml element
        years = float(valuation.findtext("instrument/years"))
        return 100 * math.exp(-0.05 * years)

    sdk.serve(value)

The script then runs in both modes (docs/SCRIPTS.md): once for the task on standard input, or, in
persistent mode, for task after task. Imported by scripts; it loads nothing that they do not need.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from vnas import frames

if TYPE_CHECKING:
    from decimal import Decimal

    from lxml.etree import _Element

_EX_FAILED, _EX_DATAERR, _EX_TEMPFAIL = 1, 65, 75  # the last two from sysexits.h


class Failed(Exception):
    """The task was not valued; the message goes to standard error, the status tells the worker."""

    status = _EX_FAILED

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class Rejected(Failed):
    """The task's data is at fault: no retry would help."""

    status = _EX_DATAERR


class TryAgain(Failed):
    """Something passing is at fault: another attempt may succeed."""

    status = _EX_TEMPFAIL


def serve(function: "Callable[[_Element], _Element | float | Decimal]") -> None:
    """Value tasks with `function` until there are no more.

    Call it last: in exec mode it ends the script when the task was not valued. The function is
    called with a task's ``valuation`` and returns that element, changed or not, another
    ``valuation``, or a number, which becomes ``analytics/price/amount``. It may raise Rejected or
    TryAgain; any other exception fails the attempt with its traceback. `os.environ` holds the facts
    of the task, and the working directory is the task's own.
    """
    from lxml import etree

    from vnas.taskdoc import task_valuation
    from vncore import xml
    from vncore.errors import VnError

    def value(document: bytes) -> bytes:
        try:
            valuation = task_valuation(document)
        except VnError as err:
            raise Rejected(err.message) from err
        result = function(valuation)
        if etree.iselement(result):
            return xml.serialise(result, declaration=False)
        return _number(result).encode()

    serve_documents(value)


def serve_documents(function: Callable[[bytes], bytes]) -> None:
    """Do the same with a function from a whole task document to a script's output, as bytes."""
    if os.environ.get(frames.MODE_VARIABLE) == frames.PERSISTENT:
        _serve_persistently(function)
        return
    result = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints is no more a part of the result than in the other mode
    status, output = _attempt(function, sys.stdin.buffer.read())
    if status:
        sys.exit(status)
    with result:
        result.write(output)


def _serve_persistently(function: Callable[[bytes], bytes]) -> None:
    for descriptor in (frames.TASKS_DESCRIPTOR, frames.ANSWERS_DESCRIPTOR):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - has no name
    tasks: BinaryIO = os.fdopen(frames.TASKS_DESCRIPTOR, "rb")
    answers: BinaryIO = os.fdopen(frames.ANSWERS_DESCRIPTOR, "wb", buffering=0)
    _send(answers, frames.ready_frame())
    while header := tasks.readline(frames.LONGEST_HEADER):
        nonce, facts_bytes, document_bytes = frames.parse_task_header(header)
        facts_read = tasks.read(facts_bytes)
        document = tasks.read(document_bytes)
        if len(document) < document_bytes:
            return  # the worker ended while it wrote
        _be_told(json.loads(facts_read))
        status, output = _attempt(function, document)
        _send(answers, frames.answer_frame(frames.Answer(nonce, status, output)))


def _be_told(facts: dict[str, str]) -> None:
    """Put the facts of the next task where exec mode has them, and go to its directory."""
    directory = facts[frames.TASK_DIRECTORY]
    for name, value in (*facts.items(), ("TMPDIR", directory)):
        if os.environ.get(name) != value:
            os.environ[name] = value
    os.chdir(directory)  # each time: it may be another one of the same name
    if (tempfile := sys.modules.get("tempfile")) is not None:
        vars(tempfile)["tempdir"] = directory  # it remembers where it was told first


def _attempt(function: Callable[[bytes], bytes], document: bytes) -> tuple[int, bytes]:
    """Give status and output; what was printed is out by then."""
    status, output = _EX_FAILED, b""
    try:
        output = function(document)
        status = 0
    except Failed as err:
        sys.stderr.write(f"{err}\n")
        status = err.status
    except SystemExit as err:
        status = _exit_status(err)
    except Exception:  # noqa: BLE001 - the attempt fails with it, whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status, output


def _exit_status(err: SystemExit) -> int:
    if err.code is None or isinstance(err.code, int):
        return int(err.code or 0) & 0xFF
    sys.stderr.write(f"{err.code}\n")
    return _EX_FAILED


def _number(result: object) -> str:
    """Write what a function returned, when it is a number, with all its digits."""
    if isinstance(result, bool) or not hasattr(result, "__float__"):
        sentence = f"the function returned {type(result).__name__}, not a valuation or a number"
        raise TypeError(sentence)
    return str(result) if type(result).__name__ == "Decimal" else repr(float(result))


def _send(answers: BinaryIO, frame: bytes) -> None:
    left = memoryview(frame)
    while left:
        left = left[answers.write(left) :]
