"""What is dropped until its container is back, now and after a boot."""

from pathlib import Path

import pytest

from drainer.errors import RuntimeRefusedError
from drainer.runtime import conntrack
from drainer.runtime.base import CHECKPOINTS, Place
from drainer.runtime.conntrack import Connection, End
from drainer.runtime.guard import RULES, Guard, rules
from tests.unit.runtime.iptables import FakeIptables

INBOUND = Connection(
    End("172.17.0.2", 80), End("192.0.2.1", 8080), End("192.0.2.9", 40000), inbound=True
)
OUTBOUND = Connection(
    End("172.17.0.3", 5000), End("192.0.2.1", 5001), End("192.0.2.9", 5432), inbound=False
)
DROPS_INBOUND = "-p tcp -s 192.0.2.9 --sport 40000 -d 192.0.2.1 --dport 8080 -j DROP"
DROPS_OUTBOUND = "-p tcp -s 192.0.2.9 --sport 5432 -d 192.0.2.1 --dport 5001 -j DROP"


@pytest.fixture
def kernel() -> FakeIptables:
    return FakeIptables()


@pytest.fixture
def guard(tmp_path: Path, kernel: FakeIptables) -> Guard:
    return Guard(tmp_path, kernel.run, kernel.feed)


def place(tmp_path: Path, name: str) -> Place:
    return Place(tmp_path / CHECKPOINTS / "drain" / name)


def nothing_is_guarded(tmp_path: Path, kernel: FakeIptables) -> bool:
    return (kernel.rules, kernel.jumps, (tmp_path / RULES).exists()) == (None, 0, False)


def test_packets_are_dropped_as_the_peer_sends_them() -> None:
    assert rules([INBOUND, OUTBOUND], jump=True).splitlines() == [
        "*mangle",
        ":DRAINER-KEPT - [0:0]",
        "-A PREROUTING -p tcp ! --syn -m conntrack --ctstate INVALID,NEW -j DRAINER-KEPT",
        f"-A DRAINER-KEPT {DROPS_INBOUND}",
        f"-A DRAINER-KEPT {DROPS_OUTBOUND}",
        "COMMIT",
    ]


def test_each_container_ends_its_own(tmp_path: Path, kernel: FakeIptables, guard: Guard) -> None:
    guard.begin(place(tmp_path, "a"), [INBOUND])
    guard.begin(place(tmp_path, "b"), [OUTBOUND])
    assert (kernel.rules, kernel.jumps) == ([DROPS_INBOUND, DROPS_OUTBOUND], 1)
    for_the_boot = (tmp_path / RULES).read_text()
    assert for_the_boot == rules([INBOUND, OUTBOUND], jump=True)
    for file in (tmp_path / RULES, place(tmp_path, "a").connections):
        assert file.stat().st_mode & 0o777 == 0o600
    guard.end(place(tmp_path, "a"))
    assert (kernel.rules, kernel.jumps) == ([DROPS_OUTBOUND], 1)
    assert (tmp_path / RULES).read_text() == rules([OUTBOUND], jump=True)
    asked = len(kernel.asked)
    guard.end(place(tmp_path, "a"))
    guard.end(place(tmp_path, "never"))
    assert len(kernel.asked) == asked
    guard.end(place(tmp_path, "b"))
    assert nothing_is_guarded(tmp_path, kernel)


def test_it_is_put_right_from_the_notes(tmp_path: Path, kernel: FakeIptables, guard: Guard) -> None:
    guard.begin(place(tmp_path, "a"), [INBOUND])
    kernel.replace_all()
    guard.renew()
    assert kernel.rules == [DROPS_INBOUND]
    # The unit was started by hand.
    kernel.jumps += 1
    place(tmp_path, "a").connections.unlink()
    guard.renew()
    assert nothing_is_guarded(tmp_path, kernel)
    asked = len(kernel.asked)
    guard.renew()
    assert len(kernel.asked) == asked


def test_what_could_not_be_ended_is_ended_later(
    tmp_path: Path, kernel: FakeIptables, guard: Guard
) -> None:
    guard.begin(place(tmp_path, "a"), [INBOUND])
    guard.begin(place(tmp_path, "b"), [OUTBOUND])
    kernel.broken = True
    guard.end(place(tmp_path, "a"))
    assert kernel.rules == [DROPS_INBOUND, DROPS_OUTBOUND]
    kernel.broken = False
    guard.renew()
    assert kernel.rules == [DROPS_OUTBOUND]
    kernel.broken = True
    guard.end(place(tmp_path, "b"))
    assert (tmp_path / RULES).exists()
    kernel.broken = False
    guard.renew()
    assert nothing_is_guarded(tmp_path, kernel)


def test_what_cannot_be_guarded_is_refused_and_leaves_nothing(
    tmp_path: Path, kernel: FakeIptables, guard: Guard
) -> None:
    kernel.broken = True
    with pytest.raises(RuntimeRefusedError, match="cannot be guarded: iptables-restore: line 3"):
        guard.begin(place(tmp_path, "a"), [INBOUND])
    assert not place(tmp_path, "a").connections.exists()
    kernel.broken = False
    guard.renew()
    assert nothing_is_guarded(tmp_path, kernel)


def test_more_than_can_be_kept_are_refused(tmp_path: Path, guard: Guard) -> None:
    with pytest.raises(RuntimeRefusedError, match="has 2001 connections to other hosts"):
        guard.begin(place(tmp_path, "a"), [INBOUND] * 2001)


def test_what_cannot_be_cleared_is_an_error(
    tmp_path: Path, kernel: FakeIptables, guard: Guard
) -> None:
    guard.begin(place(tmp_path, "a"), [INBOUND])
    kernel.broken = True
    with pytest.raises(OSError, match="guard cannot be ended"):
        guard.clear()
    assert (tmp_path / RULES).exists()


def test_a_disk_that_takes_no_note_is_an_error(tmp_path: Path, guard: Guard) -> None:
    (tmp_path / CHECKPOINTS).write_text("")
    with pytest.raises(NotADirectoryError):
        guard.begin(place(tmp_path, "a"), [INBOUND])


def test_all_is_cleared_for_good(tmp_path: Path, kernel: FakeIptables, guard: Guard) -> None:
    assert guard.clear() == ""
    guard.begin(place(tmp_path, "a"), [INBOUND])
    assert guard.clear() == str(tmp_path / RULES)
    assert nothing_is_guarded(tmp_path, kernel)
    assert not place(tmp_path, "a").connections.exists()


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        "null",
        "[1]",
        '[["172.17.0.2"]]',
        '[["172.17.0.2", 80, "192.0.2.1", 8080, "192.0.2.9 -j ACCEPT", 1, true, 0]]',
        '[["172.17.0.2", 80, "192.0.2.1", 0, "192.0.2.9", 1, true, 0]]',
        '[["172.17.0.2", 80, "192.0.2.1", "x", "192.0.2.9", 1, true, 0]]',
        '[["172.17.0.2", 80, "192.0.2.1", 1, "192.0.2.9", 1]]',
        "[" * 100_000,
    ],
)
def test_a_damaged_note_is_no_rule(
    tmp_path: Path, kernel: FakeIptables, guard: Guard, written: str
) -> None:
    with pytest.raises(ValueError, match="no list of connections"):
        conntrack.read(written)
    guard.begin(place(tmp_path, "a"), [INBOUND])
    guard.begin(place(tmp_path, "b"), [OUTBOUND])
    place(tmp_path, "b").connections.write_text(written)
    guard.renew()
    assert kernel.rules == [DROPS_INBOUND]


def test_connections_are_read_as_they_were_written() -> None:
    assert conntrack.read(conntrack.text([INBOUND, OUTBOUND])) == [INBOUND, OUTBOUND]
