"""VNML K2: what a script may write, and what becomes of it."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from vnas.result import make_result
from vnas.taskdoc import read_names
from vncore import xml
from vncore.errors import MalformedDocument, ResultRejected
from vncore.ids import TaskId

DIGEST = "sha256:" + "0" * 64
OURS = f'<vndb externalId="7" script="{DIGEST}"/>'.encode()
TASK = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<vnml><project><group name="g"><valuation name="v">'
    b"<market/><analytics><price><amount/></price></analytics>"
    b'<vndb externalId="7"/></valuation></group></project></vnml>'
)


def result_of(output: bytes, task: bytes = TASK, **options) -> bytes:
    return make_result(output, task, task_id=TaskId(7), script_digest=DIGEST, **options)


def task_with(content: str) -> bytes:
    return (
        f"<vnml><project><group><valuation>{content}</valuation></group></project></vnml>".encode()
    )


@pytest.mark.parametrize(
    ("output", "result"),
    [
        pytest.param(b"<valuation/>", b"<valuation>" + OURS + b"</valuation>", id="bare"),
        pytest.param(
            b'<?xml version="1.0"?>\n<!-- c --><valuation a="1">x</valuation>\n<!-- d -->\n',
            b'<valuation a="1">x' + OURS + b"</valuation>",
            id="bare with prolog and epilog",
        ),
        pytest.param(
            b"<vnml><project><group><valuation><a/></valuation></group></project></vnml>",
            b"<valuation><a/>" + OURS + b"</valuation>",
            id="document",
        ),
        pytest.param(
            b"<vnml><project><group/></project><project><group><x/><valuation n='1'/>\n"
            b"<valuation n='2'/></group></project></vnml>",
            b'<valuation n="1">' + OURS + b"</valuation>",
            id="the first of several",
        ),
        pytest.param(
            '<?xml version="1.0" encoding="ISO-8859-1"?><valuation>é</valuation>'.encode("latin-1"),
            "<valuation>é".encode() + OURS + b"</valuation>",
            id="another encoding becomes UTF-8",
        ),
        pytest.param(
            b'<vnml xmlns:x="urn:x"><project><group><valuation><x:y/></valuation></group>'
            b"</project></vnml>",
            b'<valuation xmlns:x="urn:x"><x:y/>' + OURS + b"</valuation>",
            id="namespaces come along",
        ),
        pytest.param(
            b'<valuation><vndb externalId="7"/>\n</valuation>',
            b"<valuation>" + OURS + b"\n</valuation>",
            id="ours passed on, white space kept",
        ),
        pytest.param(
            b'<valuation>\n <vndb externalId="7"/>\n <b/>\n</valuation>',
            b"<valuation>\n \n <b/>\n" + OURS + b"</valuation>",
            id="ours moved to the end",
        ),
        pytest.param(
            b'<valuation><a/>t<vndb externalId="7"/>u<b/></valuation>',
            b"<valuation><a/>tu<b/>" + OURS + b"</valuation>",
            id="text around it stays",
        ),
        pytest.param(
            b'<valuation><vndb externalId="7" script="sha256:1"/></valuation>',
            b"<valuation>" + OURS + b"</valuation>",
            id="an older digest is replaced",
        ),
        pytest.param(
            b'<valuation><vndb externalId="8"/></valuation>',
            b'<valuation><vndb externalId="8"/>' + OURS + b"</valuation>",
            id="another number is not ours",
        ),
        pytest.param(
            b'<valuation><vndb externalId="7" a="b"/><vndb externalId="7">t</vndb></valuation>',
            b'<valuation><vndb externalId="7" a="b"/><vndb externalId="7">t</vndb>'
            + OURS
            + b"</valuation>",
            id="one with content is not ours",
        ),
        pytest.param(
            b'<valuation><a><vndb externalId="7"/></a></valuation>',
            b'<valuation><a><vndb externalId="7"/></a>' + OURS + b"</valuation>",
            id="one deeper down is not ours",
        ),
    ],
)
def test_a_document_or_a_bare_valuation_is_a_result(output, result):
    assert result_of(output) == result


CLIENTS = '<vndb externalId="7"/>'


@pytest.mark.parametrize(
    ("task", "output", "result"),
    [
        pytest.param(
            CLIENTS + "<a/>" + CLIENTS,
            CLIENTS + "<a/>" + CLIENTS,
            CLIENTS + "<a/>" + OURS.decode(),
            id="echoed: the last is ours",
        ),
        pytest.param(
            CLIENTS + "<a/>" + CLIENTS,
            CLIENTS + "<a/>",
            CLIENTS + "<a/>" + OURS.decode(),
            id="the script left ours out: the client's stays",
        ),
        pytest.param(
            CLIENTS + CLIENTS, CLIENTS, CLIENTS + OURS.decode(), id="left out, the client's is last"
        ),
        pytest.param(CLIENTS + CLIENTS, "", OURS.decode(), id="both left out"),
    ],
)
def test_a_vndb_of_the_client_just_like_ours_stays(task, output, result):
    assert result_of(f"<valuation>{output}</valuation>".encode(), task_with(task)) == (
        f"<valuation>{result}</valuation>".encode()
    )


@pytest.mark.parametrize(
    ("content", "result"),
    [
        pytest.param(
            "<analytics><price><amount/></price></analytics>",
            "<analytics><price><amount>1.5</amount></price></analytics>",
            id="empty amount",
        ),
        pytest.param(
            '<analytics><price><amount currency="USD">9<x/>8</amount></price></analytics>',
            '<analytics><price><amount currency="USD">1.5</amount></price></analytics>',
            id="content replaced, attributes kept",
        ),
        pytest.param(
            "<analytics><price/><price><amount/><amount>3</amount></price></analytics>",
            "<analytics><price/><price><amount>1.5</amount><amount>3</amount></price></analytics>",
            id="the first amount there is",
        ),
        pytest.param(
            "<analytics><e/><price q='1'/></analytics><b/>",
            '<analytics><e/><price q="1"><amount>1.5</amount></price></analytics><b/>',
            id="amount made",
        ),
        pytest.param(
            "<analytics/>",
            "<analytics><price><amount>1.5</amount></price></analytics>",
            id="price made",
        ),
        pytest.param(
            "<a/>",
            "<a/><analytics><price><amount>1.5</amount></price></analytics>",
            id="analytics made",
        ),
    ],
)
def test_a_number_becomes_the_amount_of_the_tasks_own_valuation(content, result):
    made = result_of(b" 1.5\r\n", task_with(content + CLIENTS))
    assert made == f"<valuation>{result}".encode() + OURS + b"</valuation>"


@pytest.mark.parametrize(
    "number", ["0", "-1", "+1.", ".5", "1e3", "1E-300", "007", "1.7976931348623157e308", "1e+05"]
)
def test_a_number_is_kept_as_it_was_written(number):
    assert f"<amount>{number}</amount>".encode() in result_of(number.encode())


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param(b"", "nothing", id="empty"),
        pytest.param(b" \r\n\t", "nothing", id="blank"),
        pytest.param(b"nan", "neither", id="nan"),
        pytest.param(b"inf", "neither", id="inf"),
        pytest.param(b"1_000", "neither", id="underscore"),
        pytest.param("１２".encode(), "neither", id="full-width digits"),
        pytest.param(b"1,5", "neither", id="comma"),
        pytest.param(b"1 2", "neither", id="two numbers"),
        pytest.param(b"1e1000", "neither", id="exponent of four digits"),
        pytest.param(b"1e999", "too large", id="not finite"),
        pytest.param(b"0x10", "neither", id="hexadecimal"),
        pytest.param(b".", "neither", id="a point alone"),
        pytest.param(b"1\x00", "neither", id="NUL"),
        pytest.param(b"1" * 1001, "1001 characters", id="a very long number"),
        pytest.param(b"\xff\xfe\xfd", "neither", id="bytes"),
        pytest.param(b"<valuation>", "XML_MALFORMED", id="not well-formed"),
        pytest.param(b"<!DOCTYPE valuation><valuation/>", "XML_DOCTYPE", id="DOCTYPE"),
        pytest.param(b"log line\n<valuation/>", "XML_MALFORMED", id="text before"),
        pytest.param(b"<valuation/><valuation/>", "XML_MALFORMED", id="two roots"),
        pytest.param(b"<result/>", "'result'", id="another root"),
        pytest.param(b"<vnml/>", "project/group/valuation", id="no valuation"),
        pytest.param(b"<vnml><valuation/></vnml>", "project/group/valuation", id="elsewhere"),
        pytest.param(b'<valuation xmlns="urn:x"/>', "{urn:x}valuation", id="in a namespace"),
    ],
)
def test_anything_else_is_refused_for_good(output, words):
    with pytest.raises(ResultRejected) as caught:
        result_of(output)
    assert caught.value.code == "RESULT_INVALID"
    assert caught.value.rule == "K2"
    assert not caught.value.retryable
    assert words in caught.value.message


@pytest.mark.parametrize(("levels", "accepted"), [(247, True), (248, False)])
def test_a_result_leaves_room_for_the_levels_above_it(levels, accepted):
    below = levels - 1
    output = b"<valuation>" + b"<a>" * below + b"</a>" * below + b"</valuation>"
    if not accepted:
        with pytest.raises(ResultRejected, match="247 levels"):
            result_of(output)
        return
    response = b"<vnml><project><group>" + result_of(output) + b"</group></project></vnml>"
    assert xml.is_deeper_than(xml.parse(response), 249)


def test_the_size_limit_is_for_the_output_not_for_the_task():
    limits = xml.XmlLimits(max_bytes=60)
    task = task_with("<a>" + "x" * 100 + "</a>" + CLIENTS)
    assert b"<amount>1</amount>" in result_of(b"1", task, limits=limits)
    with pytest.raises(ResultRejected, match="DOCUMENT_TOO_LARGE"):
        result_of(b"<valuation>" + b"x" * 60 + b"</valuation>", limits=limits)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_arrives_unchanged(number):
    amount = xml.parse(result_of(repr(number).encode())).findtext("analytics/price/amount")
    assert amount is not None
    assert math.copysign(1, float(amount)) == math.copysign(1, number)
    assert float(amount) == number


NAMES = st.sampled_from(["a", "market", "analytics", "vndb", "valuation"])
TREES = st.recursive(
    st.builds(
        lambda name, text: f"<{name}>{text}</{name}>", NAMES, st.sampled_from(["", "t", " "])
    ),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{'-'.join(parts)}</{name}>",
        NAMES,
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.lists(st.one_of(TREES, st.just(CLIENTS), st.just('<vndb externalId="1"/>')), max_size=5))
@example([CLIENTS, CLIENTS])
def test_an_echo_changes_nothing_but_our_mark(content):
    task = task_with("".join(content) + CLIENTS)
    echoed = xml.parse(result_of(task, task))
    sent = xml.parse(task)[0][0][0]
    assert echoed[-1].attrib == {"externalId": "7", "script": DIGEST}
    for valuation in (echoed, sent):
        valuation.remove(valuation[-1])
    assert etree.tostring(echoed, method="c14n") == etree.tostring(sent, method="c14n")


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_output_raises_anything_but_a_rejection(output):
    try:
        made = result_of(output)
    except ResultRejected:
        return
    assert xml.parse(made).tag == "valuation"


@given(st.binary(max_size=30))
def test_a_result_made_again_is_the_same(text):
    output = b"<valuation><b>" + text.hex().encode() + b"</b></valuation>"
    assert result_of(result_of(output)) == result_of(output)


# --- names in a task document ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "names"),
    [
        pytest.param(TASK, ("g", "v", 7), id="as vnvs makes it"),
        pytest.param(b"<valuation name='w'/>", ("", "w", 1), id="bare"),
        pytest.param(
            task_with('<vndb externalId="2"/><vndb externalId="3"/>'),
            ("", "", 3),
            id="ours is last",
        ),
        pytest.param(task_with('<vndb externalId="x"/>'), ("", "", 1), id="no number"),
    ],
)
def test_a_task_document_says_its_names(document, names):
    found = read_names(document)
    assert (found.group, found.valuation, found.task_id) == names


def test_a_file_that_is_no_task_is_refused():
    with pytest.raises(ResultRejected, match="task document"):
        read_names(b"<other/>")
    with pytest.raises(MalformedDocument):
        read_names(b"1.5")
