"""Where each value came from (DESIGN §9, explainable): a compact JSON record beside a document.

One entry per rule applied: ``{"rule":"S4","at":"/vnml/…/market","expression":"…","from":"…"}``,
with ``uri`` and ``digest`` where the value is a referenced document's.
"""

import json
from typing import Any

Entry = dict[str, Any]


class Trace:
    """The entries of one pass, in the order in which the rules were applied."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, rule: str, at: str, **facts: object) -> None:
        """Record that `rule` gave the element at a path its value."""
        known = {name: value for name, value in facts.items() if value is not None}
        self.entries.append({"rule": rule, "at": at, **known})

    def since(self, mark: int) -> list[Entry]:
        """Give, and take off, the entries after the first `mark` ones."""
        taken = self.entries[mark:]
        del self.entries[mark:]
        return taken


def written_entry(rule: str, at: str, **facts: object) -> str:
    """Write one entry."""
    return compact({"rule": rule, "at": at, **facts}).decode()


def compact(value: object) -> bytes:
    """Write JSON without blanks, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
