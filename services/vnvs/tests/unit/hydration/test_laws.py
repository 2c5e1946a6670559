"""Laws that hold for all documents, not for chosen ones."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from straightforward import place_results

from vncore import xml
from vncore.errors import VnError
from vnvs.hydration import check, hydrate_document, hydrate_group
from vnvs.hydration.lexical import split_outside, xpath_literal
from vnvs.hydration.merge import TextRule, merge
from vnvs.hydration.paths import Index, simple_path
from vnvs.hydration.placeholders import expand_text

# The desk is only a bag of files, filled anew by each example.
law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

NAMES = st.sampled_from(["a", "b", "c", "market", "{urn:x}a", "{urn:y}b"])
TEXTS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"
    ),
    max_size=8,
) | st.sampled_from(["", " ", "\n  ", "$X", "${select(", "5", "'\""])


def _node(tag: Any, attributes: dict[str, str], text: str, children: list[Any]) -> Any:
    node = etree.Element(tag, attributes)
    node.text = text
    for kind, child, tail in children:
        made = {"c": etree.Comment, "p": lambda t: etree.ProcessingInstruction("p", t)}.get(
            kind, lambda element: element
        )(child)
        node.append(made)
        made.tail = tail
    return node


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["name", "id", "k", "{urn:x}k"]), st.sampled_from(["A", "B", "5"]), max_size=3
)


def _elements(children: Any) -> Any:
    child = (
        st.tuples(st.just("e"), children, TEXTS)
        | st.tuples(st.just("c"), st.sampled_from(["note", "x"]), TEXTS)
        | st.tuples(st.just("p"), st.sampled_from(["q", "r"]), TEXTS)
    )
    return st.builds(_node, NAMES, ATTRIBUTES, TEXTS, st.lists(child, max_size=4))


ELEMENTS = st.recursive(st.builds(_node, NAMES, ATTRIBUTES, TEXTS, st.just([])), _elements)
# An element can stand in one tree only, and hypothesis shares what it drew.
TREES = ELEMENTS.map(copy.deepcopy)


def written(element: Any) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


def same(element: Any) -> Any:
    """Give all that counts: prefixes, the order of attributes and None for "" do not."""
    kind = element.tag if isinstance(element.tag, str) else element.tag.__name__
    inside = [(same(child), child.tail or "") for child in element.iterchildren()]
    return kind, dict(element.attrib), element.text or "", inside


def document_of(*trees: Any) -> bytes:
    inside = "".join(map(written, trees))
    return (
        f"<?p q?><!--c--><vnml><project>{inside}<group><valuation>{inside}</valuation>"
        f"<valuation/></group></project></vnml>"
    ).encode()


@given(st.lists(TREES, max_size=3))
@law
def test_a_document_without_references_hydrates_to_itself(desk_of_nothing, trees):
    document = document_of(*trees)
    fetch, context = desk_of_nothing
    hydrated = hydrate_document(document, fetch, context)
    assert hydrated.xml == xml.serialise(xml.parse(document))
    for task in hydrate_group(hydrated.xml, 0, fetch, context):
        xml.parse(task.xml)


@given(TREES, TREES, st.sampled_from(TextRule))
@law
def test_merging_changes_neither_source(local, other, rule):
    before = written(local), written(other)
    merge(local, other, rule)
    assert (written(local), written(other)) == before


@given(TREES, st.sampled_from(TextRule))
@law
def test_merging_over_an_empty_element_gives_the_local_one(local, rule):
    assert same(merge(local, etree.Element(local.tag), rule)) == same(local)


@given(TREES, st.sampled_from(TextRule))
@law
def test_merging_an_empty_element_gives_the_other_one(other, rule):
    assert same(merge(etree.Element("empty"), other, rule)) == same(other)


@given(TREES, TREES, st.sampled_from(TextRule))
@law
def test_a_merged_element_has_every_local_attribute_and_child(local, other, rule):
    merged = merge(local, other, rule)
    assert dict(merged.attrib).items() >= dict(local.attrib).items()
    tags = [child.tag for child in merged.iterchildren("*")]
    for child in local.iterchildren("*"):
        tags.remove(child.tag)  # each local child has one of its own


@given(TREES, TREES)
@law
def test_no_comment_of_either_side_is_lost_where_all_others_are_kept(local, other):
    def comments(*trees: Any) -> int:
        return sum(1 for tree in trees for child in tree.iterchildren(etree.Comment))

    assert comments(merge(local, other, TextRule.LOCAL_FIRST)) == comments(local, other)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
@law
def test_any_text_can_be_spelled_as_an_xpath_literal(text):
    assert etree.XPath(xpath_literal(text))(etree.Element("x")) == text


@given(
    st.text(
        st.characters(
            codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"
        ),
        min_size=1,
    )
)
@law
def test_a_placeholder_in_a_literal_finds_a_name_with_any_quotes(desk_of_nothing, text):
    root = etree.Element("vnml")
    project = etree.SubElement(root, "project")
    etree.SubElement(project, "key").text = text
    etree.SubElement(project, "row", name=f"M-{text}").text = "found"
    etree.SubElement(project, "row", name="other")
    etree.SubElement(
        project, "x", select="/vnml/project/row[@name='M-${select(/vnml/project/key)}']/text()"
    )
    made = hydrate_document(etree.tostring(root), *desk_of_nothing)
    assert etree.fromstring(made.xml).findtext("project/x") == "found"


@given(st.text("ab${}()select'\" "))
@law
def test_expanding_never_fails_and_keeps_text_without_placeholders(text):
    assert expand_text(text.replace("select", "s"), lambda _: "!") == text.replace("select", "s")
    expand_text(text, lambda _: "!")


@given(st.text("ab[]()'\"|,"), st.sampled_from("|,"))
@law
def test_splitting_loses_nothing(text, separator):
    assert separator.join(split_outside(text, separator)) == text


STEPS = st.sampled_from(
    [
        "a",
        "b",
        "*",
        "a[1]",
        "b[2]",
        "a[@name='A']",
        "*[@k='5']",
        "a[b='5']",
        "a[b/@k='5']",
        "a[.='5']",
        "b[@name='B'][1]",
        "a[1][@name='A']",
        'a[@id = "B" ]',
    ]
)
ENDS = st.sampled_from(["", "/@name", "/@k", "/text()"])


@given(TREES, st.lists(STEPS, max_size=3), ENDS)
@settings(law, max_examples=300)
def test_the_fast_way_of_a_path_gives_what_libxml2_gives(tree, steps, end):
    # Comments part texts, and libxml2 then gives several where we give several too.
    root = etree.Element("vnml")
    root.append(tree)
    root = etree.fromstring(etree.tostring(root))
    expression = "/vnml" + "".join(f"/{step}" for step in steps) + end
    path = simple_path(expression)
    assert path is not None
    assert Index(root).nodes(path) == etree.XPath(expression, smart_strings=False)(root)


@given(st.permutations(range(5)), st.integers(0, 5))
@law
def test_results_stand_in_task_order_whatever_they_hold(desk, numbers, failed):
    results = [f"<valuation><n>{number}</n></valuation>" for number in numbers[:2]]
    content = "<group><valuation/><valuation/></group>"
    response = etree.fromstring(desk.response(content, results, failed=failed))
    found = [int(node.text) for node in response.iterfind("project/group/valuation/n")]
    assert found == numbers[:2]
    assert response.find("project").get("failed") == str(failed)


@given(TREES, TREES, TREES)
@law
def test_hydration_never_changes_its_input(desk, local, selected, fetched):
    """Request, fetched document and results are what they were (D5): asked again, all is equal."""
    desk.files = {"m.xml": f"<m>{written(fetched)}</m>", "n.xml": f"<n>{written(local)}</n>"}
    files = dict(desk.files)
    inside = (
        f'<m href="m.xml">{written(local)}</m>'
        f'<s select="/vnml/project/data">{written(local)}</s><n href="n.xml"/>'
    )
    document = (
        f"<vnml><project><data>{written(selected)}</data>"
        f"<group><valuation>{inside}</valuation></group><group><valuation>{inside}"
        '<g select="/vnml/project/group[1]"/></valuation></group></project></vnml>'
    ).encode()
    before = bytes(bytearray(document))
    hydrated = desk.document(document)
    stored = bytes(bytearray(hydrated.xml))
    tasks = desk.tasks_of(hydrated.xml)
    placed = place_results(hydrated.xml, 0, [b"<valuation><r/></valuation>"])
    assert desk.tasks_of(placed, 1) == desk.tasks_of(placed, 1)
    assert (document, hydrated.xml, desk.files) == (before, stored, files)
    assert desk.document(document) == hydrated
    assert desk.tasks_of(hydrated.xml) == tasks


@given(TREES, TREES)
@law
def test_shared_copies_are_never_changed(desk, local, selected):
    """Two valuations that select and fetch the same get the same, whatever they add (D5, R4)."""
    desk.files = {"m.xml": f"<m>{written(selected)}</m>"}
    plain = '<m href="m.xml"/><s select="/vnml/project/data"/>'
    changed = (
        f'<m href="m.xml" x="1">{written(local)}</m>'
        f'<s select="/vnml/project/data" x="1">{written(local)}</s>'
    )
    made = desk.valuations(
        f"<data>{written(selected)}</data><group><valuation>{plain}</valuation>"
        f"<valuation>{changed}</valuation><valuation>{plain}</valuation></group>"
    )
    assert made[0] == made[2]


EXPRESSIONS = st.sampled_from(
    [
        "/vnml/project/a",
        "/vnml/project/b/c",
        "./c",
        ".",
        "..",
        "//a",
        "//b[1]",
        "/",
        "/vnml/@x",
        "$X",
        "x:y",
        "/vnml/project/a[@name='A']",
        "/vnml/project/a | /vnml/project/b",
        "count(//a)",
        "/vnml[",
        "'",
        "*",
        "vn:link(/vnml/project, a)",
        "vn:link(//a, .)",
        "vn:link(",
        "vn:today()",
        "//a/text()",
        "(//a)[1]",
        "/vnml/project/group",
        "/vnml/project/group/valuation/a",
        "//@k",
        "//comment()",
        "id('A')",
        "/..",
        "/vnml/project/a[b='${select(/vnml/project/b)}']",
        "${select(/vnml/project/a/@k)}",
        "ancestor::*",
        "following::a",
        "a[",
        "a]",
        "last()",
        "/vnml/project/b[c='1']/@k",
        "/vnml/project/*/a",
        "",
    ]
)
HREFS = st.sampled_from(
    ["m.xml", "n.xml", "", "../x", "s3://b/k", "none.xml", "${select(//a)}.xml"]
)
DIRECTED = st.fixed_dictionaries(
    {},
    optional={
        "select": EXPRESSIONS,
        "href": HREFS,
        "k": EXPRESSIONS.map(lambda e: f"-${{select({e})}}"),
        "use": EXPRESSIONS,
        "name": st.sampled_from(["A", "B"]),
    },
)


def _directed(children: Any) -> Any:
    child = st.tuples(st.just("e"), children, st.just(""))
    plain = st.dictionaries(st.just("name"), st.sampled_from(["A", "B"]))
    return st.builds(
        _node,
        st.sampled_from(["a", "b", "c"]),
        DIRECTED | plain,
        st.sampled_from(["", "5", "$X"]),
        st.lists(child, max_size=3),
    )


REFERRING = st.recursive(
    st.builds(_node, st.sampled_from(["a", "b", "c"]), DIRECTED, st.just("1"), st.just([])),
    _directed,
    max_leaves=8,
).map(copy.deepcopy)


@given(
    st.lists(REFERRING, max_size=4),
    st.lists(REFERRING, max_size=3),
    REFERRING,
    DIRECTED,
    DIRECTED,
    st.sampled_from([None, "stop", "continue", "tolerate:${select(//a)}", "?"]),
)
@settings(law, max_examples=100)
def test_whatever_refers_to_whatever_only_our_errors_come_out(
    desk, shared, asked, fetched, valuation, group, on_failure
):
    desk.files = {"m.xml": written(fetched), "n.xml": f"<a><b>{written(fetched)}</b></a>"}
    inside = "".join(map(written, shared))
    tree = etree.fromstring(f"<project>{inside}<group><valuation/></group></project>")
    tree.find("group").attrib.update({k: v for k, v in group.items() if k != "use"})
    if on_failure is not None:
        tree.find("group").set("onFailure", on_failure)
    tree.find("group/valuation").attrib.update(valuation)
    tree.find("group/valuation").extend(asked)
    document = f'<?vnvs $X="a"?><vnml x="1">{written(tree)}</vnml>'.encode()
    try:
        hydrated = desk.document(document)
        for outline in hydrated.groups:
            for task in desk.tasks_of(hydrated.xml, outline.index):
                xml.parse(task.xml)
        told = None
    except VnError as err:
        told = err.code
    faults = [fault.code for fault in check(document, desk.fetch, desk.context)]
    assert bool(faults) == (told is not None), (told, faults)


@given(st.lists(REFERRING, max_size=3), REFERRING, DIRECTED)
@settings(law, max_examples=200)
def test_whatever_refers_to_failed_valuations_only_our_errors_come_out(
    desk, asked, gave, valuation
):
    """And where nothing else is at fault, a tolerant pass makes as many tasks as it would have."""
    tree = etree.fromstring("<project><a k='1'/><group/><group><valuation/></group></project>")
    tree.find("group").extend([etree.Element("valuation") for _ in range(3)])
    tree.find("group[2]/valuation").attrib.update(valuation)
    tree.find("group[2]/valuation").extend(asked)
    document = f'<?vnvs $X="a"?><vnml x="1">{written(tree)}</vnml>'.encode()
    good = f"<valuation>{written(gave)}</valuation>"
    failed = '<valuation><failure code="SCRIPT_FAILED" attempts="3">no</failure></valuation>'
    counts = []
    for results in ([good, good, good], [failed, good, failed]):
        try:
            placed = place_results(
                desk.document(document).xml, 0, [result.encode() for result in results]
            )
            tasks = hydrate_group(placed, 1, desk.fetch, desk.context, tolerant=True)
        except VnError:
            return
        for task in tasks:
            xml.parse(task.xml)
        counts.append(len(tasks))
    assert len(set(counts)) <= 1
