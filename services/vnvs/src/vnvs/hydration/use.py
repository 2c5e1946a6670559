"""``use``: the linked elements that make many tasks of one valuation (VNML U1-U4).

use="vn:link(/vnml/project/portfolio, instrument)"   ->   the instruments, in document order
"""

from vncore.errors import HydrationFailed
from vnvs.hydration.directives import USE
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.links import parse_call
from vnvs.hydration.nodes import Element, Node
from vnvs.hydration.placeholders import has_placeholder
from vnvs.hydration.scope import Scope

NO_CONTEXT: tuple[None, ...] = (None,)


def contexts(valuation: Element, hydrator: Hydrator) -> tuple[Element, ...] | tuple[None, ...]:
    """Give the contexts of a valuation's tasks; without ``use`` there is one task with none.

    Each element is there once, in document order, however often it was matched. A ``use`` that
    leads through a failed valuation without finding anything of it raises in a tolerant pass too
    (F4): how many tasks the valuation would have made is not known, and each number that we might
    give them, none or one, would be a guess that the response counts as a fact. The valuation
    itself can be linked, failed or not; then exactly the tasks that take something of it fail.

    Raises HydrationFailed: USE_EMPTY, USE_NOTHING, USE_NOT_ELEMENTS, LINK_…,
    HYDRATION_TOO_MANY_TASKS, and what a path can raise.
    """
    use = valuation.get(USE)
    if use is None:
        return NO_CONTEXT
    scope = Scope()
    try:
        if has_placeholder(use):
            use = hydrator.expanded_attributes(valuation, scope, only=USE)[USE]
        return _linked(use, hydrator, scope)
    except HydrationFailed as err:
        raise hydrator.places.placed(err, valuation, scope, expression=use) from err


def _linked(use: str, hydrator: Hydrator, scope: Scope) -> tuple[Element, ...]:
    if not use.strip():
        raise HydrationFailed("USE_EMPTY", "the use is empty", rule="U4")
    most = hydrator.context.limits.max_tasks
    asked = hydrator.evaluation(scope)
    call = parse_call(use, rule="U4")
    if call is None:
        parts = [asked.nodes(use.strip(), most + 1, complete=True)]
        if not parts[0]:
            raise HydrationFailed("USE_NOTHING", "no element matches the use", rule="U2")
    elif call.function.contexts is None:
        raise HydrationFailed(
            "USE_NOT_ELEMENTS", f"vn:{call.function.name}() gives no elements", rule="U4"
        )
    else:
        parts = call.function.contexts(call.arguments, asked, most + 1)
    found = _in_document_order(parts, hydrator)
    if len(found) > most:
        raise HydrationFailed(
            "HYDRATION_TOO_MANY_TASKS", f"the use gives more than {most} tasks", rule="T4"
        )
    return found


def _in_document_order(parts: list[list[Node]], hydrator: Hydrator) -> tuple[Element, ...]:
    nodes = [node for part in parts for node in part]
    elements = tuple(
        node for node in nodes if isinstance(node, Element) and isinstance(node.tag, str)
    )
    if len(elements) < len(nodes):
        raise HydrationFailed(
            "USE_NOT_ELEMENTS", "the use gives something else than elements", rule="U4"
        )
    if len(parts) == 1 or _follow_each_other(parts):
        return elements
    return tuple(node for node in hydrator.tree.in_order(nodes) if isinstance(node, Element))


def _follow_each_other(parts: list[list[Node]]) -> bool:
    """Tell whether all parts are children of parents that follow each other in the document.

    True for portfolios side by side with their instruments, the usual case, which then needs no
    numbering of the whole document.
    """
    parents: list[Element] = []
    for part in parts:
        above = {node.getparent() for node in part if isinstance(node, Element)}
        if len(above) > 1:
            return False
        parents += [parent for parent in above if parent is not None]
    if len(set(parents)) < len(parents):
        return False
    grandparents = {parent.getparent() for parent in parents}
    if len(grandparents) != 1:
        return False
    ranks = {parent: rank for rank, parent in enumerate(_siblings(parents))}
    return [ranks[parent] for parent in parents] == sorted(ranks[parent] for parent in parents)


def _siblings(parents: list[Element]) -> list[Element]:
    above = parents[0].getparent() if parents else None
    return list(above.iterchildren("*")) if above is not None else parents[:1]
