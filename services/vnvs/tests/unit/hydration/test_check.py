"""All faults of a document at once (VNML §9)."""

from vncore.errors import VnError
from vnvs.hydration import HydrationLimits, check

BOOK = '<portfolio><i name="a"><r>1</r></i><i name="b"/></portfolio>'


def told(faults: list[VnError]) -> list[tuple[str, str | None, int | None]]:
    return [(fault.code, fault.place.element, fault.place.task) for fault in faults]


def test_a_document_without_faults_has_none(desk):
    assert desk.faults(f"{BOOK}<group><valuation/></group>") == []


def test_all_faults_of_both_passes_are_found_each_once(desk):
    faults = desk.faults(
        f'{BOOK}<m href="none.xml"/><x a="${{select(/none)}}"><y select="q"/></x>'
        '<group name="g"><valuation use="/vnml/project/portfolio/i">'
        '<k select="/none"/><r select="./r"/><o><p select="./r["/></o></valuation>'
        '<valuation use="/none"/><valuation v="${select(/none)}"><q select=""/></valuation></group>'
    )
    project, group = "/vnml/project", "/vnml/project/group"
    assert told(faults) == [
        ("HREF_UNAVAILABLE", f"{project}/m", None),
        ("SELECT_NOTHING", f"{project}/x", None),
        ("SELECT_NO_CONTEXT", f"{project}/x/y", None),
        ("SELECT_NOTHING", f"{group}/valuation[1]/k", 1),
        ("XPATH_SYNTAX", f"{group}/valuation[1]/o/p", 1),
        ("SELECT_NOTHING", f"{group}/valuation[1]/r", 2),
        ("XPATH_SYNTAX", f"{group}/valuation[1]/o/p", 2),
        ("USE_NOTHING", f"{group}/valuation[2]", None),
        ("SELECT_NOTHING", f"{group}/valuation[3]", 3),
        ("SELECT_EMPTY", f"{group}/valuation[3]/q", 3),
    ]


def test_what_depends_on_results_is_left_alone(desk):
    assert (
        desk.faults(
            f'{BOOK}<group><valuation use="/vnml/project/portfolio/i"/></group><group>'
            '<valuation><c select="/vnml/project/group[1]'
            "/valuation[i/@name='a']/analytics/curve\"/>"
            '<d select="//curve/node[1]"/></valuation>'
            '<valuation use="vn:link(/vnml/project, group[1])"><g select="."/><x select="./none"/>'
            "</valuation></group>"
        )
        == []
    )


def test_what_does_not_depend_on_results_is_checked_in_later_groups(desk):
    faults = desk.faults(
        "<group><valuation/></group><group><valuation>"
        '<c select="/vnml/project/none"/><d select="x:y"/></valuation></group>'
    )
    assert [fault.code for fault in faults] == ["SELECT_NOTHING", "XPATH_PREFIX"]


def test_circles_are_found(desk):
    faults = desk.faults('<a select="/vnml/project/b"/><b select="/vnml/project/a"/>')
    assert {fault.code for fault in faults} == {"REFERENCE_CYCLE"}


def test_faults_of_groups_and_project_themselves_are_found(desk):
    faults = desk.faults(
        '<group use="x"/><group select="/none"/><group href="none.xml"/><group v="${select(/x)}"/>'
    )
    assert [fault.code for fault in faults] == [
        "HREF_UNAVAILABLE",
        "USE_MISPLACED",
        "SELECT_NOTHING",
        "SELECT_NOTHING",
    ]


def test_faults_that_end_everything_are_told(desk):
    assert [f.code for f in check(b"<vnml>", desk.fetch, desk.context)] == ["XML_MALFORMED"]
    assert [f.code for f in check(b"<vnml/>", desk.fetch, desk.context)] == ["NO_PROJECT"]


def test_the_list_has_an_end_and_says_so(desk):
    desk.limits = HydrationLimits(max_faults=3)
    faults = desk.faults("".join(f'<a{n} select="/none"/>' for n in range(9)))
    assert [fault.code for fault in faults] == [
        *["SELECT_NOTHING"] * 3,
        "HYDRATION_TOO_MANY_FAULTS",
    ]
