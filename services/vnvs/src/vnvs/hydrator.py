"""Hydration as the rest of vnvs calls it: the pure functions, each run in a hydration child.

Called by `steps` and `desk`; see `vnvs.hydration` for what the functions promise. A document stays
parsed in the child that hydrated it: `OpenDocument` is one, as its request holds it.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path

from vncore.errors import VnError
from vncore.pieces import Piece
from vnvs import hydration
from vnvs.child import Fetch
from vnvs.hydration import (
    CompleteGroup,
    Context,
    FailedTask,
    GroupOutline,
    GroupResults,
    HydratedDocument,
    HydratedGroup,
    HydrationLimits,
    kept,
)
from vnvs.pool import HydrationPool

Results = Callable[[int], Awaitable[GroupResults]]
"""The index of a complete group to what it came to."""


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

    @property
    def max_bytes(self) -> int:
        """How large a document with results in it may be."""
        return self._limits.max_bytes

    async def document(
        self, sent: bytes, received: date, fetch: Fetch
    ) -> tuple[HydratedDocument, "OpenDocument"]:
        """Do the document pass (VNML T1): what it made, and the same open for what follows."""
        token = uuid.uuid4().hex
        context = self._context(received)
        hydrated = await self._pool.run(
            kept.hydrate_document,
            asked={"fetch": fetch},
            near=token,
            token=token,
            document=sent,
            context=context,
        )
        return hydrated, OpenDocument(self._pool, context, token, hydrated.xml, sent)

    def reopened(self, document: bytes, sent: bytes, received: date) -> "OpenDocument":
        """Open what a predecessor made of a request in its document pass."""
        return OpenDocument(self._pool, self._context(received), uuid.uuid4().hex, document, sent)

    async def failed_valuations(self, tasks: Sequence[FailedTask]) -> list[bytes]:
        """Make what stands in the place of failed tasks (VNML F2), in their order."""
        return await self._pool.run(
            hydration.failed_valuations, tasks=list(tasks), limits=self._limits
        )

    async def check(self, document: bytes, received: date, fetch: Fetch) -> list[VnError]:
        """Find all faults of a document."""
        return await self._pool.run(
            hydration.check,
            asked={"fetch": fetch},
            document=document,
            context=self._context(received),
        )

    def _context(self, received: date) -> Context:
        return Context(received=received, base_uri=self._base_uri, limits=self._limits)


class OpenDocument:
    """A hydrated document that stays parsed, as long as that can be, in a child between passes.

    The bytes are here. A child that has to, because another one had the document and is busy or
    gone, asks for them; so nothing is lost with a child.
    """

    def __init__(
        self, pool: HydrationPool, context: Context, token: str, xml: bytes, sent: bytes
    ) -> None:
        self._pool = pool
        self._context = context
        self._token = token
        self.xml = xml
        """The document after its own pass, without any results."""
        self._sent = sent

    async def group(
        self, group: GroupOutline, results: Results, fetch: Fetch, *, tolerant: bool = False
    ) -> HydratedGroup:
        """Do the pass of one group (VNML T2).

        `results` is asked for what groups before it came to, should a path lead there. It must not
        wait for a child: there may be no other. With `tolerant` a task that refers to a failed
        valuation has a failure instead of ending the pass (VNML F4).
        """
        return await self._pool.run(
            kept.hydrate_group,
            asked={
                "document": self._get_xml,
                "sent": self._get_sent,
                "fetch": fetch,
                "results": results,
            },
            near=self._token,
            token=self._token,
            group_index=group.index,
            context=self._context,
            tolerant=tolerant,
        )

    async def group_ahead(
        self, group: GroupOutline, fetch: Fetch, *, tolerant: bool = False
    ) -> HydratedGroup | None:
        """Do the pass of a group before those ahead of it are complete; see `group`.

        None when one of its paths may lead to their results: it has to wait for its turn.
        """
        return await self._pool.run(
            kept.hydrate_group_ahead,
            asked={"document": self._get_xml, "sent": self._get_sent, "fetch": fetch},
            near=self._token,
            token=self._token,
            group_index=group.index,
            context=self._context,
            tolerant=tolerant,
        )

    async def assemble(
        self, complete: Sequence[CompleteGroup], *, expected: int, failed: int
    ) -> list[Piece]:
        """Make the response after the last group (VNML K4), with its results only named.

        `complete` tells what each group came to, in order.
        """
        return await self._pool.run(
            kept.assemble,
            asked={"document": self._get_xml},
            near=self._token,
            token=self._token,
            complete=list(complete),
            expected=expected,
            failed=failed,
            limits=self._context.limits,
        )

    async def _get_xml(self, _: object) -> bytes:
        return self.xml

    async def _get_sent(self, _: object) -> bytes:
        return self._sent
