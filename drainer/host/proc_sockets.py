"""TCP and unix sockets: which are connected, and whether their other end is outside."""

import re
import socket
import struct
import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from drainer import netlink

_TCP_QUIET = {"0A", "07"}
"""LISTEN and CLOSE (include/net/tcp_states.h)."""

_WORD_DIGITS = 8

_UNIX_ROW = re.compile(r"\S+: (?:\S+ ){5}\s*(\d+) (.+)", re.ASCII)
"""Num, RefCount, Protocol, Flags, Type, St, Inode and, if it has one, Path."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_ALL_STATES = 0xFFFFFFFF
_SHOW_NAME_AND_PEER = 0x1 | 0x4
_ATTRIBUTE_NAME = 0
_ATTRIBUTE_PEER = 2
_REQUEST = struct.Struct("=BBHIIIII")
_SOCKET = struct.Struct("=BBBBIII")
_TIMEOUT_SECONDS = 10.0
_CONNECTED_KINDS = {socket.SOCK_STREAM, socket.SOCK_SEQPACKET}


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A unix socket. `peer` is 0 without another end, and while that waits to be accepted."""

    inode: int
    kind: int
    """`SOCK_STREAM`, ..."""
    peer: int = 0
    name: str = ""
    """Its path; abstract names begin with `@`; the connecting end has none."""


def tcp_peers(table: str, inodes: Collection[int]) -> list[str]:
    """Return the other ends of the sockets of /proc/PID/net/tcp, or tcp6, that hold a connection.

    Only sockets with `inodes` count, and each has its address here once.
    """
    rows = (line.split() for line in table.splitlines()[1:])
    found = (row[2] for row in rows if row[3] not in _TCP_QUIET and int(row[9]) in inodes)
    return [_address(text.partition(":")[0]) for text in found]


def _address(text: str) -> str:
    """Read an address as the kernel prints it: words of 32 bits, each in the order of the CPU."""
    words = [int(text[n : n + _WORD_DIGITS], 16) for n in range(0, len(text), _WORD_DIGITS)]
    address = ip_address(b"".join(struct.pack("=I", word) for word in words))
    return str(getattr(address, "ipv4_mapped", None) or address)


def unix_names(table: str) -> dict[int, str]:
    """Parse /proc/PID/net/unix into the names of the sockets that have one, by inode."""
    # A name may hold line breaks, and so can look like a line: it can mislead, but not break.
    rows = map(_UNIX_ROW.match, table.split("\n"))
    return {int(row[1]): row[2] for row in rows if row}


def outside(sockets: Collection[UnixSocket], inodes: Collection[int]) -> dict[int, str]:
    """Return those of the sockets with `inodes` whose other end is not among them, with a name.

    A connection that nobody accepted yet has no inode at the other end; CRIU can dump it.
    """
    names = {s.inode: s.name for s in sockets}
    return {
        s.inode: s.name or names.get(s.peer, "")
        for s in sockets
        if s.inode in inodes and s.kind in _CONNECTED_KINDS and s.peer and s.peer not in inodes
    }


def unix_sockets(namespace: Path) -> tuple[UnixSocket, ...] | None:
    """List the unix sockets of a network namespace (sock_diag(7)).

    None when the kernel does not tell; CRIU needs the same interface and refuses then.
    """
    found: list[UnixSocket] = []
    done = threading.Event()
    # A thread of its own, as nothing takes a thread back out of the namespace that it entered.
    thread = threading.Thread(target=_ask, args=(namespace, found, done), daemon=True)
    thread.start()
    thread.join(_TIMEOUT_SECONDS)
    return tuple(found) if done.is_set() else None


def _ask(namespace: Path, found: list[UnixSocket], done: threading.Event) -> None:
    try:
        netlink.enter(namespace)
        request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_NAME_AND_PEER, 0, 0)
        answer = netlink.dump(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request, _TIMEOUT_SECONDS)
        found.extend(map(parse_unix, answer))
    except OSError:
        return
    done.set()


def parse_unix(message: bytes) -> UnixSocket:
    """Parse a `struct unix_diag_msg` and its attributes (include/uapi/linux/unix_diag.h)."""
    _, kind, _, _, inode, _, _ = _SOCKET.unpack_from(message)
    peer, name = 0, ""
    for attribute, value in netlink.attributes(message[_SOCKET.size :]):
        if attribute == _ATTRIBUTE_PEER:
            peer = int.from_bytes(value[:4], sys.byteorder)
        elif attribute == _ATTRIBUTE_NAME:
            name = value.decode("utf-8", "backslashreplace").rstrip("\0").replace("\0", "@")
    return UnixSocket(inode, kind, peer, name)
