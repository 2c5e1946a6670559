"""Hydration: a document with references becomes task documents without any (VNML).

Pure: bytes in, bytes out; what is referenced comes from the `Fetch` that is handed in. No Redis,
no clock, no files. Lxml and XPath know no time limit: call it in a process that can be killed.

    hydrate_document   T1   once, before the first group
    hydrate_group      T2   when a group's turn comes
    failed_valuations  F2   when a group is complete, for tasks that failed
    place_results      K3   when a group is complete
    assemble           K4   at the end
    check              §9   all faults at once, without running
"""

from vnvs.hydration.check import check
from vnvs.hydration.document_pass import hydrate_document
from vnvs.hydration.group_pass import hydrate_group
from vnvs.hydration.results import assemble, failed_valuation, failed_valuations, place_results
from vnvs.hydration.shapes import (
    Context,
    FailedTask,
    Fetch,
    Fetched,
    GroupOutline,
    HydratedDocument,
    HydrationLimits,
    Source,
    TaskDocument,
)

__all__ = [
    "Context",
    "FailedTask",
    "Fetch",
    "Fetched",
    "GroupOutline",
    "HydratedDocument",
    "HydrationLimits",
    "Source",
    "TaskDocument",
    "assemble",
    "check",
    "failed_valuation",
    "failed_valuations",
    "hydrate_document",
    "hydrate_group",
    "place_results",
]
