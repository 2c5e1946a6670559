"""The group pass (VNML T2): one task document for each valuation that a group asks for.

Reads the hydrated document with the results of earlier groups in place; gives tasks in document
order. Called by `parsed`, which has the document, and by `check`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vncore.errors import HydrationFailed, Place
from vncore.pieces import Fragment
from vnvs.hydration.directives import elements_with_href
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.faults import Faults
from vnvs.hydration.hrefs import prefetch
from vnvs.hydration.leaf import Selections
from vnvs.hydration.library import Library
from vnvs.hydration.nodes import Element
from vnvs.hydration.outline import groups_of, project_of, valuations_of
from vnvs.hydration.paths import Index
from vnvs.hydration.scope import Facts, Places
from vnvs.hydration.sent import SentLines
from vnvs.hydration.shapes import Context, Fetch, HydratedGroup, TaskDocument
from vnvs.hydration.shell import Shell, own_vndb
from vnvs.hydration.template import Made, Template
from vnvs.hydration.tree import NotYetKnown, ResultsNeeded, Tree
from vnvs.hydration.use import contexts
from vnvs.hydration.variables import declared
from vnvs.hydration.writing import SharedPart, Writer


@dataclass(slots=True)
class _Draft:
    """A task whose shared parts may still turn out to be its own."""

    name: str
    pieces: list[bytes | SharedPart]
    trace: bytes
    failure: HydrationFailed | None


class GroupPass:
    """One group's pass over a parsed document, which it leaves alone."""

    def __init__(
        self,
        root: Element,
        group_index: int,
        fetch: Fetch,
        context: Context,
        *,
        index: Index | None = None,
        selections: Selections | None = None,
        without_results: type[NotYetKnown | ResultsNeeded] | None = None,
        has_namespaces: bool = True,
        sent: Callable[[], bytes | None] | None = None,
        tolerant: bool = False,
        faults: Faults | None = None,
    ) -> None:
        """Prepare the pass; `without_results` is raised where results are needed and not there.

        `sent` gives the request as it was sent, for the lines of faults.
        """
        groups = groups_of(project_of(root))
        if not 0 <= group_index < len(groups):
            raise HydrationFailed(
                "RESULTS_MISPLACED", f"the document has no group {group_index}", rule="T2"
            )
        self._context, self._limits = context, context.limits
        self._group, self._index = groups[group_index], group_index
        tree = Tree(
            root,
            groups,
            group_index,
            self._limits,
            index=index,
            without_results=without_results,
        )
        library = Library(fetch, declared(root, self._limits), self._limits)
        self._facts = Facts(group=self._group.get("name"), group_index=group_index)
        lines = SentLines(context, groups, sent)
        self._hydrator = Hydrator(
            Places(tree, library, lines.line_of, self._facts), context, faults=faults
        )
        prefetch(elements_with_href(self._group), library, context)
        self._shell = Shell(root, self._group)
        self._writer = Writer(self._group, has_namespaces=has_namespaces)
        self._selections = Selections() if selections is None else selections
        self._tolerant = tolerant
        self._stored = 0  # bytes of the group's tasks, of what they share once

    def run(self) -> HydratedGroup:
        """Make the tasks."""
        drafts: list[_Draft] = []
        counts: list[int] = []
        for of_one in self._of_each_valuation():
            before = len(drafts)
            drafts += of_one
            counts.append(len(drafts) - before)
        # What one of several tasks has for itself is not worth a fragment; what the only one has
        # may be what another group has, too.
        least = 2 if len(drafts) > 1 else 1
        tasks = tuple(
            TaskDocument(
                number, draft.name, _pieces(draft.pieces, least), draft.trace, draft.failure
            )
            for number, draft in enumerate(drafts, start=1)
        )
        self._selections.end_pass(self._hydrator.tree.groups)
        return HydratedGroup(tasks, tuple(counts))

    def try_all(self) -> None:
        """Make the tasks for the sake of their faults."""
        for of_one in self._of_each_valuation():
            for _ in of_one:
                pass

    def _of_each_valuation(self) -> Iterator[Iterator[_Draft]]:
        self._task_id = 0
        for position, valuation in enumerate(valuations_of(self._group)):
            yield self._tasks_of(position, valuation)

    def _tasks_of(self, position: int, valuation: Element) -> Iterator[_Draft]:
        self._facts.valuation = valuation.get("name")
        template = Template(
            valuation, self._hydrator, self._writer, self._selections, tolerant=self._tolerant
        )
        before, after = self._shell.around(position)
        for linked in self._contexts(valuation):
            self._task_id += 1
            self._refuse_too_many(self._task_id)
            self._facts.task = self._task_id
            self._hydrator.renew()
            made = template.task(linked, own_vndb(self._task_id))
            yield self._draft(made, linked, before, after)
            self._facts.task = None

    def _contexts(self, valuation: Element) -> tuple[Element, ...] | tuple[None, ...]:
        try:
            return contexts(valuation, self._hydrator)
        except (HydrationFailed, NotYetKnown) as err:
            if self._hydrator.faults is None:
                raise
            if isinstance(err, HydrationFailed):
                self._hydrator.faults.add(err)
            return ()

    def _draft(self, made: Made, linked: Element | None, before: bytes, after: bytes) -> _Draft:
        if len(made.name) > self._limits.max_name:
            raise self._fault(
                "HYDRATION_NAME_TOO_LONG",
                f"the valuation's name has more than {self._limits.max_name} characters",
            )
        may_share = not (self._shell.declares_namespaces or made.declares_namespaces)
        pieces: list[bytes | SharedPart] = []
        own = [before]
        size = 0
        for part in made.parts:
            if isinstance(part, bytes):
                own.append(part)
            elif not may_share:
                own.append(part.written)
            else:
                pieces.append(b"".join(own))
                pieces.append(part)
                own = []
                size += len(part.written)
                if not part.tasks:
                    self._stored += len(part.written)
                part.tasks += 1
        own.append(after)
        pieces.append(b"".join(own))
        own_bytes = sum([len(piece) for piece in pieces if isinstance(piece, bytes)])
        self._stored += own_bytes
        self._refuse_too_large(own_bytes + size)
        context = "null" if linked is None else f'"{self._hydrator.places.path(linked)}"'
        trace = (
            f'{{"pass":"group","group":{self._index},"task":{self._task_id},"context":{context},'
            f'"values":[{",".join(made.entries)}]}}'
        )
        return _Draft(made.name, pieces, trace.encode(), made.failure)

    def _refuse_too_large(self, task_bytes: int) -> None:
        for size, what in (
            (task_bytes, "the task has"),
            (self._stored, "the tasks of the group have"),
        ):
            if size > self._limits.max_bytes:
                raise self._fault(
                    "HYDRATION_TOO_LARGE", f"{what} more than {self._limits.max_bytes} bytes"
                )

    def _refuse_too_many(self, task_id: int) -> None:
        if task_id > self._limits.max_tasks:
            raise self._fault(
                "HYDRATION_TOO_MANY_TASKS",
                f"the group has more than {self._limits.max_tasks} tasks",
            )

    def _fault(self, code: str, message: str) -> HydrationFailed:
        facts = self._facts
        place = Place(
            group=facts.group,
            group_index=facts.group_index,
            valuation=facts.valuation,
            task=facts.task,
            element=self._hydrator.places.path(self._group),
        )
        return HydrationFailed(code, message, rule="T4", place=place)


def _pieces(drafted: list[bytes | SharedPart], least: int) -> tuple[bytes | Fragment, ...]:
    """Give the pieces of a task; what fewer than `least` tasks have becomes its own."""
    if len(drafted) == 1:
        [whole] = drafted
        assert isinstance(whole, bytes)
        return (whole,)
    pieces: list[bytes | Fragment] = []
    own: list[bytes] = []
    for piece in drafted:
        if isinstance(piece, bytes):
            own.append(piece)
        elif piece.tasks < least:
            own.append(piece.written)
        else:
            pieces += [b"".join(own), piece.fragment]
            own = []
    return tuple(piece for piece in (*pieces, b"".join(own)) if piece)
