"""Task documents, results, response (VNML K1, K3, K4, K5)."""

import json

import pytest
from lxml import etree
from straightforward import place_results

from vncore.errors import HydrationFailed
from vnvs.hydration import GroupResults, HydrationLimits, ParsedDocument

BOOK = '<portfolio><i name="a"/><i name="b"/></portfolio>'


def test_k1_a_task_is_the_document_with_one_hydrated_valuation(desk):
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?keep me?>\n<!--and me-->\n'
        '<vnml version="2">\n'
        "  <before/>\n"
        '  <project name="P">\n'
        "    <market/>\n    <model/>\n    <calculator/>\n"
        '    <portfolio><i name="a"/><i name="b"/></portfolio>\n'
        '    <f:market xmlns:f="u:f"/>\n    <settings>s</settings>\n'
        '    <group name="one"><valuation/></group>\n'
        '    <group name="two" onFailure="stop"><!--why--><note/>\n'
        '      <valuation name="v" use="/vnml/project/portfolio/i" x="1">\n'
        '        <i select="."/>\n'
        "      </valuation><label/>\n"
        '      <valuation name="w"><vndb mine="1"/></valuation>\n'
        "    </group>\n"
        "  </project>\n"
        "</vnml>\n<!--end-->"
    )
    before = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?keep me?>\n<!--and me-->\n'
        '<vnml version="2">\n'
        "  <before/>\n"
        '  <project name="P">\n'
        '    <f:market xmlns:f="u:f"/>\n    <settings>s</settings>\n'
        '    <group name="two" onFailure="stop"><!--why--><note/>\n      '
    )
    after = "</group>\n  </project>\n</vnml>\n<!--end-->"
    first, second, third = desk.tasks_of(desk.document(document).xml, 1)
    for task, number, instrument in ((first, 1, "a"), (second, 2, "b")):
        assert (task.task_id, task.valuation_name) == (number, "v")
        assert task.xml.decode() == (
            f'{before}<valuation name="v" x="1">\n        <i name="{instrument}"/>\n      '
            f'<vndb externalId="{number}"/></valuation><label/>\n      {after}'
        )
    assert (third.task_id, third.valuation_name) == (3, "w")
    assert third.xml.decode() == (
        f'{before}<label/>\n      <valuation name="w"><vndb mine="1"/><vndb externalId="3"/>'
        f"</valuation>\n    {after}"
    )


def test_k1_namespaces_declared_around_a_valuation_are_not_declared_again(desk):
    document = (
        '<vnml xmlns:f="u:f" xmlns:g="u:g"><project><i f:a="1"/><group><valuation f:b="2">'
        '<c g:d="3"/><f:e/><i select="/vnml/project/i"/><h xmlns:h="u:h" h:i="f:q"/>'
        "</valuation></group></project></vnml>"
    )
    [task] = desk.tasks_of(desk.document(document).xml)
    assert (
        b'<valuation f:b="2"><c g:d="3"/><f:e/><i f:a="1"/><h xmlns:h="u:h" h:i="f:q"/>'
        b'<vndb externalId="1"/></valuation>'
    ) in task.xml
    assert task.xml.count(b"xmlns:") == 3


def test_k1_what_is_not_to_be_removed_keeps_its_place(desk):
    content = "<a/>1<market/>2<b/>3<group>4<valuation/>5<n/>6</group>7<c/>"
    [task] = desk.tasks(content)
    assert (
        b'<project><a/>12<b/>3<group>4<valuation><vndb externalId="1"/></valuation>5<n/>6</group>'
        b"7<c/></project>"
    ) in task.xml


def test_k1_task_ids_count_over_the_whole_group_in_document_order(desk):
    content = (
        f'{BOOK}<group><valuation name="x"/>'
        f'<valuation name="y" use="/vnml/project/portfolio/i"/><valuation/></group>'
    )
    tasks = desk.tasks(content)
    assert [(task.task_id, task.valuation_name) for task in tasks] == [
        (1, "x"),
        (2, "y"),
        (3, "y"),
        (4, ""),
    ]


def test_a_group_without_valuations_has_no_tasks(desk):
    assert desk.tasks("<group><note/></group>") == []


def test_a_group_that_is_not_there_is_an_error(desk):
    with pytest.raises(HydrationFailed) as caught:
        desk.tasks("<group/>", 1)
    assert caught.value.code == "RESULTS_MISPLACED"


def test_text_and_attributes_are_written_as_they_were(desk):
    inside = 'a &lt; b &amp; c &gt; d&#13;<x y="&lt;&amp;&quot;&#10;"/> é \U0001f600 <!--c--> t'
    [task] = desk.tasks(f'<group><valuation z="&lt;&quot;">{inside}</valuation></group>')
    sent = etree.fromstring(f'<valuation z="&lt;&quot;">{inside}</valuation>'.encode())
    made = etree.fromstring(task.xml).find("project/group/valuation")
    made.remove(made[-1])
    assert etree.tostring(made) == etree.tostring(sent)


def test_a_valuation_can_be_selected_as_a_whole(desk):
    content = (
        '<t><valuation a="1" b="2"><i select="/vnml/project/x"/></valuation></t><x>5</x>'
        '<group><valuation b="3" select="/vnml/project/t/valuation"/></group>'
    )
    [task] = desk.tasks(content)
    assert b'<valuation a="1" b="3"><x>5</x><vndb externalId="1"/></valuation>' in task.xml


# --- K3, K4 --------------------------------------------------------------------------------------


def test_k3_results_replace_the_valuations_in_task_order(desk):
    content = (
        f"{BOOK}<group>\n  <!--1--><valuation/>\n  <n/>\n"
        '  <valuation use="/vnml/project/portfolio/i"/><!--2-->\n  '
        "<valuation/>\n</group><group><valuation/></group>"
    )
    results = [f"<valuation>{n}</valuation>" for n in range(1, 5)]
    for document in (desk.placed(content, results), desk.response(content, results)):
        assert (
            b"<group>\n  <!--1--><valuation>1</valuation>\n  <n/>\n"
            b"  <valuation>2</valuation>\n  <valuation>3</valuation><!--2-->\n"
            b"  <valuation>4</valuation>\n</group><group><valuation/></group>"
        ) in document


def test_k3_results_stand_in_the_response_as_they_were_written(desk):
    result = "<valuation a='1' >&#65;<x></x></valuation>"
    assert result.encode() in desk.response("<group><valuation/></group>", [result])


def test_k3_a_mark_of_the_client_is_no_mark_of_ours(desk):
    content = "<group><?vn-mark-0?><valuation/><?vn-mark-0?></group>"
    for way in (desk.placed, desk.response):
        document = way(content, ["<valuation>1</valuation>"])
        assert b"<?vn-mark-0?><valuation>1</valuation><?vn-mark-0?>" in document
    [task] = desk.tasks(content)
    assert b"<?vn-mark-0?><valuation><vndb" in task.xml


@pytest.mark.parametrize(
    ("group", "results"),
    [
        pytest.param(0, ["<valuation/>"], id="K3 fewer results than tasks"),
        pytest.param(0, ["<valuation/>"] * 3, id="K3 more results than tasks"),
        pytest.param(0, ["<valuation/>", "<other/>"], id="K3 a result that is no valuation"),
        pytest.param(0, ["<valuation/>", "<valuations/>"], id="K3 a name that starts the same"),
        pytest.param(0, ["<valuation/>", '<?xml version="1.0"?><valuation/>'], id="K3 not bare"),
        pytest.param(1, [], id="K3 a group that is not there"),
    ],
)
def test_results_that_do_not_fit_are_refused(desk, group, results):
    document = desk.document(
        "<vnml><project><group><valuation/><valuation/></group></project></vnml>"
    )
    parsed = ParsedDocument.parse(document.xml, desk.limits)
    with pytest.raises(HydrationFailed) as caught:
        parsed.place(group, GroupResults([result.encode() for result in results]))
    assert (caught.value.code, caught.value.known.category.value) == (
        "RESULTS_MISPLACED",
        "internal",
    )


def test_k3_results_that_make_the_document_too_large_are_refused(desk):
    document = desk.document("<vnml><project><group><valuation/></group></project></vnml>").xml
    parsed = ParsedDocument.parse(document, HydrationLimits(max_bytes=500))
    with pytest.raises(HydrationFailed) as caught:
        parsed.place(0, GroupResults([b"<valuation>" + b"x" * 1000 + b"</valuation>"]))
    assert caught.value.code == "HYDRATION_TOO_LARGE"


def test_k4_the_response_has_counts_and_no_shared_data(desk):
    content = (
        "<?p?><market/><model/><a/>\n<calculator/><portfolio/>text<portfolio/>"
        "<group><!--c--><valuation><market/></valuation><n/></group>"
    )
    response = desk.response(content, ["<valuation><market/><r/></valuation>"], failed=1)
    assert response.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<vnml><project expected="1" failed="1"><?p?><a/>\ntext'
        "<group><!--c--><valuation><market/><r/></valuation><n/></group></project></vnml>"
    )


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param("iso-8859-1", id="K5 the declared encoding is honoured"),
        pytest.param("utf-16", id="K5 UTF-16 with its mark"),
    ],
)
def test_a_document_in_another_encoding_is_written_as_utf8(desk, encoding):
    document = f'<?xml version="1.0" encoding="{encoding}"?><vnml><project>é</project></vnml>'
    made = desk.document(document.encode(encoding)).xml
    assert made.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<vnml><project>é</project></vnml>'
    )


# --- the trace -----------------------------------------------------------------------------------


def test_the_trace_tells_where_each_value_came_from(desk):
    desk.files |= {"usd.xml": "<market><rate>5</rate></market>", "m.xml": '<m><a select="."/></m>'}
    content = (
        f'{BOOK}<market href="usd.xml"/><group>'
        f'<valuation use="/vnml/project/portfolio/i" n="${{select(./@name)}}">'
        '<market select="/vnml/project/market"/>'
        '<m href="m.xml"/><i select="."/></valuation></group>'
    )
    hydrated = desk.document(f"<vnml><project>{content}</project></vnml>")
    digest = hydrated.sources[0].digest
    assert json.loads(hydrated.trace) == {
        "pass": "document",
        "values": [
            {
                "rule": "R1",
                "at": "/vnml/project/market",
                "uri": "file:///data/usd.xml",
                "digest": digest,
            }
        ],
    }
    tasks = desk.tasks_of(hydrated.xml)
    first, second = (json.loads(task.trace) for task in tasks)
    assert (first["task"], first["context"]) == (1, "/vnml/project/portfolio/i[1]")
    assert (second["task"], second["context"]) == (2, "/vnml/project/portfolio/i[2]")
    for trace in (first, second):
        assert [entry["rule"] for entry in trace["values"]] == ["P2", "S4", "S4", "R1", "S4"]
    assert first["values"][1] == {
        "rule": "S4",
        "at": "/vnml/project/group/valuation/market",
        "expression": "/vnml/project/market",
        "from": "/vnml/project/market",
    }
    assert first["values"][3]["uri"] == "file:///data/m.xml"


def test_errors_of_a_later_group_know_the_line_as_sent(desk):
    desk.files["m.xml"] = "<market>\n\n\n\n</market>"
    sent = (
        b'<vnml>\n<project>\n<market href="m.xml"/>\n<group>\n<valuation/>\n</group>\n'
        b'<group>\n<valuation>\n<a/>\n<b>\n<x select="/none"/>'
        b"</b></valuation></group></project></vnml>"
    )
    document = place_results(desk.document(sent).xml, 0, [b"<valuation>\n\n\n</valuation>"])
    for desk.sent, line in ((sent, 11), (None, None), (b"<broken", None), (b"<vnml/>", None)):
        with pytest.raises(HydrationFailed) as caught:
            desk.tasks_of(document, 1)
        assert caught.value.place.line == line
        assert caught.value.place.element == "/vnml/project/group[2]/valuation/b/x"
