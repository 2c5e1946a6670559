"""Progress and texts from outside, as a person at a terminal sees them."""

import io

import pytest
from rich.console import Console

from vnclient import show
from vnclient.answers import GroupStatus, Status


def status(*groups: GroupStatus) -> Status:
    return Status("id", "group_started", 0, len(groups), groups, None, None, None, None)


def drawn(*statuses: Status) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with show.GroupProgress(console) as progress:
        for one in statuses:
            progress.show(one)
    return file.getvalue()


def test_a_terminal_gets_a_bar_for_each_group() -> None:
    shown = drawn(
        status(GroupStatus(0, "curves", "completed", 3, 3, 0)),
        status(
            GroupStatus(0, "curves", "completed", 3, 3, 0),
            GroupStatus(1, "[red]bonds[/red]", "started", 25, 7, 2),
        ),
    )
    assert "curves" in shown
    assert "3/3" in shown
    assert "[red]bonds[/red]" in shown
    assert "7/25" in shown
    assert "2 failed" in shown


def test_an_empty_group_is_drawn_as_done() -> None:
    assert "1/1" in drawn(status(GroupStatus(0, "none", "completed", 0, 0, 0)))


def test_a_file_gets_a_line_per_tenth_and_per_failure() -> None:
    file = io.StringIO()
    with show.GroupProgress(Console(file=file, width=100)) as progress:
        for completed in range(1001):
            progress.show(status(GroupStatus(0, "book", "started", 1000, completed, 0)))
        progress.show(status(GroupStatus(0, "book", "started", 1000, 1000, 3)))
    lines = file.getvalue().splitlines()
    assert lines[0] == "group 1/1 book: 0 of 1000"
    assert lines[1] == "group 1/1 book: 100 of 1000"
    assert lines[-2:] == ["group 1/1 book: 1000 of 1000", "group 1/1 book: 1000 of 1000, 3 failed"]
    assert len(lines) == 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain é €", "plain é €", id="letters"),
        pytest.param("\x1b[2Jgone", "\\x1b[2Jgone", id="escape"),
        pytest.param("a\rb\x00\x07", "a\\x0db\\x00\\x07", id="controls"),
        pytest.param("\u202eevil", "\\u202eevil", id="direction override"),
        pytest.param("two\nlines\tand tab", "two\nlines\tand tab", id="layout stays"),
        pytest.param("[bold]x[/bold]", "[bold]x[/bold]", id="markup is text"),
    ],
)
def test_a_text_from_outside_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert show.plain(text).plain == shown
