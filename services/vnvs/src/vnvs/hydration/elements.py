"""Hydrate one element: its directives in the order of VNML T2, what is in it first (M5).

    placeholders, children, `href`, `select`   ->   a new element; the source is left alone

Used by both passes; the group pass gives a context (the linked instrument), the document pass none.
"""

from dataclasses import dataclass, field, replace

from vncore.errors import HydrationFailed
from vnvs.hydration.budget import Budget
from vnvs.hydration.directives import (
    HREF,
    SELECT,
    USE,
    Directives,
    has_directive,
    is_vnml,
    plain_attributes,
)
from vnvs.hydration.evaluation import ScopedEvaluation
from vnvs.hydration.failed import FailedValuations
from vnvs.hydration.faults import Faults
from vnvs.hydration.held import Held, Holds
from vnvs.hydration.library import Library, tag_path
from vnvs.hydration.links import Evaluation
from vnvs.hydration.merge import TextRule, merge
from vnvs.hydration.nesting import MAX_NESTING
from vnvs.hydration.nodes import (
    Element,
    Value,
    attributes_of,
    copy_of,
    new_element,
    root_of,
)
from vnvs.hydration.placeholders import START, expand_expression, expand_text
from vnvs.hydration.references import canonical_uri
from vnvs.hydration.scope import Places, Scope
from vnvs.hydration.selection import Chosen, choose, text_of
from vnvs.hydration.shapes import Context
from vnvs.hydration.trace import Trace
from vnvs.hydration.tree import NotYetKnown, Tree
from vnvs.hydration.values import hydrated_value

_NOTHING_HELD = Held()


@dataclass(slots=True)
class Hydrator:
    """Hydrates elements of one pass; see `hydrate`."""

    places: Places
    context: Context
    trace: Trace = field(default_factory=Trace)
    faults: Faults | None = None  # a check: keep faults and go on
    context_used: bool = False  # set when a relative path was looked at
    holds: Holds = field(default_factory=dict)
    """What is to be merged with elements of the document pass's tree in their turn (M5)."""
    settled: set[Element] = field(default_factory=set)
    """Elements of the document pass's tree that are hydrated: what they hold is data (P3)."""
    tree: Tree = field(init=False)
    failed: FailedValuations = field(init=False)
    library: Library = field(init=False)
    budget: Budget = field(init=False)
    _lower: dict[Element, Directives] = field(default_factory=dict)
    stack: list[Element] = field(default_factory=list)
    _values: dict[tuple[Element, str, Element | None], str] = field(default_factory=dict)
    _expanding: list[tuple[Element, str]] = field(default_factory=list)
    _plain_below: dict[Element, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree, self.library = self.places.tree, self.places.library
        self.failed = FailedValuations(self.tree)
        self.budget = Budget(self.context.limits)

    def renew(self) -> None:
        """Start anew for the next task, with a full budget."""
        self.budget.renew()
        self._values.clear()

    # --- the order of the rules ------------------------------------------------------------------

    def hydrate(self, source: Element, scope: Scope, *, is_task: bool = False) -> Element:
        """Give `source` without directives, as a new element without a tail.

        `is_task` tells that a ``use`` on it was dealt with. In a check an element with a fault
        comes back without its directives, and the fault is kept.
        Raises HydrationFailed with rule and place.
        """
        self._enter(source, scope)
        try:
            return self._hydrated(source, scope, is_task=is_task)
        except (HydrationFailed, NotYetKnown) as err:
            if self.faults is None:
                raise
            if isinstance(err, HydrationFailed):
                self.faults.add(err)
            return self._without_directives(source, scope)
        finally:
            self.stack.pop()

    def _hydrated(self, source: Element, scope: Scope, *, is_task: bool) -> Element:
        held = self.holds.get(source, _NOTHING_HELD)
        if held.apart is not None:
            mine, theirs = (self.resolved(side, scope) for side in held.apart)
            return self._with_lower(merge(mine, theirs, TextRule.LOCAL_FIRST), held, scope)
        attributes = self.expanded_attributes(source, scope)
        directives = {}
        if is_vnml(source):
            for name in (HREF, SELECT, USE):
                if name in attributes:
                    directives[name] = attributes.pop(name)
        if USE in directives and not is_task:
            raise self.places.placed(
                HydrationFailed(
                    "USE_MISPLACED", "only a valuation of a group may have a use", rule="U1"
                ),
                source,
                scope,
                expression=directives[USE],
            )
        select = directives.get(SELECT)
        chosen = None if select is None else self.chosen(source, scope, select)
        if chosen is not None and chosen.is_linked and isinstance(chosen.node, Element):
            return self._linked(source, scope, chosen)
        local = self._local(source, scope, attributes)
        if HREF in directives:
            local = self._fetched(source, scope, local, directives[HREF], is_task=is_task)
        if held.fetched is not None:
            local = merge(local, self.resolved(held.fetched, scope), TextRule.LOCAL_FIRST)
        if chosen is not None:
            local = self._selected(source, scope, local, chosen)
        return self._with_lower(local, held, scope)

    def _with_lower(self, local: Element, held: Held, scope: Scope) -> Element:
        for lower in held.under:
            local = merge(local, self.resolved(lower, scope), TextRule.LOCAL_FIRST)
        return local

    def _local(self, source: Element, scope: Scope, attributes: dict[str, str]) -> Element:
        """Copy the source with these attributes and what is in it hydrated (M5)."""
        local = new_element(str(source.tag), attributes, source)
        local.text = source.text
        for child in source.iterchildren():
            if isinstance(child.tag, str) and not self._is_clean(child, scope):
                made = self.hydrate(child, scope)
            else:
                made = copy_of(child)
            local.append(made)
            made.tail = child.tail
        return local

    def resolved(self, element: Element, scope: Scope, *, is_task: bool = False) -> Element:
        """Give an element that a reference leads to, hydrated if need be (T3); do not change it."""
        if self._is_clean(element, scope):
            return element
        return self.hydrate(element, scope, is_task=is_task)

    def _is_clean(self, element: Element, scope: Scope) -> bool:
        if scope.document is not None:
            return scope.document.directives.within.get(element, 0) == 0
        if self.holds:
            root = root_of(element)
            if root is not self.tree.root:
                return self._directives_under(root).within.get(element, 0) == 0
        return self.tree.is_clean(element)

    def is_plain(self, element: Element) -> bool:
        """Tell of an element of a tree that does not change whether it is data, surely.

        Then nothing in it is to be hydrated, it holds no group, and no valuation around it failed.
        """
        parent = element.getparent()
        if parent is None:
            return False
        known = self._plain_below.get(parent)
        if known is None:
            known = self._plain_below[parent] = self._is_plain_below(parent)
        return known and element not in self.tree.groups

    def _is_plain_below(self, parent: Element) -> bool:
        if self.tree.group_of(parent) is None:
            return parent is not self.tree.root
        return self.tree.has_results and self.tree.is_result(parent) and not self.failed.any

    def _directives_under(self, root: Element) -> Directives:
        """Give what is left to do in an element that lies under another one."""
        if root not in self._lower:
            self._lower[root] = directives = Directives(root)
            for element in root.iter("*"):
                if element in self.holds:
                    directives.add(element)
        return self._lower[root]

    # --- placeholders (P) ------------------------------------------------------------------------

    def expanded_attributes(
        self,
        source: Element,
        scope: Scope,
        *,
        only: str | None = None,
        but: str | None = None,
    ) -> dict[str, str]:
        """Give all attributes, placeholders expanded (P1-P4): in `only` one, in all `but` one."""
        attributes = attributes_of(source)
        if not is_vnml(source):
            return attributes
        for name, value in plain_attributes(source):
            if START in value and name == (only or name) and name != but:
                self._expanding.append((source, name))
                try:
                    attributes[name] = self._expanded(source, scope, name, value)
                finally:
                    self._expanding.pop()
        return attributes

    def _expanded(self, source: Element, scope: Scope, name: str, value: str) -> str:
        def value_of(expression: str) -> str:
            chosen = self._chosen(source, scope, expression, "P2")
            self.trace.add("P2", self.places.path(source), attribute=name, expression=expression)
            if isinstance(chosen.node, str):
                return chosen.node
            self.tree.settle(chosen.node)
            return text_of(self.resolved(chosen.node, self._beyond(source, scope, chosen)))

        expand = expand_expression if name in {SELECT, USE} else expand_text
        try:
            expanded = expand(value, value_of)
        except HydrationFailed as err:
            raise self.places.placed(err, source, scope, expression=value) from err
        if len(expanded.encode()) > self.context.limits.max_attribute:
            raise self.places.placed(
                HydrationFailed(
                    "HYDRATION_ATTRIBUTE_TOO_LONG",
                    f"@{name} expands to more than {self.context.limits.max_attribute} bytes",
                    rule="P1",
                ),
                source,
                scope,
                expression=value,
            )
        return expanded

    # --- select (S) ------------------------------------------------------------------------------

    def chosen(self, source: Element, scope: Scope, expression: str) -> Chosen:
        """Choose what an element selects; refuses circles and failed valuations."""
        try:
            return self._chosen(source, scope, expression, "S6")
        except HydrationFailed as err:
            raise self.places.placed(err, source, scope, expression=expression) from err

    def _chosen(self, source: Element, scope: Scope, expression: str, rule: str) -> Chosen:
        chosen = choose(expression, self.evaluation(scope), rule=rule)
        if isinstance(chosen.node, Element):
            self._refuse_cycle(chosen.node, source, scope)
        reached = chosen.node.owner if isinstance(chosen.node, Value) else chosen.node
        failed = self.failed.around(reached) if isinstance(reached, Element) else None
        if failed is not None:
            raise self.failed.refusal(failed)
        if isinstance(chosen.node, Value) and self._is_to_do(chosen.node.owner):
            return replace(chosen, node=self._value(chosen.node, source, scope, chosen, rule))
        return chosen

    def _is_to_do(self, owner: Element) -> bool:
        """Tell whether an element of the document has something to do itself."""
        if self.tree.is_clean(owner) and not self.tree.is_waiting_frame(owner):
            return False
        return owner in self.holds or has_directive(owner)

    def _value(self, value: Value, source: Element, scope: Scope, chosen: Chosen, rule: str) -> str:
        """Give a value as it is once its element is hydrated (T3)."""
        owner = value.owner
        beyond = self._beyond(source, scope, chosen)

        def hydrate() -> Element:
            self._refuse_cycle(owner, source, scope)
            return self.resolved(owner, beyond)

        def expand(name: str) -> str:
            if (owner, name) in self._expanding:
                raise self.places.placed(
                    self.places.cycle(self.stack, owner), source, scope, expression=value
                )
            # Remembered for this task: thirty attributes that each name the next one twice would
            # take for ever.
            key = owner, name, scope.context
            if key not in self._values:
                self._values[key] = self.expanded_attributes(owner, beyond, only=name)[name]
            elif scope.context is not None:
                self.context_used = True
            return self._values[key]

        return hydrated_value(value, hydrate, expand, is_held=owner in self.holds, rule=rule)

    def evaluation(self, scope: Scope) -> Evaluation:
        """Give the paths of an element in a scope."""
        return ScopedEvaluation(
            self.tree, self.failed, self.context, scope, self._looked_at_context
        )

    def _looked_at_context(self) -> None:
        self.context_used = True

    def _linked(self, source: Element, scope: Scope, chosen: Chosen) -> Element:
        """Replace the local element by the linked one, without merging (S3)."""
        other = self._brought_in(source, scope, chosen)
        self.trace_selection("S3", source, chosen)
        return copy_of(other)

    def _selected(self, source: Element, scope: Scope, local: Element, chosen: Chosen) -> Element:
        """Merge with the selected element, or take the selected text (S4)."""
        self.trace_selection("S4", source, chosen)
        if isinstance(chosen.node, str):
            return self.with_text(source, scope, local, chosen)
        return merge(local, self._brought_in(source, scope, chosen), TextRule.OTHER_FIRST)

    def _brought_in(self, source: Element, scope: Scope, chosen: Chosen) -> Element:
        assert isinstance(chosen.node, Element)
        other = self.resolved(chosen.node, self._beyond(source, scope, chosen))
        self._count(other, source, scope, keep=other is chosen.node)
        return other

    def _beyond(self, source: Element, scope: Scope, chosen: Chosen) -> Scope:
        """Give the scope of what a selection leads to: the same context (S5)."""
        deep = scope.selections_deep + 1
        if deep > self.context.limits.max_passes:
            raise self.places.placed(
                HydrationFailed(
                    "HYDRATION_PASSES",
                    f"selections lead to selections more than {deep - 1} times",
                    rule="T4",
                ),
                source,
                scope,
                expression=chosen.expression,
            )
        return replace(
            scope, document=None, anchor=self.places.anchor(source, scope), selections_deep=deep
        )

    def with_text(self, source: Element, scope: Scope, local: Element, chosen: Chosen) -> Element:
        """Give the local element, our own, the selected text (S4)."""
        if next(local.iterchildren("*"), None) is not None:
            raise self.places.placed(
                HydrationFailed(
                    "SELECT_TEXT_INTO_CHILDREN",
                    f"text is selected for <{source.tag}>, which has element children",
                    rule="S4",
                ),
                source,
                scope,
                expression=chosen.expression,
            )
        local.text = text_of(chosen.node)
        for comment in local.iterchildren():
            comment.tail = None
        return local

    def trace_selection(self, rule: str, source: Element, chosen: Chosen) -> None:
        """Record what a selection gave."""
        origin = self.tree.paths.path(chosen.node) if isinstance(chosen.node, Element) else None
        self.trace.add(
            rule, self.places.path(source), expression=chosen.expression, **{"from": origin}
        )

    # --- href (R) --------------------------------------------------------------------------------

    def _fetched(
        self,
        source: Element,
        scope: Scope,
        local: Element,
        href: str,
        *,
        is_task: bool,
    ) -> Element:
        """Merge with the counterpart in the fetched document (R1, R2, R6)."""
        uri: str | None = None
        base = scope.document.uri if scope.document else self.context.base_uri
        try:
            uri = canonical_uri(href, base, self.context.base_uri)
            if scope.documents_deep >= self.context.limits.max_chain:
                raise HydrationFailed(
                    "HREF_LIMIT",
                    f"documents include documents more than {scope.documents_deep} deep",
                    rule="T4",
                )
            document = self.library.get(uri)
            other = document.counterpart(local, tag_path(source))
            inside = replace(
                scope,
                document=document,
                anchor=self.places.anchor(source, scope),
                documents_deep=scope.documents_deep + 1,
            )
            self._refuse_cycle(other, source, scope)
        except HydrationFailed as err:
            raise self.places.placed(err, source, scope, expression=href, uri=uri) from err
        hydrated = self.resolved(other, inside, is_task=is_task)
        self._count(hydrated, source, scope, keep=hydrated is other)
        self.trace.add("R1", self.places.path(source), uri=uri, digest=document.digest)
        return merge(local, hydrated, TextRule.LOCAL_FIRST)

    # --- limits and cycles (T4) ------------------------------------------------------------------

    def _enter(self, source: Element, scope: Scope) -> None:
        if any(other is source for other in self.stack):
            raise self.places.placed(self.places.cycle(self.stack, source), source, scope)
        if len(self.stack) >= MAX_NESTING:
            raise self.places.placed(
                HydrationFailed(
                    "HYDRATION_TOO_DEEP",
                    f"more than {MAX_NESTING} elements are hydrated inside each other",
                    rule="T4",
                ),
                source,
                scope,
            )
        self.stack.append(source)

    def _refuse_cycle(self, target: Element, source: Element, scope: Scope) -> None:
        """Refuse a reference to an element that is being hydrated, or that holds one."""
        for busy in self.stack:
            if target is busy or any(target is above for above in busy.iterancestors()):
                raise self.places.placed(self.places.cycle(self.stack, target), source, scope)

    def _count(self, other: Element, source: Element, scope: Scope, *, keep: bool) -> None:
        try:
            self.budget.bring_in(other, keep=keep)
        except HydrationFailed as err:
            raise self.places.placed(err, source, scope) from err

    # --- the tree of the document pass -----------------------------------------------------------

    def put_in_place(self, element: Element, made: Element) -> Element:
        """Put `made` where `element` is, in a tree of our own; give what stands there now.

        The element itself stays if it can, so that what is known by it stays true.
        """
        self._values.clear()
        if made in self.holds:
            self.hold(element, self.holds[made])
        if made in self.places.origins:
            self.places.origins[element] = self.places.origins[made]
        return self.tree.put_in_place(element, made)

    def hold(self, element: Element, held: Held) -> None:
        """Note what is to be merged with an element of the tree in its turn."""
        self.holds[element] = held
        for other in held.elements:
            self.places.stands_for[other] = element
            if held.apart is None or other is not held.apart[0]:
                self.places.brought.add(other)

    def _without_directives(self, source: Element, scope: Scope) -> Element:
        """In a check: go on with an element as if it had no directives; look into its children."""
        kept = {n: v for n, v in attributes_of(source).items() if n not in {HREF, SELECT, USE}}
        left = new_element(str(source.tag), kept, source)
        left.text = source.text
        for child in source.iterchildren():
            clean = not isinstance(child.tag, str) or self._is_clean(child, scope)
            made = copy_of(child) if clean else self.hydrate(child, scope)
            left.append(made)
            made.tail = child.tail
        return left
