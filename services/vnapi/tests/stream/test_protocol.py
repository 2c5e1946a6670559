"""Headers and bytes on the wire, against a real uvicorn on a loopback port."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vnapi.app import build_app
from vnapi.capacity import Limits
from vnapi.protocol import WireLimits
from vncore.logs import logger

LIMITS = WireLimits(
    header_max_bytes=4_096, header_timeout_ms=300, request_max_bytes=100_000, connections=20
)
GET = b"GET /healthz HTTP/1.1\r\nHost: vn\r\n"
DOCUMENT = b'<vnml><project><group name="g"/></project></vnml>'


@pytest.fixture
async def port(door: Any, reading: Any, serving: Any) -> AsyncIterator[int]:
    async with serving(build_app(door, logger("vnapi-test")), LIMITS) as port:
        yield port


class Wire:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one response."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def ended(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(5):
            return await self.reader.read()


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Any]:
    wires: list[Wire] = []

    async def connect() -> Wire:
        wires.append(Wire(*await asyncio.open_connection("127.0.0.1", port)))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.writer.close()


async def refused(wire: Wire) -> tuple[int, str]:
    """Read a problem document and see the connection end."""
    status, headers, body = await wire.answer()
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    problem = json.loads(body)
    assert problem["status"] == status
    assert await wire.ended() == b""
    return status, problem["code"]


async def test_an_honest_request_in_pieces_is_answered_and_the_connection_kept(
    connect: Any,
) -> None:
    wire = await connect()
    for _ in range(3):
        for piece in (GET[:7], GET[7:], b"\r", b"\n"):
            wire.send(piece)
            await asyncio.sleep(0.01)
        status, _, body = await wire.answer()
        assert (status, json.loads(body)) == (200, {"status": "ok"})


async def test_pipelined_requests_are_answered_in_order(connect: Any) -> None:
    wire = await connect()
    wire.send((GET + b"\r\n") * 5 + b"GET /none HTTP/1.1\r\nHost: vn\r\n\r\n")
    statuses = [(await wire.answer())[0] for _ in range(6)]
    assert statuses == [200] * 5 + [404]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(GET + b"X: " + b"x" * 5_000 + b"\r\n\r\n", id="one header"),
        pytest.param(GET + b"X: 1\r\n" * 2_000 + b"\r\n", id="many headers"),
        pytest.param(GET + b"X: " + b"x" * 5_000, id="one header without end"),
        pytest.param(b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\n\r\n", id="path"),
        pytest.param(b"GET /" + b"x" * 5_000, id="path without end"),
    ],
)
async def test_a_header_over_the_limit_is_refused(connect: Any, first: bytes) -> None:
    wire = await connect()
    wire.send(first)
    assert await refused(wire) == (431, "HEADERS_TOO_LARGE")


async def test_a_header_that_grows_by_drips_is_refused_at_the_limit(connect: Any) -> None:
    wire = await connect()
    wire.send(GET)
    for _ in range(40):  # 106 bytes each: the last one goes over the limit
        wire.send(b"X: " + b"x" * 101 + b"\r\n")
        await asyncio.sleep(0.001)
    assert await refused(wire) == (431, "HEADERS_TOO_LARGE")


async def test_a_header_just_below_the_limit_passes(connect: Any) -> None:
    wire = await connect()
    wire.send(GET + b"X: " + b"x" * 3_900 + b"\r\n\r\n")
    assert (await wire.answer())[0] == 200


async def test_a_header_that_drips_is_given_up_at_its_deadline(connect: Any) -> None:
    wire = await connect()
    started = asyncio.get_running_loop().time()

    async def drip() -> None:
        for byte in GET * 10:
            wire.send(bytes([byte]))
            await asyncio.sleep(0.03)

    dripping = asyncio.create_task(drip())
    assert await refused(wire) == (408, "HEADERS_TIMEOUT")
    assert asyncio.get_running_loop().time() - started < 2
    dripping.cancel()


async def test_the_deadline_counts_from_the_first_byte_of_each_request(connect: Any) -> None:
    wire = await connect()
    wire.send(GET + b"\r\n")
    assert (await wire.answer())[0] == 200
    wire.send(GET)
    assert await refused(wire) == (408, "HEADERS_TIMEOUT")


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "blank lines"])
async def test_a_connection_without_a_request_is_closed_without_a_word(
    connect: Any, sent: bytes
) -> None:
    wire = await connect()
    wire.send(sent)
    assert await wire.ended() == b""


@pytest.mark.parametrize("beside", [b"\r\n", GET], ids=["blank line", "part of a next request"])
async def test_bytes_beside_a_running_call_do_not_end_it(
    connect: Any, orchestrator: Any, beside: bytes
) -> None:
    wire = await connect()
    head = b"POST /valuation?sync=Y HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
    wire.send(head + b"Content-Length: %d\r\n\r\n" % len(DOCUMENT) + DOCUMENT)
    held = await orchestrator.take_one()
    wire.send(beside)
    await asyncio.sleep(3 * LIMITS.header_timeout_ms / 1000)
    await held.succeed(b"<done/>", [0], 60)
    status, _, body = await wire.answer()
    assert (status, body) == (200, b"<done/>")


async def test_a_request_larger_than_any_document_is_cut_off(connect: Any) -> None:
    wire = await connect()
    wire.send(GET.replace(b"GET", b"POST") + b"Content-Length: 9999999\r\n\r\n")
    assert (await wire.answer())[0] == 405
    for _ in range(200):
        wire.send(b"x" * 1_000)
        await asyncio.sleep(0)
    with contextlib.suppress(ConnectionError):  # we may be told by a reset: we were still sending
        await wire.ended()


async def test_nonsense_is_no_request(connect: Any) -> None:
    wire = await connect()
    wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # TLS at the wrong door
    assert await refused(wire) == (400, "HTTP_MALFORMED")


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="both"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
        pytest.param(b"Transfer-Encoding: gzip\r\n", id="not chunked"),
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n", id="coded and chunked"),
        pytest.param(b"Content-Length: -5\r\n", id="negative"),
    ],
)
async def test_ambiguous_framing_is_refused(connect: Any, framing: bytes) -> None:
    wire = await connect()
    head = b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
    wire.send(head + framing + b"\r\n5\r\n<a/>\n\r\n0\r\n\r\n")
    status, headers, body = await wire.answer()
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["code"] in {"HTTP_MALFORMED", "PARAMETER_INVALID"}


async def test_more_connections_than_allowed_are_turned_away(connect: Any) -> None:
    wires = [await connect() for _ in range(LIMITS.connections)]
    for wire in wires:
        wire.send(GET + b"\r\n")
        assert (await wire.answer())[0] == 200
    extra = await connect()
    extra.send(GET + b"\r\n")
    status, headers, body = await extra.answer()
    assert (status, json.loads(body)["code"]) == (503, "OVERLOADED")
    assert int(headers["retry-after"]) >= 1
    wires[0].send(GET + b"\r\n")  # those inside go on
    assert (await wires[0].answer())[0] == 200


async def test_a_body_too_large_is_answered_although_the_client_is_still_sending(
    connect: Any, door: Any
) -> None:
    object.__setattr__(door, "payload_max_bytes", 40_000)
    wire = await connect()
    wire.send(
        b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
        b"Content-Length: 60000\r\n\r\n"
    )
    for _ in range(6):
        await asyncio.sleep(0.02)
        wire.send(b" " * 10_000)
    assert await refused(wire) == (413, "DOCUMENT_TOO_LARGE")


async def test_a_client_that_asks_first_is_told_before_it_sends(connect: Any, door: Any) -> None:
    wire = await connect()
    wire.send(
        b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
        b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await refused(wire) == (413, "DOCUMENT_TOO_LARGE")


async def test_a_client_that_asks_first_is_told_that_there_is_no_room(
    connect: Any, door: Any
) -> None:
    door.capacity.limits = Limits(0, 0, 85)
    wire = await connect()
    wire.send(
        b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
        b"Content-Length: 9999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await refused(wire) == (503, "BACKLOG_FULL")  # and nothing of 100 Continue before it


@pytest.mark.parametrize("query", [b"", b"?sync=maybe"], ids=["no room", "a wrong parameter"])
async def test_a_connection_is_kept_when_the_refused_body_is_out_of_the_way(
    connect: Any, door: Any, query: bytes
) -> None:
    door.capacity.limits = Limits(0, 0, 85)
    wire = await connect()
    head = b"POST /valuation" + query + b" HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
    for _ in range(2):
        wire.send(head + b"Content-Length: %d\r\n\r\n" % len(DOCUMENT))
        await asyncio.sleep(0.02)
        wire.send(DOCUMENT)
        status, headers, _ = await wire.answer()
        assert status == (400 if query else 503)
        assert "connection" not in headers
    wire.send(GET + b"\r\n")
    assert (await wire.answer())[0] == 200


async def test_a_refused_body_that_does_not_come_ends_the_connection(
    connect: Any, door: Any
) -> None:
    door.capacity.limits = Limits(0, 0, 85)
    wire = await connect()
    wire.send(
        b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
        b"Content-Length: 9999\r\n\r\n<"
    )
    assert await refused(wire) == (503, "BACKLOG_FULL")


async def test_a_body_that_drips_is_given_up_at_its_deadline(connect: Any, door: Any) -> None:
    object.__setattr__(door, "body_timeout_ms", 200)
    wire = await connect()
    wire.send(
        b"POST /valuation HTTP/1.1\r\nHost: vn\r\nContent-Type: text/xml\r\n"
        b"Content-Length: 1000\r\n\r\n<"
    )
    for _ in range(3):
        await asyncio.sleep(0.03)
        wire.send(b"a")
    assert await refused(wire) == (408, "BODY_TIMEOUT")
