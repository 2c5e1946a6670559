"""Hydration: a document with references becomes task documents without any (VNML).

Pure: bytes in, bytes out; what is referenced comes from the `Fetch` that is handed in. No Redis,
no clock, no files. Lxml and XPath know no time limit: call it in a process that can be killed.

    hydrate_document   T1   once, before the first group
    hydrate_group      T2   when a group's turn comes; ParsedDocument: of a document that stays open
    failed_valuations  F2   when a group is complete, for tasks that failed
    ParsedDocument     K3, K4   puts results in place where a later group looks; the response
    check              §9   all faults at once, without running
"""

from vnvs.hydration.check import check
from vnvs.hydration.document_pass import hydrate_document
from vnvs.hydration.failed_tasks import failed_valuation, failed_valuations
from vnvs.hydration.parsed import ParsedDocument, hydrate_group
from vnvs.hydration.shapes import (
    CompleteGroup,
    Context,
    EarlierResults,
    FailedTask,
    Fetch,
    Fetched,
    GroupOutline,
    GroupResults,
    HydratedDocument,
    HydratedGroup,
    HydrationLimits,
    Source,
    TaskDocument,
)

__all__ = [
    "CompleteGroup",
    "Context",
    "EarlierResults",
    "FailedTask",
    "Fetch",
    "Fetched",
    "GroupOutline",
    "GroupResults",
    "HydratedDocument",
    "HydratedGroup",
    "HydrationLimits",
    "ParsedDocument",
    "Source",
    "TaskDocument",
    "check",
    "failed_valuation",
    "failed_valuations",
    "hydrate_document",
    "hydrate_group",
]
