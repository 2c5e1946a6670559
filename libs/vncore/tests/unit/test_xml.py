"""The door for XML: what it lets in, what it refuses with which code, and that it never leaks."""

import codecs
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from vncore.errors import MalformedDocument
from vncore.xml import DEFAULT_LIMITS, XmlLimits, is_deeper_than, parse, serialise

DOCTYPE = b'<!DOCTYPE a [<!ENTITY e "text">]>'


def nested(levels: int) -> bytes:
    return b"<a>" * levels + b"</a>" * levels


def attributes(count: int) -> bytes:
    return b"<a>\n<b " + b" ".join(b'k%d=""' % n for n in range(count)) + b"/></a>"


def refusal(body: bytes, limits: XmlLimits = DEFAULT_LIMITS) -> MalformedDocument:
    with pytest.raises(MalformedDocument) as caught:
        parse(body, limits=limits)
    return caught.value


# --- honest documents ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"<a>x</a>", "x", id="bare element"),
        pytest.param(b" \r\n\t<a>x</a>\n", "x", id="white space around"),
        pytest.param(b'<?xml version="1.0"?><a>x</a>', "x", id="declaration without encoding"),
        pytest.param(b"<?xml version = '1.1' standalone = 'yes' ?><a>x</a>", "x", id="version 1.1"),
        pytest.param("<a>é€</a>".encode(), "é€", id="UTF-8 by default"),
        pytest.param(codecs.BOM_UTF8 + "<a>é</a>".encode(), "é", id="UTF-8 with BOM"),
        pytest.param(
            codecs.BOM_UTF8 + '<?xml version="1.0" encoding="utf-16"?><a>é</a>'.encode(),
            "é",
            id="BOM wins over the declaration",
        ),
        pytest.param(
            codecs.BOM_UTF16_LE
            + '<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16-le"),
            "é",
            id="UTF-16 little endian",
        ),
        pytest.param(
            codecs.BOM_UTF16_BE + "<a>é\U0001f4b6</a>".encode("utf-16-be"),
            "é\U0001f4b6",
            id="UTF-16 big endian without declaration",
        ),
        pytest.param(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "é", id="ISO-8859-1"
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="Windows-1252"?><a>\x80</a>', "€", id="windows-1252"
        ),
        pytest.param(b'<?xml version="1.0" encoding="US-ASCII"?><a>x</a>', "x", id="US-ASCII"),
        pytest.param(
            b"<a><![CDATA[<!DOCTYPE a SYSTEM 'file:///etc/passwd'>]]></a>",
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
            id="CDATA that speaks of a DOCTYPE",
        ),
        pytest.param(b"<!-- <!DOCTYPE a> --><a>x</a>", "x", id="comment that speaks of a DOCTYPE"),
        pytest.param(b"<?p <!DOCTYPE a> ?><a>x</a>", "x", id="instruction that speaks of one"),
        pytest.param(b"<!----><?p?>\n<!-- - -> > ?> -->\n<a>x</a>", "x", id="comments before root"),
        pytest.param(
            b'<?vnvs $N = "?" ?><?p ??><a>x</a>', "x", id="question marks in instructions"
        ),
        pytest.param(
            b"<a>&lt;&amp;&#xE9;</a>", "<&é", id="built-in entities and character references"
        ),
        pytest.param(b"<a>x</a><!-- after --><?p after?>", "x", id="comments after root"),
    ],
)
def test_an_honest_document_is_read(body: bytes, text: str) -> None:
    assert parse(body).text == text


def test_comments_and_instructions_around_the_root_are_reachable() -> None:
    root = parse(b'<?vnvs $N = "1" ?><!--c--><a/>')
    before = [node.text for node in root.itersiblings(preceding=True)]
    assert before == ["c", '$N = "1" ']


def test_foreign_namespaces_and_attributes_are_kept() -> None:
    root = parse(b'<a xmlns:f="urn:f" f:k="1"><f:b xmlns="urn:d"><c/></f:b></a>')
    assert root.get("{urn:f}k") == "1"
    assert [child.tag for child in root.iter()] == ["a", "{urn:f}b", "{urn:d}c"]


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "XML_MALFORMED", id="nothing"),
        pytest.param(b" \n", "XML_MALFORMED", id="white space only"),
        pytest.param(b"<!-- only a comment -->", "XML_MALFORMED", id="no root"),
        pytest.param(b"plain text", "XML_MALFORMED", id="text"),
        pytest.param(b'{"a": 1}', "XML_MALFORMED", id="JSON"),
        pytest.param(b"<", "XML_MALFORMED", id="one bracket"),
        pytest.param(b"<a><b></a>", "XML_MALFORMED", id="tags do not match"),
        pytest.param(b"<a/><b/>", "XML_MALFORMED", id="two roots"),
        pytest.param(b"<a>&unknown;</a>", "XML_MALFORMED", id="undeclared entity"),
        pytest.param(b"<a k='1' k='2'/>", "XML_MALFORMED", id="attribute twice"),
        pytest.param(b"<x:a/>", "XML_MALFORMED", id="undeclared prefix"),
        pytest.param(b"<a>\0</a>", "XML_MALFORMED", id="NUL in text"),
        pytest.param(b"<a/>\0<b/>", "XML_MALFORMED", id="NUL after root"),
        pytest.param(b"\0<a/>", "XML_ENCODING", id="NUL before root"),
        pytest.param(b"<a>&#0;</a>", "XML_MALFORMED", id="NUL by reference"),
        pytest.param(b"<a>\x01</a>", "XML_MALFORMED", id="control character"),
        pytest.param(b"<!-- open <a/>", "XML_MALFORMED", id="open comment"),
        pytest.param(b"<?p open <a/>", "XML_MALFORMED", id="open instruction"),
        pytest.param(b"<![CDATA[x]]><a/>", "XML_MALFORMED", id="CDATA before root"),
        pytest.param(b"\n<?xml version='1.0'?><a/>", "XML_MALFORMED", id="late declaration"),
        pytest.param(
            b"<?xml encoding='UTF-8'?><a/>", "XML_MALFORMED", id="declaration, no version"
        ),
        pytest.param(b"<?xml version='2.0'?><a/>", "XML_MALFORMED", id="XML 2.0"),
        pytest.param(
            b"<?xml version='1.0' encoding='UTF-8' encoding='UTF-7'?><a/>",
            "XML_MALFORMED",
            id="two encodings",
        ),
        pytest.param(DOCTYPE + b"<a>&e;</a>", "XML_DOCTYPE", id="DOCTYPE"),
        pytest.param(b"<!DOCTYPE a><a/>", "XML_DOCTYPE", id="DOCTYPE without subset"),
        pytest.param(b"<!doctype html><html/>", "XML_DOCTYPE", id="HTML"),
        pytest.param(b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "XML_DOCTYPE", id="external"),
        pytest.param(b"<!-- x --> <?p?>\n" + DOCTYPE + b"<a/>", "XML_DOCTYPE", id="after comments"),
        pytest.param(codecs.BOM_UTF8 + DOCTYPE + b"<a/>", "XML_DOCTYPE", id="after a BOM"),
        pytest.param(
            codecs.BOM_UTF8 * 2 + DOCTYPE + b"<a>&e;</a>", "XML_MALFORMED", id="after a second BOM"
        ),
        pytest.param(
            codecs.BOM_UTF16_LE + (DOCTYPE + b"<a/>").decode().encode("utf-16-le"),
            "XML_DOCTYPE",
            id="DOCTYPE in UTF-16",
        ),
        pytest.param(
            (DOCTYPE + b"<a/>").decode().encode("utf-16-le"), "XML_ENCODING", id="UTF-16, no BOM"
        ),
        pytest.param(b"<a/>".decode().encode("utf-16-be"), "XML_ENCODING", id="UTF-16BE, no BOM"),
        pytest.param(
            b"<?xml version='1.0' encoding='UTF-16'?><a/>", "XML_ENCODING", id="says UTF-16, is not"
        ),
        pytest.param(
            b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE a+AD4-<a/>",
            "XML_ENCODING",
            id="UTF-7",
        ),
        pytest.param(b"<?xml version='1.0' encoding='HZ-GB-2312'?><a/>", "XML_ENCODING", id="HZ"),
        pytest.param(
            b"<?xml version='1.0' encoding='ISO-2022-JP'?>\x1b(J<a/>", "XML_ENCODING", id="ISO-2022"
        ),
        pytest.param(b"<?xml version='1.0' encoding='IBM037'?><a/>", "XML_ENCODING", id="EBCDIC"),
        pytest.param("<a/>".encode("cp037"), "XML_ENCODING", id="EBCDIC undeclared"),
        pytest.param(codecs.BOM_UTF32_LE + "<a/>".encode("utf-32-le"), "XML_ENCODING", id="UTF-32"),
        pytest.param("<a/>".encode("utf-32-be"), "XML_MALFORMED", id="UTF-32 without BOM"),
        pytest.param(b"<a>\xe9</a>", "XML_ENCODING", id="not UTF-8"),
        pytest.param(b"<a>\xed\xa0\x80</a>", "XML_ENCODING", id="surrogate in UTF-8"),
        pytest.param(b"<a>\xc0\xbc</a>", "XML_ENCODING", id="overlong UTF-8"),
        pytest.param(
            b'<?xml version="1.0" encoding="US-ASCII"?><a>\xe9</a>', "XML_ENCODING", id="not ASCII"
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="windows-1252"?><a>\x81</a>',
            "XML_ENCODING",
            id="undefined in windows-1252",
        ),
        pytest.param(codecs.BOM_UTF16_LE + b"<\0a", "XML_ENCODING", id="half a UTF-16 unit"),
        pytest.param(b"\x1f\x8b\x08\0\0\0\0\0", "XML_ENCODING", id="gzip"),
        pytest.param(nested(257), "XML_TOO_COMPLEX", id="deeper than the parser allows"),
        pytest.param(nested(251), "XML_TOO_COMPLEX", id="one level too deep"),
        pytest.param(attributes(257), "XML_TOO_COMPLEX", id="one attribute too many"),
        pytest.param(b"<a>" + b"<b/>" * 1_000_000, "XML_TOO_COMPLEX", id="too many elements"),
        pytest.param(b"<a>" + b"=" * 1_000_001, "XML_TOO_COMPLEX", id="too many equals signs"),
        pytest.param(
            b"<a>" + b"".join(b"<b xmlns='u:%d'/>" % n for n in range(1001)) + b"</a>",
            "XML_TOO_COMPLEX",
            id="too many namespaces",
        ),
        pytest.param(b"<a>" + b"x" * 10_000_001 + b"</a>", "XML_TOO_COMPLEX", id="huge text"),
        pytest.param(
            b"<a k='" + b"x" * 10_000_001 + b"'/>", "XML_TOO_COMPLEX", id="huge attribute"
        ),
        pytest.param(b"<" + b"n" * 50_001 + b"/>", "XML_TOO_COMPLEX", id="huge name"),
        pytest.param(b"<a>" + b"x" * 10_485_760 + b"</a>", "DOCUMENT_TOO_LARGE", id="too large"),
    ],
)
def test_a_hostile_or_broken_document_is_refused_with_its_code(body: bytes, code: str) -> None:
    assert refusal(body).code == code


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        pytest.param(b"<a>\n  <b></c>\n</a>", 2, 10, id="mismatched tag"),
        pytest.param(b"<a>\n<b>&x;</b></a>", 2, 7, id="entity"),
        pytest.param(b"<!-- 1\n2 -->\n  <!DOCTYPE a><a/>", 3, 3, id="doctype"),
        pytest.param("<a>é\né\udce9</a>".encode(errors="surrogateescape"), 2, 2, id="bad byte"),
        pytest.param(b"", 1, 1, id="empty"),
        pytest.param(b"<?xml version='1.0' encoding='UTF-7'?><a/>", 1, 31, id="encoding"),
    ],
)
def test_a_refusal_tells_line_and_column(body: bytes, line: int, column: int) -> None:
    place = refusal(body).place
    assert (place.line, place.column) == (line, column)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        pytest.param(attributes(257), 2, id="attributes"),
        pytest.param(b"\n" + nested(251), 2, id="depth"),
    ],
)
def test_a_refused_shape_tells_its_line(body: bytes, line: int) -> None:
    assert refusal(body).place.line == line


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(nested(250), id="depth"),
        pytest.param(attributes(256), id="attributes"),
        pytest.param(b"<a>" + b"=" * 1_000_000 + b"</a>", id="equals signs"),
        pytest.param(b"<a>" + b"<b/>" * 999_998 + b"</a>", id="tags"),
        pytest.param(
            b"<a>" + b"".join(b"<b xmlns='u:%d'/>" % n for n in range(1000)) + b"</a>",
            id="namespaces",
        ),
    ],
)
def test_a_document_exactly_at_a_limit_is_read(body: bytes) -> None:
    assert parse(body).tag == "a"


def test_limits_are_the_callers() -> None:
    limits = XmlLimits(max_bytes=40, max_tags=3, max_namespaces=1, max_attributes=1, max_depth=2)
    assert parse(b"<a k=''><b/></a>", limits=limits).tag == "a"
    for body, code in [
        (b"<a>" + b"x" * 40 + b"</a>", "DOCUMENT_TOO_LARGE"),
        (b"<a><b/><b/></a>", "XML_TOO_COMPLEX"),
        (b"<a><b><c/></b></a>", "XML_TOO_COMPLEX"),
        (b"<a k='' l=''/>", "XML_TOO_COMPLEX"),
    ]:
        assert refusal(body, limits).code == code


def test_messages_name_the_document() -> None:
    with pytest.raises(MalformedDocument, match="market data"):
        parse(b"<a>", what="market data")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<!---->" * 1_400_000, id="small comments"),
        pytest.param(b"<!--" + b"- " * 5_000_000 + b"-->", id="dashes"),
        pytest.param(b"<?p " + b"?" * 10_000_000 + b"?>", id="question marks"),
        pytest.param(b"<!-- " * 2_000_000, id="open comments"),
    ],
)
def test_ten_megabytes_before_the_root_are_refused_quickly(body: bytes) -> None:
    start = time.thread_time()
    assert refusal(body).code == "XML_MALFORMED"
    assert time.thread_time() - start < 2  # measured 0.15 s; a quadratic check takes hours


def test_threads_parse_side_by_side() -> None:
    bodies = [b"<a>%d</a>" % n for n in range(200)] + [b"<a>"] * 50
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(_outcome, bodies))
    assert outcomes == [str(n) for n in range(200)] + ["XML_MALFORMED"] * 50


def _outcome(body: bytes) -> str | None:
    try:
        return parse(body).text
    except MalformedDocument as err:
        return err.code


# --- laws ----------------------------------------------------------------------------------------

_FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(b"<a>", b"</a>", b"<b/>", b"<", b">", b"<!--", b"-->", b"<?p", b"?>", b"&", b"&lt;"),
            *(b"<?xml version='1.0'", b" encoding='", b"utf-7", b"UTF-16", b"ascii", b"'", b"\0"),
            *(DOCTYPE, b"<![CDATA[", b"]]>", b"xmlns:p='u'", b" k=''", b"\xff", b"\xe9", b"\n"),
            *(codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE),
        ]
    )
).map(b"".join)


@given(st.one_of(st.binary(), _FRAGMENTS, st.text().map(str.encode)))
def test_no_bytes_make_the_door_raise_anything_but_a_malformed_document(body: bytes) -> None:
    try:
        root = parse(body)
    except MalformedDocument:
        return
    assert root.getroottree().docinfo.internalDTD is None


_NAMES = st.sampled_from(["a", "b", "{urn:x}a", "{urn:y}b", "é"])
# As a parsed document has them. Left to itself lxml calls each first namespace ns0, and takes one
# for the other where such trees are put into each other.
_PREFIXES = {"x": "urn:x", "y": "urn:y"}
_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&\"'")
)


@st.composite
def trees(draw: st.DrawFn, levels: int = 3) -> etree._Element:
    attributes = draw(st.dictionaries(_NAMES, _TEXTS, max_size=2))
    node = etree.Element(draw(_NAMES), attributes, nsmap=_PREFIXES)
    node.text = draw(_TEXTS)
    for _ in range(draw(st.integers(0, 2)) if levels else 0):
        child = draw(trees(levels=levels - 1))
        child.tail = draw(_TEXTS)
        node.append(child)
    return node


@given(trees())
def test_what_is_written_is_read_back_the_same(tree: etree._Element) -> None:
    written = serialise(tree)
    again = parse(written)
    assert etree.tostring(again, method="c14n") == etree.tostring(tree, method="c14n")
    assert serialise(parse(serialise(again))) == serialise(again)


@given(trees())
def test_a_tree_is_deeper_than_all_numbers_below_its_levels(tree: etree._Element) -> None:
    levels = max(len(list(node.iterancestors())) + 1 for node in tree.iter())
    assert [is_deeper_than(tree, number) for number in range(levels + 2)] == [
        number < levels for number in range(levels + 2)
    ]


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "written"),
    [
        pytest.param(b"<a/>", b"<a/>", id="root"),
        pytest.param(
            b'<?vnvs $N = "1" ?><!--c--><a/><!--d-->',
            b'<?vnvs $N = "1" ?>\n<!--c-->\n<a/>\n<!--d-->',
            id="prolog and epilog",
        ),
        pytest.param(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>",
            "<a>é</a>".encode(),
            id="always UTF-8",
        ),
        pytest.param(b"<a>1\r\n&#13;</a>", b"<a>1\n&#13;</a>", id="line ends"),
        pytest.param(b"<a><![CDATA[<]]></a>", b"<a>&lt;</a>", id="CDATA as text"),
    ],
)
def test_a_root_is_written_with_what_stands_around_it(body: bytes, written: bytes) -> None:
    assert serialise(parse(body)) == b'<?xml version="1.0" encoding="UTF-8"?>\n' + written


def test_without_declaration_only_the_element_is_written() -> None:
    assert serialise(parse(b"<!--c--><a>1</a>"), declaration=False) == b"<a>1</a>"


@pytest.mark.parametrize("declaration", [True, False])
def test_an_inner_element_is_written_without_its_tail_and_surroundings(declaration: bool) -> None:
    inner = parse(b"<!--c--><a><b>1</b>tail</a>")[0]
    assert serialise(inner, declaration=declaration).endswith(b"<b>1</b>")
    assert b"<!--" not in serialise(inner, declaration=declaration)


@pytest.mark.parametrize("levels", [1, 2, 199, 250, 255])
def test_depth_is_exact(levels: int) -> None:
    root = bottom = etree.Element("a")
    for _ in range(levels - 1):
        bottom = etree.SubElement(bottom, "a")
    assert is_deeper_than(root, levels - 1)
    assert not is_deeper_than(root, levels)
