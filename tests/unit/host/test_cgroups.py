import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drainer.host import cgroups
from drainer.host.cgroups import freeze, kill_frozen, memory, processes

GROUP = "/system.slice/docker-abc.scope"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "memory" / GROUP[1:]).mkdir(parents=True)
    (tmp_path / GROUP[1:]).mkdir(parents=True)
    return tmp_path


def test_version_2_counts_what_is_in_memory_and_swapped(root: Path) -> None:
    group = root / GROUP[1:]
    (group / "memory.stat").write_text("anon 100\nfile 5000\nanon_thp 7\nshmem 20\n")
    assert memory(GROUP, root) == 120
    (group / "memory.swap.current").write_text("3\n")
    assert memory(GROUP, root) == 123


def test_version_1_has_other_names(root: Path) -> None:
    stat = "cache 9\nrss 1\ntotal_rss 100\ntotal_shmem 20\ntotal_swap 3\ntotal_cache 900\n"
    (root / "memory" / GROUP[1:] / "memory.stat").write_text(stat)
    assert memory(GROUP, root) == 123


@pytest.mark.parametrize("group", ["", "/", "/gone", "/a\0b"])
def test_what_cannot_be_read_is_nothing(root: Path, group: str) -> None:
    (root / "memory.stat").write_text("anon 100\n")
    assert memory(group, root) == 0


def test_odd_lines_are_passed_over(root: Path) -> None:
    (root / GROUP[1:] / "memory.stat").write_bytes(b"anon\nanon x\nshmem -1\n\xff\nshmem 8\n")
    assert memory(GROUP, root) == 8


@pytest.mark.parametrize(("place", "mark"), [("", "cgroup.events"), ("freezer", "freezer.state")])
def test_processes_are_those_of_the_groups_below_too(tmp_path: Path, place: str, mark: str) -> None:
    group = tmp_path / place / GROUP[1:]
    (group / "a/b").mkdir(parents=True)
    (group / mark).touch()
    for directory, pids in (("", "1\n0\n"), ("a", ""), ("a/b", "22\n333\n")):
        (group / directory / "cgroup.procs").write_text(pids)
    assert processes(GROUP, tmp_path) == {1, 22, 333}


def test_a_group_that_vanishes_meanwhile_has_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / GROUP[1:] / "cgroup.procs").write_text("1\n")
    (root / GROUP[1:] / "cgroup.events").touch()
    (root / GROUP[1:] / "inner").mkdir()
    scan = os.scandir

    def vanish(path: Any) -> Any:  # noqa: ANN401 - as of os.scandir
        if str(path).endswith("inner"):
            raise FileNotFoundError(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", vanish)
    assert processes(GROUP, root) == {1}


@pytest.mark.parametrize("group", ["", "/", "/gone", "/a\0b"])
def test_a_group_that_is_not_seen_has_no_processes(root: Path, group: str) -> None:
    (root / "cgroup.procs").write_text("1\n")
    assert processes(group, root) == set()


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as started:
        yield started
        started.kill()


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "FREEZE_SECONDS", 0.1)


def group_of(root: Path, version: int, *, frozen: bool) -> Path:
    directory = root / GROUP[1:] if version == 2 else root / "freezer" / GROUP[1:]
    directory.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (directory / "cgroup.events").write_text(f"populated 1\nfrozen {int(frozen)}\n")
    else:
        (directory / "freezer.state").write_text("FROZEN\n" if frozen else "FREEZING\n")
    return directory


def test_a_frozen_group_is_killed_at_once(root: Path) -> None:
    directory = group_of(root, 2, frozen=True)
    (directory / "cgroup.kill").touch()
    assert kill_frozen(GROUP, root) is True
    assert (directory / "cgroup.kill").read_text() == "1"


@pytest.mark.parametrize("version", [1, 2])
def test_without_a_switch_for_all_each_process_is_killed(
    root: Path, process: "subprocess.Popen[bytes]", version: int
) -> None:
    directory = group_of(root, version, frozen=True)
    if version == 2:
        (directory / "cgroup.kill").mkdir()  # not to be written
    (directory / "inner").mkdir()
    (directory / "cgroup.procs").write_text("")
    (directory / "inner" / "cgroup.procs").write_text(f"{process.pid}\n")
    assert kill_frozen(GROUP, root) is True
    assert process.wait(10) == -9


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_not_frozen_is_left_alone(
    root: Path, process: "subprocess.Popen[bytes]", version: int
) -> None:
    directory = group_of(root, version, frozen=False)
    (directory / "cgroup.kill").write_text("")
    (directory / "cgroup.procs").write_text(f"{process.pid}\n")
    assert kill_frozen(GROUP, root) is False
    assert (directory / "cgroup.kill").read_text() == ""
    assert process.poll() is None


@pytest.mark.parametrize("group", ["", "/", "/gone"])
def test_no_group_is_no_kill(root: Path, group: str) -> None:
    assert kill_frozen(group, root) is None


def test_what_a_killed_criu_let_run_is_frozen_again(root: Path) -> None:
    group = root / GROUP[1:]
    (group / "cgroup.freeze").write_text("0\n")
    (group / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert freeze(GROUP, root)
    assert (group / "cgroup.freeze").read_text().startswith("1")


def test_what_does_not_freeze_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "FREEZE_SECONDS", 0.0)
    assert not freeze(GROUP, root)
    group = root / GROUP[1:]
    (group / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert not freeze(GROUP, root)
    (group / "cgroup.freeze").write_text("0\n")
    assert not freeze(GROUP, root)
    # Left as it was.
    assert (group / "cgroup.freeze").read_text().startswith("0")


def test_in_version_1_the_freezer_is_told(tmp_path: Path) -> None:
    group = tmp_path / "freezer" / GROUP[1:]
    group.mkdir(parents=True)
    (group / "freezer.state").write_text("THAWED\n")
    assert freeze(GROUP, tmp_path)
    assert (group / "freezer.state").read_text().startswith("FROZEN")
