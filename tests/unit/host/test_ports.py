"""Which ports of the host are taken, and by whom."""

from pathlib import Path

import pytest

from drainer.host.ports import holders, parse_row
from drainer.host.procfs import Proc
from drainer.model import Port

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0"
ANY, LOOPBACK, HOST = "00000000:0050", "0100007F:0050", "0201A8C0:0050"
ANY6, LOOPBACK6 = "0" * 32 + ":0050", "0" * 24 + "01000000:0050"


def row(local: str, state: str = "0A") -> str:
    return f"   0: {local} {'0' * local.index(':')}:0000 {state} {REST}\n"


def proc_with(root: Path, table: str, *rows: str) -> Proc:
    (root / "1" / "net").mkdir(parents=True)
    (root / "1" / "net" / table).write_text(HEAD + "".join(rows))
    (root / "812" / "fd").mkdir(parents=True)
    (root / "812" / "fd" / "3").symlink_to("socket:[4242]")
    (root / "812" / "stat").write_text("812 (ngi\x1bnx) S 1 812 812 0 -1\n")
    return Proc(root)


@pytest.mark.parametrize(
    ("table", "local", "wanted", "taken"),
    [
        ("tcp", ANY, "", True),
        ("tcp", ANY, "192.168.1.2", True),
        ("tcp", HOST, "192.168.1.2", True),
        ("tcp", HOST, "0.0.0.0", True),  # noqa: S104
        ("tcp", LOOPBACK, "192.168.1.2", False),
        ("tcp", ANY, "::1", False),
        ("tcp6", ANY6, "", True),
        ("tcp6", ANY6, "::1", True),
        ("tcp6", LOOPBACK6, "::1", True),
        ("tcp6", LOOPBACK6, "fd00::1", False),
        ("tcp6", ANY6, "127.0.0.1", False),
        ("tcp", ANY, "no address", False),
    ],
)
def test_addresses_clash_as_bind_has_it(
    tmp_path: Path, table: str, local: str, wanted: str, taken: bool
) -> None:
    port = Port(80, "tcp", wanted)
    others = (Port(81), Port(80, "udp"), Port(80, "sctp"))
    found = holders([port, *others], proc_with(tmp_path, table, row(local)))
    assert found == ({port: "ngi\\x1bnx (pid 812)"} if taken else {})


def test_only_who_waits_for_anybody_takes_a_port(tmp_path: Path) -> None:
    connected, waiting = row(ANY, "01"), row("00000000:0051")
    found = holders([Port(80), Port(81)], proc_with(tmp_path, "tcp", connected, waiting))
    assert set(found) == {Port(81)}


def test_datagrams_have_ports_of_their_own(tmp_path: Path) -> None:
    found = holders([Port(80, "udp"), Port(80)], proc_with(tmp_path, "udp", row(ANY, "07")))
    assert set(found) == {Port(80, "udp")}


def test_who_cannot_be_found_is_another_program(tmp_path: Path) -> None:
    proc = proc_with(tmp_path, "tcp", row(ANY))
    (tmp_path / "812" / "fd" / "3").unlink()
    assert holders([Port(80)], proc) == {Port(80): "another program"}


def test_a_host_without_tables_has_no_port_taken(tmp_path: Path) -> None:
    assert holders([Port(80)], Proc(tmp_path)) == {}


def test_a_row_that_is_none_is_left_out() -> None:
    assert parse_row("", "tcp", "0A") is None
    assert parse_row(HEAD, "tcp", "0A") is None
