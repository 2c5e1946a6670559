"""A plan as a VNML document.

A task's document names its request and place (`face`), and holds the nonces of the earlier results
that it selects (`seen`); the script echoes both. So a response shows which run of each script its
results came from, and which run later groups were given.

    <valuation name="slow-0.30-12"><face>12-1-3</face>
      <seen at="0-2" select="/vnml/project/group[1]/valuation[2]/analytics/nonce/text()"/>
      <analytics><amount>@</amount><nonce>@</nonce></analytics></valuation>
"""

from .plan import GroupPlan, Place, RequestPlan, TaskPlan

BLANKS = "<amount>@</amount><nonce>@</nonce>"
"""What the script fills in."""


def document(plan: RequestPlan) -> bytes:
    """Write the request."""
    portfolios, groups = [], []
    for index, group in enumerate(plan.groups):
        if group.linked:
            portfolios.append(_portfolio(plan, index, group))
            written = _linked(plan, index, group.tasks[0])
        else:
            numbered = enumerate(group.tasks, start=1)
            written = "".join(_valuation(plan, (index, number), task) for number, task in numbered)
        policy = f' onFailure="{group.policy}"' if group.policy else ""
        groups.append(f'<group name="G{index}"{policy}>{written}</group>')
    body = "".join((*portfolios, *groups))
    return f"<vnml><project>{body}</project></vnml>".encode()


def name_of(plan: RequestPlan, task: TaskPlan) -> str:
    """Give the name of a task's valuation, which tells the script what to do."""
    return f"{task.kind}-{task.param}-{plan.number}"


def face_of(number: int, place: Place) -> str:
    """Give the text by which a valuation says whose it is."""
    return f"{number}-{place[0]}-{place[1]}"


def amount_of(number: int, place: Place) -> int:
    """Give the number that the script makes of what its environment says."""
    return number * 100_000 + place[0] * 1_000 + place[1]


def _valuation(plan: RequestPlan, place: Place, task: TaskPlan) -> str:
    face = f"<face>{face_of(plan.number, place)}</face>"
    return (
        f'<valuation name="{name_of(plan, task)}">{face}{_seen(task)}'
        f"<analytics>{BLANKS}</analytics></valuation>"
    )


def _linked(plan: RequestPlan, index: int, task: TaskPlan) -> str:
    source = f"/vnml/project/portfolio[@name='P{index}']"
    return (
        f'<valuation name="{name_of(plan, task)}" use="vn:link({source}, instrument)">'
        f'<face select="./@face"/>{_seen(task)}<analytics>{BLANKS}</analytics></valuation>'
    )


def _portfolio(plan: RequestPlan, index: int, group: GroupPlan) -> str:
    faces = (face_of(plan.number, (index, n)) for n in range(1, len(group.tasks) + 1))
    instruments = "".join(f'<instrument face="{face}"/>' for face in faces)
    return f'<portfolio name="P{index}">{instruments}</portfolio>'


def _seen(task: TaskPlan) -> str:
    return "".join(
        f'<seen at="{group}-{number}" select="/vnml/project/group[{group + 1}]'
        f'/valuation[{number}]/analytics/nonce/text()"/>'
        for group, number in task.sees
    )
