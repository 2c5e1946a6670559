"""What a ``select`` or a placeholder chooses (VNML S1-S3, S6, P2): one node, or why not.

Asks an `Evaluation` for nodes and decides; brings nothing in and changes nothing.
"""

from dataclasses import dataclass

from vncore.errors import HydrationFailed
from vnvs.hydration.lexical import split_outside
from vnvs.hydration.links import Evaluation, parse_call
from vnvs.hydration.nodes import Element, Node
from vnvs.hydration.xpath import string_value

_MISSES = {
    "SELECT_NOTHING",
    "SELECT_AMBIGUOUS",
    "SELECT_NOT_NODES",
    "SELECT_NO_CONTEXT",
    "LINK_NO_SOURCE",
    "LINK_NO_CHILD",
}
"""Faults of an alternative that let the next one have its turn (S2). Others are told at once, and
so is a failed valuation (F3): a fallback meant for what is absent must not hide what failed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The one node that an expression resolved to."""

    node: Node
    is_linked: bool  # by vn:link: an element replaces the local one unmerged (S3)
    expression: str  # the alternative that won


def choose(expression: str, evaluation: Evaluation, *, rule: str) -> Chosen:
    """Choose by the first alternative that resolves to exactly one node (S2).

    Raises HydrationFailed: with one alternative what is wrong with it, with several
    SELECT_UNRESOLVED, which lists what each gave; at once where one leads to a failed valuation
    (F3).
    """
    if not expression.strip():
        raise HydrationFailed("SELECT_EMPTY", "there is no expression", rule=rule)
    alternatives = [part.strip() for part in split_outside(expression, "|")]
    if not all(alternatives):
        raise HydrationFailed("SELECT_EMPTY", "an alternative is empty", rule=rule)
    misses: list[HydrationFailed] = []
    for alternative in alternatives:
        try:
            return _resolve(alternative, evaluation, rule)
        except HydrationFailed as err:
            if err.code not in _MISSES:
                raise
            misses.append(err)
    if len(misses) == 1:
        raise misses[0]
    gave = "; ".join(
        f"{alternative}: {miss.message}"
        for alternative, miss in zip(alternatives, misses, strict=True)
    )
    raise HydrationFailed(
        "SELECT_UNRESOLVED", f"no alternative gives exactly one node: {gave}", rule="S2"
    )


def _resolve(alternative: str, evaluation: Evaluation, rule: str) -> Chosen:
    call = parse_call(alternative, rule="S3")
    if call is not None:
        linked = call.function.select(call.arguments, evaluation)
        return Chosen(_placeable(linked.node, rule), is_linked=True, expression=alternative)
    nodes = evaluation.nodes(alternative, 2)
    if not nodes:
        raise HydrationFailed("SELECT_NOTHING", "nothing is selected", rule=rule)
    if len(nodes) > 1:
        raise HydrationFailed(
            "SELECT_AMBIGUOUS", "several nodes are selected, not exactly one", rule=rule
        )
    return Chosen(_placeable(nodes[0], rule), is_linked=False, expression=alternative)


def _placeable(node: Node, rule: str) -> Node:
    if isinstance(node, Element) and not isinstance(node.tag, str):
        raise HydrationFailed(
            "SELECT_NOT_NODES",
            "the expression gives a comment or processing instruction,"
            " not an element, attribute or text",
            rule=rule,
        )
    return node


def text_of(node: Node) -> str:
    """Give the value of what was chosen: a text as it is, an element's text content (P2)."""
    return node if isinstance(node, str) else string_value(node)
