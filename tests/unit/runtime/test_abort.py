"""The network that a killed CRIU leaves locked."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drainer.host.run import MISSING, TIMED_OUT, Result
from drainer.runtime.abort import UNLOCK_SECONDS, unlock_network


class Programs:
    """Notes what is run; answers as if CRIU had used `nft` or iptables, or not."""

    def __init__(self, tables: str = "", status: int = 0, seconds: float = 0) -> None:
        self.tables = tables
        self.status = status
        """Of what iptables is told."""
        self.seconds = seconds
        """How long iptables takes."""
        self.now = 0.0
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], timeout: float) -> Result:
        assert timeout > 0
        self.calls.append(list(arguments))
        if "nft" in arguments:
            return Result(0, self.tables)
        wait = float(arguments[arguments.index("-w") + 1])
        assert wait < timeout or self.now + timeout == UNLOCK_SECONDS
        self.now += min(self.seconds, timeout)
        return Result(self.status)

    def asked(self) -> list[list[str]]:
        """Return what was asked of iptables, without where and how long."""
        calls = (call[2:] for call in self.calls)
        return [[call[0], *call[3:]] for call in calls if call[0] != "nft"]


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """Give the pid of a process with a network of its own."""
    command = ["unshare", "--net", "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.read(1):
            pytest.skip("network namespaces cannot be made here")
        yield process.pid
        process.kill()


def write_state(state: Path, pid: object) -> Path:
    (state / "state.json").write_text(json.dumps({"init_process_pid": pid}))
    return state


def test_the_rules_of_criu_are_removed_in_the_containers_network(
    tmp_path: Path, elsewhere: int
) -> None:
    programs = Programs("table inet filter\ntable inet CRIU-1a-2b\ntable inet CRIU-1 ; x\n")
    unlock_network(write_state(tmp_path, elsewhere), programs)
    inside = ["nsenter", f"--net=/proc/{elsewhere}/ns/net"]
    assert {tuple(call[:2]) for call in programs.calls} == {tuple(inside)}
    assert [call[2:] for call in programs.calls if "delete" in call] == [
        ["nft", "delete", "table", "inet", "CRIU-1a-2b"]
    ]
    assert programs.asked() == [
        [program, *rule]
        for program in ("iptables", "ip6tables")
        for rule in (
            ["-D", "INPUT", "-j", "CRIU"],
            ["-D", "OUTPUT", "-j", "CRIU"],
            ["-F", "CRIU"],
            ["-X", "CRIU"],
        )
    ]


@pytest.mark.parametrize(("status", "count"), [(2, 2), (MISSING, 2), (1, 8), (4, 8)])
def test_where_there_is_no_chain_nothing_more_is_done(
    tmp_path: Path, elsewhere: int, status: int, count: int
) -> None:
    """A rule that is not there, or a lock that others held, says nothing about the chain."""
    programs = Programs(status=status)
    unlock_network(write_state(tmp_path, elsewhere), programs)
    assert len(programs.asked()) == count


def test_all_of_it_takes_no_longer_than_is_kept_for_it(
    tmp_path: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(status=TIMED_OUT, seconds=60)
    monkeypatch.setattr(time, "monotonic", lambda: programs.now)
    unlock_network(write_state(tmp_path, elsewhere), programs)
    assert programs.now == UNLOCK_SECONDS


@pytest.mark.parametrize("pid", [os.getpid(), 0, "x", None, [1], 1 << 40])
def test_the_hosts_network_is_never_touched(tmp_path: Path, pid: object) -> None:
    programs = Programs()
    unlock_network(write_state(tmp_path, pid), programs)
    assert programs.calls == []


def test_without_a_state_nothing_is_done(tmp_path: Path) -> None:
    programs = Programs()
    unlock_network(tmp_path, programs)
    (tmp_path / "state.json").write_text("[]")
    unlock_network(tmp_path, programs)
    assert programs.calls == []
