"""Documents that stay parsed between the calls of one process: what a hydration child remembers.

Called through the pool, by `vnvs.hydrator`. A document is found by a token of the caller's; one
that is not here, because another process had it or others took its room, is asked for and parsed.
During a call it is taken out, so that an error leaves nothing half changed behind.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from vncore.pieces import Piece
from vnvs.hydration.document_pass import hydrated_and_parsed
from vnvs.hydration.parsed import ParsedDocument
from vnvs.hydration.shapes import (
    CompleteGroup,
    Context,
    EarlierResults,
    Fetch,
    GroupResults,
    HydratedDocument,
    HydratedGroup,
    HydrationLimits,
)
from vnvs.hydration.tree import ResultsNeeded

KEPT_DOCUMENTS = 128
"""How many requests one process runs at once, by default."""

KEPT_BYTES = 32 * 1024 * 1024
"""Of all kept documents, written; parsed they take some fifteen times as much."""

Get = Callable[[None], bytes]
"""Asks whoever called for bytes that it may turn out not to be needed."""


class KeptDocuments:
    """The documents used last, at most so many and so many bytes."""

    def __init__(self, count: int = KEPT_DOCUMENTS, size: int = KEPT_BYTES) -> None:
        self._count, self._size = count, size
        self._documents: OrderedDict[str, ParsedDocument] = OrderedDict()

    def take(self, token: str) -> ParsedDocument | None:
        """Take a document out, if it is here."""
        return self._documents.pop(token, None)

    def keep(self, token: str, document: ParsedDocument) -> None:
        """Keep a document, and let go of the oldest ones if there is too much."""
        self._documents[token] = document
        size = sum(kept.size for kept in self._documents.values())
        while self._documents and (size > self._size or len(self._documents) > self._count):
            _, dropped = self._documents.popitem(last=False)
            size -= dropped.size


_KEPT = KeptDocuments()


def hydrate_document(
    token: str, document: bytes, fetch: Fetch, context: Context
) -> HydratedDocument:
    """Do the document pass, and keep what it made under a token."""
    hydrated, parsed = hydrated_and_parsed(document, fetch, context)
    if parsed is not None:
        _KEPT.keep(token, parsed)
    return hydrated


def hydrate_group(
    token: str,
    document: Get,
    group_index: int,
    fetch: Fetch,
    context: Context,
    results: EarlierResults,
    sent: Get,
    *,
    tolerant: bool,
) -> HydratedGroup:
    """Do the pass of a group; see `ParsedDocument.hydrate_group`."""
    parsed = _opened(token, document, group_index, context)
    made = parsed.hydrate_group(
        group_index,
        fetch,
        context,
        results=results,
        sent=lambda: sent(None),
        tolerant=tolerant,
    )
    _KEPT.keep(token, parsed)
    return made


def hydrate_group_ahead(
    token: str,
    document: Get,
    group_index: int,
    fetch: Fetch,
    context: Context,
    sent: Get,
    *,
    tolerant: bool,
) -> HydratedGroup | None:
    """Do the pass of a group before those ahead of it are complete.

    None when one of its paths may lead to their results, which leaves the document as it was.
    """
    parsed = _opened(token, document, group_index, context)
    made: HydratedGroup | None = None
    with suppress(ResultsNeeded):
        made = parsed.hydrate_group(
            group_index,
            fetch,
            context,
            results=_not_there_yet,
            sent=lambda: sent(None),
            tolerant=tolerant,
        )
    _KEPT.keep(token, parsed)
    return made


def _opened(token: str, document: Get, group_index: int, context: Context) -> ParsedDocument:
    """Take a document out, or parse it where it is not here or has later results in it."""
    parsed = _KEPT.take(token)
    if parsed is None or parsed.placed > group_index:
        parsed = ParsedDocument.parse(document(None), context.limits)
    return parsed


def _not_there_yet(_: int) -> GroupResults:
    raise ResultsNeeded


def assemble(
    token: str,
    document: Get,
    complete: list[CompleteGroup],
    *,
    expected: int,
    failed: int,
    limits: HydrationLimits,
) -> list[Piece]:
    """Make the response, with which the document goes; see `ParsedDocument.assemble`."""
    parsed = _KEPT.take(token) or ParsedDocument.parse(document(None), limits)
    return parsed.assemble(complete, expected=expected, failed=failed)
