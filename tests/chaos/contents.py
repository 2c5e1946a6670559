"""Compare a response with its ending, task by task. Pure; called by `judge`.

A response shows more than itself: with the nonces that later tasks selected, which results there
were when those tasks were made.
"""

from collections.abc import Iterator

from lxml import etree

from .document import amount_of, face_of, name_of
from .evidence import RunSeen
from .model import REFERENCE_FAILED, Ending, Slot
from .plan import Place, RequestPlan
from .response import Response, Standing, read_response
from .script import Trace
from .violations import POISON, Kind

Found = Iterator[tuple[Kind, str]]


def judge_response(plan: RequestPlan, seen: RunSeen, ending: Ending, trace: Trace) -> Found:
    """Give the violations of a run that has a response."""
    if seen.body is None:
        yield Kind.LOST, f"run {seen.run} has no response"
        return
    try:
        response = read_response(seen.body)
    except (etree.XMLSyntaxError, ValueError) as err:
        yield Kind.LOST, f"the response cannot be read: {err}"
        return
    sizes = [len(group) for group in response.groups]
    if sizes != [len(group) for group in ending.groups]:
        yield Kind.LOST, f"groups of {sizes} tasks, not {[len(g) for g in ending.groups]}"
        return
    if (response.expected, response.failed) != (str(plan.tasks), str(ending.failed)):
        yield (
            Kind.LOST,
            (
                f"the project counts {response.failed} failed of {response.expected},"
                f" not {ending.failed} of {plan.tasks}"
            ),
        )
    counts = tuple((len(g), sum(not s.has_failed for s in g)) for g in ending.groups)
    if tuple((expected, completed) for expected, completed, _ in seen.groups) != counts:
        yield Kind.LOST, f"the status counts {seen.groups}, not {counts}"
    nonces = response.nonces()
    if len(set(nonces.values())) != len(nonces):
        yield Kind.DOUBLED, "one run of a script stands in two places"
    for place, slot in ending.slots():
        standing = response.groups[place[0]][place[1] - 1]
        yield from _standing(plan, place, slot, standing, trace)
        if slot.code != REFERENCE_FAILED:
            yield from _seen(plan, place, standing, response)


def _standing(
    plan: RequestPlan, place: Place, slot: Slot, standing: Standing, trace: Trace
) -> Found:
    task = plan.groups[place[0]].tasks[place[1] - 1]
    at = shown(place)
    if standing.failure_code in POISON:
        yield Kind.POISONED, f"{at} was given up as poison"
        return
    owner = (standing.name, standing.face, standing.task_number)
    if owner != (name_of(plan, task), face_of(plan.number, place), str(place[1])):
        yield Kind.LOST, f"in the place of {at} stands {owner}"
        return
    if slot.has_failed or standing.failure_code:
        found = (standing.failure_code, standing.failure_attempts or "0")
        if found != (slot.code, str(slot.attempts)):
            yield Kind.LOST, f"{at} tells {found}, not {(slot.code, slot.attempts)}"
        return
    amount = str(amount_of(plan.number, place))
    if standing.amount != amount:
        yield Kind.LOST, f"{at} has the amount {standing.amount!r}, not {amount}"
    if standing.nonce not in trace.nonces[plan.number, place]:
        yield Kind.LOST, f"{at} has a result that no run of its script made: {standing.nonce!r}"


def _seen(plan: RequestPlan, place: Place, standing: Standing, response: Response) -> Found:
    task = plan.groups[place[0]].tasks[place[1] - 1]
    if tuple(at for at, _ in standing.seen) != task.sees:
        yield Kind.LOST, f"{shown(place)} lacks what it selected"
        return
    nonces = response.nonces()
    for at, nonce in standing.seen:
        if nonces.get(at) != nonce:
            yield (
                Kind.DOUBLED,
                (
                    f"{shown(at)} has two results: {shown(place)} saw {nonce},"
                    f" the response has {nonces.get(at)}"
                ),
            )


def shown(place: Place) -> str:
    """Name a task."""
    return f"task {place[1]} of group {place[0]}"
