"""Room on Python's stack for documents that nest as deep as they may.

Elements nest up to 250 levels, references lead on from there, and each level takes a few frames of
the rules. Only our own limits may end a hydration: their errors have a code and a place.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

MAX_NESTING = 1_000  # elements being hydrated inside each other, through documents and selections
_FRAMES_PER_LEVEL = 10  # counted 7 at most


@contextmanager
def room_for_nesting() -> Iterator[None]:
    """Let functions call each other as deep as `MAX_NESTING` needs, as long as this lasts."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + MAX_NESTING * _FRAMES_PER_LEVEL)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
