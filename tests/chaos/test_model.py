"""The model and the judge: right about what must be, and not blind to what must not be."""

from collections import Counter
from dataclasses import replace

import pytest

from .document import amount_of, document, face_of, name_of
from .evidence import Evidence, Kept, Record, RunSeen
from .judge import judge
from .mix import plan_of
from .model import CANCELLED, TOO_LATE, Slot, allowed, ending_of, permitted
from .plan import GroupPlan, Kind, Place, RequestPlan, TaskPlan
from .script import Trace, read_trace
from .violations import Kind as Fault

FAST, BAD, BROKEN = TaskPlan(Kind.FAST), TaskPlan(Kind.BAD), TaskPlan(Kind.BROKEN)
SEES_FIRST = TaskPlan(Kind.FAST, sees=((0, 1),))
REJECTED = Slot("SCRIPT_REJECTED_DATA", 1)
UNSOUND = Slot("REFERENCE_FAILED_VALUATION", 0)


def plan(*groups: GroupPlan, **more: object) -> RequestPlan:
    return replace(RequestPlan(7, groups), **more)


# --- what must come of it ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("policy", "tasks", "may_fail"),
    [
        ("stop", 10, 0),
        ("continue", 10, 10),
        ("tolerate:3", 10, 3),
        ("tolerate:3", 2, 2),
        ("tolerate:50%", 5, 2),
        ("tolerate:50%", 1, 0),
    ],
)
def test_how_many_may_fail(policy: str, tasks: int, may_fail: int):
    assert allowed(policy, tasks) == may_fail


@pytest.mark.parametrize(
    ("made", "status", "codes", "groups"),
    [
        pytest.param(plan(GroupPlan((FAST,))), "succeeded", set(), ((Slot(),),), id="all is well"),
        pytest.param(
            plan(GroupPlan((TaskPlan(Kind.FLAKY, "2"),))),
            "succeeded",
            set(),
            ((Slot(),),),
            id="the last attempt counts",
        ),
        pytest.param(
            plan(GroupPlan((FAST, BAD))),
            "failed",
            {"SCRIPT_REJECTED_DATA"},
            (),
            id="the default is to stop",
        ),
        pytest.param(
            plan(GroupPlan((FAST, BAD, BROKEN), policy="tolerate:1")),
            "failed",
            {"SCRIPT_REJECTED_DATA", "SCRIPT_FAILED"},
            (),
            id="one more than is tolerated",
        ),
        pytest.param(
            plan(GroupPlan((FAST, BAD)), on_failure="continue"),
            "partial",
            set(),
            ((Slot(), REJECTED),),
            id="the request's policy",
        ),
        pytest.param(
            plan(GroupPlan((FAST, BAD), policy="stop"), on_failure="continue"),
            "failed",
            {"SCRIPT_REJECTED_DATA"},
            (),
            id="the group's word is nearer",
        ),
        pytest.param(
            plan(GroupPlan((BAD,)), GroupPlan((SEES_FIRST, FAST)), on_failure="continue"),
            "partial",
            set(),
            ((REJECTED,), (UNSOUND, Slot())),
            id="what depends on a failure fails, and nothing else",
        ),
        pytest.param(
            plan(GroupPlan((BAD,), policy="continue"), GroupPlan((SEES_FIRST, FAST))),
            "failed",
            {"REFERENCE_FAILED_VALUATION"},
            (),
            id="a group that stops stops at a failed reference too",
        ),
    ],
)
def test_a_request_has_one_ending(
    made: RequestPlan, status: str, codes: set[str], groups: tuple[tuple[Slot, ...], ...]
):
    ending = ending_of(made, mended=False)
    assert (ending.status, ending.codes, ending.groups) == (status, codes, groups)


def test_a_mended_request_succeeds():
    made = plan(GroupPlan((FAST, BAD, BROKEN)))
    assert ending_of(made, mended=True).status == "succeeded"


def test_what_a_client_does_decides_what_is_permitted():
    made = plan(GroupPlan((FAST,)), deadline_ms=500)
    own = ending_of(made, mended=False)
    assert permitted(made, run=1, mended=False, cancelled=True) == [CANCELLED]
    assert permitted(made, run=1, mended=False, cancelled=False) == [own, TOO_LATE]
    assert permitted(made, run=2, mended=False, cancelled=False) == [own]


def test_a_seed_gives_the_same_requests_and_every_kind_of_them():
    plans = [plan_of(1, number) for number in range(400)]
    assert plans == [plan_of(1, number) for number in range(400)]
    assert plans != [plan_of(2, number) for number in range(400)]
    assert {ending_of(one, mended=False).status for one in plans} == {
        "succeeded",
        "partial",
        "failed",
    }
    assert {task.kind for one in plans for group in one.groups for task in group.tasks} == set(Kind)
    for trait in ("key", "copies", "clash", "sync", "cancel_after", "deadline_ms", "mend"):
        assert any(getattr(one, trait) for one in plans), trait
    assert 4 < sum(one.tasks for one in plans) / len(plans) < 12, "two cores must carry them"


# --- what must be noticed ------------------------------------------------------------------------
GOOD = plan(GroupPlan((FAST, FAST)), GroupPlan((SEES_FIRST, FAST)), key="k")


def nonce_of(place: Place) -> str:
    return f"nonce-{place[0]}-{place[1]}"


def result_of(place: Place) -> bytes:
    return f"<valuation><nonce>{nonce_of(place)}</nonce></valuation>".encode()


def standing(made: RequestPlan, place: Place, **more: str) -> str:
    task = made.groups[place[0]].tasks[place[1] - 1]
    facts = {
        "name": name_of(made, task),
        "face": face_of(made.number, place),
        "amount": str(amount_of(made.number, place)),
        "nonce": nonce_of(place),
        "seen": "".join(f'<seen at="{g}-{n}">{nonce_of((g, n))}</seen>' for g, n in task.sees),
        **more,
    }
    return (
        f'<valuation name="{facts["name"]}"><face>{facts["face"]}</face>{facts["seen"]}'
        f"<analytics><amount>{facts['amount']}</amount><nonce>{facts['nonce']}</nonce></analytics>"
        f'<vndb externalId="{place[1]}"/></valuation>'
    )


def response(made: RequestPlan, changed: dict[Place, str] | None = None) -> bytes:
    groups = "".join(
        "<group>{}</group>".format(
            "".join(
                (changed or {}).get((g, n), standing(made, (g, n)))
                for n in range(1, len(group.tasks) + 1)
            )
        )
        for g, group in enumerate(made.groups)
    )
    return (f'<vnml><project expected="{made.tasks}" failed="0">{groups}</project></vnml>').encode()


def seen(made: RequestPlan, **more: object) -> RunSeen:
    counts = tuple((len(group.tasks), len(group.tasks), 0) for group in made.groups)
    run = RunSeen(1, "succeeded", body=response(made), groups=counts, received_ms=1, completed_ms=9)
    return replace(run, **more)


def evidence(made: RequestPlan = GOOD, run: RunSeen | None = None, **more: object) -> Evidence:
    run = run or seen(made)
    kept = {
        (g, n): Kept(b"<task/>", result_of((g, n)))
        for g, group in enumerate(made.groups)
        for n in range(1, len(group.tasks) + 1)
    }
    record = Record(made, request_ids={"id"}, fresh=1, runs={1: run}, final=run, kept_finally=kept)
    for name, value in more.items():
        setattr(record, name, value)
    lines = [
        f"{made.number} {g} {n} 1 99 {nonce_of((g, n))} 1.0"
        for g, group in enumerate(made.groups)
        for n in range(1, len(group.tasks) + 1)
    ]
    return Evidence([record], read_trace(lines), Counter({("id", 1): 1}))


def faults(found: Evidence) -> set[Fault]:
    return {violation.kind for violation in judge(found)}


def test_what_is_right_is_no_violation():
    assert judge(evidence()) == []


def test_the_places_of_a_response_are_those_of_the_document():
    assert document(GOOD).count(b"<valuation ") == GOOD.tasks


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(seen(GOOD, status="failed", code="INTERNAL", body=None), id="other end"),
        pytest.param(seen(GOOD, status="cancelled", body=None), id="cancelled by nobody"),
        pytest.param(seen(GOOD, body=None), id="no response"),
        pytest.param(seen(GOOD, body=b"<vnml"), id="half a response"),
        pytest.param(seen(GOOD, body=response(GOOD, {(0, 2): ""})), id="a task is missing"),
        pytest.param(
            seen(GOOD, body=response(GOOD, {(0, 1): standing(GOOD, (0, 2))})),
            id="a task in another's place",
        ),
        pytest.param(
            seen(GOOD, body=response(GOOD, {(0, 1): standing(GOOD, (0, 1), amount="1")})),
            id="another amount",
        ),
        pytest.param(
            seen(GOOD, body=response(GOOD, {(1, 2): standing(GOOD, (1, 2), nonce="forged")})),
            id="a result of no run",
        ),
        pytest.param(
            seen(GOOD, body=response(GOOD, {(1, 1): standing(GOOD, (1, 1), seen="")})),
            id="what was selected is missing",
        ),
        pytest.param(seen(GOOD, groups=((2, 2, 0), (2, 1, 0))), id="counted wrongly"),
    ],
)
def test_a_planted_loss_is_found(run: RunSeen):
    assert Fault.LOST in faults(evidence(run=run))


def test_a_request_that_does_not_end_is_lost():
    found = evidence(final=None, final_answer="HTTP 404")
    assert faults(found) == {Fault.LOST}


def test_a_submission_that_is_refused_or_never_answered_is_lost():
    found = evidence()
    found.records.append(Record(GOOD, lies=["a submission was refused: HTTP 400"]))
    assert faults(found) == {Fault.LOST}
    found.records[1:] = [Record(GOOD)]
    assert faults(found) == {Fault.LOST}
    found.records[1:] = [Record(replace(GOOD, key=""), unknown=1)]
    assert judge(found) == []


def test_an_end_that_was_never_told_is_lost():
    found = evidence()
    found.terminal_events.clear()
    assert faults(found) == {Fault.LOST}


def test_work_that_is_left_on_a_queue_is_lost():
    found = evidence()
    found.backlog = {"stream:task:dispatch": 1}
    assert faults(found) == {Fault.LOST}


def test_a_request_ended_before_its_deadline_by_its_deadline_is_lost():
    made = replace(GOOD, deadline_ms=500)
    late = seen(made, status="failed", code="REQUEST_DEADLINE_EXCEEDED", body=None)
    assert faults(evidence(made, replace(late, completed_ms=300))) == {Fault.LOST}
    assert faults(evidence(made, replace(late, completed_ms=501))) == set()


def test_a_cancelled_request_that_succeeds_is_lost():
    assert faults(evidence(cancelled=True)) == {Fault.LOST}


def test_a_result_that_was_overwritten_after_it_was_used_is_doubled():
    other = standing(GOOD, (0, 1), nonce="second-run")
    found = evidence(run=seen(GOOD, body=response(GOOD, {(0, 1): other})))
    found.trace.nonces[GOOD.number, (0, 1)].add("second-run")
    assert faults(found) == {Fault.DOUBLED}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"request_ids": {"id", "other"}}, id="two requests for a key"),
        pytest.param({"fresh": 2}, id="accepted anew twice"),
        pytest.param({"oddities": ["the sync answer was another one"]}, id="two answers"),
        pytest.param(
            {"kept": {(0, 1): Kept(b"<task/>", b"<nonce>another</nonce>")}},
            id="a redrive changed a good result",
        ),
    ],
)
def test_a_planted_double_is_found(more: dict[str, object]):
    found = evidence(**more)
    found.terminal_events["other", 1] = 1
    assert faults(found) == {Fault.DOUBLED}


def test_a_run_that_ends_twice_is_doubled():
    found = evidence()
    found.terminal_events["id", 1] += 1
    assert faults(found) == {Fault.DOUBLED}


def test_a_response_that_changes_between_two_reads_is_doubled():
    changed = seen(GOOD, body=response(GOOD).replace(b"<vnml>", b"<vnml >"))
    assert faults(evidence(final=changed)) == {Fault.DOUBLED}


def test_a_redrive_may_lose_the_result_of_a_task_whose_document_changed():
    found = evidence(kept={(0, 1): Kept(b"<other/>", b"<nonce>another</nonce>")})
    assert judge(found) == []


def test_a_result_that_was_overwritten_after_the_response_was_made_is_doubled():
    found = evidence()
    found.records[0].kept_finally[0, 2] = Kept(b"<task/>", b"<nonce>another</nonce>")
    assert faults(found) == {Fault.DOUBLED}


def test_a_result_that_is_gone_is_lost():
    found = evidence()
    del found.records[0].kept_finally[0, 2]
    assert faults(found) == {Fault.LOST}


def test_a_request_that_nobody_sent_is_doubled_and_one_that_was_not_answered_is_not():
    found = evidence()
    found.strangers = {"stranger": "succeeded"}
    assert faults(found) == {Fault.DOUBLED}
    keyless = Record(replace(GOOD, key=""), unknown=1)
    found.records.append(keyless)
    assert faults(found) == set()
    found.strangers = {"stranger": "started"}
    assert faults(found) == {Fault.LOST}


def test_an_innocent_that_was_called_poison_is_counted_apart():
    run = seen(GOOD, status="failed", code="TASK_POISONED", body=None)
    assert faults(evidence(run=run)) == {Fault.POISONED}
    failure = '<failure code="TASK_POISONED" attempts="1"/>'
    changed = standing(GOOD, (0, 2)).replace("<analytics>", f"{failure}<analytics>")
    body = response(GOOD, {(0, 2): changed}).replace(b'failed="0"', b'failed="1"')
    assert faults(evidence(run=seen(GOOD, status="partial", body=body))) == {Fault.POISONED}


def test_what_is_left_or_fell_is_told():
    found = evidence()
    found.survivors, found.fallen = ["process 1"], ["vnas-1"]
    assert faults(found) == {Fault.UNTIDY}


def test_a_trace_knows_how_often_scripts_ran():
    trace: Trace = read_trace(["7 0 1 1 99 a 1.0", "7 0 1 1 98 b 2.0", "7 0 2 1 97 c 2.0"])
    assert (trace.runs, trace.repeated) == (3, 1)
    assert trace.nonces[7, (0, 1)] == {"a", "b"}
