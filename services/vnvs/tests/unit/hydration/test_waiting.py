"""What is still to be hydrated is never taken for what it will be (VNML T3, M4, M5, P3, R2).

Each row gave a wrong value, silently, or a misleading place, before the rule that it names held.
"""

import time

import pytest

from vncore.errors import HydrationFailed
from vnvs.hydration import hydrate_document

DAY = '<d v="7">8</d>'
SEVEN = "${select(/vnml/project/d/@v)}"
PLACE = "/vnml/project/group/valuation"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            f'<a x="${{select(/vnml/project/a/@y)}}" y="{SEVEN}"/>',
            '<a x="7" y="7"/>',
            id="another attribute of the same element",
        ),
        pytest.param(
            f'<a y="{SEVEN}"><b select="/vnml/project/a/@y"/></a>',
            '<a y="7"><b>7</b></a>',
            id="an attribute of the element around",
        ),
        pytest.param(
            f'<a z="{SEVEN}"><b select="/vnml/project/a/c/@k"/><c k="{SEVEN}"/></a>',
            '<a z="7"><b>7</b><c k="7"/></a>',
            id="an attribute beside, below an element with a directive",
        ),
        pytest.param(
            f'<a z="{SEVEN}"><b select="/vnml/project/a/c/text()"/>'
            '<c select="/vnml/project/d/@v">old</c></a>',
            '<a z="7"><b>7</b><c>7</c></a>',
            id="a text beside, below an element with a directive",
        ),
        pytest.param(
            "<x select=\"/vnml/project/a[b/c='7']/@n\"/>"
            '<a n="1"><b><c select="/vnml/project/d/@v">old</c></b></a>',
            '<x>1</x><a n="1"><b><c>7</c></b></a>',
            id="a condition two levels deep sees what was hydrated meanwhile",
        ),
        pytest.param(
            f'<group name="a${{select(/vnml/project/group[2]/@name)}}"/><group name="b{SEVEN}"/>',
            '<group name="ab7"/><group name="b7"/>',
            id="the name of a later group",
        ),
        pytest.param(
            "<s>${select(/vnml/project/d)}</s>"
            '<group><a k="${select(/vnml/project/s)}"/>'
            '<b select="/vnml/project/group/a/@k"/></group>',
            "<s>${select(/vnml/project/d)}</s>"
            '<group><a k="${select(/vnml/project/d)}"/><b>${select(/vnml/project/d)}</b></group>',
            id="P3 but a value that looks like a placeholder stays data",
        ),
    ],
)
def test_a_value_is_taken_from_the_hydrated_element(desk, content, expected):
    assert desk.project(DAY + content) == DAY + expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            f'<a x="{SEVEN}"/><b select="{PLACE}/a/@x"/>', '<a x="7"/><b>7</b>', id="attribute"
        ),
        pytest.param(
            f'<a select="/vnml/project/d/@v">old</a><b select="{PLACE}/a/text()"/>',
            "<a>7</a><b>7</b>",
            id="text",
        ),
        pytest.param(
            '<a k="1" select="vn:link(/vnml/project, d)"/>'
            f'<b select="{PLACE}/a/@v | {PLACE}/a/@k"/>',
            None,
            id="an attribute that a linked element does not have",
        ),
        pytest.param(
            f'<a select="/vnml/project/d"/><b select="{PLACE}/a/@select"/>',
            None,
            id="a directive, which is gone once it is obeyed",
        ),
    ],
)
def test_a_value_of_a_valuation_is_taken_from_the_hydrated_element(desk, content, expected):
    if expected is None:
        with pytest.raises(HydrationFailed) as caught:
            desk.valuation(DAY, content)
        assert caught.value.code in {"SELECT_NOTHING", "SELECT_UNRESOLVED"}
    else:
        assert desk.valuation(DAY, content) == expected


def test_what_the_document_pass_put_into_a_group_is_data_in_the_group_pass(desk):
    shared = "<s>${select(/vnml/project/e)}</s><e>secret</e>"
    group = (
        '<group><lib k="${select(/vnml/project/s)}"/>'
        '<valuation><q select="/vnml/project/group/lib"/></valuation></group>'
    )
    assert desk.valuations(shared + group) == ['<lib k="${select(/vnml/project/e)}"/>']


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('<a x="${select(/vnml/project/a/@x)}"/>', id="an attribute of itself"),
        pytest.param(
            '<a x="${select(/vnml/project/a/@y)}" y="${select(/vnml/project/a/@x)}"/>',
            id="two attributes of each other",
        ),
        pytest.param(
            '<group name="${select(/vnml/project/group[2]/@name)}"/>'
            '<group name="${select(/vnml/project/group[1]/@name)}"/>',
            id="two names of groups",
        ),
        pytest.param(
            f'<group><valuation><a select="{PLACE}/b/text()">1</a>'
            f'<b select="{PLACE}/a/text()">2</b></valuation></group>',
            id="two texts in a valuation",
        ),
    ],
)
def test_values_that_lead_to_themselves_are_a_circle(desk, content):
    assert desk.fault(content).code == "REFERENCE_CYCLE"


def test_a_condition_does_not_match_what_will_not_be_there(desk):
    content = (
        "<x select=\"/vnml/project/a[b/c='old']/@n\"/>"
        '<a n="1"><b><c select="/vnml/project/d/@v">old</c></b></a>'
    )
    assert desk.fault(DAY + content).code == "SELECT_NOTHING"


def test_a_value_of_a_failed_valuation_is_refused(desk):
    document = desk.with_results(
        "<group><valuation/></group>"
        '<group><valuation><q select="/vnml/project/group[1]/valuation/failure/@code"/></valuation>'
        "</group>",
        ['<valuation><failure code="SCRIPT" attempts="3"/></valuation>'],
    )
    with pytest.raises(HydrationFailed) as caught:
        desk.tasks_of(document, 1)
    assert caught.value.code == "REFERENCE_FAILED_VALUATION"


VALUES = '<v><c name="k">6</c></v>'


@pytest.mark.parametrize(
    ("local", "fetched", "expected"),
    [
        pytest.param(
            '<c select="/vnml/project/v/c"/>',
            '<c name="k">1</c><c>0</c>',
            '<c name="k">6</c><c>0</c>',
            id="the name comes with the selection",
        ),
        pytest.param(
            '<x select="/vnml/project/v/c"/>',
            '<c name="k">1</c><x>0</x>',
            '<c name="k">6</c><x>0</x>',
            id="the tag comes with the selection",
        ),
        pytest.param(
            '<g><c select="/vnml/project/v/c"/></g>',
            '<g><c name="k">1</c></g><h/>',
            '<g><c name="k">6</c></g><h/>',
            id="deeper down",
        ),
        pytest.param(
            '<c name="k">9</c>',
            '<x select="/vnml/project/v/c"/>',
            '<c name="k">9</c>',
            id="the fetched side gets its name by a selection",
        ),
        pytest.param(
            '<c select="/vnml/project/b/q/c"/>',
            '<q><c name="z">5</c></q><c name="z">1</c>',
            '<c name="z">5</c><q><c name="z">5</c></q>',
            id="R5 selecting from what the href itself brings",
        ),
    ],
)
def test_counterparts_under_an_href_are_found_once_they_are_hydrated(
    desk, local, fetched, expected
):
    desk.files["x.xml"] = f"<b>{fetched}</b>"
    written = f'<b href="x.xml">{local}</b>{VALUES}'
    assert desk.project(written) == f"<b>{expected}</b>{VALUES}"
    if "/b/q" not in local:
        assert desk.valuation(VALUES, f'<b href="x.xml">{local}</b>') == f"<b>{expected}</b>"


def test_an_element_with_both_has_its_href_merged_before_its_select(desk):
    desk.files["x.xml"] = '<b q="1"><c>fetched</c></b>'
    shared = '<v k="3"><c>selected</c></v>'
    both = '<b href="x.xml" select="/vnml/project/v"/>'
    expected = '<v k="3" q="1"><c>fetched</c></v>'
    assert desk.project(both + shared) == expected + shared
    assert desk.valuation(shared, both) == expected


def test_a_name_with_a_placeholder_is_known_before_the_counterpart_is_looked_for(desk):
    desk.files["x.xml"] = '<all><b name="7">right</b><b name="8">wrong</b></all>'
    assert desk.project(f'{DAY}<b name="{SEVEN}" href="x.xml"/>') == f'{DAY}<b name="7">right</b>'


def test_placeholders_that_a_late_href_brings_to_a_group_are_expanded(desk):
    desk.files["8.xml"] = f'<group name="g{SEVEN}"/>'
    content = f'{DAY}<group href="${{select(/vnml/project/d)}}.xml"/>'
    assert desk.project(content) == f'{DAY}<group name="g7"/>'


def test_the_child_of_a_link_is_looked_for_below_its_source_alone(desk):
    content = (
        '<p name="swaps"><t/></p><p name="bonds"><t/></p>'
        "<group><valuation use=\"vn:link(/vnml/project/p[@name='swaps'], //t)\"/></group>"
    )
    assert desk.fault(content).code == "LINK_ARGUMENTS"


@pytest.mark.parametrize(
    ("written", "fetched", "line", "element"),
    [
        pytest.param(
            '<b href="x.xml">\n<c/>\n<c select="/vnml/nope"/></b>',
            "<b><c/></b>",
            5,
            "/vnml/project/b/c[2]",
            id="in the request: the element itself",
        ),
        pytest.param(
            '<b href="x.xml">\n<c>1</c></b>',
            '<b>\n\n\n\n<c select="/vnml/nope"/></b>',
            3,
            "/vnml/project/b",
            id="in the document: the element that led there",
        ),
    ],
)
def test_a_fault_in_what_was_held_is_told_for_its_place_in_the_request(
    desk, written, fetched, line, element
):
    desk.files["x.xml"] = fetched
    document = f"<vnml>\n<project>\n{written}</project></vnml>".encode()
    with pytest.raises(HydrationFailed) as caught:
        hydrate_document(document, desk.fetch, desk.context)
    assert (caught.value.place.line, caught.value.place.element) == (line, element)


def _selections(count):
    values = "".join(f'<i name="n{j}">{j}</i>' for j in range(count))
    chosen = "".join(f"<q select=\"/vnml/project/p/i[@name='n{j}']\"/>" for j in range(count))
    return f"<p>{values}</p>{chosen}"


def _fetches(count):
    return '<e><b href="x.xml"><c select="/vnml/project/v"/></b></e>' * count + "<v>1</v>"


def _doubling(count):
    twice = "".join(
        f'v{j}="{2 * f"${{select(/vnml/project/a/@v{j + 1})}}"}" ' for j in range(count)
    )
    return f'<a {twice} v{count}=""/>'


@pytest.mark.parametrize(
    ("make", "count"),
    [
        pytest.param(_selections, 1_500, id="selections that change tags side by side"),
        pytest.param(_fetches, 1_000, id="elements that are held"),
        pytest.param(_doubling, 24, id="attributes that name the next one twice"),
    ],
)
def test_the_time_grows_with_the_document(desk, make, count):
    desk.files["x.xml"] = "<b><c>1</c><c>2</c></b>"
    started = time.process_time()
    desk.project(make(count))
    assert time.process_time() - started < 2.5
