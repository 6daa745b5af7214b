"""The kernel's table of tracked connections: which of them a container has with other hosts.

A packet from such a peer finds its container by an entry there, and one to it gets its address and
port from there. The table does not outlive a boot, so the entries are put back before a connection
is restored. Standard library only: it is used by the stand-in for runc too.
"""

import json
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from drainer import netlink

# Of linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h; numbers are in network order there.
_NETLINK_NETFILTER = 12
_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
_MESSAGE = struct.Struct("=BBH")
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL = 1, 2, 3, 4
_SOURCE_NAT, _TIMEOUT, _MARK, _DESTINATION_NAT = 6, 7, 8, 13
_ADDRESSES, _PORTS = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_TCP_INFO, _TCP_STATE, _TCP_FLAGS_ORIGINAL, _TCP_FLAGS_REPLY = 1, 1, 4, 5
_NAT_LEAST, _NAT_MOST, _NAT_PORTS = 1, 2, 3
_PORT_LEAST, _PORT_MOST = 1, 2

# Of linux/netfilter/nf_conntrack_common.h and nf_conntrack_tcp.h.
_SEEN = 0x2 | 0x4 | 0x8
"""It was answered, is not to be dropped early, and is in the table."""
_ESTABLISHED = 3
_OPEN = frozenset({_ESTABLISHED, 4, 5})
"""Established, and those that one side has closed."""
_LIBERAL = b"\x08\x08"
"""Flag and mask: sequence numbers are not held against it, as the table has not seen any of them
(as conntrackd has it for a connection that it takes over from another host)."""
_SECONDS = 5 * 24 * 3600
"""For how long the kernel keeps an established one that is quiet (nf_conntrack_proto_tcp.c)."""

_ANSWER_SECONDS = 5.0
_PORTS_END = 1 << 16


class End(NamedTuple):
    """One end of a connection."""

    address: str
    port: int


class Connection(NamedTuple):
    """A TCP connection over IPv4 between a container and another host."""

    container: End
    host: End
    """What the peer has for the container."""
    peer: End
    inbound: bool
    """Whether the peer has begun it."""
    mark: int = 0
    """By which rules may choose its route."""


class _Ways(NamedTuple):
    """An open connection as the table has it."""

    source: End
    destination: End
    """Where the one that began it sends to."""
    answering: End
    """The other one, as it is itself."""
    answered: End
    """Where that sends to."""


def tracked() -> frozenset[tuple[str, str]]:
    """Return what is connected: an address of one end's own, and what it has for the other end.

    Raises OSError.
    """
    found = set()
    for entry in _entries():
        if ways := _open(entry):
            if ways.answering == ways.destination:
                found.add((ways.source.address, ways.destination.address))
            if ways.answered == ways.source:
                found.add((ways.answering.address, ways.source.address))
    return frozenset(found)


def connections(containers: Collection[str], near: Collection[str]) -> list[Connection]:
    """Return what the containers of these addresses have open with others than those `near`.

    Raises OSError.
    """
    found = (_parsed(entry, containers) for entry in _entries())
    return [c for c in found if c and c.peer.address not in near]


def _entries() -> Iterator[Mapping[int, bytes]]:
    request = _MESSAGE.pack(socket.AF_INET, 0, 0)
    for body in netlink.dump(_NETLINK_NETFILTER, _GET, request, _ANSWER_SECONDS):
        yield dict(netlink.attributes(body[_MESSAGE.size :]))


def _parsed(entry: Mapping[int, bytes], containers: Collection[str]) -> Connection | None:
    """Parse an entry; None for what is not of these, not open, or not as its peer sees it."""
    ways = _open(entry)
    if ways is None:
        return None
    source, destination, answering, answered = ways
    mark = int.from_bytes(entry.get(_MARK, b""), "big")
    if source.address in containers and answering == destination:
        return Connection(source, answered, destination, inbound=False, mark=mark)
    if answering.address in containers and answered == source:
        return Connection(answering, destination, source, inbound=True, mark=mark)
    return None


def _open(entry: Mapping[int, bytes]) -> _Ways | None:
    original, reply = _ends(entry.get(_ORIGINAL, b"")), _ends(entry.get(_REPLY, b""))
    info = dict(netlink.attributes(entry.get(_PROTOCOL, b"")))
    state = dict(netlink.attributes(info.get(_TCP_INFO, b""))).get(_TCP_STATE, b"\0")
    return _Ways(*original, *reply) if original and reply and state[0] in _OPEN else None


def _ends(data: bytes) -> tuple[End, End] | None:
    """Parse a direction of an entry; None if it is not TCP over IPv4."""
    parts = dict(netlink.attributes(data))
    addresses = dict(netlink.attributes(parts.get(_ADDRESSES, b"")))
    ports = dict(netlink.attributes(parts.get(_PORTS, b"")))
    try:
        if ports[_NUMBER][0] != socket.IPPROTO_TCP:
            return None
        return (
            End(socket.inet_ntoa(addresses[_SOURCE]), int.from_bytes(ports[_SOURCE_PORT], "big")),
            End(
                socket.inet_ntoa(addresses[_DESTINATION]),
                int.from_bytes(ports[_DESTINATION_PORT], "big"),
            ),
        )
    except (LookupError, OSError):
        return None


def text(found: Iterable[Connection]) -> str:
    """Write connections down, for `read`."""
    return json.dumps([[*c.container, *c.host, *c.peer, c.inbound, c.mark] for c in found])


def read(written: str) -> list[Connection]:
    """Read what `text` has written. Raises ValueError for anything else."""
    found = []
    try:
        for words in json.loads(written):
            container, host, peer = (_checked(*words[n : n + 2]) for n in (0, 2, 4))
            mark = int(words[7]) & 0xFFFFFFFF
            found.append(Connection(container, host, peer, bool(words[6]), mark))
    except (ValueError, TypeError, LookupError, RecursionError, OSError) as error:
        raise ValueError("it is no list of connections") from error
    return found


def _checked(address: object, port: object) -> End:
    packed, number = socket.inet_pton(socket.AF_INET, str(address)), int(str(port))
    if not 0 < number < _PORTS_END:
        raise ValueError(number)
    return End(socket.inet_ntoa(packed), number)


def put_back(connection: Connection) -> None:
    """Put a connection's entry into the table, in place of any that is there. Raises OSError."""
    container, host, peer, inbound, mark = connection
    source, destination = (peer, host) if inbound else (container, peer)
    # What the table made of a packet without the entry: neither has its address changed.
    for way in ((peer, host), (container, peer)):
        with suppress(FileNotFoundError):
            _tell(_DELETE, netlink.nest(_ORIGINAL, _direction(*way)))
    changed = _nat(_DESTINATION_NAT, container) if inbound else _nat(_SOURCE_NAT, host)
    info = (
        netlink.attribute(_TCP_STATE, bytes([_ESTABLISHED]))
        + netlink.attribute(_TCP_FLAGS_ORIGINAL, _LIBERAL)
        + netlink.attribute(_TCP_FLAGS_REPLY, _LIBERAL)
    )
    # The kernel itself works out from the other two what an answer looks like.
    _tell(
        _NEW,
        netlink.nest(_ORIGINAL, _direction(source, destination))
        + netlink.nest(_REPLY, _direction(destination, source))
        + (changed if container != host else b"")
        + (netlink.attribute(_MARK, mark.to_bytes(4, "big")) if mark else b"")
        + netlink.attribute(_STATUS, _SEEN.to_bytes(4, "big"))
        + netlink.attribute(_TIMEOUT, _SECONDS.to_bytes(4, "big"))
        + netlink.nest(_PROTOCOL, netlink.nest(_TCP_INFO, info)),
        netlink.CREATE,
    )


def _tell(kind: int, attributes: bytes, flags: int = 0) -> None:
    request = _MESSAGE.pack(socket.AF_INET, 0, 0) + attributes
    netlink.tell(_NETLINK_NETFILTER, kind, request, _ANSWER_SECONDS, flags)


def _direction(source: End, destination: End) -> bytes:
    addresses = (
        netlink.attribute(_SOURCE, socket.inet_aton(source.address)),
        netlink.attribute(_DESTINATION, socket.inet_aton(destination.address)),
    )
    ports = (
        netlink.attribute(_NUMBER, bytes([socket.IPPROTO_TCP])),
        netlink.attribute(_SOURCE_PORT, source.port.to_bytes(2, "big")),
        netlink.attribute(_DESTINATION_PORT, destination.port.to_bytes(2, "big")),
    )
    return netlink.nest(_ADDRESSES, b"".join(addresses)) + netlink.nest(_PORTS, b"".join(ports))


def _nat(kind: int, end: End) -> bytes:
    address, port = socket.inet_aton(end.address), end.port.to_bytes(2, "big")
    ports = netlink.attribute(_PORT_LEAST, port) + netlink.attribute(_PORT_MOST, port)
    least, most = netlink.attribute(_NAT_LEAST, address), netlink.attribute(_NAT_MOST, address)
    return netlink.nest(kind, least + most + netlink.nest(_NAT_PORTS, ports))
