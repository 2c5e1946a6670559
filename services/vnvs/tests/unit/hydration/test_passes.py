"""When what is hydrated (VNML D1-D5, T1-T4)."""

import pytest

from vncore.errors import HydrationFailed, MalformedDocument
from vnvs.hydration import HydrationLimits

GROUP = "<group><valuation>{}</valuation></group>"


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("<vnml><project/></vnml>", id="D1 a project without groups"),
        pytest.param(
            "<vnml><project><group/></project></vnml>", id="D1 a group without valuations"
        ),
        pytest.param(
            '<vnml xmlns:f="u:f" f:a="1"><f:x y="2">t</f:x><project f:b="3" c="4">'
            '<f:market href="x" select="/y" use="z" v="${select(/q)}"/>'
            '<market f:href="x" f:select="y" f:use="z" f:v="${select(/q)}"/>'
            "<group><f:n/><valuation><f:p/></valuation></group></project><more/></vnml>",
            id="D1 foreign elements, attributes and namespaces are carried along untouched",
        ),
        pytest.param(
            "<vnml><project><href>a</href><select>b</select><use>c</use>"
            "<group><valuation><href/><select/><use/></valuation></group></project></vnml>",
            id="D2 elements that are called like directives are data",
        ),
        pytest.param(
            "<?xml-stylesheet href='x.css'?>\n<!--before-->\n"
            "<vnml> <!--in--> <project>t<a>mixed <b>content</b> here</a> tail &amp; "
            "&lt;more&gt; é</project>\n</vnml>\n<!--after-->\n<?end?>",
            id="D4 without directives and variables a document hydrates to itself",
        ),
        pytest.param(
            '<vnml><project><a xmlns="u:d" xml:lang="en"><b xmlns=""/></a></project></vnml>',
            id="D4 with default namespaces",
        ),
    ],
)
def test_nothing_changes(desk, document):
    made = desk.document(document)
    assert made.xml.decode() == f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'
    assert made.sources == ()


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("<other/>", id="D1 another root"),
        pytest.param("<vnml/>", id="D1 no project"),
        pytest.param("<vnml><project/><project/></vnml>", id="D1 two projects"),
        pytest.param('<vnml xmlns="u:v"><project/></vnml>', id="D1 a root with a namespace"),
    ],
)
def test_a_document_without_one_project_is_refused(desk, document):
    with pytest.raises(HydrationFailed) as caught:
        desk.document(document)
    assert (caught.value.code, caught.value.rule) == ("NO_PROJECT", "D1")


def test_bytes_that_are_no_xml_are_refused(desk):
    with pytest.raises(MalformedDocument):
        desk.document("<vnml>")


def test_d5_earlier_results_are_never_hydrated(desk):
    second = GROUP.format(
        '<x select="/vnml/project/group[1]/valuation/r"/>'
        '<y select="/vnml/project/group[1]/valuation/q/@v"/>'
    )
    result = '<valuation><r select="/none" a="${select(/none)}"/><q v="${select(/q)}"/></valuation>'
    [task] = desk.tasks_after(f"<group><valuation/></group>{second}", [result])
    assert b'<r select="/none" a="${select(/none)}"/><y>${select(/q)}</y>' in task.xml


# --- T1: the document pass -----------------------------------------------------------------------


def test_t1_selects_in_valuations_wait_for_their_group(desk):
    inside = '<m select="/vnml/project/a" x="${select(/vnml/project/a)}"/>'
    made = desk.project(f"<a>1</a><b select='/vnml/project/a/text()'/>{GROUP.format(inside)}")
    assert made == f"<a>1</a><b>1</b>{GROUP.format(inside)}"


def test_t1_hrefs_in_valuations_are_fetched_with_the_document(desk):
    desk.files["m.xml"] = "<m>1</m>"
    assert desk.project(GROUP.format('<m href="m.xml"/>')) == GROUP.format("<m>1</m>")


def test_t1_other_children_of_a_group_are_hydrated_with_the_document(desk):
    made = desk.project(
        '<a>1</a><group><note select="/vnml/project/a/text()"/><valuation/></group>'
    )
    assert made == "<a>1</a><group><note>1</note><valuation/></group>"


def test_t1_a_group_can_be_selected_and_keeps_its_directives_for_its_turn(desk):
    content = (
        '<portfolio><i name="a"/></portfolio>'
        '<group name="one"><valuation use="//i"><n select="./@name"/></valuation></group>'
        '<group name="two" select="/vnml/project/group[1]"/>'
    )
    assert desk.valuations(content, 1) == ["<n>a</n>"]
    assert [
        group.name for group in desk.document(f"<vnml><project>{content}</project></vnml>").groups
    ] == [
        "one",
        "two",
    ]


def test_t4_two_groups_that_select_each_other_are_an_error(desk):
    fault = desk.fault(
        '<group select="/vnml/project/group[2]"/><group select="/vnml/project/group[1]"/>'
    )
    assert (fault.code, fault.rule) == ("REFERENCE_CYCLE", "T4")


# --- T2: the group pass --------------------------------------------------------------------------


def test_t2_paths_see_the_results_of_earlier_groups_in_task_order(desk):
    content = (
        '<portfolio><i name="a"/><i name="b"/></portfolio>'
        '<group><valuation use="//i"/></group><group><valuation/></group>'
        + GROUP.format(
            '<x select="/vnml/project/group[1]/valuation[2]/r/text()"/>'
            '<y select="/vnml/project/group[2]/valuation/r/text()"/>'
        )
    )
    results = [f"<valuation><r>{n}</r></valuation>" for n in (1, 2)]
    [task] = desk.tasks_after(content, results, ["<valuation><r>3</r></valuation>"])
    assert b"<x>2</x><y>3</y>" in task.xml


def test_t2_an_href_that_a_select_brought_in_is_followed(desk):
    """What a later group's valuation holds is hydrated where it is selected."""
    desk.files |= {"a.xml": '<a><b href="b.xml"/></a>', "b.xml": '<b><c select="./@name"/></b>'}
    later = GROUP.format('<a href="a.xml"/>')
    content = (
        '<portfolio><i name="n"/></portfolio>'
        '<group><valuation use="//i"><a select="/vnml/project/group[2]/valuation/a"/>'
        f"</valuation></group>{later}"
    )
    assert desk.valuations(content) == ["<a><b><c>n</c></b></a>"]


def test_t2_a_group_can_be_the_context_of_a_total(desk):
    content = (
        "<group><valuation/></group>"
        '<group><valuation use="vn:link(/vnml/project, group[1])"><aggregate>'
        '<group select="."/></aggregate></valuation></group>'
    )
    [task] = desk.tasks_after(content, ["<valuation><price>1</price></valuation>"])
    assert b"<aggregate><group><valuation><price>1</price></valuation></group>" in task.xml


def test_t4_a_group_that_selects_itself_is_an_error(desk):
    fault = desk.fault(
        '<group><valuation use="vn:link(/vnml/project, group[1])">'
        '<g select="."/></valuation></group>'
    )
    assert (fault.code, fault.rule) == ("REFERENCE_CYCLE", "T4")


# --- T3: chains ----------------------------------------------------------------------------------

CHAIN = {
    '<c select="/vnml/project/b/x/text()"/>': "<c>1</c>",
    '<b select="/vnml/project/a/b"/>': "<b><x>1</x></b>",
    '<a select="/vnml/project/data/a"/>': "<a><b><x>1</x></b></a>",
    "<data><a><b><x>1</x></b></a></data>": "<data><a><b><x>1</x></b></a></data>",
}


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((0, 1, 2, 3), id="T3 chains work, used before made"),
        pytest.param((3, 2, 1, 0), id="T3 chains work, made before used"),
        pytest.param((1, 3, 0, 2), id="T3 chains work, mixed"),
    ],
)
def test_chains_resolve_in_any_order(desk, order):
    written = [list(CHAIN)[number] for number in order]
    assert desk.project("".join(written)) == "".join(CHAIN[part] for part in written)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            '<c select="/vnml/project/m/r/text()"/><m href="m.xml"/>',
            "<c>5</c>",
            id="T3 into what an href brought in",
        ),
        pytest.param(
            '<c select="/vnml/project/m/r/text()"/>'
            '<m href="${select(/vnml/project/f)}"/><f>m.xml</f>',
            "<c>5</c>",
            id="T3 into what an href with a placeholder brought in",
        ),
        pytest.param(
            """<c select="/vnml/project/d[@n='5']/text()"/>"""
            """<d n="${select(/vnml/project/e)}">1</d><e>5</e>""",
            "<c>1</c>",
            id="T3 through an attribute that a placeholder gives",
        ),
        pytest.param(
            '<c select="/vnml/project/p/*[r=5]/r/text()"/><p>'
            '<q select="/vnml/project/s"/></p><s><r>5</r></s>',
            "<c>5</c>",
            id="T3 through a path that only libxml2 understands",
        ),
        pytest.param(
            '<c select="/vnml/project/p/r/text()"/><p><q select="/vnml/project/s/r"/></p>'
            "<s><r>5</r></s>",
            "<c>5</c>",
            id="T3 into an element that a select gave another tag",
        ),
        pytest.param(
            '<c select="/vnml/project/p//r/text()"/><p><q select="/vnml/project/s/q"/></p>'
            "<s><q><r>5</r></q></s>",
            "<c>5</c>",
            id="T3 through descendants",
        ),
        pytest.param(
            '<c select="/vnml/project/x/r/text() | /vnml/project/y/text()"/>'
            '<x select="/vnml/project/s/x"/><y>9</y><s><x><r>5</r></x></s>',
            "<c>5</c>",
            id="T3 an alternative waits for what it leads through",
        ),
        pytest.param(
            "<c select=\"/vnml/project/n[@k='1']/@k | /vnml/project/y/text()\"/>"
            '<n select="/vnml/project/s/n"/><y>9</y><s><n k="1"/></s>',
            "<c>1</c>",
            id="T3 an alternative waits for what may still come",
        ),
        pytest.param(
            '<c select="vn:link(/vnml/project/x, r)"/><x select="/vnml/project/s/x"/>'
            "<s><x><r>5</r></x></s>",
            "<r>5</r>",
            id="T3 a link waits for its source",
        ),
        pytest.param(
            '<c select="/vnml/project/o"/><o><i select="/vnml/project/s/r"/></o><s><r>5</r></s>',
            "<o><r>5</r></o>",
            id="T3 a selected element that itself has directives is hydrated first",
        ),
        pytest.param(
            '<c v="${select(/vnml/project/o)}"/><o>'
            '<i select="/vnml/project/s/r"/></o><s><r>5</r></s>',
            '<c v="5"/>',
            id="T3 the value of an element with directives",
        ),
        pytest.param(
            '<m name="A" select="/vnml/project/m[@name=\'B\']"/>'
            '<m name="B" select="/vnml/project/s/m"/><s><m>5</m></s>',
            '<m name="A">5</m><m name="B">5</m>',
            id="T3 among elements of one name",
        ),
    ],
)
def test_paths_reach_what_references_bring_in(desk, content, expected):
    desk.files["m.xml"] = "<m><r>5</r></m>"
    assert desk.project(content).startswith(expected)


def test_t3_a_chain_of_twenty_elements(desk):
    links = "".join(f'<m{n} select="/vnml/project/m{n + 1}/text()"/>' for n in range(20))
    assert desk.project(f"{links}<m20>5</m20>") == "".join(f"<m{n}>5</m{n}>" for n in range(21))


def test_p3_what_a_placeholder_gave_is_data_in_every_later_pass(desk):
    content = (
        '<s>${select(/none)}</s><b select="/vnml/project/a/@v"/>'
        '<a v="${select(/vnml/project/s)}"/>' + GROUP.format('<c select="/vnml/project/a"/>')
    )
    made = desk.document(f"<vnml><project>{content}</project></vnml>")
    assert b'<b>${select(/none)}</b><a v="${select(/none)}"/>' in made.xml
    [task] = desk.tasks_of(made.xml)
    assert b'<valuation><a v="${select(/none)}"/>' in task.xml


# --- T4: circles and limits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "chain"),
    [
        pytest.param(
            '<a select="/vnml/project/a"/>',
            ["/vnml/project/a"],
            id="T4 an element that reaches itself",
        ),
        pytest.param(
            '<a><b select="/vnml/project/a"/></a>',
            ["/vnml/project/a/b", "/vnml/project/a"],
            id="T4 an element that reaches an ancestor",
        ),
        pytest.param(
            '<a select="/vnml/project"/>',
            ["/vnml/project/a", "/vnml/project"],
            id="T4 an element that reaches the project",
        ),
        pytest.param(
            '<a select="/vnml/project/b"/><b select="/vnml/project/a"/>',
            ["/vnml/project/a", "/vnml/project/b", "/vnml/project/a"],
            id="T4 two that select each other",
        ),
        pytest.param(
            '<a select="/vnml/project/b/x"/>'
            '<b select="/vnml/project/c"/><c select="/vnml/project/a"/>',
            ["/vnml/project/a", "/vnml/project/b", "/vnml/project/c", "/vnml/project/a"],
            id="T4 three in a circle, through a path",
        ),
        pytest.param(
            '<a v="${select(/vnml/project/b)}"/><b select="/vnml/project/a/@v"/>',
            ["/vnml/project/a", "/vnml/project/b", "/vnml/project/a"],
            id="T4 through a placeholder",
        ),
        pytest.param(
            GROUP.format('<a select="/vnml/project/group/valuation/a"/>'),
            ["/vnml/project/group/valuation/a"],
            id="T4 in a group, itself",
        ),
        pytest.param(
            GROUP.format(
                '<a select="/vnml/project/group/valuation/b"/>'
                '<b select="/vnml/project/group/valuation/a"/>'
            ),
            ["valuation/a", "valuation/b", "valuation/a"],
            id="T4 in a group, each other",
        ),
        pytest.param(
            GROUP.format('<a select="/vnml/project/group"/>'),
            ["/vnml/project/group/valuation/a", "/vnml/project/group"],
            id="T4 in a group, the group",
        ),
    ],
)
def test_a_circle_is_an_error_naming_the_chain(desk, content, chain):
    fault = desk.fault(content)
    assert (fault.code, fault.rule) == ("REFERENCE_CYCLE", "T4")
    position = -1
    for step in chain:
        position = fault.message.find(step, position + 1)
        assert position >= 0, f"{step} is missing in {fault.message}"
    assert fault.place.element is not None


@pytest.mark.parametrize(
    ("limits", "content", "code"),
    [
        pytest.param(
            {"max_passes": 5},
            "".join(f'<m{n} select="/vnml/project/m{n + 1}"/>' for n in range(9)) + "<m9/>",
            "HYDRATION_PASSES",
            id="T4 elements that wait for each other",
        ),
        pytest.param(
            {"max_passes": 5},
            GROUP.format(
                "".join(
                    f'<m{n} select="/vnml/project/group/valuation/m{n + 1}"/>' for n in range(9)
                )
                + "<m9/>"
            ),
            "HYDRATION_PASSES",
            id="T4 selections of selections",
        ),
        pytest.param(
            {"max_nodes": 1000},
            "<m0>1</m0>"
            + "".join(
                f'<m{n}><a select="/vnml/project/m{n - 1}"/>'
                f'<b select="/vnml/project/m{n - 1}"/></m{n}>'
                for n in range(1, 20)
            ),
            "HYDRATION_TOO_LARGE",
            id="T4 nodes, doubled again and again",
        ),
        pytest.param(
            {"max_bytes": 3000},
            f"<d><m>{'x' * 1000}</m></d>" + '<a select="/vnml/project/d/m"/>' * 5,
            "HYDRATION_TOO_LARGE",
            id="T4 bytes brought in",
        ),
        pytest.param(
            {"max_bytes": 3000},
            f"<m>{'x' * 1000}</m>"
            + GROUP.format('<a select="/vnml/project/m"/>') * 1
            + "<group>"
            + '<valuation><a select="/vnml/project/m"/></valuation>' * 4
            + "</group>",
            "HYDRATION_TOO_LARGE",
            id="T4 bytes of a group's tasks",
        ),
        pytest.param(
            {"max_depth": 20},
            "<a>" * 16 + "</a>" * 16 + '<b><c><d><e select="/vnml/project/a"/></d></c></b>',
            "HYDRATION_TOO_DEEP",
            id="T4 levels of the document",
        ),
        pytest.param(
            {"max_depth": 20},
            "<a>" * 16 + "</a>" * 16 + GROUP.format('<d><e select="/vnml/project/a"/></d>'),
            "HYDRATION_TOO_DEEP",
            id="T4 levels of a task",
        ),
        pytest.param(
            {"max_attribute": 10},
            '<a>0123456789</a><b v="-${select(/vnml/project/a)}"/>',
            "HYDRATION_ATTRIBUTE_TOO_LONG",
            id="T4 an attribute after expansion",
        ),
        pytest.param(
            {"max_name": 3}, '<group name="long"/>', "HYDRATION_NAME_TOO_LONG", id="T4 group name"
        ),
        pytest.param(
            {"max_name": 3},
            '<group><valuation name="long"/></group>',
            "HYDRATION_NAME_TOO_LONG",
            id="T4 valuation name",
        ),
    ],
)
def test_a_limit_refuses(desk, limits, content, code):
    desk.limits = HydrationLimits(**limits)
    assert desk.fault(content).code == code


def test_t4_deep_nesting_ends_with_a_result_or_an_error_of_ours(desk):
    deep = '<a v="${select(/vnml/@x)}">' * 240 + "</a>" * 240
    made = desk.document(f'<vnml x="1"><project>{deep}</project></vnml>')
    assert made.xml.count(b'v="1"') == 240


def test_thousands_of_elements_that_find_theirs_by_name_take_linear_time(desk):
    """By search this is a hundred million steps; the test's time limit would end it."""
    count = 4_000
    rows = "".join(f'<row name="R{n}"><v>{n}</v></row>' for n in range(count))
    wanted = "".join(
        f"""<i name="I{n}"><v select="/vnml/project/rows/row[@name='R{n}']/v"/></i>"""
        for n in range(count)
    )
    made = desk.project(f"<rows>{rows}</rows><book>{wanted}</book>")
    assert made.count(f"<v>{count - 1}</v>") == 2
