"""A tiny HTTP server on a Unix socket that answers as a test scripts it."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple


class Request(NamedTuple):
    line: str
    """Method, path and query, without the API version."""
    body: str


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: object = None
    """Sent as JSON; bytes are sent as they are; None sends nothing."""
    cut: int = 0
    """Promise so many bytes more than are sent."""
    hang: bool = False
    """Never answer."""
    hang_in_body: bool = False
    """Send the head and never the body."""


Script = Answer | Callable[[], Answer]


@dataclass
class Docker:
    """What the server answers, by `METHOD /path?query`, and what it was asked."""

    answers: dict[str, Script] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests if "/version" not in request.line]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 32

    def __init__(self, path: str, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(path, handler)
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, str]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, str(address)

    def hang_up(self) -> None:
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _handler(docker: Docker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            line = f"{self.command} {self.path.removeprefix('/v1.45')}"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            docker.requests.append(Request(line, body))
            script = docker.answers.get(line, Answer(404, {"message": "page not found"}))
            answer = script() if callable(script) else script
            if answer.hang:
                docker.over.wait()
                self.close_connection = True
                return
            self.reply(answer)

        def reply(self, answer: Answer) -> None:
            raw = answer.body
            if raw is not None and not isinstance(raw, bytes):
                raw = json.dumps(raw).encode()
            raw = raw or b""
            self.send_response(answer.status)
            if answer.status not in {204, 304}:
                self.send_header("Content-Length", str(len(raw) + answer.cut))
            self.end_headers()
            if answer.hang_in_body:
                docker.over.wait()
                self.close_connection = True
                return
            self.wfile.write(raw)
            self.close_connection = bool(answer.cut)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names that http.server calls

        def address_string(self) -> str:
            return "client"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    return Handler


@contextmanager
def serving(directory: Path) -> Iterator[Docker]:
    """Serve on a socket in `directory`, which must have a short name."""
    docker = Docker({"GET /version": Answer(body={"ApiVersion": "1.45", "Version": "26.1.5"})})
    path = directory / "docker.sock"
    docker.url = f"unix://{path}"
    server = _Server(str(path), _handler(docker))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield docker
    finally:
        docker.over.set()
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()
