"""Where an element is hydrated, and how a fault there is told (VNML §9).

Used by every rule that can fail; holds what errors need to name group, task, element and line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vncore.errors import HydrationFailed, Place
from vnvs.hydration.library import Library, Referenced
from vnvs.hydration.nodes import Element, line_of, root_of
from vnvs.hydration.tree import Tree

_SHOWN = 9  # steps of a circle that a message names


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an element is hydrated: its context, and how it was reached."""

    context: Element | None = None  # what relative paths are relative to (U1)
    document: Referenced | None = None  # the fetched document that it stands in; None: the request
    anchor: Element | None = None  # the element of the request that led here
    documents_deep: int = 0
    selections_deep: int = 0


@dataclass(slots=True)
class Facts:
    """Where the pass is, for errors."""

    group: str | None = None
    group_index: int | None = None
    valuation: str | None = None
    task: int | None = None


@dataclass(slots=True)
class Places:
    """Tells faults by where they are in the request."""

    tree: Tree
    library: Library
    line_of: Callable[[Element], int | None]
    """The line in the request as it was sent, if it is known."""
    facts: Facts = field(default_factory=Facts)
    origins: dict[Element, tuple[str, int | None]] = field(default_factory=dict)
    """URI and line of elements that an `href` brought into the request's tree."""
    stands_for: dict[Element, Element] = field(default_factory=dict)
    """The element of the tree that one outside of it (see `held`) will be merged with."""
    brought: set[Element] = field(default_factory=set)
    """Those of them that are not of the request."""

    def path(self, source: Element) -> str:
        """Spell the path of an element in its document."""
        if self.stands_for:
            top = root_of(source)
            if top in self.stands_for:
                _, _, below = self.tree.paths.path(source)[1:].partition("/")
                return f"{self.path(self.stands_for[top])}{'/' if below else ''}{below}"
        return self.tree.paths.path(source)

    def anchor(self, source: Element, scope: Scope) -> Element:
        """Give the element of the request that a fault at `source` is told for."""
        if scope.anchor is not None:
            return scope.anchor
        node = source
        while True:
            above = node.getparent() if node in self.origins else None
            if above is None and self.brought:
                top = root_of(node)
                above = self.stands_for[top] if top in self.brought else None
            if above is None:
                return node
            node = above

    def placed(
        self,
        err: HydrationFailed,
        source: Element,
        scope: Scope,
        *,
        expression: str | None = None,
        uri: str | None = None,
    ) -> HydrationFailed:
        """Give an error its place, unless it has one already."""
        if err.place.element is not None:
            return err
        anchor = self.anchor(source, scope)
        found_in = self._found_in(source, scope)
        place = Place(
            group=self.facts.group,
            group_index=self.facts.group_index,
            valuation=self.facts.valuation,
            task=self.facts.task,
            element=self.path(anchor),
            line=self.line_of(anchor),
            expression=expression,
            uri=uri or (found_in[0] if found_in else None),
        )
        told = f" (in {found_in[0]}, line {found_in[1]})" if found_in else ""
        return HydrationFailed(err.code, err.message + told, rule=err.rule, place=place)

    def _found_in(self, source: Element, scope: Scope) -> tuple[str, int | None] | None:
        if scope.document is not None:
            return scope.document.uri, line_of(source)
        return self.origins.get(source)

    def cycle(self, stack: Sequence[Element], target: Element) -> HydrationFailed:
        """Make the error that names the chain of elements back to `target`."""
        chain = [*stack, target]
        steps: list[str] = []
        for element in chain:
            uri = self.library.uri_of(root_of(element))
            step = ("" if uri is None else f"{uri}: ") + self.path(element)
            if not steps or steps[-1] != step:
                steps.append(step)
        shown = steps if len(steps) <= _SHOWN else [*steps[:4], "…", *steps[-4:]]
        return HydrationFailed(
            "REFERENCE_CYCLE", f"references run in a circle: {' -> '.join(shown)}", rule="T4"
        )
