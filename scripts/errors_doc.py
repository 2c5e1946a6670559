"""Write docs/ERRORS.md from the one table of codes, or check that it is current.

    errors_doc.py            rewrite the page
    errors_doc.py --check    change nothing; exit status 1 when the page is outdated

Called by ``make docs``, ``make test`` and `tests/house`.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from vncore.codes import CODES, Category, ErrorCode

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ERRORS.md"

_MEANING = {
    Category.DOCUMENT: "The bytes, the shape or the parameters of what the client sent.",
    Category.REFERENCE: "A reference or variable of the document: `href`, `select`, `use`, `${…}`.",
    Category.DATA: "Well-formed and complete, but it cannot be priced.",
    Category.SCRIPT: "The valuation script failed or answered nonsense.",
    Category.TIMEOUT: "Something took longer than its limit.",
    Category.CAPACITY: "A limit of size or number. Nothing is cut silently: it is refused.",
    Category.POISON: "The task ends its workers.",
    Category.INTERNAL: "VN or its platform is at fault.",
}

_HEAD = """\
<!-- Written by `make docs` from libs/vncore/src/vncore/codes.py: change that one. -->

# Errors

Match on the code: once published it keeps its meaning, whereas the wording of a message may change.
A code stands in the `code` of a problem document (`application/problem+json`), of a request's
failure report and of a failed task; beside it stand the category, the rule of the document that was
broken and the place (line and column, XPath, expression, group, valuation, task), as far as known.

*HTTP* is the status of an answer that is about the error itself. A request that was accepted and
failed later answers 422 on its results and 500 when it was awaited with `sync=Y`, with the same
report in both; one that was cancelled answers 422 in both. *Retried*: whether the same attempt may
succeed later; such a task gets up to `MAX_TASK_RETRIES` attempts, such a call may be repeated as it
is.
"""


def page(codes: Iterable[ErrorCode]) -> str:
    """Render the table of codes as Markdown, one section for each category in use."""
    rows = list(codes)
    sections = [
        _section(category, mine)
        for category in Category
        if (mine := [row for row in rows if row.category is category])
    ]
    return "\n".join([_HEAD, *sections])


def _section(category: Category, rows: Sequence[ErrorCode]) -> str:
    lines = [
        f"## {category.value}",
        "",
        _MEANING[category],
        "",
        "| code | HTTP | retried | cause | cure |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        retried = "yes" if row.retryable else "no"
        cells = (f"`{row.name}`", str(row.http_status), retried, row.cause, row.cure)
        lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/ERRORS.md from vncore.codes.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail when outdated")
    parser.add_argument("--page", type=Path, default=PAGE, help="another file than docs/ERRORS.md")
    options = parser.parse_args(arguments)
    current = page(CODES.values())
    if not options.check:
        options.page.write_text(current, encoding="utf-8")
        return 0
    if options.page.exists() and options.page.read_text(encoding="utf-8") == current:
        return 0
    sys.stderr.write(f"{options.page} is not what vncore/codes.py says; run: make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
