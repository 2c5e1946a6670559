"""The ``vn:`` functions (VNML U1-U5, S3): one registry, one small function each.

A new one is a function decorated with `link_function`; it is then known in ``select`` and, if it
gives elements, in ``use``. What it needs of the document it asks of the `Evaluation` it is handed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from vncore.errors import HydrationFailed
from vnvs.hydration.lexical import closing_parenthesis, split_outside
from vnvs.hydration.nodes import Element, Node

PREFIX = "vn"
_CALL = re.compile(r"\s*([^\W\d][\w.-]*)\s*:\s*([^\W\d][\w.-]*)\s*\(")


class Evaluation(Protocol):
    """What a function may ask for."""

    @property
    def received(self) -> date:
        """The day on which the request was received."""

    def nodes(self, expression: str, limit: int, *, complete: bool = False) -> list[Node]:
        """Give the nodes of a path on the document or the context (S1).

        With `complete` each of them counts, and none may be missing because a valuation failed
        (F3).
        """

    def nodes_below(
        self, source: Element, expression: str, limit: int, *, complete: bool = False
    ) -> list[Node]:
        """Give the nodes of a path that is relative to `source`."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What a function gave: a node, and whether it replaces the local element unmerged (S3)."""

    node: Node


Select = Callable[[Sequence[str], Evaluation], Linked]
Contexts = Callable[[Sequence[str], Evaluation, int], list[list[Node]]]
"""Arguments to the linked elements, source by source."""


@dataclass(frozen=True, slots=True)
class LinkFunction:
    """A function of the ``vn`` prefix."""

    name: str
    arguments: tuple[str, ...]  # what they are called in messages
    select: Select
    contexts: Contexts | None  # None: not for `use`


FUNCTIONS: dict[str, LinkFunction] = {}


def link_function(
    name: str, *arguments: str, contexts: Contexts | None = None
) -> Callable[[Select], Select]:
    """Register the decorated function under ``vn:name``; `contexts` is its side for ``use``."""

    def register(select: Select) -> Select:
        FUNCTIONS[name] = LinkFunction(name, arguments, select, contexts)
        return select

    return register


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, as written in an expression."""

    function: LinkFunction
    arguments: tuple[str, ...]


def is_call(expression: str) -> bool:
    """Tell whether an expression calls a function with a prefix in any of its alternatives."""
    return any(_CALL.match(part) for part in split_outside(expression, "|"))


def parse_call(expression: str, *, rule: str) -> Call | None:
    """Read ``vn:name(argument, …)``; None where the expression is no function with a prefix.

    Raises HydrationFailed: LINK_UNKNOWN, LINK_UNCLOSED, LINK_ARGUMENTS.
    """
    start = _CALL.match(expression)
    if start is None:
        return None
    prefix, name = start.groups()
    function = FUNCTIONS.get(name) if prefix == PREFIX else None
    if function is None:
        known = ", ".join(f"{PREFIX}:{known}()" for known in sorted(FUNCTIONS))
        raise HydrationFailed(
            "LINK_UNKNOWN", f"there is no {prefix}:{name}(); known: {known}", rule=rule
        )
    close = closing_parenthesis(expression, start.end())
    if close < 0:
        raise HydrationFailed("LINK_UNCLOSED", f"vn:{name}( has no closing parenthesis", rule=rule)
    behind = expression[close + 1 :].strip()
    if behind:
        raise HydrationFailed(
            "LINK_UNCLOSED", f"nothing may follow vn:{name}(…), found {behind[:40]!r}", rule=rule
        )
    return Call(function, _arguments(function, expression[start.end() : close], rule))


def _arguments(function: LinkFunction, text: str, rule: str) -> tuple[str, ...]:
    arguments = tuple(part.strip() for part in split_outside(text, ",")) if text.strip() else ()
    if len(arguments) != len(function.arguments) or not all(arguments):
        wanted = ", ".join(function.arguments)
        raise HydrationFailed(
            "LINK_ARGUMENTS",
            f"vn:{function.name}({wanted}) has {len(function.arguments)} arguments,"
            f" found {len([part for part in arguments if part])}",
            rule=rule,
        )
    return arguments


def _link_contexts(
    arguments: Sequence[str], evaluation: Evaluation, limit: int
) -> list[list[Node]]:
    source, child = arguments
    sources = evaluation.nodes(source, limit, complete=True)
    if not sources:
        raise HydrationFailed("LINK_NO_SOURCE", f"no element matches {source}", rule="U4")
    below = [
        evaluation.nodes_below(found, child, limit, complete=True)
        for found in _elements(sources, source, "U4")
    ]
    if not any(below):
        raise HydrationFailed(
            "LINK_NO_CHILD", f"none of {len(sources)} sources has a child {child}", rule="U4"
        )
    return below


@link_function("link", "source", "child", contexts=_link_contexts)
def _link(arguments: Sequence[str], evaluation: Evaluation) -> Linked:
    """``vn:link(source, child)``: the child of the first source that has exactly one (S3)."""
    source, child = arguments
    sources = evaluation.nodes(source, _ALL, complete=True)
    if not sources:
        raise HydrationFailed("LINK_NO_SOURCE", f"no element matches {source}", rule="S3")
    for found in _elements(sources, source, "S3"):
        children = evaluation.nodes_below(found, child, 2)
        if len(children) == 1:
            return Linked(children[0])
    raise HydrationFailed(
        "LINK_NO_CHILD",
        f"none of {len(sources)} sources has exactly one child {child}",
        rule="S3",
    )


@link_function("today")
def _today(arguments: Sequence[str], evaluation: Evaluation) -> Linked:  # noqa: ARG001 (the registry's shape)
    """``vn:today()``: the day on which the request was received, as in 2026-09-17 (U5)."""
    return Linked(evaluation.received.isoformat())


_ALL = 1_000_000  # sources of one link; the document has fewer nodes than that


def _elements(nodes: Sequence[Node], expression: str, rule: str) -> list[Element]:
    elements = [node for node in nodes if isinstance(node, Element) and isinstance(node.tag, str)]
    if len(elements) < len(nodes):
        raise HydrationFailed(
            "USE_NOT_ELEMENTS", f"{expression} gives something else than elements", rule=rule
        )
    return elements
