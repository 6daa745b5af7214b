import socket
import struct
from pathlib import Path

import pytest

from drainer.host.proc_sockets import (
    UnixSocket,
    outside,
    parse_unix,
    tcp_peers,
    unix_names,
    unix_sockets,
)

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 620 1 0
   1: 020200C0:CFFA 507100CB:0050 06 00000000:00000000 03:000014B0 00000000     0        0 0 3 0
   2: 020200C0:CFFB 507100CB:0050 01 00000000:00000000 00:00000000 00000000     0        0 621 1 0
   3: 020200C0:CFFC 507100CB:0050 08 00000000:00000000 00:00000000 00000000     0        0 622 1 0
   4: 020200C0:CFFD 507100CB:0050 01 00000000:00000000 00:00000000 00000000     0        0 999 1 0
"""

UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
00000000a798c133: 00000003 00000000 00000000 0001 03  1074
000000003e8d231a: 00000003 00000000 00000000 0001 03 11073 /run/docker.sock
000000003e8d231b: 00000003 00000000 00000000 0001 03 2 @a b
a line that the name of a socket forged
"""

STREAM, DGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)


def test_tcp_peers_of_what_is_connected_and_ours() -> None:
    assert tcp_peers(TCP, {620, 621, 622}) == ["203.0.113.80", "203.0.113.80"]
    assert tcp_peers("", {1}) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000200000A", "10.0.0.2"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_tcp6_peers(text: str, address: str) -> None:
    row = f"   0: {text}:07E8 {text}:0050 01 0:0 00:0 00000000     0        0 620 1 0"
    assert tcp_peers(f"head\n{row}\n", {620}) == [address]


def test_names_of_unix_sockets() -> None:
    assert unix_names(UNIX) == {11073: "/run/docker.sock", 2: "@a b"}


def test_outside_is_a_known_peer_that_is_not_ours() -> None:
    sockets = [
        UnixSocket(1, STREAM, 2),
        UnixSocket(2, STREAM, 1),
        UnixSocket(3, STREAM, 9),
        UnixSocket(4, STREAM, 0),
        UnixSocket(5, DGRAM, 9),
        UnixSocket(9, STREAM, 3, "/run/far"),
        UnixSocket(6, STREAM, 10, "/run/near"),
    ]
    assert outside(sockets, {1, 2, 3, 4, 5, 6}) == {3: "/run/far", 6: "/run/near"}


def test_a_diagnostic_message_is_parsed() -> None:
    name = b"\0abstract"
    message = struct.pack("=BBBBIII", 1, STREAM, 1, 0, 7, 0, 0)
    message += struct.pack("=HH", 4 + len(name), 0) + name + bytes(-len(name) % 4)
    message += struct.pack("=HHI", 8, 2, 8)
    assert parse_unix(message) == UnixSocket(7, STREAM, 8, "@abstract")


def test_this_machine_tells_the_peers_of_a_pair() -> None:
    left, right = socket.socketpair()
    with left, right:
        inodes = [Path(f"/proc/self/fd/{s.fileno()}").stat().st_ino for s in (left, right)]
        found = {s.inode: s.peer for s in unix_sockets(Path("/proc/self/ns/net")) or ()}
    assert [found[inodes[0]], found[inodes[1]]] == [inodes[1], inodes[0]]


def test_asking_leaves_our_own_network_namespace_alone(tmp_path: Path) -> None:
    before = Path("/proc/thread-self/ns/net").readlink()
    assert unix_sockets(tmp_path / "missing") is None
    unix_sockets(Path("/proc/self/ns/net"))
    assert Path("/proc/thread-self/ns/net").readlink() == before
