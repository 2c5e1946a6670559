"""Answers that break off on the way, over a real socket: never given as if they were whole."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from vnclient import AnswerCutOff, AsyncClient, Client

ID = "0b8f6d7e-4a52-4f0e-9f5c-3f5a1c0a7a11"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
CUT = [
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n6\r\n<vnml>\r\n", id="between two chunks"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\nff\r\n<vnml>", id="within a chunk"),
    pytest.param(b"Content-Length: 100\r\n\r\n<vnml>", id="before its length"),
]


@pytest.fixture
def url(sent: bytes) -> Iterator[str]:
    """A server that gives each caller the same bytes and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(HEAD + sent)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("sent", CUT)
def test_half_an_answer_is_an_error_that_says_so(url: str) -> None:
    with Client(url) as vn, pytest.raises(AnswerCutOff, match="broke off before its end"):
        vn.results(ID)

    async def asked() -> None:
        async with AsyncClient(url) as vn:
            await vn.results(ID)

    with pytest.raises(AnswerCutOff, match=f"{url} broke off"):
        asyncio.run(asked())
