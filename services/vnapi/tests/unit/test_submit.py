"""What is refused before anything is queued (VNML D1), and what is not our business yet."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vnapi.description import example
from vnapi.submit import Submitter, check_document
from vncore.errors import VnError
from vncore.xml import DEFAULT_LIMITS, XmlLimits

ONE = b"<vnml><project><group/></project></vnml>"


@pytest.mark.parametrize(
    ("body", "groups"),
    [
        pytest.param(ONE, 1, id="one empty group"),
        pytest.param(b"<vnml><project><group/><x/><group/></project></vnml>", 2, id="two groups"),
        pytest.param(
            b"<vnml><x/><project><group/><x><group/></x></project><y/></vnml>",
            1,
            id="foreign elements, and a group that is none of ours",
        ),
        pytest.param(
            b"<vnml xmlns:p='urn:p' p:k=''><p:project/><project><group/></project></vnml>",
            1,
            id="foreign namespaces",
        ),
        pytest.param(
            b"<vnml><project><group name='%b'><valuation name='%b'/></group></project></vnml>"
            % (b"n" * 256, b"n" * 256),
            1,
            id="names at the limit",
        ),
        pytest.param(
            b"<vnml><project><group><valuation><x name='%b'/></valuation></group></project></vnml>"
            % (b"n" * 300),
            1,
            id="a long name of something else",
        ),
        pytest.param(
            b"<vnml><project><group onFailure=' tolerate:10% '/><group onFailure='stop'/>"
            b"<group onFailure='${select(/vnml/x)}'/><group onFailure='$POLICY'/>"
            b"<x onFailure='ignore'/></project></vnml>",
            4,
            id="failure policies: plain, of an expression, of a variable, of somebody else",
        ),
    ],
)
def test_a_valuation_request_is_taken_as_it_is(body: bytes, groups: int) -> None:
    document = check_document(body, DEFAULT_LIMITS)
    assert (document.body, document.group_count) == (body, groups)


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        pytest.param(b"<vnml/>", "NO_PROJECT", 1, id="no project"),
        pytest.param(b"<other/>", "NO_PROJECT", 1, id="another root"),
        pytest.param(b"<vnml xmlns='urn:v'><project/></vnml>", "NO_PROJECT", 1, id="namespace"),
        pytest.param(b"<VNML><project><group/></project></VNML>", "NO_PROJECT", 1, id="case"),
        pytest.param(
            b"<vnml><project><group/></project>\n<project/></vnml>",
            "NO_PROJECT",
            2,
            id="two projects",
        ),
        pytest.param(
            b"<vnml><p:project xmlns:p='urn:p'><group/></p:project></vnml>",
            "NO_PROJECT",
            1,
            id="a project in a namespace",
        ),
        pytest.param(b"<vnml>\n<project/></vnml>", "NO_GROUP", 2, id="no group"),
        pytest.param(
            b"<vnml><project><x><group/></x></project></vnml>", "NO_GROUP", 1, id="group too deep"
        ),
        pytest.param(
            b"<vnml><project>\n<group name='%b'/></project></vnml>" % (b"n" * 257),
            "NAME_TOO_LONG",
            2,
            id="group name",
        ),
        pytest.param(
            b"<vnml><project><group>\n\n<valuation name='%b'/></group></project></vnml>"
            % ("é" * 257).encode(),
            "NAME_TOO_LONG",
            3,
            id="valuation name",
        ),
        pytest.param(
            b"<vnml><project>\n<group/>\n<group name='g' onFailure='ignore'/></project></vnml>",
            "ON_FAILURE_INVALID",
            3,
            id="failure policy",
        ),
        pytest.param(
            b"<vnml><project><group onFailure=''/></project></vnml>",
            "ON_FAILURE_INVALID",
            1,
            id="empty failure policy",
        ),
        pytest.param(b"<vnml><project></vnml>", "XML_MALFORMED", 1, id="not well-formed"),
        pytest.param(b"<!DOCTYPE vnml>" + ONE, "XML_DOCTYPE", 1, id="doctype"),
    ],
)
def test_what_is_no_valuation_request_is_refused_with_its_line(
    body: bytes, code: str, line: int
) -> None:
    with pytest.raises(VnError) as caught:
        check_document(body, DEFAULT_LIMITS)
    assert (caught.value.code, caught.value.place.line) == (code, line)


def test_the_limits_are_those_of_the_settings() -> None:
    with pytest.raises(VnError) as caught:
        check_document(ONE, XmlLimits(max_bytes=10))
    assert caught.value.code == "DOCUMENT_TOO_LARGE"


@pytest.mark.parametrize("name", ["request.xml"])
def test_the_documented_example_is_a_valuation_request(name: str) -> None:
    assert check_document(example(name).encode(), DEFAULT_LIMITS).group_count == 1


def _samples() -> list[Any]:
    requests = Path(__file__).parents[4] / "examples" / "requests"
    return [
        pytest.param(path, id=path.name)
        for path in sorted(requests.glob("*.xml"))
        if b"<group" in path.read_bytes()
    ]


@pytest.mark.parametrize("path", _samples())
def test_the_shipped_requests_are_accepted(path: Path) -> None:
    assert check_document(path.read_bytes(), DEFAULT_LIMITS).group_count >= 1


async def test_large_documents_are_checked_one_after_another_and_small_ones_pass_them() -> None:
    large = b"<vnml><project><group/>" + b"<x>1</x>" * 200_000 + b"</project></vnml>"
    submitter = Submitter(
        None,  # type: ignore[arg-type]  # checking needs no store
        DEFAULT_LIMITS,
        large_at_once=1,
        clock=lambda: 0,
    )
    order: list[str] = []

    async def check(name: str, body: bytes) -> None:
        await submitter.check(body)
        order.append(name)

    await asyncio.gather(check("large", large), check("larger", large), check("small", ONE))
    assert order == ["small", "large", "larger"]


@pytest.mark.parametrize("document", [b"<vnml><project/></vnml>", b"<vnml><project></vnml>"])
async def test_a_refusal_does_not_keep_the_document_in_memory(document: bytes) -> None:
    submitter = Submitter(
        None,  # type: ignore[arg-type]  # checking needs no store
        DEFAULT_LIMITS,
        large_at_once=1,
        clock=lambda: 0,
    )
    with pytest.raises(VnError) as caught:
        await submitter.check(document)
    for error in (caught.value, caught.value.__cause__):
        frame = error.__traceback__ if error else None
        while frame is not None:
            assert not {"root", "utf8"} & frame.tb_frame.f_locals.keys()
            frame = frame.tb_next
