"""`select` on elements (VNML S1-S6)."""

import pytest

LINKED = '<valuation use="/vnml/project/portfolio/i">{}</valuation>'
BOOK = (
    '<portfolio><i name="a" ccy="USD"><rate>1</rate><leg><x>7</x></leg></i></portfolio>'
    '<market name="USD" date="2026-09-17"><rate>5</rate></market>'
    '<market name="EUR"><rate>6</rate></market>'
)


@pytest.mark.parametrize(
    ("valuation", "expected"),
    [
        pytest.param(
            """<m select="/vnml/project/market[@name='EUR']/rate"/>""",
            "<rate>6</rate>",
            id="S1 a path that starts with a slash is absolute on the document",
        ),
        pytest.param(
            '<m select="./rate"/>', "<rate>1</rate>", id="S1 any other is relative to the context"
        ),
        pytest.param('<m select="rate"/>', "<rate>1</rate>", id="S1 the leading dot is optional"),
        pytest.param(
            '<m select="(/vnml/project/market)[2]/rate"/>',
            "<rate>6</rate>",
            id="S1 a parenthesis before the slash changes nothing",
        ),
        pytest.param(
            '<m select="../../market[1]/rate"/>',
            "<rate>5</rate>",
            id="S1 the context stands where it is in the document",
        ),
        pytest.param(
            '<m select="./none | /vnml/project/market[1]/rate | /vnml/project/market[2]/rate"/>',
            "<rate>5</rate>",
            id="S2 first alternative that resolves wins",
        ),
        pytest.param(
            '<m select="/vnml/project/market | ./rate"/>',
            "<rate>1</rate>",
            id="S2 an alternative with several nodes does not resolve",
        ),
        pytest.param(
            """<m select="./x[.='a|b'] | ./leg[x|y]/x"/>""",
            "<x>7</x>",
            id="S2 a bar inside brackets or quotes separates nothing",
        ),
        pytest.param(
            '<m select="count(./rate) | ./rate"/>',
            "<rate>1</rate>",
            id="S2 an alternative that gives a number does not resolve",
        ),
        pytest.param(
            '<m a="1" select="vn:link(/vnml/project/market, rate[.=6])"><z/></m>',
            "<rate>6</rate>",
            id="S3 a linked element replaces the local one without merging",
        ),
        pytest.param(
            '<m select="vn:link(/vnml/project/portfolio/i | /vnml/project/market, rate)"/>',
            "<rate>1</rate>",
            id="S3 the first source with exactly one such child gives it",
        ),
        pytest.param(
            """<m select="vn:link(/vnml/project/market[@name='EUR'], .)"/>""",
            '<market name="EUR"><rate>6</rate></market>',
            id="S3 a dot gives the source",
        ),
        pytest.param(
            '<m select="vn:link(., leg/x)"/>', "<x>7</x>", id="S3 the source may be the context"
        ),
        pytest.param(
            '<m select="vn:link(/vnml/project/market, none) | ./rate"/>',
            "<rate>1</rate>",
            id="S3 a link is an alternative like any other",
        ),
        pytest.param(
            '<market a="1" select="/vnml/project/market[1]"><rate>9</rate></market>',
            '<market name="USD" date="2026-09-17" a="1"><rate>9</rate></market>',
            id="S4 an element result is merged with the local element",
        ),
        pytest.param(
            '<date fmt="iso" select="/vnml/project/market/@date"/>',
            '<date fmt="iso">2026-09-17</date>',
            id="S4 an attribute becomes the text of the local element",
        ),
        pytest.param(
            '<spot unit="bp" select="./rate/text()">9</spot>',
            '<spot unit="bp">1</spot>',
            id="S4 text replaces the text of the local element",
        ),
        pytest.param(
            '<spot select="./@ccy"><!--why-->old</spot>',
            "<spot>USD<!--why--></spot>",
            id="S4 comments of the local element stay beside selected text",
        ),
        pytest.param(
            '<date select="vn:today()"/>',
            "<date>2026-09-17</date>",
            id="U5 vn:today() gives the day on which the request was received",
        ),
    ],
)
def test_a_select_gives(desk, valuation, expected):
    [made] = desk.valuations(f"{BOOK}<group>{LINKED.format(valuation)}</group>")
    assert made == expected


def test_s5_content_that_a_select_brings_in_is_hydrated_with_the_same_context(desk):
    """S5: what is selected from a later group holds directives of its own."""
    later = (
        '<group><valuation><templates><t><r select="./rate"/></t></templates></valuation></group>'
    )
    first = LINKED.format('<t select="/vnml/project/group[2]/valuation/templates/t"/>')
    [made] = desk.valuations(f"{BOOK}<group>{first}</group>{later}")
    assert made == "<t><rate>1</rate></t>"


@pytest.mark.parametrize(
    ("expression", "code", "rule"),
    [
        pytest.param("", "SELECT_EMPTY", "S6", id="S6 empty"),
        pytest.param("  ", "SELECT_EMPTY", "S6", id="S6 blank"),
        pytest.param("./a |", "SELECT_EMPTY", "S6", id="S6 an empty alternative"),
        pytest.param("./rate[", "XPATH_SYNTAX", "S6", id="S6 syntax"),
        pytest.param("./rate]", "XPATH_SYNTAX", "S6", id="S6 syntax that only a cap would hide"),
        pytest.param("./a)[1] = (./b", "XPATH_SYNTAX", "S6", id="S6 parentheses out of balance"),
        pytest.param("./unknown()", "XPATH_SYNTAX", "S6", id="S6 a step that is a function"),
        pytest.param("unknown(.)", "XPATH_SYNTAX", "S6", id="S6 an unknown function"),
        pytest.param("$rate", "XPATH_SYNTAX", "S6", id="S6 a variable that is not declared"),
        pytest.param("/vnml/project/market", "SELECT_AMBIGUOUS", "S6", id="S6 several nodes"),
        pytest.param("./none", "SELECT_NOTHING", "S6", id="S6 no node"),
        pytest.param("count(./rate)", "SELECT_NOT_NODES", "S6", id="S6 a number"),
        pytest.param("./rate = 1", "SELECT_NOT_NODES", "S6", id="S6 a boolean"),
        pytest.param("'text'", "SELECT_NOT_NODES", "S6", id="S6 a literal"),
        pytest.param("namespace::*", "SELECT_NOT_NODES", "S6", id="S6 a namespace"),
        pytest.param("../../comment()", "SELECT_NOT_NODES", "S6", id="S6 a comment"),
        pytest.param("x:rate", "XPATH_PREFIX", "D3", id="D3 a prefix is an error that says so"),
        pytest.param("./x:rate | ./rate", "XPATH_PREFIX", "D3", id="D3 a prefix in an alternative"),
        pytest.param("./a | ./b", "SELECT_UNRESOLVED", "S2", id="S2 no alternative resolves"),
        pytest.param(
            "vn:link(/vnml/none, a)", "LINK_NO_SOURCE", "S3", id="S3 a link without a source"
        ),
        pytest.param(
            "vn:link(/vnml/project, market)", "LINK_NO_CHILD", "S3", id="S3 two such children"
        ),
        pytest.param(
            "vn:link(/vnml/project)", "LINK_ARGUMENTS", "S3", id="S3 one argument instead of two"
        ),
        pytest.param("vn:nothing()", "LINK_UNKNOWN", "S3", id="S3 an unknown function"),
        pytest.param("." + "/a" * 2048, "XPATH_LIMIT", "S6", id="S6 longer than 4096 characters"),
    ],
)
def test_a_select_that_cannot_be_resolved_is_told_with_its_place(desk, expression, code, rule):
    valuation = (
        f'<valuation use="/vnml/project/portfolio/i" name="v">'
        f'<m select="{expression}"/></valuation>'
    )
    fault = desk.fault(f'<!--c-->{BOOK}<group name="g">{valuation}</group>')
    assert (fault.code, fault.rule) == (code, rule)
    place = fault.place
    assert place.element == "/vnml/project/group/valuation/m"
    assert (place.group, place.group_index, place.valuation, place.task) == ("g", 0, "v", 1)
    assert place.expression == expression
    assert place.line == 1


def test_s1_a_relative_path_without_a_context_is_an_error(desk):
    fault = desk.fault('<group><valuation><m select="./rate"/></valuation></group>')
    assert (fault.code, fault.rule) == ("SELECT_NO_CONTEXT", "S1")


def test_s1_a_relative_path_outside_groups_is_an_error(desk):
    fault = desk.fault('<model>\n<m select="rate"/></model>')
    assert (fault.code, fault.rule, fault.place.line) == ("SELECT_NO_CONTEXT", "S1", 2)


def test_s2_the_error_lists_what_each_alternative_gave(desk):
    fault = desk.fault(f'{BOOK}<model select="/vnml/project/market | /vnml/x | /vnml = 1"/>')
    assert fault.code == "SELECT_UNRESOLVED"
    assert "/vnml/project/market: several nodes" in fault.message
    assert "/vnml/x: nothing" in fault.message
    assert "/vnml = 1: the expression gives a boolean" in fault.message


def test_s4_text_for_an_element_with_children_is_an_error(desk):
    fault = desk.fault(f'{BOOK}<model select="/vnml/project/market[1]/@name"><a/></model>')
    assert (fault.code, fault.rule) == ("SELECT_TEXT_INTO_CHILDREN", "S4")


def test_a_prefix_error_names_the_prefix_and_the_way_out(desk):
    fault = desk.fault('<model select="/vnml/x:market"/>')
    assert "'x'" in fault.message
    assert "local-name()" in fault.message


def test_d3_local_name_reaches_foreign_elements(desk):
    made = desk.project(
        """<x:data xmlns:x="u:x">5</x:data>"""
        """<model select="/vnml/project/*[local-name()='data']/text()"/>"""
    )
    assert made.endswith("<model>5</model>")
