"""Variables (VNML V1)."""

import pytest

from vncore.errors import HydrationFailed
from vnvs.hydration import HydrationLimits


def expanded(desk, instructions: str, content: str) -> str:
    document = f"{instructions}<vnml><project>{content}</project></vnml>"
    xml = desk.document(document).xml.decode()
    return xml[xml.index("<project>") + 9 : xml.index("</project>")]


@pytest.mark.parametrize(
    ("instructions", "content", "expected"),
    [
        pytest.param('<?vnvs $A = "1" ?>', "<x>$A</x>", "<x>1</x>", id="V1 in text"),
        pytest.param('<?vnvs $A="1"?>', '<x a="-$A-"/>', '<x a="-1-"/>', id="V1 in attributes"),
        pytest.param(
            '<?vnvs $A="1"?>', "<x><y/>$A<z/></x>", "<x><y/>1<z/></x>", id="V1 between elements"
        ),
        pytest.param("<?vnvs $A='1\"'?>", "<x>$A</x>", '<x>1"</x>', id="V1 in single quotes"),
        pytest.param(
            '<?vnvs $A="1"?><?vnvs $AB="2"?>',
            "<x>$AB $A $ABC</x>",
            "<x>2 1 2C</x>",
            id="V1 longest name first",
        ),
        pytest.param('<?vnvs $A="1"?>', "<x>$B</x>", "<x>$B</x>", id="V1 undeclared stays"),
        pytest.param(
            '<?vnvs $A="$B"?><?vnvs $B="2"?>',
            "<x>$A</x>",
            "<x>$B</x>",
            id="V1 a value is not expanded again",
        ),
        pytest.param(
            '<?vnvs $A="x"?>',
            '<x>1</x><y select="/vnml/project/$A"/>',
            "<x>1</x><x>1</x>",
            id="V1 inside expressions",
        ),
        pytest.param(
            '<?vnvs version="1"?><?vnvs?><?other $A="1"?>',
            "<x>$A</x>",
            "<x>$A</x>",
            id="V1 instructions without a declaration are ignored",
        ),
        pytest.param(
            '<?vnvs $A="1"?>',
            "<x><!--$A--><?p $A?></x>",
            "<x><!--$A--><?p $A?></x>",
            id="V1 comments and instructions are not text",
        ),
        pytest.param(
            '<?vnvs $A="&amp;&lt;"?>',
            "<x>$A</x>",
            "<x>&amp;amp;&amp;lt;</x>",
            id="V1 a value is data as it stands",
        ),
        pytest.param(
            '<?vnvs $A="1"?>',
            '<x xmlns:f="u:f" f:a="$A"><f:y>$A</f:y></x>',
            '<x xmlns:f="u:f" f:a="1"><f:y>1</f:y></x>',
            id="V1 everywhere, foreign content too",
        ),
        pytest.param('<?vnvs $A=""?>', "<x>$A</x>", "<x></x>", id="V1 an empty value"),
    ],
)
def test_variables_are_replaced(desk, instructions, content, expected):
    assert expanded(desk, instructions, content) == expected


def test_v1_variables_reach_valuations_and_hrefs(desk):
    desk.files["usd.xml"] = "<m><n>$N</n></m>"
    document = (
        '<?vnvs $N="5"?><?vnvs $F="usd"?><vnml><project><m href="$F.xml"/>'
        "<group><valuation><x>$N</x></valuation></group></project></vnml>"
    )
    made = desk.document(document)
    assert b"<m><n>5</n></m>" in made.xml
    assert b"<x>5</x>" in desk.tasks_of(made.xml)[0].xml


def test_v1_what_the_request_declares_wins_over_what_a_fetched_document_declares(desk):
    desk.files["m.xml"] = '<?vnvs $N="1"?><?vnvs $M="2"?><m a="$N" b="$M"/>'
    made = expanded(desk, '<?vnvs $N="5"?>', '<m href="m.xml"/>')
    assert made == '<m a="5" b="2"/>'


def test_v1_declarations_stay_in_the_document(desk):
    made = desk.document('<?vnvs $A = "1" ?><vnml><project>$A</project></vnml>')
    assert b'<?vnvs $A = "1" ?>' in made.xml


@pytest.mark.parametrize(
    ("instructions", "code"),
    [
        pytest.param(
            '<?vnvs $A="1"?>\n<?vnvs $A="1"?>', "VARIABLE_DUPLICATE", id="V1 declared twice"
        ),
        pytest.param("\n<?vnvs $A = 1 ?>", "VARIABLE_MALFORMED", id="V1 a value without quotes"),
        pytest.param('\n<?vnvs $ABCDE="1"?>', "VARIABLE_LIMIT", id="V1 a name too long"),
        pytest.param('\n<?vnvs $A="12345"?>', "VARIABLE_LIMIT", id="V1 a value too long"),
        pytest.param(
            '<?vnvs $A="1"?><?vnvs $B="1"?>\n<?vnvs $C="1"?>', "VARIABLE_LIMIT", id="V1 too many"
        ),
    ],
)
def test_a_wrong_declaration_is_told_with_its_line(desk, instructions, code):
    desk.limits = HydrationLimits(max_variables=2, max_variable_name=4, max_variable_value=4)
    with pytest.raises(HydrationFailed) as caught:
        desk.document(f"{instructions}<vnml><project/></vnml>")
    assert (caught.value.code, caught.value.rule) == (code, "V1")
    assert caught.value.place.line == 2


def test_variables_cannot_blow_a_document_up(desk):
    desk.limits = HydrationLimits(max_bytes=10_000)
    with pytest.raises(HydrationFailed) as caught:
        desk.document(f'<?vnvs $A="{"x" * 1000}"?><vnml><project>{"$A" * 20}</project></vnml>')
    assert caught.value.code == "HYDRATION_TOO_LARGE"


def test_an_attribute_cannot_grow_beyond_its_limit(desk):
    desk.limits = HydrationLimits(max_attribute=100)
    with pytest.raises(HydrationFailed) as caught:
        desk.document(f'<?vnvs $A="{"x" * 60}"?><vnml><project><x\na="$A$A"/></project></vnml>')
    assert (caught.value.code, caught.value.rule) == ("HYDRATION_ATTRIBUTE_TOO_LONG", "V1")
