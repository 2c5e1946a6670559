"""`href`: fetch and merge (VNML R1-R7)."""

import pytest

from vncore.errors import HydrationFailed
from vnvs.hydration import HydrationLimits

GROUP = "<group><valuation>{}</valuation></group>"


@pytest.mark.parametrize(
    ("local", "fetched", "expected"),
    [
        pytest.param(
            '<market href="m.xml" a="1"><own/></market>',
            '<market b="2"><rate>5</rate></market>',
            '<market b="2" a="1"><own/><rate>5</rate></market>',
            id="R1 an element is replaced by the merge with its counterpart",
        ),
        pytest.param(
            '<market><curve href="m.xml"/></market>',
            "<curve>5</curve>",
            "<market><curve>5</curve></market>",
            id="R1 wherever it stands",
        ),
        pytest.param(
            '<market href="m.xml"><curve name="A" href="n.xml"/></market>',
            '<market><curve name="A"><a/></curve></market>',
            '<market><curve name="A"><n/><a/></curve></market>',
            id="R1 nested directives are handled too",
        ),
        pytest.param(
            '<market href="m.xml"/>',
            "<vnml><x><market>1</market></x><project><market>2</market></project></vnml>",
            "<market>2</market>",
            id="R2 the only element at the same path",
        ),
        pytest.param(
            '<market name="B" href="m.xml"/>',
            '<vnml><project><market name="A">1</market>'
            '<market name="B">2</market></project></vnml>',
            '<market name="B">2</market>',
            id="R2 else of the same tag and name",
        ),
        pytest.param(
            '<market id="B" href="m.xml"/>',
            '<all><market id="A">1</market><market id="B">2</market></all>',
            '<market id="B">2</market>',
            id="R2 else of the same tag and id",
        ),
        pytest.param(
            '<market name="C" id="B" href="m.xml"/>',
            '<all><market id="A">1</market><market id="B">2</market></all>',
            '<market id="B" name="C">2</market>',
            id="R2 the id where no name fits",
        ),
        pytest.param(
            '<market name="B" href="m.xml"/>',
            "<all><x/><market>2</market></all>",
            '<market name="B">2</market>',
            id="R2 else the only element of that tag",
        ),
        pytest.param(
            '<market href="m.xml"/>', "<market>2</market>", "<market>2</market>", id="R2 the root"
        ),
        pytest.param(
            '<a:m xmlns:a="u:a" href="m.xml"/>',
            '<b:m xmlns:b="u:a">2</b:m>',
            '<a:m xmlns:a="u:a" href="m.xml"/>',
            id="D1 foreign elements are carried along untouched",
        ),
        pytest.param(
            '<m href="m.xml"/><m href="./m.xml"/><m href="file:///data/m.xml"/>',
            "<m>1</m>",
            "<m>1</m><m>1</m><m>1</m>",
            id="R3 relative and absolute files",
        ),
        pytest.param(
            '<m href="with%20blank.xml"/>', "<m/>", "<m>blank</m>", id="R3 percent-decoded"
        ),
        pytest.param(
            '<m href="s3://bucket/a%20key.xml"/>', "<m/>", "<m>key</m>", id="R3 a key as it stands"
        ),
        pytest.param(
            '<m href="sub/a.xml"/>',
            "<m/>",
            "<m><x>beside</x></m>",
            id="R3 relative to the fetched document it stands in",
        ),
        pytest.param(
            '<m href="s3://bucket/f/a.xml"/>',
            "<m/>",
            "<m><x>object beside</x></m>",
            id="R3 relative to the fetched object it stands in",
        ),
        pytest.param(
            '<data><r>9</r></data><m href="m.xml"/>',
            '<m><r select="/vnml/project/data/r"/></m>',
            "<data><r>9</r></data><m><r>9</r></m>",
            id="R5 absolute paths in fetched content refer to the request document",
        ),
        pytest.param(
            '<m name="A" href="m.xml"/>',
            """<m><s>4</s><r select="/vnml/project/m[@name='A']/s/text()"/></m>""",
            '<m name="A"><s>4</s><r>4</r></m>',
            id="R5 also into the element that the content was merged into",
        ),
        pytest.param(
            """<m name="A" href="m.xml"><t select="/vnml/project/m[@name='A']/s/text()"/></m>""",
            "<m><s>4</s><t>1</t></m>",
            '<m name="A"><t>4</t><s>4</s></m>',
            id="R5 and what the request says sees what the href brought in",
        ),
        pytest.param(
            '<m a="1" href="near.xml"/>',
            "<m/>",
            '<m a="1" b="near" c="far"/>',
            id="R6 an href of the counterpart is followed, the nearer document wins",
        ),
        pytest.param(
            '<m href="${select(/vnml/project/d)}.xml"/><d>near</d>',
            "<m/>",
            '<m a="near" b="near" c="far"/><d>near</d>',
            id="R6 also when the href had a placeholder",
        ),
    ],
)
def test_an_href_gives(desk, local, fetched, expected):
    desk.files |= {
        "m.xml": fetched,
        "n.xml": '<curve name="A"><n/></curve>',
        "with blank.xml": "<m>blank</m>",
        "s3://bucket/a%20key.xml": "<m>key</m>",
        "sub/a.xml": '<m><x href="b.xml"/></m>',
        "sub/b.xml": "<x>beside</x>",
        "s3://bucket/f/a.xml": '<m><x href="../g/b.xml"/></m>',
        "s3://bucket/g/b.xml": "<x>object beside</x>",
        "near.xml": '<m a="near" b="near" href="far.xml"/>',
        "far.xml": '<m a="far" b="far" c="far"/>',
    }
    assert desk.project(local) == expected


def test_r5_relative_paths_in_fetched_content_refer_to_the_linked_element(desk):
    desk.files["model.xml"] = '<model><sigma select="./volatility/sigma"/></model>'
    book = "<portfolio>{}</portfolio>".format(
        "".join(f"<i><volatility><sigma>0.{n}</sigma></volatility></i>" for n in (1, 2))
    )
    content = f'{book}<group><valuation use="//i"><model href="model.xml"/></valuation></group>'
    assert desk.valuations(content) == [
        "<model><sigma>0.1</sigma></model>",
        "<model><sigma>0.2</sigma></model>",
    ]


def test_r5_a_whole_valuation_can_be_fetched(desk):
    desk.files["v.xml"] = (
        '<valuation use="/vnml/project/portfolio/i"><n select="./@name"/>'
        '<m href="m.xml"/></valuation>'
    )
    desk.files["m.xml"] = "<m>1</m>"
    book = '<portfolio><i name="a"/><i name="b"/></portfolio>'
    content = f'{book}<group><valuation href="v.xml"/><valuation/></group>'
    assert desk.valuations(content) == ["<n>a</n><m>1</m>", "<n>b</n><m>1</m>", ""]
    results = [f"<valuation>{n}</valuation>" for n in range(3)]
    assert b"".join(r.encode() for r in results) in desk.with_results(content, results)


def test_r4_each_uri_is_fetched_once_and_several_at_a_time(desk):
    desk.files |= {f"{n}.xml": f'<m><x href="x{n % 2}.xml"/></m>' for n in range(4)}
    desk.files |= {"x0.xml": "<x>0</x>", "x1.xml": "<x>1</x>"}
    same = '<m href="0.xml"/><m href="./0.xml"/><m href="file:///data/0.xml"/>'
    content = same + "".join(f'<m href="{n}.xml"/>' for n in range(4))
    made = desk.document(f"<vnml><project>{content}</project></vnml>")
    first, second = desk.asked
    assert sorted(first) == [f"file:///data/{n}.xml" for n in range(4)]
    assert sorted(second) == ["file:///data/x0.xml", "file:///data/x1.xml"]
    assert len(made.sources) == 6
    assert all(source.digest.startswith("sha256:") for source in made.sources)
    assert {(source.version, source.size) for source in made.sources} >= {("v1", 8)}


def test_r4_what_a_group_needs_is_asked_for_at_once(desk):
    desk.files |= {f"{n}.xml": f'<m{n}><a select="./@name"/></m{n}>' for n in range(3)}
    hrefs = "".join(f'<m{n} href="{n}.xml"/>' for n in range(3))
    content = (
        f'<portfolio><i name="A"/></portfolio><group>'
        f'<valuation use="//i">{hrefs}</valuation></group>'
    )
    [made] = desk.valuations(content)
    assert made == "<m0><a>A</a></m0><m1><a>A</a></m1><m2><a>A</a></m2>"
    assert [len(asked) for asked in desk.asked] == [3, 3]  # one call per pass


@pytest.mark.parametrize(
    ("href", "code", "rule"),
    [
        pytest.param("", "HREF_EMPTY", "R7", id="R7 empty"),
        pytest.param(" ", "HREF_EMPTY", "R7", id="R7 blank"),
        pytest.param("missing.xml", "HREF_UNAVAILABLE", "R7", id="R7 missing"),
        pytest.param("bad.xml", "HREF_MALFORMED", "R7", id="R7 not well-formed"),
        pytest.param("doctype.xml", "HREF_MALFORMED", "R7", id="R7 with a DOCTYPE"),
        pytest.param("dir", "HREF_UNAVAILABLE", "R7", id="R7 a directory"),
        pytest.param("none.xml", "HREF_NO_COUNTERPART", "R2", id="R7 no counterpart"),
        pytest.param("two.xml", "HREF_NO_COUNTERPART", "R2", id="R7 no single counterpart"),
        pytest.param("http://host/m.xml", "HREF_FORBIDDEN", "R3", id="R3 another scheme"),
        pytest.param("../m.xml", "HREF_FORBIDDEN", "R3", id="R3 outside the root"),
        pytest.param(
            "variables.xml", "VARIABLE_DUPLICATE", "V1", id="V1 a duplicate in a fetched document"
        ),
    ],
)
def test_an_href_that_cannot_be_followed_is_told_with_uri_and_element(desk, href, code, rule):
    desk.files |= {
        "bad.xml": "<m>",
        "doctype.xml": "<!DOCTYPE m []><m/>",
        "dir": HydrationFailed("HREF_UNAVAILABLE", "it is a directory", rule="R7"),
        "none.xml": "<x/>",
        "two.xml": "<x><m/><m/></x>",
        "variables.xml": '<?vnvs $A="1"?><?vnvs $A="1"?><m/>',
    }
    for before, after in (("", ""), ('<group name="g"><valuation>', "</valuation></group>")):
        fault = desk.fault(f'\n{before}<m href="{href}"/>{after}')
        assert (fault.code, fault.rule) == (code, rule)
        assert fault.place.element.endswith("/m")
        assert fault.place.line == 2
        assert fault.place.expression == href
        if rule in {"R7", "R2"} and href.strip():
            assert fault.place.uri == f"file:///data/{href}"


def test_a_forbidden_href_does_not_tell_whether_the_target_exists(desk):
    messages = set()
    for exists in (True, False):
        desk.files = {"file:///etc/passwd": "<m/>"} if exists else {}
        messages.add(desk.fault('<m href="file:///etc/passwd"/>').message)
        assert desk.asked == []
    assert len(messages) == 1


def test_a_fault_in_a_fetched_document_is_told_with_its_uri_and_line(desk):
    desk.files["m.xml"] = '<m>\n<r select="/vnml/none"/></m>'
    fault = desk.fault('\n\n<m href="m.xml"/>')
    assert fault.place.uri == "file:///data/m.xml"
    assert "line 2" in fault.message
    assert (fault.place.line, fault.place.element) == (3, "/vnml/project/m")


def test_a_fault_beside_fetched_content_knows_its_line(desk):
    desk.files["m.xml"] = "<m>\n\n\n<a><b>1</b></a></m>"
    fault = desk.fault('\n<m href="m.xml">\n<a v="${select(/none)}">\n<c/></a></m>')
    assert (fault.place.line, fault.place.element) == (3, "/vnml/project/m/a")


def test_files_are_refused_without_a_root_and_objects_are_not(desk):
    desk.base_uri = None
    desk.files["s3://bucket/m.xml"] = "<m>1</m>"
    assert desk.project('<m href="s3://bucket/m.xml"/>') == "<m>1</m>"
    for href in ("m.xml", "file:///data/m.xml"):
        assert desk.fault(f'<m href="{href}"/>').code == "HREF_FORBIDDEN"


def test_t4_files_that_include_each_other_are_an_error_naming_the_chain(desk):
    desk.files |= {"a.xml": '<m><n href="b.xml"/></m>', "b.xml": '<n><m href="a.xml"/></n>'}
    chain = "file:///data/a.xml.*file:///data/b.xml.*file:///data/a.xml"
    for content in ('<m href="a.xml"/>', GROUP.format('<x select="/a"/><m href="a.xml"/>')):
        with pytest.raises(HydrationFailed, match=chain) as caught:
            desk.project(content)
        assert (caught.value.code, caught.value.rule) == ("REFERENCE_CYCLE", "T4")


def test_t4_a_file_that_includes_itself_is_an_error(desk):
    desk.files["a.xml"] = '<m href="a.xml"/>'
    assert desk.fault('<m href="a.xml"/>').code == "REFERENCE_CYCLE"


@pytest.mark.parametrize(
    ("limits", "content", "code"),
    [
        pytest.param(
            {"max_uris": 1}, '<m href="m.xml"/><m href="n.xml"/>', "HREF_LIMIT", id="URIs"
        ),
        pytest.param({"max_fetch_bytes": 5}, '<m href="m.xml"/>', "HREF_LIMIT", id="bytes of one"),
        pytest.param(
            {"max_fetched_bytes": 15},
            '<m href="m.xml"/><m href="n.xml"/>',
            "HREF_LIMIT",
            id="of all",
        ),
        pytest.param({"max_chain": 3}, '<m href="0.xml"/>', "HREF_LIMIT", id="chain"),
        pytest.param(
            {"max_bytes": 2_000}, '<m href="big.xml"/>' * 4, "HYDRATION_TOO_LARGE", id="brought in"
        ),
    ],
)
def test_t4_limits_of_referenced_documents_refuse(desk, limits, content, code):
    desk.limits = HydrationLimits(**limits)
    desk.files |= {"m.xml": "<m>12345</m>", "n.xml": "<m>1234567</m>"}
    desk.files["big.xml"] = f"<m>{'x' * 1000}</m>"
    desk.files |= {f"{n}.xml": f'<m href="{n + 1}.xml"/>' for n in range(5)}
    desk.files["5.xml"] = "<m/>"
    for before, after in (("", ""), ("<group><valuation>", "</valuation></group>")):
        fault = desk.fault(f"{before}{content}{after}")
        assert (fault.code, fault.rule) == (code, "T4")


def test_a_project_can_be_fetched_with_its_groups(desk):
    desk.files |= {
        "sub/base.xml": (
            '<vnml><project><market href="m.xml"/><group name="g">'
            '<valuation><market select="/vnml/project/market"/>'
            '<x href="${select(/vnml/project/f)}.xml"/><y href="y.xml"/></valuation>'
            "</group></project></vnml>"
        ),
        "sub/m.xml": "<market>1</market>",
        "sub/n.xml": "<x>2</x>",
        "sub/y.xml": '<y><z select="/vnml/project/f"/></y>',
    }
    made = desk.document('<vnml><project href="sub/base.xml"><f>n</f></project></vnml>')
    assert [group.name for group in made.groups] == ["g"]
    [task] = desk.tasks_of(made.xml)
    assert b"<market>1</market><x>2</x><y><f>n</f></y>" in task.xml


def test_a_group_can_be_fetched(desk):
    desk.files["g.xml"] = '<group name="g"><valuation name="v"><x>1</x></valuation></group>'
    made = desk.document('<vnml><project><group href="g.xml" a="1"/></project></vnml>')
    assert b'<group name="g" a="1"><valuation name="v"><x>1</x>' in made.xml
