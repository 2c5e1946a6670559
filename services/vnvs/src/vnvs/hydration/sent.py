"""Lines in the request as it was sent, for errors of a group pass.

The document that a group pass reads has other lines: fetched content and results came in. The
elements of a group that has not run stand where they stood, so their place leads to the line.
"""

from collections.abc import Callable, Sequence

from vncore.errors import HydrationFailed, MalformedDocument
from vnvs.hydration.nodes import Element, line_of
from vnvs.hydration.outline import groups_of, parse_stored, project_of
from vnvs.hydration.shapes import Context


class SentLines:
    """Finds lines in the request as sent, which is got and parsed when the first error asks."""

    def __init__(
        self,
        context: Context,
        groups: Sequence[Element],
        get: Callable[[], bytes | None] | None = None,
    ) -> None:
        """Take what gives the request; without it, it is `Context.sent`."""
        self._context = context
        self._get = get
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
            document = self._context.sent if self._get is None else self._get()
            if document is not None:
                try:
                    root = parse_stored(document, self._context.limits)
                    self._sent = groups_of(project_of(root))
                except (MalformedDocument, HydrationFailed):
                    self._sent = []  # not what this document came from: lines stay unknown
        return self._sent
