"""Cut expressions apart without understanding them: quotes, brackets, separators, literals.

Pure text; used wherever an expression is split (S2, U3) or a value is put into one (P4).
"""

import re

_OPEN, _CLOSE = "([", ")]"


def split_outside(text: str, separator: str) -> list[str]:
    """Split at each `separator` that is outside brackets, parentheses and quotes.

    ``split_outside("/a[b|c] | 'x|y'", "|")`` gives ``["/a[b|c] ", " 'x|y'"]``.
    """
    if separator not in text:
        return [text]
    parts: list[str] = []
    start = depth = 0
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def closing_parenthesis(text: str, start: int) -> int:
    """Find the parenthesis that closes the one before `start`, outside quotes; -1 if none does."""
    depth = 1
    quote = ""
    for position in range(start, len(text)):
        character = text[position]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position
    return -1


_PIECES = re.compile(r"[^']+|'+")


def xpath_literal(value: str) -> str:
    """Spell a text as an XPath 1.0 expression that gives it, whatever quotes it contains."""
    for quote in "'\"":
        if quote not in value:
            return f"{quote}{value}{quote}"
    spelled = (f'"{piece}"' if "'" in piece else f"'{piece}'" for piece in _PIECES.findall(value))
    return f"concat({', '.join(spelled)})"


LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"")
"""A text in an expression, quotes included."""

_PREFIX = re.compile(r"(?<![\w.:-])([^\W\d][\w.-]*):(?:\*|[^\W\d])")


def without_literals(expression: str) -> str:
    """Empty the literals of an expression."""
    return LITERAL.sub("''", expression)


def prefix_in(expression: str) -> str | None:
    """Give the first namespace prefix that an expression uses, outside literals."""
    if ":" not in expression:
        return None
    found = _PREFIX.search(without_literals(expression))
    return found[1] if found else None
