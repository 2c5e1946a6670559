"""`use`: one valuation, many tasks (VNML U1-U5)."""

import pytest

BOOK = (
    '<portfolio name="p"><i name="a"/><i name="b"><i name="x"/></i><j name="c"/></portfolio>'
    '<portfolio name="q"><j name="d"/><i name="e"/></portfolio><empty/>'
)


def linked(desk, use: str) -> list[str]:
    """The names of the linked elements, one per task."""
    content = f'{BOOK}<group><valuation use="{use}"><n select="./@name"/></valuation></group>'
    return [made.removeprefix("<n>").removesuffix("</n>") for made in desk.valuations(content)]


@pytest.mark.parametrize(
    ("use", "names"),
    [
        pytest.param(
            "vn:link(/vnml/project/portfolio, i)",
            ["a", "b", "e"],
            id="U1 one copy per child of every source, in document order",
        ),
        pytest.param(
            "vn:link(/vnml/project/portfolio[@name='q'], i)", ["e"], id="U1 predicates in source"
        ),
        pytest.param(
            "vn:link(/vnml/project/portfolio, *[@name='d' or @name='a'])",
            ["a", "d"],
            id="U1 predicates in child",
        ),
        pytest.param(
            "vn:link(/vnml/project, portfolio/i)", ["a", "b", "e"], id="U1 paths in child"
        ),
        pytest.param(
            "vn:link(/vnml/project/portfolio, j | i)",
            ["a", "b", "c", "d", "e"],
            id="U1 unions in child, in document order",
        ),
        pytest.param(
            "vn:link(/vnml/project/portfolio[2] | /vnml/project/portfolio[1], i)",
            ["a", "b", "e"],
            id="U1 unions in source, in document order",
        ),
        pytest.param(
            "vn:link(//*, i)", ["a", "b", "x", "e"], id="U1 nested sources, in document order"
        ),
        pytest.param("vn:link(//*, .//i)", ["a", "b", "x", "e"], id="U1 an element is linked once"),
        pytest.param("/vnml/project/portfolio/j", ["c", "d"], id="U2 a plain path does the same"),
        pytest.param("//j | //i[@name='a']", ["a", "c", "d"], id="U2 a union, in document order"),
        pytest.param(
            "vn:link( /vnml/project/portfolio[concat('(', ',') = '(,'] , i[@name = ',)' or 1] )",
            ["a", "b", "e"],
            id="U3 commas and parentheses inside brackets and quotes do not separate",
        ),
        pytest.param(
            "vn:link(/vnml/project"
            "/portfolio[@name='${select(/vnml/project/portfolio[2]/@name)}'], i)",
            ["e"],
            id="P4 a placeholder in a use",
        ),
    ],
)
def test_a_use_links(desk, use, names):
    assert linked(desk, use) == names


def test_u1_the_copies_have_no_use(desk):
    tasks = desk.tasks(f'{BOOK}<group><valuation a="1" use="//j"/></group>')
    assert [b'<valuation a="1"><vndb' in task.xml for task in tasks] == [True, True]


def test_u1_the_context_stands_where_it_is_in_the_document(desk):
    content = f'{BOOK}<group><valuation use="//j"><n select="../@name"/></valuation></group>'
    assert desk.valuations(content) == ["<n>p</n>", "<n>q</n>"]


@pytest.mark.parametrize(
    ("use", "code", "rule"),
    [
        pytest.param("", "USE_EMPTY", "U4", id="U4 an empty use"),
        pytest.param(" ", "USE_EMPTY", "U4", id="U4 a blank use"),
        pytest.param("xx:link(/vnml, a)", "LINK_UNKNOWN", "U4", id="U4 an unknown prefix"),
        pytest.param("vn:lynk(/vnml, a)", "LINK_UNKNOWN", "U4", id="U4 an unknown function"),
        pytest.param("vn:link(/vnml/project)", "LINK_ARGUMENTS", "U4", id="U4 one argument"),
        pytest.param("vn:link(/vnml,project,i)", "LINK_ARGUMENTS", "U4", id="U4 three arguments"),
        pytest.param("vn:link(/vnml, )", "LINK_ARGUMENTS", "U4", id="U4 an empty argument"),
        pytest.param("vn:link()", "LINK_ARGUMENTS", "U4", id="U4 no argument"),
        pytest.param("vn:link(/vnml, a", "LINK_UNCLOSED", "U4", id="U4 no closing parenthesis"),
        pytest.param("vn:link(/vnml, a)/b", "LINK_UNCLOSED", "U4", id="U4 text behind the call"),
        pytest.param("vn:link(/vnml/x, i)", "LINK_NO_SOURCE", "U4", id="U4 no source"),
        pytest.param(
            "vn:link(/vnml/project/empty, i)", "LINK_NO_CHILD", "U4", id="U4 no child at all"
        ),
        pytest.param("/vnml/x", "USE_NOTHING", "U2", id="U4 a path that matches nothing"),
        pytest.param("/vnml = 1", "SELECT_NOT_NODES", "S6", id="U4 not a node-set"),
        pytest.param("//i/@name", "USE_NOT_ELEMENTS", "U4", id="U4 attributes"),
        pytest.param(
            "vn:link(//i, @name)", "USE_NOT_ELEMENTS", "U4", id="U4 children that are attributes"
        ),
        pytest.param(
            "vn:link(//i/@name, .)", "USE_NOT_ELEMENTS", "U4", id="U4 sources that are attributes"
        ),
        pytest.param("vn:today()", "USE_NOT_ELEMENTS", "U4", id="U4 a function without elements"),
        pytest.param("vn:link(/vnml[, i)", "LINK_ARGUMENTS", "U4", id="U4 a bracket left open"),
        pytest.param("vn:link(/vnml, 'i)", "LINK_UNCLOSED", "U4", id="U4 a quote left open"),
        pytest.param("vn:link(/vnml/, i)", "XPATH_SYNTAX", "S6", id="U4 syntax in source"),
        pytest.param("vn:link(/vnml, i[])", "XPATH_SYNTAX", "U1", id="U4 syntax in child"),
        pytest.param("i", "SELECT_NO_CONTEXT", "S1", id="U4 a relative path"),
    ],
)
def test_a_use_that_links_nothing_is_told_with_its_place(desk, use, code, rule):
    fault = desk.fault(f'{BOOK}\n<group name="g"><valuation name="v" use="{use}"/></group>')
    assert (fault.code, fault.rule) == (code, rule)
    place = fault.place
    assert (place.element, place.line) == ("/vnml/project/group/valuation", 2)
    assert (place.group, place.valuation) == ("g", "v")
    assert place.expression == use


def test_a_use_elsewhere_than_on_a_valuation_is_an_error(desk):
    for content in (
        '<model use="//i"/>',
        '<group use="//i"/>',
        '<group><valuation><x use="//i"/></valuation></group>',
    ):
        fault = desk.fault(f"{BOOK}{content}")
        assert (fault.code, fault.rule) == ("USE_MISPLACED", "U1")


def test_u5_a_new_function_is_registered_by_name_in_one_place(desk, monkeypatch):
    from vnvs.hydration import links

    monkeypatch.setattr(links, "FUNCTIONS", dict(links.FUNCTIONS))

    @links.link_function("first", "path")
    def first(arguments, evaluation):
        return links.Linked(evaluation.nodes(arguments[0], 1)[0])

    assert desk.valuation(BOOK, '<n select="vn:first(//i/@name)"/>') == "<n>a</n>"


def test_u2_tasks_of_a_group_are_limited(desk):
    from vnvs.hydration import HydrationLimits

    desk.limits = HydrationLimits(max_tasks=2)
    fault = desk.fault(f'{BOOK}<group><valuation use="//i"/></group>')
    assert (fault.code, fault.rule) == ("HYDRATION_TOO_MANY_TASKS", "T4")
    fault = desk.fault(f"{BOOK}<group><valuation/><valuation/><valuation/></group>")
    assert fault.code == "HYDRATION_TOO_MANY_TASKS"
