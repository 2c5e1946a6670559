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
        self._at_most = 0  # nodes in what is not counted yet
        self._uncounted: list[Element] = []

    def renew(self) -> None:
        """Start anew for the next task; sizes already measured stay known."""
        self._nodes = self._bytes = self._at_most = 0
        self._uncounted.clear()

    def bring_in(self, element: Element, *, keep: bool, size: int | None = None) -> None:
        """Count an element that is about to be copied; `keep` its size if it does not change.

        Its `size` in bytes is measured if it is not known. Raises HydrationFailed
        (HYDRATION_TOO_LARGE).
        """
        known = self._sizes.get(element)
        if known is None:
            if size is None:
                size = len(etree.tostring(element, encoding="UTF-8", with_tail=False))
            known = nodes_in(element), size
            if keep:
                self._sizes[element] = known
        self._nodes += known[0]
        self._bytes += known[1]
        self._refuse_too_much()

    def bring_in_small(self, element: Element, size: int) -> None:
        """Count an element of so many bytes, and its nodes only once they could be too many.

        Each node takes a byte at least.
        """
        self._bytes += size
        self._at_most += size
        self._uncounted.append(element)
        self._refuse_too_much()

    def _refuse_too_much(self) -> None:
        if self._uncounted and self._nodes + self._at_most > self._limits.max_nodes:
            self._nodes += sum(map(nodes_in, self._uncounted))
            self._at_most = 0
            self._uncounted.clear()
        if self._nodes > self._limits.max_nodes:
            raise self._too_large(f"{self._limits.max_nodes} nodes")
        if self._bytes > self._limits.max_bytes:
            raise self._too_large(f"{self._limits.max_bytes} bytes")

    @staticmethod
    def _too_large(limit: str) -> HydrationFailed:
        return HydrationFailed(
            "HYDRATION_TOO_LARGE", f"references bring in more than {limit}", rule="T4"
        )
