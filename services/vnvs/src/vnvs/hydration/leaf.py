"""A child of a valuation that only selects, as nearly all do: the short way to what it gives.

    <market select="/vnml/project/market[@name='USD']"/>   <instrument select="."/>
    <rate select="/vnml/project/portfolio/quote[@name='${select(./quote)}']/rate"/>

What is selected is written where it stands, without a copy, and once for all tasks that share it.
The short way knows no errors and no rare cases: where anything is unusual it gives None, and the
hydrator goes the long way (`elements`), which gives the same bytes or tells what is wrong. Made by
`template`.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring

from vncore.errors import HydrationFailed
from vnvs.hydration.directives import HREF, SELECT, USE, is_vnml
from vnvs.hydration.elements import Hydrator
from vnvs.hydration.lexical import prefix_in, split_outside, xpath_literal
from vnvs.hydration.links import is_call
from vnvs.hydration.merge import TextRule, merge
from vnvs.hydration.nodes import Element, Node, Value, attributes_of, new_element
from vnvs.hydration.paths import Equals, PathBelow, SimplePath, Step, path_below, simple_path
from vnvs.hydration.placeholders import START, expand_expression
from vnvs.hydration.shell import escaped
from vnvs.hydration.trace import written_entry
from vnvs.hydration.tree import NotYetKnown, is_absolute
from vnvs.hydration.writing import Part, SharedPart, Writer, part_of, written_in
from vnvs.hydration.xpath import string_value

_REMEMBERED_BYTES = 256  # from this size on looking it up is cheaper than writing it again
_COUNTED_BYTES = 64 * 1024  # from this size on the nodes of what is selected are counted at once
_PROJECT_STEPS = 2
_SLOT = "\ue000"  # stands for a placeholder's value: for private use, and in no name

Made = tuple[Part, str]
"""What a child came to, and the entries of its trace, written."""

Key = tuple[Element, tuple[tuple[str, str], ...], str | None]


class Selections:
    """What absolute paths selected, written; others may select it as well.

    Belongs to a document; between its passes it holds only what will be asked for again.
    """

    def __init__(self) -> None:
        self._known: dict[Key, Part] = {}

    def get(self, key: Key) -> Part | None:
        """Give what was written before."""
        return self._known.get(key)

    def keep(self, key: Key, written: bytes) -> Part:
        """Keep what was written if that is worth it."""
        if len(written) < _REMEMBERED_BYTES:
            return written
        part = self._known[key] = part_of(written)
        return part

    def end_pass(self, groups: Container[Element]) -> None:
        """Let go of all but the fragments of what is in no group, and so stays what it is."""
        kept: dict[Key, Part] = {}
        for key, part in self._known.items():
            if isinstance(part, SharedPart) and part.is_fragment:
                part.tasks = 0
                if not any(above in groups for above in key[0].iterancestors()):
                    kept[key] = part
        self._known = kept


class Unusual(Exception):
    """Raised on the short way where only the long one leads on."""


@dataclass(frozen=True, slots=True)
class _Path:
    """One path without alternatives, functions and placeholders."""

    expression: str
    below: PathBelow | None  # None: an absolute one

    def node(self, hydrator: Hydrator, linked: Element | None) -> Node:
        """Give its one node, of which nothing is to be hydrated. Raises Unusual."""
        if self.below is None:
            return _only(hydrator.tree.nodes(self.expression, 2), hydrator)
        if linked is None or not hydrator.is_plain(linked):
            raise Unusual
        return _only(self.below.nodes(linked), None)


def _only(nodes: Sequence[Node], hydrator: Hydrator | None) -> Node:
    """Give the one node there is; with a hydrator only if it is plain. Raises Unusual."""
    if len(nodes) != 1:
        raise Unusual
    node = nodes[0]
    element = node.owner if isinstance(node, Value) else node
    if not isinstance(element, Element) or not isinstance(element.tag, str):
        raise Unusual
    if hydrator is not None and not hydrator.is_plain(element):
        raise Unusual
    return node


def _path(expression: str) -> _Path | None:
    """Read a path; None for what is not one, or starts with a parenthesis."""
    if is_absolute(expression):
        usual = not expression.startswith("(") and not is_call(expression)
        return _Path(expression, None) if usual else None
    below = path_below(expression)
    return None if below is None else _Path(expression, below)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A condition with a placeholder in its literal: ``[@name='M-${select(./@ccy)}']``."""

    step: int  # which of the path's
    condition: int  # which of that step's
    before: str  # in the literal
    after: str
    inner: _Path  # what gives the value


@dataclass(frozen=True, slots=True)
class _SlottedPath:
    """An absolute path with placeholders in its conditions."""

    path: SimplePath
    slots: tuple[_Slot, ...]
    between: tuple[str, ...]  # what is written around their literals, one more than slots

    def expression(self, literals: Sequence[str]) -> str:
        """Spell the path with values in it (P4)."""
        spelled = [self.between[0]]
        for literal, text in zip(literals, self.between[1:], strict=True):
            spelled += [xpath_literal(literal), text]
        return "".join(spelled)

    def steps(self, literals: Sequence[str]) -> list[Step]:
        """Give the steps with values in them, from the first one that has a slot."""
        steps = list(self.path.steps)
        for slot, literal in zip(self.slots, literals, strict=True):
            step = steps[slot.step]
            conditions = list(step.conditions)
            condition = conditions[slot.condition]
            assert isinstance(condition, Equals)
            conditions[slot.condition] = Equals(condition.probe, literal)
            steps[slot.step] = Step(step.tag, tuple(conditions))
        return steps[self.slots[0].step :]


def _slotted(skeleton: str, inners: Sequence[str]) -> _SlottedPath | None:
    """Read a path in which slots stand for the placeholders."""
    path = simple_path(skeleton)
    if path is None:
        return None
    slots: list[_Slot] = []
    between: list[str] = []
    rest = skeleton
    for number, step in enumerate(path.steps):
        for place, condition in enumerate(step.conditions):
            if not isinstance(condition, Equals) or _SLOT not in condition.value:
                continue
            before, _, after = condition.value.partition(_SLOT)
            inner = _path(inners[len(slots)]) if len(slots) < len(inners) else None
            leads_to_groups = number < _PROJECT_STEPS or (
                number == _PROJECT_STEPS and step.tag in {"*", "group"}
            )
            if inner is None or _SLOT in after or leads_to_groups:
                return None
            slots.append(_Slot(number, place, before, after, inner))
            text, found, rest = rest.partition(xpath_literal(condition.value))
            if not found:
                return None
            between.append(text)
    if len(slots) != len(inners):
        return None
    return _SlottedPath(path, tuple(slots), (*between, rest))


def _read(select: str, max_expression: int) -> _Path | _SlottedPath | None:
    """Read a ``select``; None for what needs the long way."""
    if len(select) > max_expression or _SLOT in select:
        return None
    if START not in select:
        stripped = select.strip()
        is_one = "|" not in stripped or len(split_outside(stripped, "|")) == 1
        return _path(stripped) if is_one else None
    inners: list[str] = []

    def slot(expression: str) -> str:
        inners.append(expression)
        return _SLOT

    skeleton = expand_expression(select, slot).strip()
    if not inners or any(_SLOT in inner for inner in inners):
        return None
    if len(split_outside(skeleton, "|")) > 1 or prefix_in(skeleton) is not None:
        return None
    return _slotted(skeleton, inners)


class Leaf:
    """One such child, read once; `made` for each task."""

    def __init__(
        self,
        child: Element,
        attributes: dict[str, str],
        path: _Path | _SlottedPath,
        hydrator: Hydrator,
        writer: Writer,
        selections: Selections,
        levels: int,
    ) -> None:
        self._child, self._path = child, path
        self._hydrator, self._writer, self._selections = hydrator, writer, selections
        self._levels = levels  # that what is selected may have
        self._attributes, self._text = attributes, child.text
        self._is_empty = not attributes and not child.text
        self._local_key = tuple(attributes.items()), child.text
        self._frame: tuple[bytes, bytes] | None = None  # around a text
        at = hydrator.places.path(child)
        self._entry = f'{{"rule":"S4","at":"{at}","expression":'  # as `trace` writes it
        self._start: list[Element] = []  # what the steps before the first slot lead to
        if isinstance(path, _Path):
            self.needs_context = path.below is not None
            self._told = encode_basestring(path.expression)
        else:
            self.needs_context = any(slot.inner.below is not None for slot in path.slots)
            self._told = "".join(
                f"{written_entry('P2', at, attribute=SELECT, expression=slot.inner.expression)},"
                for slot in path.slots
            )
            first = SimplePath(path.path.steps[: path.slots[0].step])
            self._start = hydrator.tree.elements(first)

    @classmethod
    def of(
        cls,
        child: Element,
        hydrator: Hydrator,
        writer: Writer,
        selections: Selections,
        levels: int,
    ) -> "Leaf | None":
        """Give the leaf that a child of a valuation is; None if it needs the long way."""
        if not is_vnml(child) or len(child):
            return None
        attributes = attributes_of(child)
        select = attributes.pop(SELECT, None)
        if select is None or HREF in attributes or USE in attributes:
            return None
        if any(START in value for value in attributes.values()):
            return None
        try:
            path = _read(select, hydrator.context.limits.max_expression)
            if path is None:
                return None
            return cls(child, attributes, path, hydrator, writer, selections, levels)
        except (HydrationFailed, NotYetKnown):
            return None  # the long way tells it with its place

    def made(self, linked: Element | None) -> Made | None:
        """Give what the child comes to for one context; None if it needs the long way."""
        try:
            if isinstance(self._path, _Path):
                node, told = self._path.node(self._hydrator, linked), self._told
                before = ""
            else:
                node, expression = self._looked_up(self._path, linked)
                before, told = self._told, encode_basestring(expression)
            if isinstance(node, Value):
                return self._with_text(node), f"{before}{self._entry}{told}}}"
            assert isinstance(node, Element)
            part = self._selected(node)
            origin = self._hydrator.tree.paths.path(node)
        except (Unusual, HydrationFailed, NotYetKnown):
            return None
        return part, f'{before}{self._entry}{told},"from":"{origin}"}}'

    def _looked_up(self, slotted: _SlottedPath, linked: Element | None) -> tuple[Node, str]:
        literals = [
            f"{slot.before}{self._value(slot.inner, linked)}{slot.after}" for slot in slotted.slots
        ]
        expression = slotted.expression(literals)
        limits = self._hydrator.context.limits
        if len(expression) > limits.max_expression or 4 * len(expression) > limits.max_attribute:
            raise Unusual
        path = slotted.path
        nodes = self._hydrator.tree.nodes_below(
            self._start, slotted.steps(literals), path.attribute, is_text=path.is_text
        )
        return _only(nodes, self._hydrator), expression

    def _value(self, path: _Path, linked: Element | None) -> str:
        node = path.node(self._hydrator, linked)
        return node if isinstance(node, str) else string_value(node)

    def _selected(self, node: Element) -> Part:
        """Write the child merged with the selected element (S4)."""
        is_absolute = not (isinstance(self._path, _Path) and self._path.below is not None)
        key = (node, *self._local_key)
        part = self._selections.get(key) if is_absolute else None
        if part is None:
            written = self._merged(node)
            # A level takes a tag, so that most need not be looked at.
            if written.count(b"<") > self._levels and self._writer.is_deeper(self._levels, node):
                raise Unusual
            part = self._selections.keep(key, written) if is_absolute else written
        size = len(written_in(part))
        budget = self._hydrator.budget
        if size < _COUNTED_BYTES:
            budget.bring_in_small(node, size)
        else:
            budget.bring_in(node, keep=True, size=size)
        return part

    def _merged(self, node: Element) -> bytes:
        if self._is_empty:
            return self._writer.standing(node)
        return self._writer.own(merge(self._local(self._text), node, TextRule.OTHER_FIRST))

    def _with_text(self, value: str) -> bytes:
        """Write the child with the selected text (S4)."""
        if self._frame is None:
            written = self._writer.own(self._local("x"))
            before, _, after = written.rpartition(b">x<")
            self._frame = before + b">", b"<" + after
        return b"".join((self._frame[0], escaped(value), self._frame[1]))

    def _local(self, text: str | None) -> Element:
        local = new_element(str(self._child.tag), self._attributes, self._child)
        local.text = text
        return local
