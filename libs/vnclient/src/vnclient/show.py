"""How the ``vn`` command shows things to people: progress, status and failure reports.

Everything from outside (messages, names, a script's stderr) goes through `plain`: no markup of it
is read, and no control character of it reaches the terminal.
"""

import sys
from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from vnclient.answers import Failure, GroupStatus, Status

_TASKS_SHOWN = 10
_WIDTH_OF_FILES = 140


def output() -> Console:
    """The console on standard output; wide enough for tables when it is a file."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_FILES)
    return console


def notes() -> Console:
    """The console on standard error, where everything that is not the answer goes."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
    return console


def plain(text: object, style: str = "") -> Text:
    """Give a text from outside as it may be shown."""
    kept = "".join(
        sign if sign.isprintable() or sign in "\n\t" else _escaped(ord(sign)) for sign in str(text)
    )
    return Text(kept, style)


def raw(document: bytes) -> None:
    """Write a document to standard output, byte for byte, with a line's end."""
    sys.stdout.buffer.write(document if document.endswith(b"\n") else document + b"\n")
    sys.stdout.buffer.flush()


class GroupProgress:
    """Live progress of one request by group: bars on a terminal, a line per tenth elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._tasks: dict[int, TaskID] = {}
        self._told: dict[int, tuple[int, int]] = {}  # tenths done and failures, by group

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, status: Status) -> None:
        """Show what is new in a status."""
        for group in status.groups:
            if self._bars is None:
                self._tell(group, status.group_count)
            else:
                self._draw(self._bars, group)

    def _draw(self, bars: Progress, group: GroupStatus) -> None:
        if group.index not in self._tasks:
            self._tasks[group.index] = bars.add_task(
                plain(group.name or f"group {group.index + 1}").plain, total=None, state=""
            )
        failed = f"{group.failed} failed" if group.failed else ""
        bars.update(
            self._tasks[group.index],
            total=group.expected or (1 if group.status.endswith("completed") else None),
            completed=group.completed or (1 if _is_empty_and_done(group) else 0),
            state=failed or group.status,
        )

    def _tell(self, group: GroupStatus, group_count: int) -> None:
        if not group.expected and not _is_empty_and_done(group):
            return
        tenths = 10 * group.completed // group.expected if group.expected else 10
        if self._told.get(group.index) == (tenths, group.failed):
            return
        self._told[group.index] = (tenths, group.failed)
        failed = f", {group.failed} failed" if group.failed else ""
        self._console.print(
            plain(
                f"group {group.index + 1}/{group_count} {group.name}: "
                f"{group.completed} of {group.expected}{failed}"
            )
        )


def status_table(status: Status) -> Iterable[Text | Table]:
    """Lay a status out for people."""
    run = f"  (run {status.run})" if status.run > 1 else ""
    yield plain(f"{status.request_id}  {status.status}{run}", "bold")
    for name, moment in (
        ("received", status.received_at),
        ("started", status.started_at),
        ("completed", status.completed_at),
        ("deadline", status.deadline_at),
    ):
        if moment is not None:
            yield Text(f"{name:<10} {_time(moment)}", "dim")
    if status.on_failure is not None:
        yield plain(f"{'on failure':<10} {status.on_failure}", "dim")
    if status.groups:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("#", "group", "status"):
            table.add_column(heading)
        for heading in ("tasks", "completed", "failed"):
            table.add_column(heading, justify="right")
        for group in status.groups:
            table.add_row(
                str(group.index + 1),
                plain(group.name),
                plain(group.status),
                str(group.expected),
                str(group.completed),
                str(group.failed),
            )
        yield table


def failure_report(failure: Failure) -> Iterable[Text]:
    """Lay a failure report out: what, where, what was tried, what the script said."""
    rule = f", rule {failure.rule}" if failure.rule else ""
    kind = f" ({failure.category}{rule})" if failure.category else ""
    yield plain(f"{failure.code}{kind}: {failure.message}", "bold red")
    yield from _facts(failure, "  ")
    told = (failure.group_index, failure.task)  # the report speaks for its first failed task
    shown = [task for task in failure.tasks if (task.group_index, task.task) != told]
    for task in shown[:_TASKS_SHOWN]:
        yield plain(f"  task {task.task or '?'}: {task.code}: {task.message}", "red")
        yield from _facts(task, "    ")
    if len(shown) > _TASKS_SHOWN:
        yield Text(f"  … and {len(shown) - _TASKS_SHOWN} more failed tasks: see --json")


def _facts(failure: Failure, indent: str) -> Iterable[Text]:
    group = failure.group
    if failure.group_index is not None:
        group = f"{group or ''} (number {failure.group_index + 1})".strip()
    line = failure.line if failure.column is None else f"{failure.line}, column {failure.column}"
    for name, value in (
        ("stage", failure.stage),
        ("group", group),
        ("valuation", failure.valuation),
        ("task", failure.task),
        ("attempts", failure.attempts),
        ("exit", failure.exit_status),
        ("element", failure.element),
        ("line", line),
        ("expression", failure.expression),
        ("uri", failure.uri),
    ):
        if value is not None:
            yield plain(f"{indent}{name:<10} {value}")
    stderr = failure.stderr.strip()
    if stderr:
        yield plain(f"{indent}stderr")
        for said in stderr.splitlines():
            yield plain(f"{indent}| {said}", "dim")


def _is_empty_and_done(group: GroupStatus) -> bool:
    return not group.expected and group.status.endswith("completed")


def _escaped(number: int) -> str:
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _time(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="milliseconds")
