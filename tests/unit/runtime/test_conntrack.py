"""Entries of the kernel's table of connections, as messages."""

import socket
from collections.abc import Iterator

import pytest

from drainer import netlink
from drainer.runtime import conntrack
from drainer.runtime.conntrack import Connection, End

CONTAINER, HOST, PEER = End("172.17.0.2", 80), End("192.0.2.1", 8080), End("192.0.2.9", 40000)
INBOUND = Connection(CONTAINER, HOST, PEER, inbound=True)
OUTBOUND = Connection(CONTAINER, HOST, PEER, inbound=False)
FIXED = bytes(4)
"""What comes before the attributes: nfgenmsg."""
ESTABLISHED, SYN_SENT, TIME_WAIT = 3, 1, 7
TCP, UDP = 6, 17


def direction(source: End, destination: End, protocol: int = TCP) -> bytes:
    return netlink.nest(
        1,
        netlink.attribute(1, socket.inet_aton(source.address))
        + netlink.attribute(2, socket.inet_aton(destination.address)),
    ) + netlink.nest(
        2,
        netlink.attribute(1, bytes([protocol]))
        + netlink.attribute(2, source.port.to_bytes(2, "big"))
        + netlink.attribute(3, destination.port.to_bytes(2, "big")),
    )


def entry(
    original: tuple[End, End],
    reply: tuple[End, End],
    state: int = ESTABLISHED,
    protocol: int = TCP,
) -> bytes:
    info = netlink.nest(4, netlink.nest(1, netlink.attribute(1, bytes([state]))))
    there = netlink.nest(1, direction(*original, protocol))
    back = netlink.nest(2, direction(*reply, protocol))
    return FIXED + there + back + info


FROM_PEER = ((PEER, HOST), (CONTAINER, PEER))
TO_PEER = ((CONTAINER, PEER), (PEER, HOST))


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (entry(*FROM_PEER), [INBOUND]),
        (entry(*TO_PEER), [OUTBOUND]),
        (entry(*TO_PEER) + netlink.attribute(8, b"\0\0\1\2"), [OUTBOUND._replace(mark=258)]),
        # Nobody changes an address.
        (
            entry((CONTAINER, PEER), (PEER, CONTAINER)),
            [Connection(CONTAINER, CONTAINER, PEER, inbound=False)],
        ),
        (
            entry((PEER, CONTAINER), (CONTAINER, PEER)),
            [Connection(CONTAINER, CONTAINER, PEER, inbound=True)],
        ),
        # The peer's address is changed, too: the container sees another one.
        (entry((PEER, HOST), (CONTAINER, End("172.17.0.1", 40000))), []),
        (entry(*FROM_PEER, state=SYN_SENT), []),
        (entry(*FROM_PEER, state=TIME_WAIT), []),
        (entry(*FROM_PEER, protocol=UDP), []),
        (entry((PEER, HOST), (End("172.17.0.7", 80), PEER)), []),
        (entry((PEER, HOST), (HOST, PEER)), []),
        (FIXED, []),
        (FIXED + netlink.nest(1, b"") + netlink.nest(2, netlink.nest(1, b"")), []),
    ],
)
def test_open_connections_of_the_container_are_found(
    monkeypatch: pytest.MonkeyPatch, message: bytes, found: list[Connection]
) -> None:
    monkeypatch.setattr(netlink, "dump", lambda *_: iter([message]))
    assert conntrack.connections([CONTAINER.address], ["192.0.2.77"]) == found
    assert conntrack.connections([CONTAINER.address], [PEER.address]) == []
    own = {(own, peer) for own, peer in conntrack.tracked() if own == CONTAINER.address}
    assert own == {(c.container.address, c.peer.address) for c in found}


class Table:
    """The kernel's, as far as it is told of one entry."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[int, bytes], int]] = []

    def tell(
        self, protocol: int, kind: int, request: bytes, seconds: float, flags: int = 0
    ) -> None:
        assert (protocol, request[:1], seconds > 0) == (12, bytes([socket.AF_INET]), True)
        self.told.append((kind, dict(netlink.attributes(request[4:])), flags))
        if kind == conntrack._DELETE:
            raise FileNotFoundError(2, "No such file or directory")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    kernel = Table()
    monkeypatch.setattr(netlink, "tell", kernel.tell)
    yield kernel
    assert [kind for kind, *_ in kernel.told] == [conntrack._DELETE] * 2 + [conntrack._NEW]


def nat(address: End) -> bytes:
    packed, port = socket.inet_aton(address.address), address.port.to_bytes(2, "big")
    ports = netlink.attribute(1, port) + netlink.attribute(2, port)
    return netlink.attribute(1, packed) + netlink.attribute(2, packed) + netlink.nest(3, ports)


@pytest.mark.parametrize(
    ("connection", "original", "inverse", "changed"),
    [
        (INBOUND, (PEER, HOST), (HOST, PEER), {13: nat(CONTAINER)}),
        (OUTBOUND, (CONTAINER, PEER), (PEER, CONTAINER), {6: nat(HOST)}),
        (OUTBOUND._replace(host=CONTAINER), (CONTAINER, PEER), (PEER, CONTAINER), {}),
        (
            INBOUND._replace(mark=258),
            (PEER, HOST),
            (HOST, PEER),
            {13: nat(CONTAINER), 8: b"\0\0\1\2"},
        ),
    ],
)
def test_an_entry_is_made_anew_with_what_is_to_be_changed(
    table: Table,
    connection: Connection,
    original: tuple[End, End],
    inverse: tuple[End, End],
    changed: dict[int, bytes],
) -> None:
    conntrack.put_back(connection)
    _, attributes, flags = table.told[-1]
    assert flags == netlink.CREATE
    assert attributes[1] == direction(*original)
    assert attributes[2] == direction(*inverse)
    assert {kind: attributes[kind] for kind in (6, 8, 13) if kind in attributes} == changed
    info = dict(netlink.attributes(dict(netlink.attributes(attributes[4]))[1]))
    # Sequence numbers that the table has never seen are not held against it.
    assert info == {1: bytes([ESTABLISHED]), 4: b"\x08\x08", 5: b"\x08\x08"}


def test_the_kernel_knows_such_a_table_or_says_that_it_does_not() -> None:
    try:
        found = conntrack.connections(["192.0.2.2"], [])
    except OSError:
        return
    assert found == []
