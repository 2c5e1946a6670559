"""One task document through the script on a desk, without any server (``vnas value``).

In comes a document as ``/valuation/{id}/tasks/…/xml`` or ``vn hydrate --tasks`` gives it, or a bare
valuation; out goes its result. The same runner and the same checks as in the worker.
"""

from dataclasses import replace

from vnas.environment import TaskFacts
from vnas.result import make_result
from vnas.runner import Runner
from vnas.taskdoc import read_names
from vncore.errors import MalformedDocument, VnError
from vncore.ids import RequestId
from vncore.xml import DEFAULT_LIMITS

DESK_REQUEST = RequestId("00000000-0000-4000-8000-000000000000")
"""What a script on a desk sees as ``VN_REQUEST_ID``."""

_EX_FAILED, _EX_DATAERR = 1, 65


async def value(task_xml: bytes, runner: Runner, *, script_digest: str, output_bytes: int) -> bytes:
    """Give the result of a task document, a bare valuation in UTF-8.

    Raises MalformedDocument when the document is not XML, and AttemptFailed as the worker does.
    """
    names = read_names(task_xml)
    facts = TaskFacts(
        request_id=DESK_REQUEST,
        group_index=0,
        group_name=names.group,
        task_id=names.task_id,
        valuation_name=names.valuation,
        attempt=1,
    )
    output = await runner.run(task_xml, facts)
    return make_result(
        output,
        task_xml,
        task_id=names.task_id,
        script_digest=script_digest,
        limits=replace(DEFAULT_LIMITS, max_bytes=output_bytes),
    )


def exit_status_of(error: VnError) -> int:
    """Give 65 when the document is at fault, as the script itself would, and 1 otherwise."""
    at_fault = isinstance(error, MalformedDocument) or error.code == "SCRIPT_REJECTED_DATA"
    return _EX_DATAERR if at_fault else _EX_FAILED
