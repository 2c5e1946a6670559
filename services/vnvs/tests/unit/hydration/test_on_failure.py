"""What a group's failures mean, and what stands in the place of a result (VNML F1, F2)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from vncore.errors import HydrationFailed
from vnvs.hydration import (
    FailedTask,
    GroupOutline,
    GroupResults,
    ParsedDocument,
    failed_valuation,
    failed_valuations,
)

FAILURE = '<failure code="SCRIPT_FAILED" attempts="3">no</failure>'


# --- F1: what a group says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "on_failure"),
    [
        pytest.param("", "", id="F1 a group that says nothing"),
        pytest.param('onFailure="stop"', "stop", id="F1 stop"),
        pytest.param('onFailure=" continue&#10;"', "continue", id="F1 white space does not count"),
        pytest.param('onFailure="tolerate:5"', "tolerate:5", id="F1 a number"),
        pytest.param('onFailure="tolerate:2.5%"', "tolerate:2.5%", id="F1 a share"),
        pytest.param('onFailure="$P"', "tolerate:7", id="F1 by a variable"),
        pytest.param(
            'onFailure="tolerate:${select(/vnml/project/most)}%"',
            "tolerate:10%",
            id="F1 by a placeholder",
        ),
        pytest.param('select="/vnml/project/t/group"', "continue", id="F1 of a selected group"),
        pytest.param('href="g.xml"', "tolerate:1", id="F1 of a fetched group"),
        pytest.param('x:onFailure="?" xmlns:x="u:x"', "", id="F1 a foreign attribute is none"),
    ],
)
def test_the_outline_tells_what_a_group_says(desk, attribute, on_failure):
    desk.files["g.xml"] = '<group onFailure="tolerate:1"/>'
    document = (
        '<?vnvs $P = "tolerate:7" ?><vnml><project><most>10</most><t><group onFailure="continue"/>'
        f'</t><group name="a" {attribute}><valuation/></group></project></vnml>'
    )
    hydrated = desk.document(document)
    assert hydrated.groups == (GroupOutline(0, "a", on_failure),)


def test_f1_the_attribute_is_carried_into_tasks_and_response(desk):
    content = '<n>3</n><group onFailure=" tolerate:${select(/vnml/project/n)}"><valuation/></group>'
    [task] = desk.tasks(content)
    response = desk.response(content, ["<valuation/>"])
    for document in (task.xml, response):
        assert b'<group onFailure=" tolerate:3"><valuation' in document


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param("", "''", id="F1 empty"),
        pytest.param("ignore", "'ignore'", id="F1 another word"),
        pytest.param("tolerate:101%", "'tolerate:101%'", id="F1 more than all"),
        pytest.param("${select(/vnml/project/x)}", "'much'", id="F1 by a placeholder"),
    ],
)
def test_what_is_no_policy_ends_the_document_pass(desk, said, told):
    content = f'<x>much</x>\n<group/>\n<group name="g"\nonFailure="{said}"/>'
    with pytest.raises(HydrationFailed, match=told) as caught:
        desk.project(content)
    fault = caught.value
    assert (fault.code, fault.rule) == ("ON_FAILURE_INVALID", "F1")
    assert (fault.place.group, fault.place.group_index) == ("g", 1)
    assert (fault.place.element, fault.place.line) == ("/vnml/project/group[2]", 4)


def test_f1_a_check_lists_each_group_that_says_nonsense(desk):
    faults = desk.faults(
        '<group onFailure="a"><valuation><x select="/none"/></valuation></group>'
        '<group onFailure="continue"/><group onFailure="${select(/none)}"/><group onFailure="a"/>'
    )
    assert [(fault.code, fault.place.element) for fault in faults] == [
        ("SELECT_NOTHING", "/vnml/project/group[3]"),
        ("ON_FAILURE_INVALID", "/vnml/project/group[1]"),
        ("ON_FAILURE_INVALID", "/vnml/project/group[4]"),
        ("SELECT_NOTHING", "/vnml/project/group[1]/valuation/x"),
    ]


# --- F2: what stands in the place of a result -----------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        pytest.param(
            '<valuation name="v"> <analytics><price/></analytics>\n <i/> </valuation>',
            '<valuation name="v"> {}\n <i/> {vndb}</valuation>',
            id="F2 in the place of the analytics",
        ),
        pytest.param(
            "<valuation><i/>text</valuation>",
            "<valuation><i/>text{}{vndb}</valuation>",
            id="F2 before our vndb where there are none",
        ),
        pytest.param("<valuation/>", "<valuation>{}{vndb}</valuation>", id="F2 alone"),
        pytest.param(
            "<valuation><i/> <analytics/>a <analytics/> <j/><analytics/>b</valuation>",
            "<valuation><i/> {}a <j/>b{vndb}</valuation>",
            id="F2 further analytics are gone, text stays",
        ),
        pytest.param(
            '<valuation><x:analytics xmlns:x="u:x"/><i><analytics/></i><vndb a="1"/></valuation>',
            '<valuation><x:analytics xmlns:x="u:x"/><i><analytics/></i><vndb a="1"/>{}{vndb}'
            "</valuation>",
            id="F2 what is foreign, further inside or the client's stays",
        ),
        pytest.param(
            '<valuation name="n" select="/vnml/project/other"><i/></valuation>',
            '<valuation name="n" a="1"><i/>{}{vndb}</valuation>',
            id="F2 a valuation that was selected with another name is one",
        ),
    ],
)
def test_a_failure_stands_in_place_of_analytics(desk, asked, made):
    [task] = desk.tasks(
        f'<other a="1"><analytics/></other><group><note/>{asked}<more><vndb/></more></group>'
        if "select" in asked
        else f"<group><note/>{asked}<more/></group>"
    )
    written = failed_valuation(task.xml, code="SCRIPT_FAILED", attempts=3, message="no")
    expected = made.format(FAILURE, vndb='<vndb externalId="1"/>')
    assert etree.canonicalize(written.decode()) == etree.canonicalize(expected)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param("a < b & c > ]]>", "a < b & c > ]]>", id="F2 what XML escapes"),
        pytest.param("a\tb\nc\rd", "a\tb\nc\rd", id="F2 white space"),
        pytest.param("\0\x1b[31m\x7f\x85", "��[31m\x7f\x85", id="F2 control characters"),
        pytest.param("\ud800é\U0001f600\ufffe\uffff", "�é\U0001f600��", id="F2 no characters"),
        pytest.param("", "", id="F2 none"),
    ],
)
def test_a_message_is_carried_as_far_as_xml_can(desk, message, text):
    [task] = desk.tasks("<group><valuation><analytics/></valuation></group>")
    written = failed_valuation(task.xml, code="C\0", attempts=0, message=message)
    failure = etree.fromstring(written).find("failure")
    assert (failure.text or "", dict(failure.attrib)) == (text, {"code": "C�", "attempts": "0"})


def test_f2_namespaces_of_the_document_are_declared_where_a_failure_stands(desk):
    document = (
        '<vnml xmlns:f="u:f"><project><group><valuation f:a="1"><analytics/></valuation></group>'
        "</project></vnml>"
    )
    [task] = desk.tasks_of(desk.document(document).xml)
    written = failed_valuation(task.xml, code="C", attempts=1, message="m")
    assert etree.fromstring(written).get("{u:f}a") == "1"
    parsed = ParsedDocument.parse(desk.document(document).xml, desk.limits)
    parsed.place(0, GroupResults([written]))
    assert parsed.groups[0].find("valuation/failure") is not None


def test_f2_failed_valuations_stand_in_the_response_at_their_place(desk):
    content = (
        '<x/><portfolio><instrument name="SOFR"/><instrument name="ESTR"/></portfolio>'
        "<group>\n  <note/>\n"
        '  <valuation name="v" use="/vnml/project/portfolio/instrument">'
        '<analytics><price/></analytics><instrument select="."/></valuation>\n'
        '  <valuation name="w"/>\n</group>'
    )
    tasks = desk.tasks(content)
    broken = [FailedTask(task.xml, "SCRIPT_FAILED", 3, "no") for task in (tasks[0], tasks[2])]
    first, third = (made.decode() for made in failed_valuations(broken))
    second = '<valuation name="v"><instrument name="ESTR"/><vndb externalId="2"/></valuation>'
    response = desk.response(content, [first, second, third], failed=2)
    assert (
        '<project expected="3" failed="2"><x/><group>\n  <note/>\n'
        f'  <valuation name="v">{FAILURE}<instrument name="SOFR"/><vndb externalId="1"/>'
        "</valuation>\n"
        '  <valuation name="v"><instrument name="ESTR"/><vndb externalId="2"/></valuation>\n'
        f'  <valuation name="w">{FAILURE}<vndb externalId="3"/></valuation>\n'
        "</group></project>"
    ) in response.decode()


def test_f2_a_failure_that_a_script_wrote_marks_its_valuation_too(desk):
    content = (
        "<group><valuation/></group><group><valuation>"
        '<x select="/vnml/project/group[1]/valuation/p"/></valuation></group>'
    )
    with pytest.raises(HydrationFailed, match=r"failed \(OWN\)"):
        desk.tasks_after(content, ['<valuation><failure code="OWN"/><p/></valuation>'])


def test_what_is_no_task_document_is_refused(desk):
    for document in (b"<vnml/>", b"<vnml><project><group><x/></group></project></vnml>"):
        with pytest.raises(HydrationFailed) as caught:
            failed_valuation(document, code="C", attempts=1, message="m")
        assert caught.value.code == "RESULTS_MISPLACED"


@given(st.text(), st.text(min_size=1), st.integers(0, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_failure_can_be_told_in_a_response(desk, message, code, attempts):
    content = "<group><valuation/></group>"
    [task] = desk.tasks(content)
    written = failed_valuation(task.xml, code=code, attempts=attempts, message=message)
    response = desk.response(content, [written.decode()], failed=1)
    failure = etree.fromstring(response).find("project/group/valuation/failure")
    assert len(failure.text or "") == len(message)
    assert failure.get("attempts") == str(attempts)
