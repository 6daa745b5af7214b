"""Which ports of the host are taken, and by whom."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drainer.host.ports import Waiting, bind, obstacles, parse_row
from drainer.host.procfs import PROC, Proc
from drainer.networks import Port

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid inode\n"
ROW = (
    "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 "
    "    0        0 4242 1 0000000000000000 100 0 0 10 0\n"
)
OTHER = "another program"
EVERYBODY = "0.0.0.0"  # noqa: S104 - nothing is served


@pytest.fixture(params=["127.0.0.1", EVERYBODY, "::1", "::"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        made = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with made:
        yield made


def of(server: socket.socket, address: str, protocol: str = "tcp") -> Port:
    return Port(server.getsockname()[1], protocol, address)


def test_what_clashes_is_taken(server: socket.socket) -> None:
    address = server.getsockname()[0]
    mine, everybody = ("::1", "::") if ":" in address else ("127.0.0.1", EVERYBODY)
    other = "127.0.0.1" if ":" in address else "::1"
    assert bind(of(server, mine)) == errno.EADDRINUSE
    assert bind(of(server, everybody)) == errno.EADDRINUSE
    assert not bind(of(server, other))
    assert not bind(of(server, mine, "udp"))


def test_who_serves_both_versions_takes_both() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        assert bind(of(server, "127.0.0.1")) == errno.EADDRINUSE
        assert bind(of(server, "::")) == errno.EADDRINUSE


def test_a_port_that_nobody_has_any_more_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = of(server, "127.0.0.1")
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            pass
    assert not bind(port)


@pytest.mark.parametrize(
    "port",
    [
        Port(80, "sctp", "127.0.0.1"),
        Port(80, "tcp", ""),
        Port(80, "tcp", "no address"),
        Port(99999, "tcp", "127.0.0.1"),
    ],
)
def test_what_cannot_be_tried_is_not_refused(port: Port) -> None:
    assert not bind(port)


def test_the_holder_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = of(server, "127.0.0.1")
        (why,) = obstacles([port, Port(1, "sctp")], Proc(PROC)).values()
    # The first process of a sandbox may be in another network.
    assert why in {
        f"{port} of this host is taken by {name}: free it"
        for name in (f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})", OTHER)
    }


def test_names_of_holders_are_escaped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = of(server, "127.0.0.1")
        (tmp_path / "1" / "net").mkdir(parents=True)
        table = HEAD + ROW.format(port=port.number, state="0A")
        (tmp_path / "1" / "net" / "tcp").write_text(table)
        (tmp_path / "812" / "fd").mkdir(parents=True)
        (tmp_path / "812" / "fd" / "3").symlink_to("socket:[4242]")
        (tmp_path / "812" / "stat").write_text("812 (ngi\x1bnx) S 1 812 812 0 -1\n")
        assert (
            "is taken by ngi\\x1bnx (pid 812): free it" in obstacles([port], Proc(tmp_path))[port]
        )
        (tmp_path / "812" / "fd" / "3").unlink()
        assert f"is taken by {OTHER}: free it" in obstacles([port], Proc(tmp_path))[port]


def test_an_address_that_the_host_has_lost_is_told() -> None:
    port = Port(80, "tcp", "192.0.2.1")
    assert obstacles([port], Proc(PROC)) == {
        port: "the host has no address 192.0.2.1 now: bring it up"
    }


def test_only_rows_of_who_waits_are_read() -> None:
    assert parse_row(ROW.format(port=80, state="0A"), "tcp", "0A") == Waiting("tcp", 80, 4242)
    assert parse_row(ROW.format(port=80, state="01"), "tcp", "0A") is None


@pytest.mark.parametrize("line", ["", HEAD, ROW.format(port=80, state="0A").replace(":0050", ":x")])
def test_a_row_that_is_none_is_left_out(line: str) -> None:
    assert parse_row(line, "tcp", "0A") is None
