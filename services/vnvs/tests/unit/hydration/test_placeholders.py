"""`${select(…)}` in attribute values (VNML P1-P5)."""

import re

import pytest

DATA = (
    '<data ccy="USD" id="7" quote="it&apos;s" both="it&apos;s &quot;5&quot;" paren=")"'
    ' path="/vnml/project/x"><e>a<f>b</f><!--c-->d</e><two/><two/></data><x>X</x>'
    "<s>${select(/vnml)}</s>"
    '<row name="it&apos;s">1</row><row name="it&apos;s &quot;5&quot;">2</row>'
    '<row name="M-it&apos;s">3</row><row name="USD">4</row>'
)
AT = "/vnml/project/data/@"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(f"${{select({AT}ccy)}}", "USD", id="P1 alone"),
        pytest.param(
            f"a ${{select({AT}ccy)}}-${{select({AT}id)}} z", "a USD-7 z", id="P1 several, text kept"
        ),
        pytest.param(
            "${select(/vnml/project/data[@paren=')']/@id)}",
            "7",
            id="P1 ends at its matching parenthesis outside quotes",
        ),
        pytest.param(
            "${select(/vnml/project/*[self::data]/@id)}", "7", id="P1 parentheses and brackets"
        ),
        pytest.param("${select(/vnml", "${select(/vnml", id="P1 unterminated text is literal"),
        pytest.param(
            "${select(/vnml) }", "${select(/vnml) }", id="P1 without its brace it is literal"
        ),
        pytest.param("${select}", "${select}", id="P1 without parentheses it is literal"),
        pytest.param(
            f"${{select(a ${{select({AT}id)}}", "${select(a 7", id="P1 literal text, then another"
        ),
        pytest.param(f"${{select({AT}id)}}}}", "7}", id="P1 a brace more is text"),
        pytest.param("${select(  /vnml/project/x  )}", "X", id="P2 blanks around are ignored"),
        pytest.param("${select(/vnml/project/x/text())}", "X", id="P2 a text node gives its value"),
        pytest.param(
            "${select(/vnml/project/data/e)}", "abd", id="P2 an element gives its text content"
        ),
        pytest.param("${select(vn:today())}", "2026-09-17", id="P2 a function gives its text"),
        pytest.param(
            "${select(/vnml/project/s)}", "${select(/vnml)}", id="P3 a result is not scanned again"
        ),
        pytest.param(f"${{select({AT}none | {AT}id)}}", "7", id="P2 alternatives as in a select"),
    ],
)
def test_a_placeholder_gives(desk, value, expected):
    assert desk.project(f'{DATA}<m v="{value}"/>').endswith(f'<m v="{expected}"/>')
    assert desk.valuation(DATA, f'<m v="{value}"/>') == f'<m v="{expected}"/>'


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        pytest.param(f"${{select({AT}path)}}", "X", id="P4 the whole select is a placeholder"),
        pytest.param(
            f"/vnml/project/row[@name='${{select({AT}ccy)}}']", "4", id="P4 inside a literal"
        ),
        pytest.param(
            f"/vnml/project/row[@name='${{select({AT}quote)}}']",
            "1",
            id="P4 a value with an apostrophe inside a literal",
        ),
        pytest.param(
            f"/vnml/project/row[@name='${{select({AT}both)}}']",
            "2",
            id="P4 a value with both kinds of quotes inside a literal",
        ),
        pytest.param(
            f"/vnml/project/row[@name='M-${{select({AT}quote)}}']",
            "3",
            id="P4 text around the placeholder inside a literal",
        ),
        pytest.param(
            f"/vnml/project/row[@name=&quot;M-${{select({AT}quote)}}&quot;]",
            "3",
            id="P4 inside a literal in double quotes",
        ),
        pytest.param(
            "/vnml/project/row[@name='${select(/vnml/project/data[@id='7']/@ccy)}']",
            "4",
            id="P4 a placeholder with quotes of its own inside a literal",
        ),
        pytest.param(
            "/vnml/project/row[@name='${select(/vnml/project/data"
            f"[@ccy='${{select({AT}ccy)}}']/@both)}}']",
            "2",
            id="P4 a placeholder inside a placeholder",
        ),
        pytest.param(
            "vn:link(/vnml/project, row[@name='${select(" + AT + "quote)}'])",
            "1",
            id="P4 inside a function",
        ),
    ],
)
def test_placeholders_are_expanded_before_the_select(desk, select, expected):
    made = desk.valuation(DATA, f'<m select="{select}"/>')
    assert re.sub(r"<[^>]*>", "", made) == expected


def test_p4_in_an_href(desk):
    desk.files["USD-7.xml"] = "<m>fetched</m>"
    href = f"${{select({AT}ccy)}}-${{select({AT}id)}}.xml"
    assert desk.valuation(DATA, f'<m href="{href}"/>') == "<m>fetched</m>"
    assert desk.project(f'{DATA}<m href="{href}"/>').endswith("<m>fetched</m>")


def test_p5_element_text_is_not_looked_at(desk):
    text = "<m>${select(/vnml/project/x)}</m>"
    assert desk.valuation(DATA, text) == text
    assert desk.project(f"{DATA}{text}").endswith(text)


def test_p1_attributes_of_a_valuation_itself_are_expanded(desk):
    content = (
        '<portfolio><i name="A"/><i name="B"/></portfolio>'
        '<group><valuation name="v-${select(./@name)}" use="//i"/></group>'
    )
    assert [task.valuation_name for task in desk.tasks(content)] == ["v-A", "v-B"]


def test_t1_attributes_of_groups_and_the_project_are_expanded(desk):
    made = desk.document(
        '<vnml><project d="${select(/vnml/project/x)}"><x>1</x>'
        '<group name="g${select(/vnml/project/x)}"/></project></vnml>'
    )
    assert made.groups[0].name == "g1"
    assert b'<project d="1">' in made.xml


@pytest.mark.parametrize(
    ("expression", "code", "rule"),
    [
        pytest.param("", "SELECT_EMPTY", "P2", id="P2 an empty expression"),
        pytest.param("  ", "SELECT_EMPTY", "P2", id="P2 a blank expression"),
        pytest.param("/vnml/none", "SELECT_NOTHING", "P2", id="P2 none"),
        pytest.param("/vnml/project/data/two", "SELECT_AMBIGUOUS", "P2", id="P2 several"),
        pytest.param("/vnml[", "XPATH_SYNTAX", "S6", id="P2 syntax"),
        pytest.param("./@name", "SELECT_NO_CONTEXT", "S1", id="P2 relative without a context"),
        pytest.param("/x:a", "XPATH_PREFIX", "D3", id="P2 a prefix"),
    ],
)
def test_a_placeholder_that_cannot_be_resolved_is_told_with_its_place(desk, expression, code, rule):
    for before, after in (("", ""), ("<group><valuation>", "</valuation></group>")):
        fault = desk.fault(f'{DATA}{before}<m v="a${{select({expression})}}"/>{after}')
        assert (fault.code, fault.rule) == (code, rule)
        assert fault.place.element.endswith("/m")
        assert fault.place.expression == f"a${{select({expression})}}"


def test_a_nesting_of_placeholders_has_an_end(desk):
    expression = "/x"
    for _ in range(12):
        expression = f"/x[@a=${{select({expression})}}]"
    fault = desk.fault(f'<m v="${{select({expression})}}"/>')
    assert (fault.code, fault.rule) == ("XPATH_LIMIT", "P4")
