"""The part of T1 that comes before any path: ``href`` everywhere, and again in what was fetched.

    <market name="USD" href="usd.xml"/>   ->   <market name="USD"><rate>…</rate></market>

`prefetch` gets the documents, several at a time; `StaticHrefs` merges, in the tree of the document
pass. What cannot be merged before paths are evaluated is left: an ``href`` with a placeholder; two
counterparts of which one has a directive (see `held`); and, in a valuation, an ``href``
whose element or document still holds directives, which has its turn with its group.
"""

from collections.abc import Iterable
from dataclasses import replace

from vncore.errors import HydrationFailed
from vnvs.hydration.directives import (
    HREF,
    SELECT,
    USE,
    Role,
    elements_with_directives,
    elements_with_href,
    elements_with_static_href,
    has_directive,
    is_static_href,
    is_vnml,
    plain_attributes,
    role_below,
)
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.held import Held, must_wait, pairs_are_open
from vnvs.hydration.library import Library, Referenced, tag_path
from vnvs.hydration.merge import TextRule, merge
from vnvs.hydration.nodes import Element, copy_of, line_of
from vnvs.hydration.placeholders import has_placeholder
from vnvs.hydration.references import canonical_uri, rebased
from vnvs.hydration.scope import Scope
from vnvs.hydration.shapes import Context


def prefetch(elements: Iterable[Element], library: Library, context: Context) -> None:
    """Fetch what these elements refer to, and what that refers to, one round per level.

    Faults are left for the rule that needs the document, which knows the place.
    """
    seen: set[tuple[str, Element]] = set()
    wanted: list[tuple[Element, str | None]] = [(e, context.base_uri) for e in elements]
    for _ in range(context.limits.max_chain):
        resolved = [
            (element, uri)
            for element, base in wanted
            if (uri := _uri_or_none(element, base, context)) is not None
        ]
        library.prefetch(uri for _, uri in resolved)
        wanted = []
        for element, uri in resolved:
            document, found = _counterpart_or_none(element, uri, library)
            if document is not None and found is not None and (uri, found) not in seen:
                seen.add((uri, found))
                wanted += [(inner, uri) for inner in elements_with_href(found)]
        if not wanted:
            return


def _uri_or_none(element: Element, base: str | None, context: Context) -> str | None:
    href = element.get(HREF) or ""
    try:
        return None if has_placeholder(href) else canonical_uri(href, base, context.base_uri)
    except HydrationFailed:
        return None


def _counterpart_or_none(
    element: Element, uri: str, library: Library
) -> tuple[Referenced | None, Element | None]:
    try:
        document = library.get(uri)
        return document, document.counterpart(element, tag_path(element))
    except HydrationFailed:
        return None, None


class StaticHrefs:
    """Merges, in one tree, every element whose ``href`` can be followed as it stands."""

    def __init__(self, hydrator: Hydrator) -> None:
        self._hydrator = hydrator
        self._library, self._context = hydrator.library, hydrator.context
        self._expanded: dict[tuple[str, Element, Role], Element] = {}
        self._active: list[tuple[str, Element]] = []

    def merge_all(self, root: Element) -> bool:
        """Merge in place, the inner ones first (M5); `root` itself keeps its identity.

        Tells whether there was anything to merge. Raises HydrationFailed with rule, place and URI;
        in a check it keeps the faults.
        """
        elements = elements_with_static_href(root)
        prefetch(elements, self._library, self._context)
        for element in reversed(elements):
            self.merge_one(element, role_below(element, root, Role.ROOT))
        return bool(elements)

    def merge_one(self, element: Element, role: Role) -> None:
        """Merge one element of the request in place, unless it has to wait for its group."""
        try:
            merged = self._merged(element, element, None, role)
        except HydrationFailed as err:
            if self._hydrator.faults is None:
                raise
            self._hydrator.faults.add(err)
            del element.attrib[HREF]
            return
        if merged is not None:
            self._hydrator.put_in_place(element, merged)

    def _merged(
        self,
        original: Element,
        local: Element,
        document: Referenced | None,
        role: Role,
    ) -> Element | None:
        """Merge `local`, which stands where `original` stands in `document`; None: not yet."""
        uri: str | None = None
        href = local.get(HREF) or ""
        scope = Scope(document=document)
        base = document.uri if document else self._context.base_uri
        try:
            uri = canonical_uri(href, base, self._context.base_uri)
            referenced = self._library.get(uri)
            found = referenced.counterpart(local, tag_path(original))
            other = self._expanded_counterpart(referenced, found, role)
        except HydrationFailed as err:
            raise self._hydrator.places.placed(
                err, original, scope, expression=href, uri=uri
            ) from err
        if role is Role.VALUATION and (_waits(local) or elements_with_directives(other)):
            if other.tag == "valuation" and USE in other.attrib and USE not in local.attrib:
                local.set(USE, other.attrib[USE])  # its tasks must be known before its content
            return None
        try:
            self._hydrator.budget.bring_in(other, keep=True)
        except HydrationFailed as err:
            raise self._hydrator.places.placed(err, original, scope, uri=uri) from err
        self._hydrator.trace.add(
            "R1",
            self._hydrator.places.path(original),
            uri=uri,
            digest=referenced.digest,
            within=document.uri if document else None,
        )
        del local.attrib[HREF]

        def held(mine: Element, theirs: Element) -> Element | None:
            outside = role_below(mine, local, role) is Role.OUTSIDE
            return self._held(mine, theirs) if outside else None

        if role is Role.OUTSIDE and SELECT in local.attrib:
            waiting = self.copy(local)
            known = self._hydrator.holds.get(waiting, Held())
            self._hydrator.hold(waiting, replace(known, fetched=self.copy(other)))
            return waiting
        waits = held(local, other)
        if waits is not None:
            return waits
        return merge(local, other, TextRule.LOCAL_FIRST, copy=self.copy, defer=held)

    def _expanded_counterpart(self, document: Referenced, found: Element, role: Role) -> Element:
        """Copy a counterpart with its own hrefs merged: the farther under the nearer (R6)."""
        key = (document.uri, found, role)
        if key in self._expanded:
            return self._expanded[key]
        self._refuse_cycle(document, found)
        if len(self._active) >= self._context.limits.max_chain:
            raise HydrationFailed(
                "HREF_LIMIT",
                f"documents include documents more than {len(self._active)} deep",
                rule="T4",
            )
        self._active.append((document.uri, found))
        try:
            expanded = self._expand(document, found, role)
        finally:
            self._active.pop()
        self._expanded[key] = expanded
        return expanded

    def _expand(self, document: Referenced, found: Element, role: Role) -> Element:
        top = copy_of(found)
        pairs = list(zip(found.iter("*"), top.iter("*"), strict=True))
        for original, copied in pairs:
            if has_directive(original):
                self._hydrator.places.origins[copied] = (document.uri, line_of(original))
        for original, copied in reversed(pairs):
            href = copied.get(HREF) if is_vnml(copied) else None
            if href is None:
                continue
            merged = None
            if is_static_href(copied):
                merged = self._merged(original, copied, document, role_below(original, found, role))
            if merged is None:
                copied.set(HREF, rebased(href, document.uri))
            elif copied is top:
                top = merged
            else:
                merged.tail = copied.tail
                parent = copied.getparent()
                assert parent is not None
                parent.replace(copied, merged)
        return top

    def _refuse_cycle(self, document: Referenced, found: Element) -> None:
        for uri, busy in self._active:
            if uri != document.uri:
                continue
            if busy is found or any(above is found for above in busy.iterancestors()):
                chain = [*(uri for uri, _ in self._active), document.uri]
                raise HydrationFailed(
                    "REFERENCE_CYCLE",
                    f"documents include each other: {' -> '.join(chain)}",
                    rule="T4",
                )

    # --- counterparts that cannot be merged yet --------------------------------------------------

    def _held(self, mine: Element, theirs: Element) -> Element | None:
        """Hold the other one where a directive decides what is merged with what (M4, M5)."""
        held = self._held_under(mine, theirs)
        if held is None and pairs_are_open(mine, theirs, self._hydrator.holds):
            held = merge(mine, theirs, TextRule.LOCAL_FIRST, copy=self.copy, defer=self._held_under)
            self._hydrator.hold(held, Held(apart=(self.copy(mine), self.copy(theirs))))
        return held

    def _held_under(self, mine: Element, theirs: Element) -> Element | None:
        """Put the other one under the local one where one of them has a directive (M5)."""
        holds = self._hydrator.holds
        if not (must_wait(mine, holds) or must_wait(theirs, holds)):
            return None
        held = self.copy(mine)
        self._hydrator.hold(held, holds.get(held, Held()).with_lower(self.copy(theirs)))
        return held

    def copy(self, element: Element) -> Element:
        """Copy an element, and let the copy have what is known of what it was made of."""
        copied = copy_of(element)
        self._carry(element, copied)
        return copied

    def _carry(self, element: Element, copied: Element) -> None:
        holds, origins = self._hydrator.holds, self._hydrator.places.origins
        settled = self._hydrator.settled
        if not (holds or origins or settled):
            return
        for original, made in zip(element.iter("*"), copied.iter("*"), strict=True):
            if original in holds:
                self._hydrator.hold(made, holds[original])
            if original in origins:
                origins[made] = origins[original]
            if original in settled:
                settled.add(made)


def _waits(local: Element) -> bool:
    """Tell whether an element has more to do than to follow its href and make tasks."""
    others = [element for element in elements_with_directives(local) if element is not local]
    return bool(others) or any(
        name == SELECT or has_placeholder(value)
        for name, value in plain_attributes(local)
        if name not in {HREF, USE}
    )
