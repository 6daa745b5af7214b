"""What answers on Docker's socket may be no Docker, or one that is not well."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drainer.engine import answer
from drainer.engine.docker import DockerEngine
from drainer.errors import EngineError, EngineTimeoutError, ExitCode

VERSION = b'{"ApiVersion": "1.45", "Version": "26.1.5"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HELLO = OK + b"Content-Length: %d\r\n\r\n" % len(VERSION) + VERSION


@contextmanager
def answering(path: Path, parts: Iterator[bytes], pause: float = 0.0) -> Iterator[str]:
    """Answer the question for the version, and then whatever is asked with these bytes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=speak, args=(connection,), daemon=True).start()

        def speak(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                while b"/version" in (request := connection.recv(1 << 16)):
                    connection.sendall(HELLO)
                for part in parts if request else ():
                    connection.sendall(part)
                    time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\xff\x1b[31m garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        OK + b"Content-Length: 20\r\n\r\n<html>hello</html>\r\n",
        OK + b"Content-Length: -5\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 4\r\n\r\n[[[[",
        OK + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
        OK + b"x: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 302 Found\r\nLocation: http://example.org/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 13\r\n\r\n<h1>\x1b[31mNo</",
        b"",
    ],
)
def test_what_is_no_answer_of_dockers_is_an_error_of_dockers(tmp_path: Path, said: bytes) -> None:
    with answering(tmp_path / "s", iter([said])) as url, pytest.raises(EngineError) as caught:
        DockerEngine(url, request_timeout=5).inspect("web")
    assert caught.value.exit_code is ExitCode.HOST_INCAPABLE


@pytest.mark.parametrize("head", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_an_endless_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(answer.read, "__defaults__", (1 << 20,))
    part = b"10000\r\n" + b" " * 0x10000 + b"\r\n" if b"chunked" in head else b" " * 0x10000
    parts = itertools.chain([OK + head], itertools.repeat(part))
    with (
        answering(tmp_path / "s", parts) as url,
        pytest.raises(EngineError, match="larger than 1048576 bytes"),
    ):
        DockerEngine(url).inspect("web")


def test_an_answer_in_small_parts_without_end_is_given_up(tmp_path: Path) -> None:
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    parts = itertools.chain([head], itertools.repeat(b"1\r\n \r\n"))
    began = time.monotonic()
    with answering(tmp_path / "s", parts, 0.05) as url, pytest.raises(EngineTimeoutError):
        DockerEngine(url, request_timeout=1).inspect("web")
    assert time.monotonic() - began < 5
