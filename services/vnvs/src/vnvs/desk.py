"""One document hydrated on a desk, without any server (``vnvs hydrate``).

In comes a document; out goes what the service would make of it, or what is wrong with it. The same
passes in the same kind of child process as in the service. Called by `main`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from vncore.errors import VnError
from vnvs.hydration import GroupResults, TaskDocument
from vnvs.hydrator import Hydrator
from vnvs.pins import PinnedSources

_WHAT_NOT = frozenset({"code", "category", "retryable", "rule", "message"})


@dataclass(frozen=True, slots=True)
class Desk:
    """What hydrating one document takes."""

    hydrator: Hydrator
    pins: PinnedSources

    async def hydrate(self, document: bytes, *, as_json: bool) -> bytes:
        """Give the document after the document pass (VNML T1); as JSON with groups and sources.

        Raises VnError.
        """
        hydrated, _ = await self.hydrator.document(document, _today(), self.pins.fetch)
        if not as_json:
            return hydrated.xml + b"\n"
        return _json(
            {
                "document": hydrated.xml.decode(),
                "groups": [{"index": group.index, "name": group.name} for group in hydrated.groups],
                "sources": json.loads(self.pins.manifest),
                "trace": json.loads(hydrated.trace),
            }
        )

    async def tasks(self, document: bytes, *, as_json: bool) -> bytes:
        """Give the first group's task documents one after another; as JSON a list of them.

        Empty for a document without groups. Raises VnError.
        """
        hydrated, opened = await self.hydrator.document(document, _today(), self.pins.fetch)
        tasks: Sequence[TaskDocument] = ()
        if hydrated.groups:
            first = await opened.group(hydrated.groups[0], _no_results, self.pins.fetch)
            tasks = first.tasks
        if not as_json:
            return b"".join(task.xml + b"\n" for task in tasks)
        return _json(
            [
                {
                    "task": task.task_id,
                    "valuation": task.valuation_name,
                    "document": task.xml.decode(),
                    "trace": json.loads(task.trace),
                }
                for task in tasks
            ]
        )

    async def check(self, document: bytes) -> list[VnError]:
        """Find all faults of the document."""
        return await self.hydrator.check(document, _today(), self.pins.fetch)


def told(errors: Sequence[VnError], *, as_json: bool) -> str:
    """Write errors for people, or as JSON for machines.

    For people: the code, the broken rule, the message, and below it the place, fact by fact.
    """
    if as_json:
        return _json([error.report() for error in errors]).decode()
    return "".join(_readable(error.report()) for error in errors)


def _readable(report: dict[str, Any]) -> str:
    rule = f" (rule {report['rule']})" if "rule" in report else ""
    place = [f"  {name}: {fact}\n" for name, fact in report.items() if name not in _WHAT_NOT]
    return f"{report['code']}{rule}: {report['message']}\n{''.join(place)}"


def _json(value: object) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, indent=2)}\n".encode()


async def _no_results(group_index: int) -> GroupResults:
    raise AssertionError(f"the first group looked at results of group {group_index}")


def _today() -> date:
    return datetime.now(UTC).date()
