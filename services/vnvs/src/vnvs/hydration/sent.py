"""Lines in the request as it was sent, for errors of a group pass.

The document that a group pass reads has other lines: fetched content and results came in. The
elements of a group that has not run stand where they stood, so their place leads to the line.
"""

from collections.abc import Sequence

from vncore.errors import HydrationFailed, MalformedDocument
from vnvs.hydration.nodes import Element, line_of
from vnvs.hydration.outline import groups_of, parse_stored, project_of
from vnvs.hydration.shapes import Context


class SentLines:
    """Finds lines in `Context.sent`, which is parsed when the first error asks."""

    def __init__(self, context: Context, groups: Sequence[Element]) -> None:
        self._context = context
        self._groups = groups
        self._sent: list[Element] | None = None  # the groups as sent

    def line_of(self, element: Element) -> int | None:
        """Give the line of an element of a group; None where it cannot be known."""
        steps: list[int] = []
        node = element
        while node not in self._groups:
            above = node.getparent()
            if above is None:
                return None
            steps.append(list(above.iterchildren("*")).index(node))
            node = above
        groups = self._sent_groups()
        number = self._groups.index(node)
        if len(groups) != len(self._groups):
            return None
        found = groups[number]
        for step in reversed(steps):
            children = list(found.iterchildren("*"))
            if step >= len(children):
                return None
            found = children[step]
        return line_of(found) if found.tag == element.tag else None

    def _sent_groups(self) -> list[Element]:
        if self._sent is None:
            self._sent = []
            if self._context.sent is not None:
                try:
                    root = parse_stored(self._context.sent, self._context.limits)
                    self._sent = groups_of(project_of(root))
                except (MalformedDocument, HydrationFailed):
                    self._sent = []  # not what this document came from: lines stay unknown
        return self._sent
