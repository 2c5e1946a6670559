"""The engine as a valuation script: a task on standard input, its result on standard output.

On an error nothing is written to standard output; the last line of standard error tells code,
place and sentence, and the exit status whether a retry can help. Started by ``vnas.sh``.
"""

import sys

from vnas.engine.errors import EngineError


def main() -> int:
    """Value one task; returns the exit status."""
    try:
        from vnas.engine.task import value_document
    except (ImportError, OSError) as err:
        return _tell(EngineError("VNP-501", "/", f"the engine could not start: {err}"))
    try:
        result = value_document(sys.stdin.buffer.read())
    except EngineError as error:
        return _tell(error)
    sys.stdout.buffer.write(result)
    sys.stdout.buffer.flush()
    return 0


def _tell(error: EngineError) -> int:
    sys.stderr.write(error.line() + "\n")
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
