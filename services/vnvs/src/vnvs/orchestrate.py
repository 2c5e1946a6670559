"""One request under its lease, its groups in order: the table of contents of vnvs.

In comes a request that nobody else may change (`vncore.held`); at the end it is terminal, or in
other hands. Called by `ingest`; the steps are in `steps`.
"""

import asyncio

from vncore.errors import StoreUnavailable, Superseded, VnError
from vncore.failures import Failure
from vncore.held import HeldRequest
from vncore.logs import bound, logger
from vncore.serving import raise_if_cancelled
from vnvs.collect import TasksFailed
from vnvs.report import Stage, failure_report, report_of_tasks
from vnvs.steps import DoneGroup, Steps, Tools

_log = logger("vnvs")


async def orchestrate(request: HeldRequest, tools: Tools) -> None:
    """Bring a request to its end: succeeded, partial, or failed with a report.

    Returns quietly when the request turns out to be in other hands. Raises StoreUnavailable: the
    request can be taken up again by anybody. Cancelled: likewise.
    """
    with bound(_log, request_id=request.request_id, epoch=request.epoch):
        steps = Steps(request, tools)
        try:
            await _to_its_end(steps)
        except Superseded:
            _log.info("request_superseded")
            await steps.withdraw_if_over()


async def give_up(request: HeldRequest, tools: Tools, deliveries: int) -> None:
    """Fail a request that several orchestrators took and none brought to its end."""
    error = VnError(
        "REQUEST_POISONED", f"{deliveries - 1} orchestrators took the request and left it"
    )
    steps = Steps(request, tools)
    try:
        await steps.fail(failure_report(Failure.of(error), Stage.RUN))
    except Superseded:
        _log.info("request_superseded")


async def _to_its_end(steps: Steps) -> None:
    deadline = asyncio.timeout(steps.seconds_left())
    try:
        async with deadline:
            try:
                response = await _value(steps)
            finally:
                await steps.stop_ahead()
        await steps.finish(response)
    except (Superseded, StoreUnavailable):
        raise
    except TasksFailed as err:
        assert steps.group is not None
        failures = steps.failures | {steps.group.index: err.failures}
        await steps.fail(report_of_tasks(failures), failed_group=steps.group.index)
    except VnError as err:
        await steps.fail(failure_report(steps.placed(Failure.of(err)), steps.stage))
    except Exception as err:  # noqa: BLE001 - a request never hangs on a fault of ours
        if deadline.expired():
            error = VnError(
                "REQUEST_DEADLINE_EXCEEDED",
                "the request did not end within the deadline that came with it",
            )
        else:
            _log.exception("orchestrator_crashed")
            error = VnError("INTERNAL", f"a fault in vnvs: {type(err).__name__}")
        await steps.fail(failure_report(steps.placed(Failure.of(error)), steps.stage))


async def _value(steps: Steps) -> bytes:
    """Do everything that is left to do; gives the response in the form in which it is stored."""
    plan = await steps.plan()
    for group in plan.groups:  # in order: a group may use results of those before it
        with bound(_log, group_index=group.index):
            steps.group = group
            done = plan.done.get(group.index)
            if done is None:
                hydrated = await steps.hydrate(plan, group)
                raise_if_cancelled()  # the deadline may have passed in a moment that ate it
                opened = await steps.dispatch(group, hydrated.tasks)
                if (following := plan.open_after(group)) is not None:
                    steps.hydrate_ahead(plan, following)
                failures = await steps.collect(opened)
                done = DoneGroup(len(hydrated.tasks), failures, hydrated.counts)
            await steps.close(done)
    steps.group = None
    return await steps.assemble(plan)
