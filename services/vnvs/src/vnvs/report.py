"""The failure report of a request: what status, results and the page show of its end.

In comes what went wrong; out goes the JSON object kept at ``cache:request:<id>:failure``. Called by
`orchestrate`. Facts that are not known are absent.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from vncore.failures import Failure
from vnvs.collect import FailedTask


class Stage(StrEnum):
    """Where on its way a request failed."""

    HYDRATE = "hydrate"  # references, of the document or of a group
    RUN = "run"  # tasks
    ASSEMBLE = "assemble"  # results into the document


def failure_report(
    failure: Failure, stage: Stage, failed_tasks: Sequence[FailedTask] = ()
) -> dict[str, Any]:
    """Describe a failed request: code, category, message, place, fingerprint, stage, failed tasks.

    >>> failure_report(Failure("NO_GROUP", "document", "no group"), Stage.HYDRATE)["stage"]
    'hydrate'
    """
    return {
        **failure.report(),
        "stage": stage.value,
        "failedTasks": [_task(failed) for failed in failed_tasks],
    }


def report_of_tasks(failed_tasks: Sequence[FailedTask]) -> dict[str, Any]:
    """Describe a request that failed by its tasks; the first one in task order speaks for all."""
    in_order = sorted(failed_tasks, key=lambda failed: failed.update.task_id)
    first = replace(in_order[0].failure, attempts=in_order[0].update.attempt)
    return failure_report(first, Stage.RUN, in_order)


def _task(failed: FailedTask) -> dict[str, Any]:
    update = failed.update
    return {
        **replace(failed.failure, attempts=update.attempt).report(),
        "durationMs": update.duration_ms,
        "workerId": update.worker_id,
    }
