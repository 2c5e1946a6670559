"""Fan out: a group's task documents are stored and their first attempts queued.

In come task documents; out goes the open group that `collect` waits for. Called by `orchestrate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vncore.dispatching import NewTask
from vncore.failure_policy import FailurePolicy
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.ids import TaskId
from vncore.messages import TaskDispatch
from vnvs.hydration import GroupOutline, TaskDocument

_SLICE = 1_000  # entries made at once; more would hold the event loop


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A group whose tasks are out."""

    index: int  # counts from 0
    name: str
    policy: FailurePolicy
    valuations: dict[TaskId, str]  # the valuation's name of every task, in task order
    entries: dict[TaskId, str] = field(default_factory=dict)
    """The newest dispatch entry of each task, as far as this orchestrator made it."""

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
) -> OpenGroup:
    """Open the group and append its tasks to ``stream:task:dispatch``, in task order.

    A task that hydration could not make, under a policy that allows it, is recorded as failed.
    Calling again, by a successor too, appends nothing twice. Raises Superseded and
    StoreUnavailable: some may be appended already; call again.
    """
    names = {TaskId(task.task_id): task.valuation_name for task in tasks}
    opened = OpenGroup(group.index, group.name, policy, names)
    await request.start_group(group.index, group.name, len(tasks), policy)
    for at in range(0, len(tasks), _SLICE):
        new = [_new_task(request, opened, task) for task in tasks[at : at + _SLICE]]
        opened.entries.update(await request.dispatch(new))
    return opened


def _new_task(request: HeldRequest, group: OpenGroup, task: TaskDocument) -> NewTask:
    task_id = TaskId(task.task_id)
    failure = group.placed(Failure.of(task.failure), task_id) if task.failure else None
    return NewTask(attempt_at(request, group, task_id, 1), task.xml, task.trace, failure)


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
