"""The outline of a document (VNML D1): root, project, groups, valuations.

Also the door for documents that VN itself wrote, which may be larger than what clients send.
"""

from vncore import xml
from vncore.errors import HydrationFailed, Place
from vnvs.hydration.nodes import Element, line_of
from vnvs.hydration.shapes import HydrationLimits

ROOT, PROJECT, GROUP, VALUATION = "vnml", "project", "group", "valuation"
SHARED = ("market", "model", "calculator", "portfolio")
"""Children of a project that neither tasks (K1) nor the response (K4) carry."""
ON_FAILURE = "onFailure"
"""The attribute by which a group says what its failed tasks mean (F1)."""


def parse_stored(document: bytes, limits: HydrationLimits) -> Element:
    """Parse a request that passed the door, or a document that hydration wrote.

    Raises MalformedDocument.
    """
    return xml.parse(
        document,
        limits=xml.XmlLimits(
            max_bytes=limits.max_bytes,
            max_tags=limits.max_nodes,
            # Each result may declare the namespaces that its task had; one result's are bounded.
            max_namespaces=limits.max_nodes,
            max_depth=limits.max_depth,
        ),
    )


def project_of(root: Element) -> Element:
    """Give the project; raises HydrationFailed (NO_PROJECT) where there is not exactly one."""
    projects = list(root.iterchildren(PROJECT)) if root.tag == ROOT else []
    if len(projects) != 1:
        raise HydrationFailed(
            "NO_PROJECT",
            f"a document is <vnml> with one <project>, not <{root.tag}> with {len(projects)}",
            rule="D1",
            place=Place(line=line_of(root)),
        )
    return projects[0]


def groups_of(project: Element) -> list[Element]:
    """Give the groups of a project, in order."""
    return list(project.iterchildren(GROUP))


def valuations_of(group: Element) -> list[Element]:
    """Give the valuations of a group, in order."""
    return list(group.iterchildren(VALUATION))


def misplaced(why: str) -> HydrationFailed:
    """Make the error for results that do not go with their group: a fault of ours."""
    return HydrationFailed("RESULTS_MISPLACED", why, rule="K3")
