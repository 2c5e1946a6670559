"""Evaluate one XPath 1.0 expression by libxml2, safely (VNML D3, S6; SAFETY §2).

No namespaces, no EXSLT, no unions (callers split ``|`` first), results capped, lengths bounded, and
no lxml exception gets out. Nothing here has a time limit: hydration runs in a child process.
"""

from functools import lru_cache
from typing import Any

from lxml import etree

from vncore.errors import HydrationFailed
from vnvs.hydration.lexical import prefix_in
from vnvs.hydration.nodes import Element, Node, Value
from vnvs.hydration.shapes import HydrationLimits


def check_expression(expression: str, limits: HydrationLimits, *, rule: str) -> None:
    """Refuse what must not reach libxml2: too long, or with a prefix.

    Raises HydrationFailed: XPATH_LIMIT or XPATH_PREFIX.
    """
    if len(expression) > limits.max_expression:
        raise HydrationFailed(
            "XPATH_LIMIT",
            f"the expression has {len(expression)} characters; the limit is"
            f" {limits.max_expression}",
            rule=rule,
        )
    prefix = prefix_in(expression)
    if prefix is not None:
        raise HydrationFailed(
            "XPATH_PREFIX",
            f"paths have no namespace prefixes, and this one uses {prefix!r};"
            " match by *[local-name()='…'] instead",
            rule="D3",
        )


def evaluate(
    expression: str, at: Element, limit: int, limits: HydrationLimits, *, rule: str = "S6"
) -> list[Node]:
    """Give the first `limit` nodes that an expression selects, in document order.

    Raises HydrationFailed: XPATH_SYNTAX, XPATH_PREFIX, XPATH_LIMIT, SELECT_NOT_NODES.
    """
    check_expression(expression, limits, rule=rule)
    whole = _compiled(expression, rule)  # alone first: "a)[1] | (b" must not become valid
    try:
        found: Any = _capped(expression, limit)(at)
    except etree.XPathError as err:
        _refuse_value(expression, whole, at, rule)
        raise _syntax(expression, err, rule) from err
    if not all(isinstance(node, Element | str) for node in found):
        raise _not_nodes("namespaces", rule)
    return [node if isinstance(node, Element) else _value(node) for node in found]


def _value(text: Any) -> Node:
    """Keep of one of lxml's smart strings the text and the element that it is of."""
    near = text.getparent()
    owner = near.getparent() if text.is_tail else near
    return Value.of(owner, str(text), text.attrname) if owner is not None else str(text)


def string_value(element: Element) -> str:
    """Give all text in an element, without that of comments (XPath ``string()``)."""
    if len(element) == 0:
        return element.text or ""
    value: Any = _STRING(element)
    return str(value)


_STRING = etree.XPath("string()", smart_strings=False, regexp=False)


@lru_cache(maxsize=1024)
def _compile(expression: str) -> etree.XPath:
    # Smart strings tell the element that a text is of; `evaluate` lets go of them at once.
    return etree.XPath(expression, smart_strings=True, regexp=False)


def _compiled(expression: str, rule: str) -> etree.XPath:
    try:
        return _compile(expression)
    except etree.XPathError as err:
        raise _syntax(expression, err, rule) from err


def _capped(expression: str, limit: int) -> etree.XPath:
    return _compile(f"({expression})[position() <= {limit}]")


def _refuse_value(expression: str, whole: etree.XPath, at: Element, rule: str) -> None:
    """Tell a number or text, which cannot be capped, from an expression that is wrong."""
    try:
        value: Any = whole(at)
    except etree.XPathError as err:
        raise _syntax(expression, err, rule) from err
    if not isinstance(value, list):
        kind = {bool: "a boolean", float: "a number", str: "a text"}.get(type(value), "no nodes")
        raise _not_nodes(kind, rule)


def _not_nodes(kind: str, rule: str) -> HydrationFailed:
    return HydrationFailed(
        "SELECT_NOT_NODES",
        f"the expression gives {kind}, not an element, attribute or text",
        rule=rule,
    )


def _syntax(expression: str, err: etree.XPathError, rule: str) -> HydrationFailed:
    hint = " (is a variable not declared?)" if "variable" in str(err).lower() else ""
    shown = expression if len(expression) <= 80 else f"{expression[:79]}…"
    return HydrationFailed(
        "XPATH_SYNTAX", f"{shown} is not a valid XPath 1.0 path: {err}{hint}", rule=rule
    )
