"""A pass without Python's cycle collector.

A pass makes objects by the ten thousand, none of them in circles; the collector looks through all
of them again and again, which takes a tenth of its time, and more the larger the document.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold the collector off as long as this lasts; what is in circles waits until then."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
