"""The engine as a valuation script, for one task or, in persistent mode, for many.

On an error nothing is written as the result; the last line of standard error tells code, place and
sentence, and the exit status whether a retry can help. Started by ``vnas.sh``.
"""

import sys

from vnas import sdk
from vnas.engine.errors import EngineError


def main() -> int:
    """Value what comes; returns the exit status when the engine cannot start."""
    try:
        from vnas.engine.task import value_document
    except (ImportError, OSError) as err:
        failed = EngineError("VNP-501", "/", f"the engine could not start: {err}")
        sys.stderr.write(failed.line() + "\n")
        return failed.exit_status

    def value(document: bytes) -> bytes:
        try:
            return value_document(document)
        except EngineError as error:
            raise sdk.Failed(error.line(), status=error.exit_status) from error

    sdk.serve_documents(value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
