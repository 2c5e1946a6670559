"""How many tasks share a dispatch entry, by how long tasks of their kinds took."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vncore.failure_policy import STOP
from vncore.ids import TaskId
from vnvs import dispatch, durations
from vnvs.dispatch import OpenGroup
from vnvs.durations import Durations

SLICE_SECONDS = 0.02

seconds = st.floats(0, 10, allow_nan=False)
learned = st.dictionaries(st.sampled_from("abc"), st.lists(seconds, min_size=1, max_size=9))


def having_seen(taken: dict[str, list[float]]) -> Durations:
    known = Durations(SLICE_SECONDS)
    for kind, times in taken.items():
        for one in times:
            known.learn(kind, one)
    return known


@pytest.mark.parametrize(
    ("taken", "tasks", "workers", "shared"),
    [
        pytest.param({}, 1_000, 1, 1, id="nothing is known"),
        pytest.param({"bond": [0.001]}, 1_000, 1, 20, id="a new kind is like those known"),
        pytest.param({"bond": [0.001], "cap": [1.0]}, 1_000, 1, 1, id="like the longest of them"),
        pytest.param({"bond": [0.002], "swap": [0.001]}, 1_000, 1, 10, id="the longer kind counts"),
        pytest.param({"bond": [0.02], "swap": [0.0]}, 1_000, 1, 1, id="as long as a slice may be"),
        pytest.param({"bond": [5.0], "swap": [0.0]}, 1_000, 1, 1, id="longer than a slice"),
        pytest.param({"bond": [0.0], "swap": [0.0]}, 1_000, 1, 64, id="no time at all"),
        pytest.param({"bond": [0.002], "swap": [0.0]}, 8, 2, 2, id="two entries for each worker"),
        pytest.param({"bond": [0.002], "swap": [0.0]}, 9, 2, 3, id="and not one more"),
        pytest.param({"bond": [0.002], "swap": [0.0]}, 4, 50, 1, id="more workers than tasks"),
        pytest.param({"bond": [0.0005], "swap": [0.0]}, 9, 50, 4, id="too little for an entry"),
    ],
)
def test_short_tasks_share_entries(
    taken: dict[str, list[float]], tasks: int, workers: int, shared: int
):
    assert having_seen(taken).slice_tasks({"bond", "swap"}, tasks, workers) == shared


def test_one_long_task_counts_at_once_and_is_forgotten_slowly():
    known = having_seen({"bond": [0.001] * 50})
    assert known.slice_tasks({"bond"}, 1_000, 1) == 20
    known.learn("bond", 0.5)
    assert known.slice_tasks({"bond"}, 1_000, 1) == 1
    for _ in range(20):
        known.learn("bond", 0.001)
    assert known.slice_tasks({"bond"}, 1_000, 1) == 1
    for _ in range(60):
        known.learn("bond", 0.001)
    assert known.slice_tasks({"bond"}, 1_000, 1) > 10


def test_a_group_without_tasks_is_no_special_case():
    assert having_seen({"bond": [0.001]}).slice_tasks(set(), 0, 4) >= 1


def test_a_desk_may_let_entries_carry_more_work_or_one_task_each():
    for seconds, shared in ((1.0, 50), (0.0, 1)):
        known = Durations(seconds)
        known.learn("bond", 0.02)
        assert known.slice_tasks({"bond"}, 1_000, 1) == shared


def test_what_is_learned_of_one_kind_says_nothing_of_another():
    known = having_seen({"bond": [0.001] * 9, "swap": [1.0]})
    assert known.slice_tasks({"bond"}, 1_000, 1) == 20


def test_of_many_kinds_the_one_that_was_not_seen_for_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(durations, "_MOST_KINDS", 2)
    known = having_seen({"bond": [0.001], "swap": [0.5]})
    known.learn("bond", 0.001)
    known.learn("cap", 0.001)
    shared = {kind: known.slice_tasks({kind}, 1_000, 1) for kind in ("bond", "swap", "cap")}
    assert shared == {"bond": 20, "swap": 20, "cap": 20}


@given(
    learned,
    st.sets(st.sampled_from("abcd"), min_size=1),
    st.integers(0, 60_000),
    st.integers(1, 500),
)
def test_no_entry_carries_more_work_than_a_slice_may_as_far_as_is_known(
    taken: dict[str, list[float]], kinds: set[str], tasks: int, workers: int
):
    shared = having_seen(taken).slice_tasks(kinds, tasks, workers)
    assert 1 <= shared <= 64
    if not taken:
        assert shared == 1
        return
    seen = taken.keys() if kinds - taken.keys() else kinds  # a new kind is like the longest
    longest = max(taken[kind][-1] for kind in seen)  # what is typical is no less
    assert shared == 1 or shared * longest <= SLICE_SECONDS * (1 + 1e-9)
    if shared * max(longest, 0.00025) > 0.002 * (1 + 1e-9):  # worth an entry
        assert shared <= max(1, math.ceil(tasks / (2 * workers)))


# --- kinds ----------------------------------------------------------------------------------------


def group(names: list[str]) -> OpenGroup:
    tasks = {TaskId(number): name for number, name in enumerate(names, start=1)}
    return OpenGroup(0, "desk", STOP, tasks)


def test_tasks_of_one_name_are_of_one_kind():
    opened = group(["bond", "swap", "bond"])
    assert opened.kinds == {"bond", "swap"}
    assert [opened.kind_of(TaskId(task)) for task in (1, 2, 3)] == ["bond", "swap", "bond"]


def test_tasks_that_are_all_called_differently_are_of_their_groups_kind():
    opened = group([f"trade-{number}" for number in range(65)])
    assert opened.kinds == {"desk"}
    assert {opened.kind_of(TaskId(task)) for task in range(1, 66)} == {"desk"}


def test_an_empty_group_has_no_kinds():
    assert group([]).kinds == frozenset()
    assert Durations().slice_tasks(group([]).kinds, 0, 1) >= 1


@given(st.lists(st.text(max_size=3), max_size=90))
def test_every_task_is_of_one_of_the_kinds(names: list[str]):
    opened = group(names)
    assert {opened.kind_of(task) for task in opened.valuations} == opened.kinds or not names
    assert len(opened.kinds) <= dispatch._MOST_KINDS
