"""All faults of a document at once, without running it (VNML §9, ``vn hydrate --check``).

Goes the way of both passes, but keeps each fault and goes on as if the element had no directives.
What depends on results, which are not there, is left alone.
"""

from vncore.errors import HydrationFailed, MalformedDocument, VnError
from vnvs.hydration.document_pass import DocumentPass
from vnvs.hydration.faults import CheckStopped, Faults
from vnvs.hydration.group_pass import GroupPass
from vnvs.hydration.nesting import room_for_nesting
from vnvs.hydration.outline import parse_stored
from vnvs.hydration.shapes import Context, Fetch
from vnvs.hydration.tree import NotYetKnown


@room_for_nesting()
def check(document: bytes, fetch: Fetch, context: Context) -> list[VnError]:
    """Give every fault that can be known before any result is; an empty list if there is none.

    At most `HydrationLimits.max_faults`, and then one that says so.
    """
    faults = Faults(context.limits.max_faults)
    try:
        root = parse_stored(document, context.limits)
        hydrated = DocumentPass(root, fetch, context, faults=faults).run()
        again = parse_stored(hydrated.xml, context.limits)
        for group in hydrated.groups:
            GroupPass(
                again,
                group.index,
                fetch,
                context,
                without_results=NotYetKnown,
                faults=faults,
            ).try_all()
    except (MalformedDocument, HydrationFailed) as err:
        return [*faults.found, err]
    except CheckStopped:
        pass
    return list(faults.found)
