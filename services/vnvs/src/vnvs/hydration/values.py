"""Attribute and text values of elements that are still to be hydrated (VNML T3, P2, S4).

    <a ccy="${select(…)}"/> … <b select="/vnml/project/a/@ccy"/>   ->   what ``ccy`` expands to

A path gives such a value as it is written; what is written is not what it means. Called by the
hydrator with what hydrates an element and what expands one attribute.
"""

from collections.abc import Callable

from vncore.errors import HydrationFailed
from vnvs.hydration.directives import HREF, SELECT, USE, is_vnml
from vnvs.hydration.links import is_call
from vnvs.hydration.nodes import Element, Value, texts_of
from vnvs.hydration.placeholders import has_placeholder


def hydrated_value(
    value: Value,
    hydrate: Callable[[], Element],
    expand: Callable[[str], str],
    *,
    is_held: bool,
    rule: str,
) -> str:
    """Give a value as it is once the element that it is of is hydrated.

    `is_held` tells that another element lies under the owner, whose text may become its own.
    Raises HydrationFailed: SELECT_NOTHING or SELECT_AMBIGUOUS where one value does not become one.
    """
    owner, name = value.owner, value.attribute
    if not is_vnml(owner):
        return value
    if name is None:
        if not (is_held or SELECT in owner.attrib or HREF in owner.attrib):
            return value
        return _only(texts_of(hydrate()), "text", rule)
    if name in {HREF, SELECT, USE}:
        raise HydrationFailed(
            "SELECT_NOTHING", f"@{name} is a directive, which is gone once it is obeyed", rule=rule
        )
    if is_call(owner.get(SELECT) or ""):  # replaces the element, attributes and all (S3)
        found = hydrate().get(name)
        return _only([] if found is None else [found], f"@{name}", rule)
    return expand(name) if has_placeholder(value) else value


def _only(values: list[str], what: str, rule: str) -> str:
    if len(values) == 1:
        return values[0]
    code = "SELECT_AMBIGUOUS" if values else "SELECT_NOTHING"
    raise HydrationFailed(
        code, f"hydrated, the element has {len(values) or 'no'} such {what}, not one", rule=rule
    )
