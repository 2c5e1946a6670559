"""The failure report: code, place and every failed task."""

import json

from vncore.errors import HydrationFailed, Place
from vncore.failures import Failure
from vncore.ids import TaskId
from vnvs.report import Stage, failure_report, report_of_tasks


def failed_task(task: int, attempt: int, stderr: str) -> Failure:
    return Failure(
        "SCRIPT_FAILED",
        "script",
        "exit status 1",
        retryable=True,
        place={"group": "prices", "groupIndex": 0, "valuation": "bond", "task": task},
        attempts=attempt,
        exit_status=1,
        stderr_tail=stderr,
        duration_ms=17,
        worker_id="worker-1",
    )


def test_a_hydration_error_keeps_its_rule_and_whole_place():
    place = Place(
        group="prices",
        group_index=0,
        valuation="bond",
        task=12,
        element="/vnml/project/group[1]/valuation[1]/market",
        line=14,
        expression="//market",
        uri="s3://b/k",
    )
    error = HydrationFailed("SELECT_AMBIGUOUS", "2 nodes", rule="S2", place=place)
    report = failure_report(Failure.of(error), Stage.HYDRATE)
    assert report == {
        "code": "SELECT_AMBIGUOUS",
        "category": "reference",
        "retryable": False,
        "rule": "S2",
        "message": "2 nodes",
        "group": "prices",
        "groupIndex": 0,
        "valuation": "bond",
        "task": 12,
        "element": "/vnml/project/group[1]/valuation[1]/market",
        "line": 14,
        "expression": "//market",
        "uri": "s3://b/k",
        "fingerprint": Failure.of(error).fingerprint,
        "stage": "hydrate",
        "failedTasks": [],
        "failedTaskCount": 0,
    }


def test_the_first_failed_task_in_task_order_speaks_for_the_request():
    report = report_of_tasks(
        {0: {TaskId(7): failed_task(7, 3, "late"), TaskId(2): failed_task(2, 1, "early")}}
    )
    assert (report["code"], report["stage"]) == ("SCRIPT_FAILED", "run")
    assert (report["task"], report["valuation"], report["stderr"]) == (2, "bond", "early")
    assert [task["task"] for task in report["failedTasks"]] == [2, 7]
    assert report["failedTasks"][1] == {
        "code": "SCRIPT_FAILED",
        "category": "script",
        "retryable": True,
        "message": "exit status 1",
        "group": "prices",
        "groupIndex": 0,
        "valuation": "bond",
        "task": 7,
        "attempts": 3,
        "exitStatus": 1,
        "stderr": "late",
        "fingerprint": report["fingerprint"],
        "durationMs": 17,
        "workerId": "worker-1",
    }
    assert json.loads(json.dumps(report)) == report
