"""Results that pass on what their task shares with others: kept once, and the very same result."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vnas import skeleton
from vnas.result import make_result
from vncore import xml
from vncore.errors import ResultRejected, VnError
from vncore.ids import TaskId
from vncore.pieces import Fragment, composed, digests_in, is_whole

DIGEST = "sha256:" + "0" * 64
MARK = b'<vndb externalId="7"/>'
MARKET = Fragment.of(b'<market name="EOD">' + b"<rate>0.031</rate>" * 200 + b"</market>")
MODEL = Fragment.of("<model><name>modèle</name><!-- c --><?p i?>a &lt; b</model>".encode())
ANALYTICS = Fragment.of(b"<analytics><price><amount>9</amount></price></analytics>")


def task_with(*parts: bytes) -> bytes:
    content = b"".join(parts)
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<vnml><project name="p"><group name="g">'
        b'<valuation name="v">' + content + MARK + b"</valuation></group></project></vnml>"
    )


def stored_of(
    output: bytes,
    task: bytes,
    shared: Sequence[Fragment],
    limits: xml.XmlLimits = xml.DEFAULT_LIMITS,
) -> bytes:
    return make_result(
        output, task, task_id=TaskId(7), script_digest=DIGEST, limits=limits, shared=shared
    )


def outcome(
    output: bytes, task: bytes, shared: Sequence[Fragment], limits: xml.XmlLimits
) -> bytes | tuple[str, str]:
    """Give the whole result, or how it was refused."""
    try:
        stored = stored_of(output, task, shared, limits)
    except VnError as err:
        return err.code, err.message
    return composed(stored, {fragment.digest: fragment.body for fragment in shared})


def assert_the_same(
    output: bytes,
    task: bytes,
    shared: Sequence[Fragment],
    limits: xml.XmlLimits = xml.DEFAULT_LIMITS,
) -> None:
    assert outcome(output, task, shared, limits) == outcome(output, task, (), limits)


TASK = task_with(MARKET.body, b"<a>1</a>", MODEL.body)
BOTH = {MARKET.digest, MODEL.digest}


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        pytest.param(TASK, BOTH, id="an echo"),
        pytest.param(b"\xef\xbb\xbf" + TASK, BOTH, id="with a byte order mark"),
        pytest.param(
            b"<valuation>" + MODEL.body + b"</valuation>", {MODEL.digest}, id="one of two"
        ),
        pytest.param(
            b"<valuation>" + MODEL.body + b"\n" + MARKET.body + b"</valuation>", BOTH, id="moved"
        ),
        pytest.param(
            b"<valuation><in>" + MARKET.body * 2 + b"</in></valuation>",
            {MARKET.digest},
            id="deeper, twice",
        ),
        pytest.param(
            b"<valuation>vn-shared 0<?vn-shared 0?>" + MARKET.body + b"</valuation>",
            {MARKET.digest},
            id="beside what looks like our instruction",
        ),
        pytest.param(
            b"<valuation>&#60;?vn-shared 0?>" + MARKET.body + b"</valuation>",
            {MARKET.digest},
            id="beside text that becomes like our instruction",
        ),
        pytest.param(b"12.5", BOTH, id="a number"),
        pytest.param(b"<valuation/>", set(), id="nothing passed on"),
    ],
)
def test_what_a_script_passes_on_is_kept_once(output: bytes, kept: set[str]) -> None:
    stored = stored_of(output, TASK, [MARKET, MODEL])
    assert digests_in(stored) == kept
    assert_the_same(output, TASK, [MARKET, MODEL])


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(b"<valuation><!-- %b --></valuation>", id="in a comment"),
        pytest.param(b"<valuation><![CDATA[%b]]></valuation>", id="in a CDATA section"),
        pytest.param(b"<valuation><?pi %b?></valuation>", id="in an instruction"),
        pytest.param(b"<valuation><![CDATA[%b]]>%b</valuation>", id="in CDATA and outside"),
        pytest.param(b"<valuation a='%b'/>", id="in an attribute"),
        pytest.param(b"<!-- %b --><valuation/>", id="in the prolog"),
        pytest.param(b"<valuation/>%b", id="after the root"),
        pytest.param(b"%b", id="as the root"),
        pytest.param(b"<valuation><a>%b</valuation>", id="in what is not well-formed"),
        pytest.param(b"<valuation>\n\n%b</b></valuation>", id="before what is not"),
        pytest.param(b"<valuation xmlns='urn:x'>%b</valuation>", id="in a namespace"),
        pytest.param(b"<valuation xmlns:x='urn:x'>%b</valuation>", id="under a prefix"),
        pytest.param(b"<valuation>%b<x xmlns='urn:x'/></valuation>", id="beside a namespace"),
        pytest.param(b"<valuation>%b<x:y/></valuation>", id="beside an unknown prefix"),
        pytest.param(
            b"<vnml><project><group>%b<valuation/></group></project></vnml>", id="in the group"
        ),
        pytest.param(
            b"<vnml><project><group><valuation/><valuation>%b</valuation></group></project></vnml>",
            id="in another valuation",
        ),
        pytest.param(b"<!DOCTYPE valuation><valuation>%b</valuation>", id="after a DOCTYPE"),
        pytest.param(b"<other>%b</other>", id="in another root"),
        pytest.param(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><valuation>%b</valuation>",
            id="in another encoding",
        ),
        pytest.param(
            b"<?xml version='1.0' encoding='shift_jis'?><valuation>%b</valuation>",
            id="in an encoding that is refused",
        ),
        pytest.param(b"<?xml version='1.0'?>\n<valuation>%b\xff</valuation>", id="no UTF-8"),
    ],
)
def test_where_it_does_not_stand_as_an_element_all_of_it_is_looked_at(output: bytes) -> None:
    written = output.replace(b"%b", MODEL.body)
    assert_the_same(written, TASK, [MARKET, MODEL])
    with suppress(ResultRejected):
        assert is_whole(stored_of(written, TASK, [MARKET, MODEL]))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<a b='1'/>", id="other quotes"),
        pytest.param(b"<a></a>", id="an end of its own"),
        pytest.param(b"<a>&#233;</a>", id="a reference"),
        pytest.param(b"<a>\r\n</a>", id="line ends"),
        pytest.param(b"<a><![CDATA[x]]></a>", id="CDATA"),
        pytest.param(b"<x:a/>", id="a prefix"),
        pytest.param(b'<x:a xmlns:x="urn:x"/>', id="a namespace"),
        pytest.param(b'<a xml:id="i"/>', id="an id"),
        pytest.param(b"<a/><b/>", id="two elements"),
        pytest.param(b"<a>", id="half an element"),
        pytest.param(b"a", id="text"),
        pytest.param(b"<!-- a -->", id="a comment"),
        pytest.param(b"", id="nothing"),
        pytest.param(MARK, id="a mark like ours"),
        pytest.param(b"<a>" * 247 + b"</a>" * 247, id="too deep"),
    ],
)
def test_a_fragment_that_a_parse_would_change_is_part_of_the_document(body: bytes) -> None:
    shared = [Fragment.of(body), MARKET]
    task = task_with(body, MARKET.body)
    assert_the_same(task, task, shared)
    assert_the_same(b"1", task, shared)
    assert_the_same(b"<valuation>" + body + MARKET.body + b"</valuation>", task, shared)


@pytest.mark.parametrize(("above", "shared_levels", "accepted"), [(100, 147, 1), (100, 148, 0)])
def test_levels_count_where_a_fragment_stands(
    above: int, shared_levels: int, accepted: int
) -> None:
    deep = Fragment.of(b"<d>" * (shared_levels - 1) + b"<d/>" + b"</d>" * (shared_levels - 1))
    outer = above - 1  # the valuation is one
    output = b"<valuation>" + b"<a>" * outer + deep.body + b"</a>" * outer + b"</valuation>"
    assert_the_same(output, task_with(deep.body), [deep])
    if accepted:
        assert digests_in(stored_of(output, task_with(deep.body), [deep])) == {deep.digest}
    else:
        with pytest.raises(ResultRejected, match="247 levels"):
            stored_of(output, task_with(deep.body), [deep])


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"max_bytes": 1_000}, id="bytes"),
        pytest.param({"max_tags": 300}, id="tags"),
        pytest.param({"max_attributes": 0}, id="attributes"),
        pytest.param({"max_depth": 5}, id="depth"),
    ],
)
def test_limits_count_what_is_shared(limits: dict[str, int]) -> None:
    few = replace(xml.DEFAULT_LIMITS, **limits)
    output = b"<valuation>" + MARKET.body + b"</valuation>"
    assert_the_same(output, TASK, [MARKET], few)
    assert isinstance(outcome(TASK, TASK, [MARKET], few), tuple)


def test_a_number_goes_into_analytics_even_where_these_are_shared() -> None:
    task = task_with(MARKET.body, ANALYTICS.body)
    stored = stored_of(b"1.5", task, [MARKET, ANALYTICS])
    assert digests_in(stored) == {MARKET.digest}
    assert b"<amount>1.5</amount>" in stored
    assert_the_same(b"1.5", task, [MARKET, ANALYTICS])


def test_marks_of_the_client_are_told_from_ours_where_much_is_shared() -> None:
    clients = Fragment.of(MARK)
    task = task_with(MARKET.body, MARK, MARK)
    for output in (task, b"<valuation>" + MARKET.body + MARK + b"</valuation>"):
        assert_the_same(output, task, [MARKET, clients])


def test_what_stands_within_another_is_not_taken_out_of_it() -> None:
    inner = Fragment.of(b"<rate>0.031</rate>")
    stored = stored_of(TASK, TASK, [inner, MARKET, MARKET])
    assert digests_in(stored) == {MARKET.digest}
    assert_the_same(TASK, TASK, [inner, MARKET, MARKET])


def test_a_fragment_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Fragment.of(MARKET.body.replace(b"EOD", b"once"))
    task = task_with(fresh.body)
    parsed: list[int] = []
    parse = xml.parse

    def counted(body: bytes, **options: object) -> object:
        parsed.append(len(body))
        return parse(body, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(xml, "parse", counted)
    for output in (task, task, b"1"):
        stored_of(output, task, [fresh])
    assert [size for size in parsed if size >= len(fresh.body)] == [len(fresh.body)]


def test_a_document_full_of_what_begins_like_a_fragment_is_not_searched_for_ever() -> None:
    body = b"<a>" + b"<b/>" * 10_000 + b"</a>"
    almost = Fragment.of(body.replace(b"</a>", b"<c/></a>"))
    output = b"<valuation>" + body * 50 + b"</valuation>"
    assert is_whole(stored_of(output, task_with(almost.body), [almost]))
    assert skeleton.without_shared(output, [almost], limits=xml.DEFAULT_LIMITS) is None


NAMES = st.sampled_from(["a", "market", "analytics", "vndb", "valuation", "project", "group"])
TEXTS = st.sampled_from(["", "t", " ", "é", "&lt;", "&#13;", "<!-- c -->", "<?p i?>", "<x/>", "\n"])
ATTRIBUTES = st.sampled_from(["", ' n="1"', " n='1'", ' n="&quot;" m="é"', ' xmlns="urn:x"'])
TREES = st.recursive(
    st.builds(
        lambda name, given, text: (
            f"<{name}{given}>{text}</{name}>" if text else f"<{name}{given}/>"
        ),
        NAMES,
        ATTRIBUTES,
        TEXTS,
    ),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts) or 't'}</{name}>",
        NAMES,
        st.lists(st.one_of(inner, TEXTS), max_size=3),
    ),
    max_leaves=5,
).map(str.encode)
FRAMES = st.sampled_from(
    [
        b"<valuation>%b</valuation>",
        b"<valuation n='1'>\n %b\n</valuation>",
        b"<?xml version='1.0' encoding='utf-8'?><!-- %b --><valuation>%b</valuation>",
        b"<vnml><project><group>%b<valuation>%b</valuation></group></project></vnml>",
        b"<vnml><project>%b<group><valuation>%b</valuation>%b</group></project></vnml>",
        b"<vnml xmlns:x='urn:x'><project><group><valuation>%b</valuation></group></project></vnml>",
        b"<valuation><![CDATA[%b]]>%b</valuation>",
        b"<valuation><deeper>%b</deeper><deeper>%b</deeper></valuation>",
        b"<valuation>%b",
        b"%b",
    ]
)


@given(
    st.lists(TREES, min_size=1, max_size=4),
    st.lists(st.integers(0, 3), max_size=4),
    FRAMES,
    st.lists(st.one_of(TREES, TEXTS.map(str.encode), st.integers(0, 3)), max_size=5),
)
@example([b"<a/>"], [0], b"<valuation>%b</valuation>", [0, 0])
@example([b"<project><group><valuation/></group></project>"], [0], b"<vnml>%b</vnml>", [0])
def test_sharing_changes_nothing_but_how_a_result_is_stored(
    children: list[bytes], chosen: list[int], frame: bytes, written: list[bytes | int]
) -> None:
    task = task_with(*children)
    shared = [Fragment.of(children[number]) for number in chosen if number < len(children)]
    content = b"".join(
        part if isinstance(part, bytes) else children[part % len(children)] for part in written
    )
    for output in (task, frame.replace(b"%b", content), b"1.5"):
        assert_the_same(output, task, shared)
