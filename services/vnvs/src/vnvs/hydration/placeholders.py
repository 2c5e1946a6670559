"""Placeholders ``${select(…)}`` in attribute values (VNML P1-P5): find them and put values in.

Knows text only; what an expression gives is asked of the `evaluate` that is handed in.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vncore.errors import HydrationFailed
from vnvs.hydration.lexical import closing_parenthesis, xpath_literal

START = "${select("
MAX_NESTING = 8

Evaluate = Callable[[str], str]
"""The expression of a placeholder to its one value (P2); raises HydrationFailed."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where one placeholder stands in a text, and its expression."""

    start: int
    end: int  # behind the brace
    expression: str  # as written, blanks included


def placeholder_at(text: str, start: int) -> Placeholder | None:
    """Read the placeholder that starts at `start`; None where it is not terminated (P1)."""
    inside = start + len(START)
    close = closing_parenthesis(text, inside)
    if close < 0 or text[close + 1 : close + 2] != "}":
        return None
    return Placeholder(start, close + 2, text[inside:close])


def placeholders(text: str) -> Iterator[Placeholder]:
    """Find the placeholders of a text in order; text that is not terminated is literal."""
    position = text.find(START)
    while position >= 0:
        found = placeholder_at(text, position)
        if found:
            yield found
        position = text.find(START, found.end if found else position + len(START))


def has_placeholder(text: str) -> bool:
    """Tell whether a text holds at least one placeholder."""
    return START in text and next(placeholders(text), None) is not None


def expand_text(text: str, evaluate: Evaluate) -> str:
    """Replace each placeholder by its value, text around them kept; a value is never scanned (P3).

    ``"${select(./@ccy)}-${select(./@id)}"`` gives ``"USD-7"``.
    """
    pieces: list[str] = []
    position = 0
    for found in placeholders(text):
        value = evaluate(_inner(found.expression, evaluate, 1))
        pieces += [text[position : found.start], value]
        position = found.end
    return "".join([*pieces, text[position:]])


def expand_expression(text: str, evaluate: Evaluate, nesting: int = 0) -> str:
    """Replace each placeholder of an XPath expression (P4).

    Inside a literal the value becomes part of the literal, spelled safely whatever quotes it
    contains; elsewhere it is put in as it is, so that it can be a path.
    ``"/a[@n='M-${select(./@n)}']"`` with the value ``it's`` gives ``/a[@n="M-it's"]``.
    """
    if not has_placeholder(text):
        return text
    pieces: list[str] = []
    position = 0
    while position < len(text):
        if text[position] in "'\"":
            spelled, position = _literal(text, position, evaluate, nesting)
            pieces.append(spelled)
            continue
        found = placeholder_at(text, position) if text.startswith(START, position) else None
        if found:
            pieces.append(evaluate(_inner(found.expression, evaluate, nesting + 1)))
            position = found.end
        else:
            upto = _EXPRESSION_STOP.search(text, position + 1)
            pieces.append(text[position : upto.start() if upto else len(text)])
            position += len(pieces[-1])
    return "".join(pieces)


_EXPRESSION_STOP = re.compile(r"['\"]|" + re.escape(START))


def _literal(text: str, start: int, evaluate: Evaluate, nesting: int) -> tuple[str, int]:
    """Spell the literal that starts at `start` with its placeholders expanded; and where it ends.

    A placeholder inside is read by its own quotes: ``'M-${select(x[@y='z'])}'`` is one literal.
    """
    quote = text[start]
    pieces: list[str] = []
    position = start + 1
    expanded = False
    while position < len(text) and text[position] != quote:
        found = placeholder_at(text, position) if text.startswith(START, position) else None
        if found:
            pieces.append(evaluate(_inner(found.expression, evaluate, nesting + 1)))
            position, expanded = found.end, True
        else:
            pieces.append(text[position])
            position += 1
    if position == len(text) and not expanded:
        return text[start:], position  # no closing quote: the XPath compiler will tell
    value = "".join(pieces)
    return (xpath_literal(value) if expanded else f"{quote}{value}{quote}"), position + 1


def _inner(expression: str, evaluate: Evaluate, nesting: int) -> str:
    if nesting > MAX_NESTING:
        raise HydrationFailed(
            "XPATH_LIMIT", f"placeholders are nested deeper than {MAX_NESTING}", rule="P4"
        )
    return expand_expression(expression, evaluate, nesting).strip()
