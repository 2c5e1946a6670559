"""The mix of requests: from a seed and a number, always the same plan.

Mostly small, so that two cores carry several requests a second with a process for each task; one in
a few is large, slow, failing, cancelled, late, doubled or run again.
"""

from random import Random

from .plan import GroupPlan, Kind, Place, RequestPlan, TaskPlan

_FLAVOURS = ("plain", "slow", "flaky", "bad", "broken")
_FLAVOUR_WEIGHTS = (46, 14, 12, 20, 8)
_MOST_SEEN = 3  # earlier results that one task selects
_LONG_DEADLINE_MS = 3_600_000  # never reached: it must change nothing


def plan_of(seed: int | str, number: int) -> RequestPlan:
    """Make the plan of request `number`."""
    draw = Random(f"{seed}:request:{number}")
    flavour = draw.choices(_FLAVOURS, _FLAVOUR_WEIGHTS)[0]
    failing = flavour in {"bad", "broken"}
    groups: list[GroupPlan] = []
    for _ in range(draw.choices((1, 2, 3, 4), (45, 30, 15, 10))[0]):
        groups.append(_group(draw, flavour, groups))
    key = f"chaos-{seed}-{number}" if draw.random() < 0.75 else ""
    has_copies = bool(key) and draw.random() < 0.25
    cancelled = draw.random() < 0.08
    return RequestPlan(
        number=number,
        groups=tuple(groups),
        on_failure=_policy(draw) if failing and draw.random() < 0.5 else "",
        key=key,
        copies=tuple(draw.uniform(0, 4) for _ in range(draw.randint(1, 3))) if has_copies else (),
        clash=bool(key) and draw.random() < 0.05,
        sync=draw.random() < 0.12,
        cancel_after=draw.uniform(0, 3) if cancelled else None,
        deadline_ms=_deadline_ms(draw) if draw.random() < 0.08 else None,
        redrive=draw.random() < 0.5,
        mend=draw.random() < 0.6,
    )


def _group(draw: Random, flavour: str, earlier: list[GroupPlan]) -> GroupPlan:
    size = _size(draw)
    places = [(g, t) for g, group in enumerate(earlier) for t in range(1, len(group.tasks) + 1)]
    linked = draw.random() < 0.25 and flavour in {"plain", "slow"}
    if linked:
        task = TaskPlan(*_ordinary(draw, flavour), sees=_seen(draw, places))
        return GroupPlan((task,) * size, linked=True)
    tasks = [TaskPlan(*_ordinary(draw, flavour), sees=_seen(draw, places)) for _ in range(size)]
    if flavour in {"bad", "broken"} and draw.random() < 0.7:
        for index in draw.sample(range(size), min(size, draw.randint(1, 2))):
            tasks[index] = TaskPlan(Kind(flavour), sees=tasks[index].sees)
    policy = ""
    if flavour in {"bad", "broken"} and draw.random() < 0.5:
        policy = _policy(draw)
    return GroupPlan(tuple(tasks), policy=policy)


def _size(draw: Random) -> int:
    low, high = draw.choices(((1, 3), (4, 8), (9, 30)), (66, 28, 6))[0]
    return draw.randint(low, high)


def _ordinary(draw: Random, flavour: str) -> tuple[Kind, str]:
    if draw.random() < (0.5 if flavour == "slow" else 0.15):
        return Kind.SLOW, f"{draw.uniform(0.1, 1.0):.2f}"
    if flavour == "flaky" and draw.random() < 0.3:
        return Kind.FLAKY, str(draw.randint(1, 2))
    return Kind.FAST, "0"


def _seen(draw: Random, places: list[Place]) -> tuple[Place, ...]:
    return tuple(draw.sample(places, min(len(places), draw.randint(1, _MOST_SEEN))))


def _policy(draw: Random) -> str:
    return draw.choice(("stop", "continue", "continue", "tolerate:1", "tolerate:3", "tolerate:50%"))


def _deadline_ms(draw: Random) -> int:
    return draw.choice((_LONG_DEADLINE_MS, draw.randint(200, 5_000)))
