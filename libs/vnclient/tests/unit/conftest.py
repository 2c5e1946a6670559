"""A scripted vnapi on a real socket, for the commands."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class ScriptedServer:
    """Answers by method and path, in turn; remembers what it was sent."""

    url: str = ""
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # of the same calls
    answers: dict[str, list[tuple[int, str, bytes]]] = field(default_factory=dict)

    def answer(self, call: str, http_status: int, body: Any) -> None:
        """Script an answer to ``GET /path``; the last one of a path stands for ever."""
        if isinstance(body, bytes):
            kind, content = "application/xml", body
        else:
            kind, content = "application/json", json.dumps(body).encode()
        self.answers.setdefault(call, []).append((http_status, kind, content))


@pytest.fixture
def api() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            scripted.received.append((self.command, self.path, body))
            scripted.headers.append(dict(self.headers))
            left = scripted.answers[f"{self.command} {self.path}"]
            http_status, kind, content = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(http_status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            """Keep standard error for the command under test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    server.shutdown()
    server.server_close()
    thread.join()
