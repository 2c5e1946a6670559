"""Put two descriptors where a warm script expects them, then become the script.

    python -I -S descriptors.py TASKS ANSWERS COMMAND [ARGUMENT ...]

`subprocess` can hand descriptors on but not choose their numbers, and not every shell can. This
file is the program that does; it costs about 10 ms, once for each process. Started by `warm`.
"""

import os
import sys

_TASKS, _ANSWERS = 3, 4  # as in `frames`, which an isolated interpreter cannot import


def become(tasks: int, answers: int, command: list[str]) -> None:
    """Run `command` in place of this program; returns only by an exception."""
    # Out of the way first: either may lie where the other has to go.
    tasks, answers = _above(tasks), _above(answers)
    os.dup2(tasks, _TASKS, inheritable=True)
    os.dup2(answers, _ANSWERS, inheritable=True)
    os.closerange(_ANSWERS + 1, max(tasks, answers) + 1)
    os.execv(command[0], command)  # noqa: S606 - the operator's script, as `script` runs it


def _above(descriptor: int) -> int:
    while descriptor <= _ANSWERS:
        descriptor = os.dup(descriptor)
    return descriptor


if __name__ == "__main__":
    try:
        become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    except OSError as err:
        sys.stderr.write(f"{sys.argv[3]}: {err.strerror}\n")
        sys.exit(127 if isinstance(err, FileNotFoundError) else 126)
