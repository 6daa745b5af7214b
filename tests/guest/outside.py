"""Programs outside of a host, each with one connection to it that it never makes again."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.host import Host
from tests.lab.machine import OPEN_PORTS

REDIS_PORT, FILES_PORT = OPEN_PORTS
PART = 1 << 20
"""Bytes of a file that are loaded down at once."""
_SECONDS = 120.0


class Outside:
    """A client of a redis, and one that loads down a file."""

    def __init__(self, redis: socket.socket, files: socket.socket) -> None:
        self._redis = redis.makefile("rwb")
        self._files = files.makefile("rb")
        files.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        while self._files.readline().strip():
            continue
        self._loaded = self._files.read(PART)

    def count(self) -> int:
        """Have the redis count one up."""
        self._redis.write(b"INCR outside\r\n")
        self._redis.flush()
        return int(self._redis.readline().removeprefix(b":"))

    def load_more(self) -> str:
        """Load down another part of the file; return the SHA-256 of the two parts."""
        return hashlib.sha256(self._loaded + self._files.read(PART)).hexdigest()


@contextmanager
def outside(host: Host) -> Iterator[Outside]:
    """Connect to a host, whose containers must listen by now."""
    ports = host.machine.open_ports
    with (
        socket.create_connection(("127.0.0.1", ports[REDIS_PORT]), _SECONDS) as redis,
        socket.create_connection(("127.0.0.1", ports[FILES_PORT]), _SECONDS) as files,
    ):
        yield Outside(redis, files)
