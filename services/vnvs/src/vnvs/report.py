"""The failure report of a request: what status, results and the page show of its failures.

In comes what went wrong; out goes the JSON object kept at ``cache:request:<id>:failure``. Called by
`orchestrate`. Facts that are not known are absent.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from vncore.failures import Failure
from vncore.ids import TaskId

_LISTED = 1_000
"""Failed tasks that a report lists; of a book of 50,000 that all lack one curve, more help nobody.
The counts tell of all of them, and each keeps its failure in the group's hash."""


class Stage(StrEnum):
    """Where on its way a request failed."""

    HYDRATE = "hydrate"  # references, of the document or of a group
    RUN = "run"  # tasks
    ASSEMBLE = "assemble"  # results into the document


def failure_report(failure: Failure, stage: Stage) -> dict[str, Any]:
    """Describe a failed request: code, category, message, place, fingerprint, stage.

    >>> failure_report(Failure("NO_GROUP", "document", "no group"), Stage.HYDRATE)["stage"]
    'hydrate'
    """
    return {**failure.report(), "stage": stage.value, "failedTasks": [], "failedTaskCount": 0}


def report_of_tasks(failures: Mapping[int, Mapping[TaskId, Failure]]) -> dict[str, Any]:
    """Describe a request by its failed tasks, by group index; the first in order speaks for all.

    At most 1,000 of them are listed; ``failedTaskCount`` counts all.
    """
    in_order = [
        failures[index][task_id]
        for index in sorted(failures)
        for task_id in sorted(failures[index])
    ]
    return {
        **failure_report(in_order[0], Stage.RUN),
        "failedTasks": [failure.report() for failure in in_order[:_LISTED]],
        "failedTaskCount": len(in_order),
    }
