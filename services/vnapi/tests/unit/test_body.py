"""Bodies: types, codings, sizes, time, whatever the headers promise."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from vnapi import problems
from vnapi.body import read_document
from vnapi.room import Room

LIMIT = 1_000
ROOM = Room(10_000_000, wait_ms=200)
XML = b"<vnml/>"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def echo(request: Request) -> Response:
        with ROOM.hold() as hold:
            body = await read_document(request, max_bytes=LIMIT, timeout_ms=200, hold=hold)
            return Response(body)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vn") as client:
        yield client


async def pieces(*parts: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(pause)


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        pytest.param({"Content-Type": "application/xml"}, XML, id="application/xml"),
        pytest.param({"Content-Type": "text/xml"}, XML, id="text/xml"),
        pytest.param({"Content-Type": "Application/XML; charset=utf-8"}, XML, id="parameters"),
        pytest.param(
            {"Content-Type": "text/xml", "Content-Encoding": "identity"}, XML, id="identity"
        ),
        pytest.param(
            {"Content-Type": "text/xml", "Content-Encoding": "GZIP"}, gzip.compress(XML), id="gzip"
        ),
        pytest.param(
            {"Content-Type": "text/xml", "Content-Encoding": "x-gzip, identity"},
            gzip.compress(XML),
            id="x-gzip",
        ),
    ],
)
async def test_a_document_is_read_plain_and_compressed(
    client: httpx.AsyncClient, headers: dict[str, str], sent: bytes
) -> None:
    answer = await client.post("/", headers=headers, content=sent)
    assert (answer.status_code, answer.content) == (200, XML)


async def test_a_body_in_pieces_without_a_length_is_read(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/xml"}
    answer = await client.post("/", headers=headers, content=pieces(XML[:3], b"", XML[3:]))
    assert answer.content == XML


@pytest.mark.parametrize(
    ("headers", "sent", "code", "status"),
    [
        pytest.param({}, XML, "CONTENT_TYPE_UNSUPPORTED", 415, id="no type"),
        pytest.param(
            {"Content-Type": "text/plain"}, XML, "CONTENT_TYPE_UNSUPPORTED", 415, id="text/plain"
        ),
        pytest.param(
            {"Content-Type": "application/x-www-form-urlencoded"},
            XML,
            "CONTENT_TYPE_UNSUPPORTED",
            415,
            id="a browser's form",
        ),
        pytest.param(
            {"Content-Type": "application/json"}, b"{}", "CONTENT_TYPE_UNSUPPORTED", 415, id="JSON"
        ),
        pytest.param(
            {"Content-Type": "application/xmlx"}, XML, "CONTENT_TYPE_UNSUPPORTED", 415, id="almost"
        ),
        pytest.param(
            {"Content-Encoding": "br"}, XML, "CONTENT_ENCODING_UNSUPPORTED", 415, id="brotli"
        ),
        pytest.param(
            {"Content-Encoding": "gzip, gzip"},
            XML,
            "CONTENT_ENCODING_UNSUPPORTED",
            415,
            id="gzip twice",
        ),
        pytest.param(
            {"Content-Encoding": "gzip"}, XML, "CONTENT_ENCODING_BROKEN", 400, id="not gzip"
        ),
        pytest.param(
            {"Content-Encoding": "gzip"},
            gzip.compress(XML)[:-3],
            "CONTENT_ENCODING_BROKEN",
            400,
            id="truncated",
        ),
        pytest.param(
            {"Content-Encoding": "gzip"},
            gzip.compress(XML) + b"x",
            "CONTENT_ENCODING_BROKEN",
            400,
            id="bytes after the end",
        ),
        pytest.param(
            {"Content-Encoding": "gzip"},
            gzip.compress(b" " * (LIMIT + 1)),
            "DOCUMENT_TOO_LARGE",
            413,
            id="a bomb",
        ),
        pytest.param({}, b" " * (LIMIT + 1), "DOCUMENT_TOO_LARGE", 413, id="too large, told so"),
        pytest.param(
            {"Content-Length": "5"}, b" " * (LIMIT + 1), "DOCUMENT_TOO_LARGE", 413, id="lying small"
        ),
        pytest.param(
            {"Content-Length": "9" * 50}, XML, "DOCUMENT_TOO_LARGE", 413, id="lying large"
        ),
        pytest.param(
            {"Content-Length": "0", "Content-Encoding": "gzip"},
            zlib.compress(b"", wbits=31) * 100,
            "CONTENT_ENCODING_BROKEN",
            400,
            id="many empty members",
        ),
        pytest.param(
            {"Transfer-Encoding": "gzip, chunked"}, XML, "PARAMETER_INVALID", 400, id="coding"
        ),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], sent: bytes, code: str, status: int
) -> None:
    if code != "CONTENT_TYPE_UNSUPPORTED":
        headers = {"Content-Type": "application/xml"} | headers
    answer = await client.post("/", headers=headers, content=sent)
    assert (answer.json()["code"], answer.status_code) == (code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("connection") == ("close" if status in {413, 415} else None)


async def test_a_body_without_a_length_is_stopped_at_the_limit(client: httpx.AsyncClient) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 100
            yield b" " * 100

    headers = {"Content-Type": "text/xml"}
    answer = await client.post("/", headers=headers, content=endless())
    assert answer.status_code == 413
    assert taken <= 2 * LIMIT + 200  # the limit, and as much again that is only thrown away


async def test_empty_compressed_blocks_cannot_go_on_forever(client: httpx.AsyncClient) -> None:
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(XML) + packer.flush(zlib.Z_FULL_FLUSH)
    empty = packer.flush(zlib.Z_FULL_FLUSH) or b"\0\0\0\xff\xff"
    headers = {"Content-Type": "text/xml", "Content-Encoding": "gzip"}
    answer = await client.post("/", headers=headers, content=pieces(start, *[empty * 100] * 10))
    assert answer.json()["code"] == "DOCUMENT_TOO_LARGE"


async def test_a_slow_body_is_given_up_at_its_deadline(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "text/xml"}
    drip = pieces(*[b" "] * 100, pause=0.02)
    answer = await client.post("/", headers=headers, content=drip)
    assert (answer.status_code, answer.json()["code"]) == (408, "BODY_TIMEOUT")
    assert answer.headers["connection"] == "close"
