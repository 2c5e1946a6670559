"""Hydration as the rest of vnvs calls it: the pure functions, each run in a hydration child.

Called by `orchestrate` and `desk`; see `vnvs.hydration` for what the functions promise.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from vncore.errors import VnError
from vnvs import hydration
from vnvs.child import Fetch
from vnvs.hydration import (
    Context,
    FailedTask,
    HydratedDocument,
    HydrationLimits,
    TaskDocument,
)
from vnvs.pool import HydrationPool


class Hydrator:
    """The passes over one document after the other; holds nothing of any of them.

    Every method raises what its function raises, and HydrationFailed when a limit of the pool
    ended it.
    """

    def __init__(
        self, pool: HydrationPool, limits: HydrationLimits, file_root: Path | None
    ) -> None:
        self._pool = pool
        self._limits = limits
        # Canonical URIs are decoded ones, so this is not Path.as_uri.
        self._base_uri = None if file_root is None else f"file://{str(file_root).rstrip('/')}/"

    async def document(self, document: bytes, received: date, fetch: Fetch) -> HydratedDocument:
        """Do the document pass (VNML T1)."""
        return await self._pool.run(
            hydration.hydrate_document,
            fetch=fetch,
            document=document,
            context=self._context(received),
        )

    async def group(
        self,
        document: bytes,
        group_index: int,
        received: date,
        fetch: Fetch,
        *,
        sent: bytes,
        tolerant: bool = False,
    ) -> tuple[TaskDocument, ...]:
        """Do the pass of one group (VNML T2): its task documents, in task order.

        `document` has the results of earlier groups; `sent` is the request as it came, so that
        errors know their line. With `tolerant` a task that refers to a failed valuation has a
        failure instead of ending the pass (VNML F4).
        """
        return await self._pool.run(
            hydration.hydrate_group,
            fetch=fetch,
            document=document,
            group_index=group_index,
            context=self._context(received, sent),
            tolerant=tolerant,
        )

    async def failed_valuations(self, tasks: Sequence[FailedTask]) -> list[bytes]:
        """Make what stands in the place of failed tasks (VNML F2), in their order."""
        return await self._pool.run(
            hydration.failed_valuations, tasks=list(tasks), limits=self._limits
        )

    async def place(self, document: bytes, group_index: int, results: Sequence[bytes]) -> bytes:
        """Put a group's results in the place of its valuations (VNML K3)."""
        return await self._pool.run(
            hydration.place_results,
            document=document,
            group_index=group_index,
            results=list(results),
        )

    async def assemble(self, document: bytes, *, expected: int, failed: int) -> bytes:
        """Make the response of the document after its last group (VNML K4)."""
        return await self._pool.run(
            hydration.assemble, document=document, expected=expected, failed=failed
        )

    async def check(self, document: bytes, received: date, fetch: Fetch) -> list[VnError]:
        """Find all faults of a document."""
        return await self._pool.run(
            hydration.check, fetch=fetch, document=document, context=self._context(received)
        )

    def _context(self, received: date, sent: bytes | None = None) -> Context:
        return Context(received=received, base_uri=self._base_uri, limits=self._limits, sent=sent)
