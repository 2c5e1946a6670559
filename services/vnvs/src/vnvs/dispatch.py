"""Fan out: a group's task documents are stored and their first attempts queued.

In come task documents; out goes the open group that `collect` waits for. Called by `orchestrate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vncore.dispatching import NewTask
from vncore.failure_policy import FailurePolicy
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.messages import TaskDispatch
from vncore.pieces import Fragment, packed
from vnvs.durations import Durations
from vnvs.hydration import GroupOutline, TaskDocument
from vnvs.workforce import Workforce

_AT_ONCE = 1_000  # tasks made at once; more would hold the event loop


_MOST_KINDS = 64


@dataclass(frozen=True)
class OpenGroup:
    """A group whose tasks are out."""

    index: int  # counts from 0
    name: str
    policy: FailurePolicy
    valuations: dict[TaskId, str]  # the valuation's name of every task, in task order
    entries: dict[TaskId, str] = field(default_factory=dict)
    """The newest dispatch entry of each task, as far as this orchestrator made it."""

    @cached_property
    def kinds(self) -> frozenset[str]:
        """What its tasks are called; by the group's name where too many are called differently."""
        kinds = frozenset(self.valuations.values())
        return kinds if len(kinds) <= _MOST_KINDS else frozenset((self.name,))

    def kind_of(self, task_id: TaskId) -> str:
        """Tell which of its kinds a task is."""
        name = self.valuations[task_id]
        return name if name in self.kinds else self.name

    def placed(self, failure: Failure, task_id: TaskId) -> Failure:
        """Give a task's failure with its whole place."""
        return failure.at(
            group=self.name,
            groupIndex=self.index,
            valuation=self.valuations[task_id],
            task=task_id,
        )


async def dispatch(
    request: HeldRequest,
    group: GroupOutline,
    policy: FailurePolicy,
    tasks: Sequence[TaskDocument],
    durations: Durations,
    workforce: Workforce,
) -> OpenGroup:
    """Open the group and append its tasks to ``stream:task:dispatch``, in task order.

    Several of them in one entry where `durations` knows them to be short.

    A task that hydration could not make, under a policy that allows it, is recorded as failed.
    Calling again, by a successor too, appends nothing twice. Raises Superseded and
    StoreUnavailable: some may be appended already; call again.
    """
    names = {TaskId(task.task_id): task.valuation_name for task in tasks}
    opened = OpenGroup(group.index, group.name, policy, names)
    slice_tasks = durations.slice_tasks(opened.kinds, len(tasks), await workforce.count())
    await request.start_group(group.index, group.name, len(tasks), policy, at_once=False)
    saved: set[str] = set()
    for at in range(0, len(tasks), _AT_ONCE):
        some = tasks[at : at + _AT_ONCE]
        await _save_fragments(request, some, saved)
        new = [_new_task(request, opened, task) for task in some]
        opened.entries.update(await request.dispatch(new, slice_tasks=slice_tasks))
    return opened


async def _save_fragments(
    request: HeldRequest, tasks: Sequence[TaskDocument], saved: set[str]
) -> None:
    """Store what these documents share before anybody is told of them."""
    fragments = {
        piece.digest: piece
        for task in tasks
        for piece in task.pieces
        if isinstance(piece, Fragment) and piece.digest not in saved
    }
    if fragments:
        await request.save_fragments(fragments.values())
        saved |= fragments.keys()


def _new_task(request: HeldRequest, group: OpenGroup, task: TaskDocument) -> NewTask:
    task_id = TaskId(task.task_id)
    failure = group.placed(Failure.of(task.failure), task_id) if task.failure else None
    document = packed(task.pieces)
    return NewTask(attempt_at(request, group, task_id, 1), document, task.trace, failure)


def attempt_at(
    request: HeldRequest, group: OpenGroup, task_id: TaskId, attempt: int
) -> TaskDispatch:
    """Make the dispatch entry of one attempt (from 1)."""
    return TaskDispatch(
        request_id=request.request_id,
        tenant=request.entry.tenant,
        group_index=group.index,
        group_name=group.name,
        task_id=task_id,
        valuation_name=group.valuations[task_id],
        attempt=attempt,
        deadline_ms=request.entry.deadline_ms,
        trace=request.entry.trace,
        run=request.entry.run,
    )
