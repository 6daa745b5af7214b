import os
import socket
import struct
from pathlib import Path

import pytest

from drainer import netlink

DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def message(body: bytes) -> bytes:
    padding = bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), 16, 2, 1, 0) + body + padding


def test_an_answer_goes_on_until_it_is_done() -> None:
    bodies: list[bytes] = []
    assert netlink.take(message(b"one") + message(b"next"), bodies)
    assert netlink.take(b"", bodies)
    assert not netlink.take(message(b"last") + DONE + message(b"no more"), bodies)
    assert bodies == [b"one", b"next", b"last"]


@pytest.mark.parametrize(("size", "kind"), [(20, 2), (15, 16)])
def test_a_refusal_is_no_answer(size: int, kind: int) -> None:
    with pytest.raises(OSError, match="does not tell"):
        netlink.take(struct.pack("=IHHIIi", size, kind, 2, 1, 0, -1), [])


def test_attributes_are_told_without_their_flags_and_up_to_what_is_none() -> None:
    data = struct.pack("=HH5s3x", 9, 0x8001, b"value") + struct.pack("=HHI", 3, 2, 0)
    assert list(netlink.attributes(data)) == [(1, b"value")]


def test_this_machine_tells_of_its_loopback() -> None:
    request = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    links = [struct.unpack_from("=BxHiII", body)[2] for body in netlink.dump(0, 18, request, 5.0)]
    assert socket.if_nametoindex("lo") in links


def test_a_change_that_the_kernel_refuses_is_an_error() -> None:
    delete_link = 17
    request = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 1 << 30, 0, 0)
    with pytest.raises(OSError, match=r"No such device|not permitted"):
        netlink.tell(0, delete_link, request, 5.0)


def test_attributes_are_written_as_they_are_read() -> None:
    data = netlink.attribute(1, b"value") + netlink.nest(2, netlink.attribute(3, b""))
    assert list(netlink.attributes(data)) == [(1, b"value"), (2, netlink.attribute(3, b""))]


def test_what_is_no_namespace_cannot_be_entered(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        netlink.enter(tmp_path / "missing")
    before = Path("/proc/thread-self/ns/net").readlink()
    with pytest.raises(OSError, match="setns"):
        netlink.enter(Path(os.devnull))
    assert Path("/proc/thread-self/ns/net").readlink() == before
