"""The network that a killed CRIU leaves locked."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drainer.host.run import MISSING, Result
from drainer.runtime.abort import unlock_network


class Programs:
    """Notes what is run; answers `nft` as if CRIU had used it, or not."""

    def __init__(self, tables: str = "") -> None:
        self.tables = tables
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str], timeout: float) -> Result:
        assert 0 < timeout <= 1
        self.calls.append(list(arguments))
        return Result(0, self.tables) if "list" in arguments else Result(MISSING)


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
    rest = [call[2:] for call in programs.calls]
    assert rest[:4] == [
        ["iptables", "-w", "1", "-D", "INPUT", "-j", "CRIU"],
        ["iptables", "-w", "1", "-D", "OUTPUT", "-j", "CRIU"],
        ["iptables", "-w", "1", "-F", "CRIU"],
        ["iptables", "-w", "1", "-X", "CRIU"],
    ]
    assert [call[0] for call in rest[4:8]] == ["ip6tables"] * 4
    assert [call for call in rest[8:] if "delete" in call] == [
        ["nft", "delete", "table", "inet", "CRIU-1a-2b"]
    ]


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
