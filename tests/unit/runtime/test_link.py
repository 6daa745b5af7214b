import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drainer.runtime import link

MAC = "02:42:aa:bb:cc:dd"
SET_UP = (
    "ip link add eth0 type veth peer name eth1 && ip link set eth0 up && ip link set eth1 up &&"
    " ip link set lo up && ip addr add 10.1.0.2/24 dev eth0 && ip addr add 10.2.0.2/24 dev eth1 &&"
    " echo ready && exec cat"
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes, bytes]]:
    """Note what is asked of interfaces instead of asking it, in this process's own namespace."""
    requests: list[tuple[int, bytes, bytes]] = []

    @contextmanager
    def inside(_pid: int) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            yield here

    def ask(_there: socket.socket, number: int, name: bytes, value: bytes = b"") -> bytes:
        requests.append((number, name, value))
        return b"\x43\x10" + bytes(22)

    monkeypatch.setattr(link, "_inside", inside)
    monkeypatch.setattr(link, "_ask", ask)
    monkeypatch.setattr(link, "_NOTIFY", ())
    return requests


def test_the_interface_with_the_address_is_asked(asked: list[tuple[int, bytes, bytes]]) -> None:
    link.set_macs(os.getpid(), {"127.0.0.1": MAC, "192.0.2.1": "02:00:00:00:00:01"})
    assert asked == [(0x8924, b"lo", b"\x01\x00\x02\x42\xaa\xbb\xcc\xdd")]


@pytest.mark.parametrize("mac", ["", "02:42", "nonsense", "02:42:aa:bb:cc:dd:ee:ff"])
def test_what_is_no_mac_address_is_refused(asked: list[tuple[int, bytes, bytes]], mac: str) -> None:
    with pytest.raises(ValueError, match=r"MAC|hex"):
        link.set_macs(os.getpid(), {"127.0.0.1": mac})
    assert asked == []


def test_a_process_that_is_not_there(tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(OSError, match="ns/net"):
        link.set_macs(999999999, {"127.0.0.1": MAC})


@pytest.fixture
def namespace() -> Iterator[int]:
    """Run a process in a namespace with two interfaces, which are up."""
    if not shutil.which("ip"):
        pytest.skip("needs the ip command")
    command = ["unshare", "--net", "sh", "-c", SET_UP]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        assert process.stdin
        if process.stdout.readline() != b"ready\n":
            process.stdin.close()
            process.wait()
            pytest.skip("needs a network namespace with interfaces")
        yield process.pid
        process.stdin.close()


def shown(pid: int, name: str) -> str:
    command = ["nsenter", "--net", "--target", str(pid), "ip", "-o", "link", "show", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_namespace_is_changed_and_left(namespace: int) -> None:
    before = Path("/proc/thread-self/ns/net").readlink()
    link.set_macs(namespace, {"10.1.0.2": MAC, "10.2.0.2": "02:42:aa:bb:cc:de"})
    assert f"link/ether {MAC}" in shown(namespace, "eth0")
    assert "link/ether 02:42:aa:bb:cc:de" in shown(namespace, "eth1")
    assert "state DOWN" not in shown(namespace, "eth0")

    link.take_down(namespace)
    assert "state DOWN" in shown(namespace, "eth0")
    assert ",UP" in shown(namespace, "lo")
    assert Path("/proc/thread-self/ns/net").readlink() == before


@pytest.fixture
def pair(namespace: int) -> Iterator[str]:
    """Connect that namespace with this process's own; return the name of the end that is here."""
    name = f"vdr{os.getpid() % 100000}"
    make = f"ip link add {name} type veth peer name eth9 netns {namespace} && ip link set {name} up"
    if subprocess.run(["sh", "-c", make], check=False, capture_output=True).returncode:
        pytest.skip("needs to make interfaces")
    yield name
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def is_up(name: str) -> bool:
    command = ["ip", "-o", "link", "show", name]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "UP" in shown.partition("<")[2].partition(">")[0].split(",")


def test_a_namespace_is_cut_off_from_here_and_no_other_pair_is_touched(
    namespace: int, pair: str
) -> None:
    assert is_up(pair)
    assert link.near_ends(namespace) == (pair,)
    link.silence([pair])
    assert not is_up(pair)
    # Its own interfaces, and so its routes, stay as they are.
    assert "UP" in shown(namespace, "eth0").partition("<")[2].partition(">")[0].split(",")
    link.speak([pair, "none-such", ""])
    assert is_up(pair)


def test_the_namespace_of_this_very_process_is_left_alone() -> None:
    assert link.near_ends(os.getpid()) == ()


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize(("kind", "pair"), [(b"veth\0", (7, 12)), (b"macvlan\0", None)])
def test_only_pairs_count(kind: bytes, pair: tuple[int, int] | None) -> None:
    # What a macvlan leads to is an interface of the host's.
    body = struct.pack("=BxHiII", 0, 1, 7, 0, 0)
    body += attribute(5, struct.pack("=i", 12)) + attribute(18, attribute(1, kind))
    assert link._pair(body) == pair
