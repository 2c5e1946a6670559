"""Count what references bring in, before it is copied (VNML T4, SAFETY §2).

Without it forty selects of twice their predecessor would fill any memory.
"""

from functools import lru_cache
from typing import Any

from lxml import etree

from vncore.errors import HydrationFailed
from vnvs.hydration.nodes import Element
from vnvs.hydration.shapes import HydrationLimits

_COUNT = etree.XPath("count(descendant-or-self::node())", smart_strings=False, regexp=False)


def nodes_in(element: Element) -> int:
    """Count the nodes in and under an element."""
    count: Any = _COUNT(element)
    return int(count)


@lru_cache(maxsize=16)
def _levels(count: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/'.join('*' * count)})", smart_strings=False, regexp=False)


def deeper_than(levels: int, element: Element) -> bool:
    """Tell whether an element has more than so many levels, itself counted (at least 1)."""
    return isinstance(element.tag, str) and bool(_levels(max(1, levels))(element))


class Budget:
    """What one document, or one task, may still bring in."""

    def __init__(self, limits: HydrationLimits) -> None:
        self._limits = limits
        self._sizes: dict[Element, tuple[int, int]] = {}
        self._nodes = self._bytes = 0

    def renew(self) -> None:
        """Start anew for the next task; sizes already measured stay known."""
        self._nodes = self._bytes = 0

    def forget(self) -> None:
        """Measure everything anew: the tree changed."""
        self._sizes.clear()

    def bring_in(self, element: Element, *, keep: bool) -> None:
        """Count an element that is about to be copied; `keep` its size if it does not change.

        Raises HydrationFailed (HYDRATION_TOO_LARGE).
        """
        size = self._sizes.get(element)
        if size is None:
            size = nodes_in(element), len(etree.tostring(element, with_tail=False))
            if keep:
                self._sizes[element] = size
        self._nodes += size[0]
        self._bytes += size[1]
        if self._nodes > self._limits.max_nodes:
            raise self._too_large(f"{self._limits.max_nodes} nodes")
        if self._bytes > self._limits.max_bytes:
            raise self._too_large(f"{self._limits.max_bytes} bytes")

    @staticmethod
    def _too_large(limit: str) -> HydrationFailed:
        return HydrationFailed(
            "HYDRATION_TOO_LARGE", f"references bring in more than {limit}", rule="T4"
        )
