"""What stands in for a worker in stream tests: a delivery in its hands, and how its tasks end.

Used by the stream tests of vncore and vnvs.
"""

from collections.abc import Mapping, Sequence

from vncore.failures import Failure
from vncore.messages import TaskDispatch, TaskUpdate, tasks_of
from vncore.streams import Delivery
from vncore.tasks import Assignment, Settled, Settlement, TaskStore

WORKER = "w"

Answer = bytes | Failure
"""What a script comes to: a result, or why there is none."""


def assigned(delivery: Delivery, worker: str = WORKER) -> Assignment:
    """Give a delivery as what a worker has in its hands."""
    return Assignment(delivery.entry_id, worker, tasks_of(delivery.fields))


def ended(task: TaskDispatch, answer: Answer, duration_ms: int = 5) -> Settlement:
    """Give an attempt that has come to this."""
    if isinstance(answer, Failure):
        return Settlement(task, duration_ms, failure=answer)
    return Settlement(task, duration_ms, answer)


async def settle(
    store: TaskStore, assignment: Assignment, answers: Mapping[int, Answer]
) -> list[Settled]:
    """Settle those tasks of an entry that there is an answer for, in task order."""
    tasks = [task for task in assignment.tasks if task.task_id in answers]
    assert len(tasks) == len(answers)
    return await store.settle(assignment, [ended(one, answers[one.task_id]) for one in tasks])


async def settle_only(
    store: TaskStore, delivery: Delivery, answer: Answer, worker: str = WORKER
) -> Settled:
    """Settle the one task of a delivery."""
    assignment = assigned(delivery, worker)
    [task] = assignment.tasks
    [settled] = await settle(store, assignment, {task.task_id: answer})
    return settled


async def document_of(store: TaskStore, delivery: Delivery) -> bytes:
    """Fetch the document of a delivery's one task, of a request that is open."""
    payload = await store.fetch(assigned(delivery))
    assert payload.request_is_open
    [text] = payload.documents.values()
    assert text is not None
    return text.xml


def numbers(updates: Sequence[TaskUpdate]) -> list[int]:
    """Give the tasks that updates tell of, in their order."""
    return [update.task_id for update in updates]
