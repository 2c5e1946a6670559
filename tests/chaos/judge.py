"""Compare what was seen with what must be. Pure: evidence in, violations out.

*lost* is a request that is not where its client may expect it: not ended, unknown, ended otherwise
than the model permits, with missing, wrong or disordered tasks. *doubled* is a thing that happened
twice and may happen once: a request for a key, a result of a task, an end of a run.
"""

from collections.abc import Iterator

from lxml import etree

from .contents import Found, judge_response, shown
from .evidence import TERMINAL, Evidence, Record, RunSeen
from .model import CANCELLED, TOO_LATE, permitted
from .plan import Place, RequestPlan
from .response import read_response
from .script import Trace
from .violations import POISON, Kind, Violation

_CLOCK_MS = 5  # times are told in milliseconds, and rounded


def judge(evidence: Evidence) -> list[Violation]:
    """Give every violation."""
    found: list[Violation] = []
    for record in evidence.records:
        found += judge_record(record, evidence)
    found += _strangers(evidence)
    left = {name: length for name, length in evidence.backlog.items() if length}
    if left:
        found.append(Violation(Kind.LOST, "", None, f"work is left that nobody does: {left}"))
    for what in (*evidence.fallen, *evidence.survivors):
        found.append(Violation(Kind.UNTIDY, "", None, what))
    return found


def judge_record(record: Record, evidence: Evidence) -> list[Violation]:
    """Give the violations of one request."""
    return [
        Violation(kind, _id_of(record), record.plan.number, what)
        for kind, what in _about(record, evidence)
    ]


def _about(record: Record, evidence: Evidence) -> Found:
    for what in record.lies:
        yield Kind.LOST, what
    if not record.accepted:
        if record.plan.key and not record.lies:
            yield Kind.LOST, "its submission was never answered, however often it was sent"
        return
    ids = sorted(record.request_ids)
    if len(ids) > 1:
        yield Kind.DOUBLED, f"one key, several requests: {', '.join(ids)}"
    if record.fresh > 1:
        yield Kind.DOUBLED, f"{record.fresh} submissions by one key were called the first"
    for what in record.oddities:
        yield Kind.DOUBLED, what
    if record.final is None:
        yield Kind.LOST, f"it has not ended: {record.final_answer}"
    for run, seen in sorted(record.runs.items()):
        yield from _run(record, seen, evidence.trace)
        for request_id in ids:
            told = evidence.terminal_events[request_id, run]
            if told > 1:
                yield Kind.DOUBLED, f"run {run} ended {told} times on the lifecycle stream"
            if told == 0:
                yield Kind.LOST, f"the end of run {run} is not on the lifecycle stream"
    if record.final is not None:
        earlier = record.runs.get(record.final.run)
        if earlier is not None and earlier != record.final:
            yield Kind.DOUBLED, f"run {earlier.run} reads otherwise now: {_change(record)}"
    yield from _kept(record)
    for place, before in record.kept.items():
        now = record.kept_finally.get(place)
        same_document = now is not None and now.document == before.document
        if before.result is not None and same_document and now.result != before.result:
            yield Kind.DOUBLED, f"redrive changed the result of {shown(place)}"


def _kept(record: Record) -> Found:
    """See that what the server keeps of each task is what the response has of it."""
    if record.final is None or record.final.body is None:
        return
    for place, nonce in _readable_nonces(record.final.body).items():
        kept = record.kept_finally.get(place)
        result = kept.result if kept is not None else None
        if result is None:
            yield Kind.LOST, f"the result of {shown(place)} is not kept"
        elif f"<nonce>{nonce}</nonce>".encode() not in result:
            yield Kind.DOUBLED, f"{shown(place)} has one result in the response, another is kept"


def _readable_nonces(body: bytes) -> dict[Place, str]:
    try:
        return read_response(body).nonces()
    except (etree.XMLSyntaxError, ValueError):  # told elsewhere
        return {}


def _run(record: Record, seen: RunSeen, trace: Trace) -> Found:
    """Judge how one run ended."""
    plan, run = record.plan, seen.run
    endings = permitted(
        plan,
        run=run,
        mended=record.mended(run),
        cancelled=record.cancelled and run == 1,
    )
    if record.stray_cancel and run > 1:
        endings.append(CANCELLED)
    if TOO_LATE in endings and not _reached_deadline(plan, seen):
        endings.remove(TOO_LATE)
    told = f"run {run} ended {seen.status}{f' ({seen.code})' if seen.code else ''}"
    if seen.code in POISON:
        yield Kind.POISONED, told
        return
    fitting = [ending for ending in endings if ending.status == seen.status]
    if not fitting:
        # A tolerated task that was poisoned makes a partial of what should have succeeded.
        poisoned = seen.body is not None and any(code.encode() in seen.body for code in POISON)
        expected = " or ".join(ending.status for ending in endings)
        yield Kind.POISONED if poisoned else Kind.LOST, f"{told}; it must be {expected}"
        return
    if seen.status == "failed":
        codes = frozenset[str]().union(*(ending.codes for ending in fitting))
        if seen.code not in codes:
            yield Kind.LOST, f"{told}; its report must tell {' or '.join(sorted(codes))}"
    elif seen.status in {"succeeded", "partial"}:
        yield from judge_response(plan, seen, fitting[0], trace)


def _reached_deadline(plan: RequestPlan, seen: RunSeen) -> bool:
    assert plan.deadline_ms is not None
    return seen.completed_ms >= seen.received_ms + plan.deadline_ms - _CLOCK_MS


def _strangers(evidence: Evidence) -> Iterator[Violation]:
    """Judge requests that no client was told of: submissions without a key that were not answered.

    They are accepted all the same as soon as they are in, so they must end; and there may be no
    more of them than there were such submissions.
    """
    keyless = [record for record in evidence.records if not record.plan.key]
    unknown = sum(record.unknown + len(record.doubtful_ids) for record in keyless)
    strangers = evidence.strangers
    if len(strangers) > unknown:
        what = f"{len(strangers)} requests that nobody was told of, {unknown} unanswered calls"
        yield Violation(Kind.DOUBLED, "", None, what)
    for request_id, status in strangers.items():
        if status not in TERMINAL:
            yield Violation(Kind.LOST, request_id, None, f"not ended: {status}")


def _change(record: Record) -> str:
    assert record.final is not None
    then, now = record.runs[record.final.run], record.final
    names = [name for name in then.__slots__ if getattr(then, name) != getattr(now, name)]
    return ", ".join(names)


def _id_of(record: Record) -> str:
    return min(record.request_ids, default="")
