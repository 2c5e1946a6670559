"""The document pass (VNML T1): variables, `href` everywhere, then paths outside valuations.

Once per request, before the first group. Works on a tree of its own, parsed from the request.
"""

from collections.abc import Callable

from vncore import xml
from vncore.errors import HydrationFailed, Place
from vncore.failure_policy import FailurePolicy
from vnvs.hydration.budget import deeper_than, nodes_in
from vnvs.hydration.directives import HREF, SELECT, USE, Role, has_directive, plain_attributes
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.faults import Faults
from vnvs.hydration.hrefs import StaticHrefs
from vnvs.hydration.library import Library
from vnvs.hydration.merge import TextRule, merge
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.nodes import Element, line_of
from vnvs.hydration.outline import ON_FAILURE, groups_of, parse_stored, project_of
from vnvs.hydration.parsed import ParsedDocument
from vnvs.hydration.pending import Blocked, PendingTree
from vnvs.hydration.placeholders import has_placeholder
from vnvs.hydration.scope import Places, Scope
from vnvs.hydration.shapes import Context, Fetch, GroupOutline, HydratedDocument
from vnvs.hydration.trace import compact
from vnvs.hydration.undisturbed import undisturbed
from vnvs.hydration.variables import Expander, declared


@room_for_nesting()
def hydrate_document(document: bytes, fetch: Fetch, context: Context) -> HydratedDocument:
    """Hydrate a request before its first group.

    Raises HydrationFailed with rule and place; MalformedDocument for bytes that are no XML.
    """
    return DocumentPass(parse_stored(document, context.limits), fetch, context).run()


@room_for_nesting()
@undisturbed()
def hydrated_and_parsed(
    document: bytes, fetch: Fetch, context: Context
) -> tuple[HydratedDocument, ParsedDocument | None]:
    """Hydrate a request, and give its tree too if that is what parsing the outcome would give.

    It is where nothing was put into the tree: then no text lies beside another one.
    """
    root = parse_stored(document, context.limits)
    document_pass = DocumentPass(root, fetch, context)
    hydrated = document_pass.run()
    if document_pass.has_changed_the_tree:
        return hydrated, None
    parsed = ParsedDocument(
        root, len(hydrated.xml), context.limits, has_namespaces=b"xmlns" in hydrated.xml
    )
    return hydrated, parsed


class DocumentPass:
    """The pass over one parsed request, which it changes; in a check it keeps faults."""

    def __init__(
        self,
        root: Element,
        fetch: Fetch,
        context: Context,
        *,
        faults: Faults | None = None,
    ) -> None:
        self._root, self._limits, self._faults = root, context.limits, faults
        self.has_changed_the_tree = False
        self._faulty: set[Element] = set()  # in a check: frames with a fault, left as they were
        project_of(root)
        variables = declared(root, self._limits)
        self._expander = Expander(variables, self._limits)
        self._library = Library(fetch, variables, self._limits)
        self._tree = PendingTree(root, self._limits)
        self._hydrator = Hydrator(
            Places(self._tree, self._library, line_of), context, faults=faults
        )
        self._tree.hydrate = lambda unit: self._hydrator.hydrate(unit, Scope())
        self._tree.settled = self._hydrator.settled
        self._tree.cycle = self._cycle
        self._tree.attempt = self._attempt
        self._hrefs = StaticHrefs(self._hydrator)

    def run(self) -> HydratedDocument:
        """Hydrate and write the document."""
        self._expander.expand_tree(self._root)
        if self._expander.uses:
            self.has_changed_the_tree = True
            self._hydrator.trace.add("V1", "/", variables=self._expander.uses)
        if self._hrefs.merge_all(self._root):
            self.has_changed_the_tree = True
        self._look_again()
        self._hydrate_frames()
        for unit in self._tree.units():
            self.has_changed_the_tree = True
            if self._tree.is_pending(unit):
                self._tree.hydrate_unit(unit)
        groups = self._outlines()
        return HydratedDocument(
            xml=self._written(),
            groups=groups,
            sources=tuple(self._library.sources),
            trace=compact({"pass": "document", "values": self._hydrator.trace.entries}),
        )

    def _look_again(self) -> None:
        self._tree.look_again(self._hydrator.holds)

    def _cycle(self, target: Element) -> HydrationFailed:
        return self._hydrator.places.cycle(self._hydrator.stack, target)

    def _attempt(self, action: Callable[[], None]) -> bool:
        """Do what may fail without consequences: a unit ahead of its turn."""
        faults, self._hydrator.faults = self._hydrator.faults, None
        mark = len(self._hydrator.trace.entries)
        try:
            action()
        except (HydrationFailed, Blocked):
            self._hydrator.trace.since(mark)
            return False
        finally:
            self._hydrator.faults = faults
        return True

    # --- root, project and groups themselves -----------------------------------------------------

    def _hydrate_frames(self) -> None:
        """Hydrate the attributes of root, project and groups, and what they select."""
        self._frame(self._root, Role.ROOT)
        project = project_of(self._root)
        self._frame(project, Role.PROJECT)
        busy: list[Element] = []
        for number in range(len(groups_of(project_of(self._root)))):
            self._frame(groups_of(project_of(self._root))[number], Role.GROUP, busy)

    def _frame(self, frame: Element, role: Role, busy: list[Element] | None = None) -> None:
        if frame in self._tree.frames_done or not has_directive(frame):
            return
        self.has_changed_the_tree = True
        try:
            self._hydrate_frame(frame, role, busy or [])
        except HydrationFailed as err:
            if self._faults is None:
                raise
            self._faults.add(err)
            self._faulty.add(frame)
            for name in (HREF, SELECT, USE):
                frame.attrib.pop(name, "")
        self._tree.frames_done.add(frame)

    def _hydrate_frame(self, frame: Element, role: Role, busy: list[Element]) -> None:
        """Expand and merge, but leave what is inside to its own turn."""
        hydrator, scope = self._hydrator, Scope()
        attributes = hydrator.expanded_attributes(frame, scope)
        for name, value in attributes.items():
            frame.set(name, value)
        if USE in attributes:
            raise hydrator.places.placed(
                HydrationFailed(
                    "USE_MISPLACED", "only a valuation of a group may have a use", rule="U1"
                ),
                frame,
                scope,
                expression=attributes[USE],
            )
        if HREF in attributes:
            self._hrefs.merge_one(frame, role)
            self._look_again()
            for name, value in self._brought_attributes(frame, attributes).items():
                frame.set(name, value)
        select = frame.get(SELECT)
        if select is None:
            return
        del frame.attrib[SELECT]
        hydrator.stack.append(frame)
        try:
            chosen = hydrator.chosen(frame, scope, select)
            if isinstance(chosen.node, Element):
                self._frame_first(chosen.node, [*busy, frame])
                hydrator.trace_selection("S4", frame, chosen)
                merged = merge(
                    self._hrefs.copy(frame),
                    chosen.node,
                    TextRule.OTHER_FIRST,
                    copy=self._hrefs.copy,
                )
            else:
                merged = hydrator.with_text(frame, scope, self._hrefs.copy(frame), chosen)
        finally:
            hydrator.stack.pop()
        hydrator.put_in_place(frame, merged)
        self._look_again()

    def _brought_attributes(self, frame: Element, known: dict[str, str]) -> dict[str, str]:
        """Expand what an href brought; what was there before is data by now (P3)."""
        brought = [name for name, _ in plain_attributes(frame) if name not in known]
        expand = self._hydrator.expanded_attributes
        return {name: expand(frame, Scope(), only=name)[name] for name in brought}

    def _frame_first(self, selected: Element, busy: list[Element]) -> None:
        """Hydrate a group before another one takes it over (T3)."""
        if selected not in self._tree.groups or not has_directive(selected):
            return
        if any(selected is other for other in busy):
            raise self._cycle(selected)
        self._frame(selected, Role.GROUP, busy)

    # --- what comes out --------------------------------------------------------------------------

    def _outlines(self) -> tuple[GroupOutline, ...]:
        outlines = []
        for index, group in enumerate(groups_of(project_of(self._root))):
            name = group.get("name") or ""
            if len(name) > self._limits.max_name:
                raise self._too_much(
                    "HYDRATION_NAME_TOO_LONG",
                    f"the name of group {index} has more than {self._limits.max_name} characters",
                    Place(group_index=index, element=self._tree.paths.path(group)),
                )
            outlines.append(GroupOutline(index, name, self._on_failure(index, group)))
        return tuple(outlines)

    def _on_failure(self, index: int, group: Element) -> str:
        """Read what the failure of a task of a group means for the request (F1)."""
        said = group.get(ON_FAILURE)
        if said is None or (group in self._faulty and has_placeholder(said)):
            return ""
        try:
            return str(FailurePolicy.parse(said))
        except ValueError as err:
            places = self._hydrator.places
            places.facts.group, places.facts.group_index = group.get("name"), index
            fault = HydrationFailed("ON_FAILURE_INVALID", f"@{ON_FAILURE}: {err}", rule="F1")
            placed = places.placed(fault, group, Scope())
            if self._faults is None:
                raise placed from err
            self._faults.add(placed)
            return ""

    def _written(self) -> bytes:
        limits = self._limits
        if deeper_than(limits.max_depth, self._root):
            raise self._too_much(
                "HYDRATION_TOO_DEEP", f"the document has more than {limits.max_depth} levels"
            )
        if nodes_in(self._root) > limits.max_nodes:
            raise self._too_much(
                "HYDRATION_TOO_LARGE", f"the document has more than {limits.max_nodes} nodes"
            )
        written = xml.serialise(self._root)
        if len(written) > limits.max_bytes:
            raise self._too_much(
                "HYDRATION_TOO_LARGE", f"the document has more than {limits.max_bytes} bytes"
            )
        return written

    @staticmethod
    def _too_much(code: str, message: str, place: Place | None = None) -> HydrationFailed:
        return HydrationFailed(code, f"hydrated, {message}", rule="T4", place=place)
